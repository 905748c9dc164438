"""Which connection a call goes to, and what that connection says of its clients."""

from typing import Any

import pytest
from msgspec import Raw

from proxy_core.backends.call import Call
from proxy_core.backends.isolation import EVERYTHING, Key, declared_with_call, key_of
from proxy_core.backends.peer import Peer
from proxy_core.config.models import HttpTransport, ServerConfig, SseTransport, StdioTransport
from proxy_core.protocol.capabilities import NONE, TASKS, UI, ClientCapabilities
from proxy_core.protocol.revisions import Era

CHILD = StdioTransport(command="box")
REMOTE = HttpTransport(url="http://box.example/mcp")
OLD = SseTransport(url="http://box.example/sse")
FORMS = ClientCapabilities(frozenset({"elicitation.form"}))
ROOTS = ClientCapabilities(frozenset({"roots"}), announces_roots=True)


def settings(transport: Any, mode: Any = "auto") -> ServerConfig:
    return ServerConfig(id="box", transport=transport, isolation=mode)


def call(principal: str = "anon", session: str | None = None, capabilities: Any = NONE) -> Call:
    return Call("tools/call", Raw(), principal=principal, session=session, capabilities=capabilities)


CALLS = [call(), call("ann"), call(capabilities=FORMS), call("ann", "s1", FORMS)]


@pytest.mark.parametrize("each", CALLS)
def test_modern_http_has_nothing_to_keep_apart(each: Call) -> None:
    assert key_of(settings(REMOTE), Era.MODERN, each) is None


@pytest.mark.parametrize("era", Era)
def test_a_child_is_shared_by_whoever_has_no_name_and_is_one_principals_otherwise(era: Era) -> None:
    child = settings(CHILD)
    assert key_of(child, era, call()) is None
    assert key_of(child, era, call(session="s1", capabilities=FORMS)) is None
    assert key_of(child, era, call("ann", "s1", FORMS)) == Key("ann", None, EVERYTHING)
    assert key_of(child, era, call("ann")) == key_of(child, era, call("ann", "s2", ROOTS))
    assert key_of(child, era, call("bob")) != key_of(child, era, call("ann"))


@pytest.mark.parametrize("transport", [REMOTE, OLD])
def test_a_legacy_remote_server_has_a_session_for_each_principal_and_profile(transport: Any) -> None:
    remote = settings(transport)
    assert key_of(remote, Era.LEGACY, call()) == Key("anon", None, NONE)
    assert key_of(remote, Era.LEGACY, call(capabilities=EVERYTHING)) is None
    assert key_of(remote, Era.LEGACY, call(capabilities=FORMS)) == Key("anon", None, FORMS)
    assert key_of(remote, Era.LEGACY, call("ann", capabilities=EVERYTHING)) == Key("ann", None, EVERYTHING)
    assert key_of(remote, Era.LEGACY, call("ann")) == Key("ann", None, NONE)
    assert key_of(remote, Era.LEGACY, call("ann", "s1", ROOTS)) == Key("ann", None, ROOTS)


def test_extensions_make_no_other_legacy_session() -> None:
    extended = ClientCapabilities(FORMS.features, extensions=((UI, b"{}"),))
    assert key_of(settings(REMOTE), Era.LEGACY, call(capabilities=extended)) == Key("anon", None, FORMS)


@pytest.mark.parametrize("transport", [CHILD, REMOTE, OLD])
@pytest.mark.parametrize("era", Era)
@pytest.mark.parametrize("each", CALLS)
def test_a_server_that_is_shared_has_one_connection(transport: Any, era: Era, each: Call) -> None:
    assert key_of(settings(transport, "shared"), era, each) is None


def test_kept_apart_by_principal_even_modern_http_has_a_connection_for_each() -> None:
    remote = settings(REMOTE, "principal")
    assert key_of(remote, Era.MODERN, call()) is None
    assert key_of(remote, Era.MODERN, call("ann", "s1", FORMS)) == Key("ann", None, NONE)
    assert key_of(remote, Era.LEGACY, call("ann", "s1", FORMS)) == Key("ann", None, FORMS)


@pytest.mark.parametrize("transport", [CHILD, REMOTE, OLD])
@pytest.mark.parametrize("era", Era)
def test_kept_apart_by_session_each_legacy_session_has_its_own_and_is_described_exactly(
    transport: Any, era: Era
) -> None:
    apart = settings(transport, "session")
    assert key_of(apart, era, call("anon", "s1", ROOTS)) == Key("anon", "s1", ROOTS)
    assert key_of(apart, era, call("anon", "s2", ROOTS)) == Key("anon", "s2", ROOTS)


def test_a_modern_client_has_no_session_and_uses_its_principals_connection() -> None:
    assert key_of(settings(CHILD, "session"), Era.LEGACY, call()) is None
    assert key_of(settings(CHILD, "session"), Era.LEGACY, call("ann")) == Key("ann", None, EVERYTHING)
    remote = settings(REMOTE, "session")
    assert key_of(remote, Era.LEGACY, call(capabilities=FORMS)) == Key("anon", None, FORMS)


@pytest.mark.requirement("D04")
@pytest.mark.parametrize("offered", [{}, {"extensions": 7}, {"extensions": {UI: True}}, {"extensions": None}])
def test_an_extension_that_the_server_does_not_offer_is_not_declared_to_it(offered: Any) -> None:
    declared = ClientCapabilities(FORMS.features, extensions=((TASKS, b"{}"), (UI, b"{}")))
    assert declared_with_call(declared, Peer("2026-07-28", offered, "", "")) == FORMS


@pytest.mark.requirement("D04")
def test_an_extension_that_both_know_is_declared_with_the_clients_settings() -> None:
    declared = ClientCapabilities(FORMS.features, extensions=((TASKS, b"{}"), (UI, b'{"mimeTypes":[]}')))
    peer = Peer("2026-07-28", {"extensions": {UI: {}, "example.com/other": {}}}, "", "")
    assert declared_with_call(declared, peer).extensions == ((UI, b'{"mimeTypes":[]}'),)
