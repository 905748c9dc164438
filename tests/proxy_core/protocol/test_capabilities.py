"""What clients declare, and what is said of it to servers."""

import json
from typing import Any

import pytest

from proxy_core.protocol.capabilities import TASKS, UI, ClientCapabilities, declaration, read
from proxy_core.protocol.revisions import LEGACY_REVISIONS, MODERN


def extensions(declared: Any, revision: str = MODERN) -> tuple[str, ...]:
    found = read(json.dumps({"extensions": declared}).encode(), revision)
    return tuple(name for name, _ in found.extensions)


def test_the_extensions_that_we_know_are_read_and_no_others():
    assert extensions({TASKS: {}, UI: {"mimeTypes": []}, "example.com/other": {}}) == (TASKS, UI)


@pytest.mark.parametrize("declared", [None, 7, [], {TASKS: None}, {TASKS: True}])
def test_what_is_no_extension_declares_none(declared: Any):
    assert extensions(declared) == ()


@pytest.mark.parametrize("revision", LEGACY_REVISIONS)
def test_a_legacy_client_may_show_pages_but_knows_no_such_tasks(revision: str):
    assert extensions({TASKS: {}, UI: {}}, revision) == (UI,)


@pytest.mark.parametrize("known", [(), ((UI, b"{}"),), ((TASKS, b'{"a":1}'), (UI, b"{}"))])
def test_tasks_that_somebody_else_sees_to_are_declared_once(known: Any):
    seen_to = ClientCapabilities(frozenset({"roots"}), extensions=known).with_tasks()
    said = json.loads(declaration(seen_to))
    assert (said["roots"], said["extensions"][TASKS]) == ({}, {})
    assert said["extensions"].keys() - {TASKS} == {name for name, _ in known} - {TASKS}
