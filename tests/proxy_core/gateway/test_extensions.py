"""What modern clients are offered beyond the protocol itself."""

from typing import Any

import pytest

from proxy_core.backends.peer import Peer
from proxy_core.gateway.extensions import offered
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.capabilities import TASKS, UI


def peer(**capabilities: Any) -> Peer:
    return Peer("2026-07-28", capabilities, "", "")


def shown(*peers: Peer) -> Any:
    return jsonrpc.decode(jsonrpc.encode(offered(peers)))


def test_the_extensions_of_all_servers_are_offered_and_no_strange_ones():
    one = peer(extensions={TASKS: {"list": True}, "example.com/other": {}})
    two = peer(extensions={UI: {"mimeTypes": ["a"]}})
    three = peer(extensions={UI: {"mimeTypes": ["b"]}})
    assert shown(one, two, three) == {TASKS: {}, UI: {"mimeTypes": ["a"]}}


@pytest.mark.parametrize("said", [None, 7, [], {TASKS: True}, {UI: "yes"}])
def test_what_is_no_extension_is_not_offered(said: Any):
    assert shown(peer(extensions=said), peer()) == {}


def test_legacy_tasks_are_not_the_extension():
    assert shown(peer(tasks={"requests": {"tools": {"call": {}}}})) == {}


def test_settings_are_bounded():
    deep: Any = {}
    for _ in range(2000):
        deep = {"a": deep}
    for settings in ({"mimeTypes": ["x" * 5000]}, deep):
        assert shown(peer(extensions={UI: settings})) == {UI: {}}
