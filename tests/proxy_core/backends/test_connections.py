"""A server's connections beside its primary one: opened by key, shared, closed when nobody needs them."""

import asyncio
import json
import sys
from typing import Any

import psutil
import pytest

from proxy_core.backends import isolation
from proxy_core.backends.call import Call
from proxy_core.backends.connections import IDLE_S, MAX_CONNECTIONS, RETRY_PAUSE_S
from proxy_core.backends.guard import Guard
from proxy_core.backends.registry import BackendRegistry
from proxy_core.clock import SystemClock
from proxy_core.config.models import ServerConfig, StdioTransport
from proxy_core.errors import (
    BackendError,
    BackendExited,
    BackendFault,
    BackendSessionLost,
    BackendUnavailable,
    Overloaded,
)
from proxy_core.protocol.capabilities import NONE, ClientCapabilities
from proxy_core.protocol.revisions import Era
from proxy_core.telemetry.snapshot import ServerState as S
from tests.support.scripted_backend import ADD, CHILD, REMOTE, Box, child
from tests.support.scripted_channel import (
    Asked,
    Gateway,
    Sink,
    discovered,
    exits,
    initialized,
    raises,
    refuses,
    result,
    silence,
    tools,
    until,
)

FORMS = ClientCapabilities(frozenset({"elicitation.form"}))
ROOTS = ClientCapabilities(frozenset({"roots"}), announces_roots=True)
EVERYTHING = {
    "elicitation": {"form": {}, "url": {}},
    "roots": {},
    "sampling": {"context": {}, "tools": {}},
}


async def remote(boxes: Any, **more: Any) -> Box:
    """A legacy server over HTTP, in service."""
    box: Box = await boxes(more.pop("script", None), transport=REMOTE, **more).in_service()
    return box


async def called(box: Box, **more: Any) -> tuple[Any, Asked]:
    call = box.call(**more)
    return call, await box.server.next("tools/call")


def declared(box: Box) -> list[Any]:
    return [a.params["capabilities"] for a in box.server.asked if a.message.get("method") == "initialize"]


async def over(*calls: tuple[Any, Asked]) -> None:
    for call, asked in calls:
        asked.answer({})
        await call


# --- by key -------------------------------------------------------------------------------------------------


@pytest.mark.requirement("D04")
async def test_a_legacy_remote_server_is_told_exactly_what_each_client_declared(boxes: Any) -> None:
    box = await remote(boxes)
    calls = [
        await called(box, capabilities=NONE),
        await called(box, capabilities=FORMS),
        await called(box, capabilities=FORMS, principal="ann"),
        await called(box, capabilities=ROOTS),
        await called(box, capabilities=FORMS),
    ]
    assert declared(box)[1:] == [
        {},
        {"elicitation": {"form": {}}},
        {"elicitation": {"form": {}}},
        {"roots": {"listChanged": True}},
    ]
    channels = [asked.channel for _, asked in calls]
    assert channels[1] is channels[4]
    assert len(set(channels)) == 4
    assert box.backend.members[0].replica.in_flight == 5, "calls on all connections count"
    await over(*calls)


async def test_a_shared_child_is_told_everything_that_can_be_carried_but_no_changes_of_roots(
    boxes: Any,
) -> None:
    box = await boxes(transport=CHILD).in_service()
    await over(await called(box, capabilities=ROOTS), await called(box, capabilities=FORMS))
    assert declared(box) == [EVERYTHING]
    assert box.server.starts == 1


@pytest.mark.requirement("D05")
async def test_a_remote_server_is_told_everything_on_the_connection_that_reads_its_lists(boxes: Any) -> None:
    """Some list a tool that asks only to clients that can be asked."""
    box = await remote(boxes)
    assert declared(box) == [EVERYTHING]
    listed = [a for a in box.server.asked if a.message.get("method") == "tools/list"]
    await over(await called(box, capabilities=FORMS))
    assert [a.channel for a in listed] == [box.server.channels[0]]


async def test_each_principal_has_a_child_of_its_own(boxes: Any) -> None:
    box = await boxes(transport=CHILD).in_service()
    calls = [await called(box, principal=name) for name in ("anon", "ann", "bob", "ann")]
    channels = [asked.channel for _, asked in calls]
    assert channels[1] is channels[3]
    assert len(set(channels)) == 3
    assert box.server.starts == 3
    await over(*calls)


async def test_a_modern_child_of_a_principal_is_probed_no_more_than_needed(boxes: Any) -> None:
    script = {"server/discover": discovered(), "tools/list": tools("add")}
    box = await boxes(script, transport=CHILD, era="auto").in_service()
    call, asked = await called(box, principal="ann", capabilities=FORMS)
    meta = asked.params["_meta"]["io.modelcontextprotocol/clientCapabilities"]
    assert meta == {"elicitation": {"form": {}}}
    asked.answer({})
    assert (await call).era is Era.MODERN


async def test_the_era_that_was_found_out_is_not_found_out_again(boxes: Any) -> None:
    box = await boxes(child(server_discover=refuses(-32601)), transport=CHILD, era="auto").in_service()
    await over(await called(box, principal="ann"))
    assert box.server.count("server/discover") == 1


async def test_calls_of_one_key_share_one_opening(boxes: Any) -> None:
    box = await remote(boxes)
    del box.server.script["initialize"]
    calls = [box.call(capabilities=FORMS) for _ in range(3)]
    opening = await box.server.next("initialize")
    await box.rest()
    calls[0].cancel()
    await box.rest()
    initialized()(opening)
    asked = [await box.server.next("tools/call") for _ in range(2)]
    for each in asked:
        each.answer({})
    await asyncio.gather(*calls[1:])
    assert box.server.starts == 2


async def test_the_log_level_that_is_wanted_is_told_on_each_connection(boxes: Any) -> None:
    box = await remote(boxes)
    box.backend.want_log_level("info")
    await over(await called(box, capabilities=FORMS))
    await box.rest()
    levels = [a for a in box.server.asked if a.message.get("method") == "logging/setLevel"]
    assert {a.channel for a in levels} == set(box.server.channels)
    box.backend.want_log_level("debug")
    await box.rest()
    assert box.server.count("logging/setLevel") == 4


async def test_a_list_that_changed_on_any_connection_is_read_again_on_the_primary_one(boxes: Any) -> None:
    box = await remote(boxes)
    call, asked = await called(box, capabilities=FORMS)
    box.offers("add", "new")
    asked.channel.notifies("notifications/tools/list_changed")
    await until(lambda: box.tools == ["add", "new"])
    lists = [a for a in box.server.asked if a.message.get("method") == "tools/list"]
    assert lists[-1].channel is box.server.channels[0]
    await over((call, asked))


# --- what goes wrong ------------------------------------------------------------------------------------------


async def test_one_that_is_lost_fails_its_own_calls_and_is_opened_again_by_the_next(boxes: Any) -> None:
    box = await remote(boxes)
    own, other = await called(box, capabilities=FORMS), await called(box, capabilities=isolation.EVERYTHING)
    own[1].channel.ends()
    with pytest.raises(BackendExited):
        await own[0]
    assert not other[0].done()
    assert box.backend.state is S.HEALTHY
    again = await called(box, capabilities=FORMS)
    assert box.server.starts == 3
    await over(other, again)
    assert box.states == [S.HEALTHY]


@pytest.mark.parametrize("reply", [exits, refuses(-32603), raises(BackendUnavailable("box", "down"))])
async def test_one_that_cannot_be_opened_fails_its_calls_and_not_the_server(boxes: Any, reply: Any) -> None:
    box = await remote(boxes)
    box.server.script["initialize"] = [reply]
    calls = [box.call(capabilities=FORMS) for _ in range(3)]
    for call in calls:
        with pytest.raises(BackendFault):
            await call
    assert box.backend.state is S.HEALTHY
    with pytest.raises(BackendFault):
        await box.call(capabilities=FORMS)
    assert box.server.starts == 2, "it is not tried again with every call"
    box.server.script["initialize"] = [initialized()]
    await box.wait(RETRY_PAUSE_S)
    await over(await called(box, capabilities=FORMS))


async def test_a_handshake_without_an_answer_ends_when_the_sweep_comes(boxes: Any) -> None:
    box = await remote(boxes)
    box.server.script["initialize"] = [silence]
    call = box.call(capabilities=FORMS)
    await until(lambda: box.server.count("initialize") == 2)
    await box.wait(10)
    with pytest.raises(BackendFault):
        await call


@pytest.mark.requirement("B05")
async def test_a_session_that_was_lost_is_renewed_for_its_own_connection_alone(boxes: Any) -> None:
    box = await remote(boxes)
    box.backend.want_log_level("info")
    call, asked = await called(box, capabilities=FORMS)
    asked.fail(BackendSessionLost("box", "The server ended our session."))
    again = await box.server.next("tools/call")
    assert again.channel is asked.channel
    await over((call, again))
    await box.rest()
    assert box.server.count("initialize") == 3
    assert box.server.count("tools/list") == 1
    assert declared(box)[1] == declared(box)[2]
    levels = [a for a in box.server.asked if a.message.get("method") == "logging/setLevel"]
    assert [a.channel for a in levels].count(asked.channel) == 2


# --- closing ----------------------------------------------------------------------------------------------


async def test_one_that_is_idle_for_long_is_closed(boxes: Any) -> None:
    box = await remote(boxes, timeouts={"call_idle_s": 3600, "call_s": 3600})
    busy = await called(box, principal="ann")
    await over(await called(box, capabilities=FORMS))
    await box.wait(IDLE_S - 1)
    assert len(box.backend.members[0].replica.further) == 2
    await box.wait(1)
    await until(lambda: box.server.transcript.count("close") == 1)
    assert len(box.backend.members[0].replica.further) == 1
    await over(busy)


async def test_the_least_recently_used_makes_room_and_without_one_that_is_idle_there_is_none(
    boxes: Any,
) -> None:
    box = await remote(boxes, timeouts={"call_idle_s": 3600, "call_s": 3600}, concurrency=1000)
    first = await called(box, principal="p0")
    for number in range(1, MAX_CONNECTIONS):
        box.clock.advance(0.001)
        await over(await called(box, principal=f"p{number}"))
    await over(await called(box, principal="p2"))
    busy = [first, await called(box, principal="new")]
    further = box.backend.members[0].replica.further
    assert len(further) == MAX_CONNECTIONS
    await until(lambda: box.server.transcript.count("close") == 1)
    busy += [await called(box, principal=f"p{number}") for number in range(2, MAX_CONNECTIONS)]
    assert box.server.starts == 1 + MAX_CONNECTIONS + 1, "p1 was the one that went"
    with pytest.raises(Overloaded):
        await box.call(principal="one too many")
    await over(*busy)


async def test_what_served_a_session_alone_is_closed_once_its_calls_are_over(boxes: Any) -> None:
    box = await remote(boxes, isolation="session")
    call, asked = await called(box, session="s1")
    await over(await called(box, session="s2"))
    box.backend.session_ended("s1")
    box.backend.session_ended("unknown")
    box.backend.session_ended(None)
    await box.rest()
    assert "close" not in box.server.transcript, "a client that hung up has not cancelled"
    await over((call, asked))
    await until(lambda: box.server.transcript.count("close") == 1)
    box.backend.session_ended("s2")
    await until(lambda: box.server.transcript.count("close") == 2)
    assert len(box.backend.members[0].replica.further) == 0


async def test_a_drain_waits_for_the_calls_on_all_connections_and_closes_all(boxes: Any) -> None:
    box = await remote(boxes)
    call, asked = await called(box, capabilities=FORMS)
    await over(await called(box, principal="ann"))
    drain = box.begin(box.backend.drain(30))
    await box.reached(S.DRAINING)
    await box.rest()
    assert not drain.done()
    await over((call, asked))
    assert (await drain).abandoned == 0
    assert box.server.transcript.count("close") == 3


async def test_a_stop_cuts_off_the_calls_on_all_connections(boxes: Any) -> None:
    box = await remote(boxes)
    call, _ = await called(box, capabilities=FORMS)
    opening = box.call(principal="ann")
    outcome = await box.backend.drain(0.01)
    assert outcome.abandoned == 2
    for each in (call, opening):
        with pytest.raises(BackendFault):
            await each
    assert not any(channel.is_open for channel in box.server.channels)


async def test_after_a_restart_connections_are_opened_anew(boxes: Any) -> None:
    box = await remote(boxes)
    await over(await called(box, capabilities=FORMS))
    await box.backend.restart(1)
    await box.reached(S.HEALTHY)
    await over(await called(box, capabilities=FORMS))
    assert box.server.starts == 4


# --- roots and sessions ---------------------------------------------------------------------------------------


async def test_changed_roots_are_told_where_the_server_was_told_that_they_would_be(boxes: Any) -> None:
    box = await remote(boxes, isolation="session")
    box.server.script["notifications/roots/list_changed"] = [silence]
    ann, bob = await called(box, session="ann", capabilities=ROOTS), await called(box, session="bob")
    await over(ann, bob, await called(box, session="eve", capabilities=ROOTS))
    for session in ("ann", "bob", "nobody"):
        box.backend.roots_changed("anon", session)
    await box.rest()
    told = [a.channel for a in box.server.asked if a.message.get("method", "").endswith("roots/list_changed")]
    assert told == [ann[1].channel]


async def test_changed_roots_that_cannot_be_told_are_only_noted(boxes: Any) -> None:
    box = await remote(boxes)
    box.server.script["notifications/roots/list_changed"] = [raises(BackendUnavailable("box", "no"))]
    await over(await called(box, capabilities=ROOTS))
    box.backend.roots_changed("anon", "any session of this principal")
    await until(lambda: [text for _, text in box.sayings if "roots" in text])


async def test_a_question_outside_calls_is_put_to_the_one_session_that_is_served(boxes: Any) -> None:
    box = await remote(boxes, isolation="session", roots=("file:///configured",))
    call, asked = await called(box, session="s1", capabilities=ROOTS)
    await over((call, asked))
    asked.channel.says({"jsonrpc": "2.0", "id": 1, "method": "roots/list"})
    assert (await box.server.next("")).message["result"] == {"roots": []}
    assert box.gateway.requests == [("box", "s1", "roots/list")]


async def test_a_session_that_did_not_declare_it_is_not_asked(boxes: Any) -> None:
    box = await remote(boxes, isolation="session", roots=("file:///configured",))
    call, asked = await called(box, session="s1", capabilities=FORMS)
    await over((call, asked))
    for number, method in enumerate(("roots/list", "sampling/createMessage")):
        asked.channel.says({"jsonrpc": "2.0", "id": number, "method": method, "params": {}})
    answers = [(await box.server.next("")).message for _ in range(2)]
    assert answers[0]["result"] == {"roots": [{"uri": "file:///configured"}]}
    assert answers[1]["error"]["code"] == -32601
    assert box.gateway.requests == []


@pytest.mark.requirement("M19")
async def test_clients_that_are_kept_apart_are_never_taken_for_one_another(boxes: Any) -> None:
    box = await boxes(transport=CHILD).in_service()
    ann, bob = Sink(), Sink()
    calls = [await called(box, principal="ann", sink=ann), await called(box, principal="bob", sink=bob)]
    calls[1][1].channel.says(
        {"jsonrpc": "2.0", "id": 1, "method": "elicitation/create", "params": {"message": "?"}}
    )
    await bob.asked()
    assert ann.questions == []
    await over(*calls)
    assert (await box.server.next("")).message["result"] == {"action": "cancel"}


async def test_a_refusal_on_a_further_connection_is_the_clients_to_hear(boxes: Any) -> None:
    box = await remote(boxes, script=child(tools_call=[refuses(-32602), result({})]))
    with pytest.raises(BackendError):
        await box.call(capabilities=FORMS)
    await box.call(capabilities=FORMS)
    assert box.server.starts == 2


# --- real children ----------------------------------------------------------------------------------------

ASKING_CHILD = """
import json, os, sys
def say(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)
waiting = {}
for line in sys.stdin:
    message = json.loads(line)
    method = message.get("method")
    if method == "initialize":
        info = {"name": "a", "version": "1"}
        result = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": info}
        say(id=message["id"], result=result)
    elif method == "tools/call":
        waiting["q%d" % message["id"]] = message["id"]
        say(id="q%d" % message["id"], method="elicitation/create", params={"message": "who?"})
    elif method is None:
        text = json.dumps([os.getpid(), message["result"]["content"]["name"]])
        say(id=waiting[message["id"]], result={"content": [{"type": "text", "text": text}]})
"""


class Says(Sink):
    """A client that gives its name when it is asked."""

    def __init__(self, name: str) -> None:
        said = json.dumps({"action": "accept", "content": {"name": name}}).encode()
        super().__init__(client=name, answers={"elicitation/create": said})


@pytest.mark.requirement("M19")
async def test_children_of_two_principals_are_two_processes_and_each_asks_its_own() -> None:
    guard = Guard()
    await guard.start()
    registry = BackendRegistry(
        Gateway(), SystemClock(), guard, says=lambda *words: None, on_state=lambda *words: None
    )
    command = StdioTransport(command=sys.executable, args=("-c", ASKING_CHILD))
    registry.start()
    try:
        registry.apply((ServerConfig(id="box", transport=command, era="legacy"),), {}, 0)
        backend = registry.get("box")
        await until(lambda: backend.state is S.HEALTHY)
        calls = [
            Call("tools/call", ADD, name="add", sink=Says(name), principal=name)
            for name in ("ann", "bob", "anon", "ann")
        ]
        answers = await asyncio.gather(*(backend.call(call) for call in calls))
        heard = [json.loads(json.loads(bytes(a.result))["content"][0]["text"]) for a in answers]
        assert [name for _, name in heard] == ["ann", "bob", "anon", "ann"]
        pids = [pid for pid, _ in heard]
        assert pids[0] == pids[3]
        assert len(set(pids)) == 3
        assert pids[2] == backend.members[0].replica.pid
        await backend.drain(10)
        await until(lambda: not any(psutil.pid_exists(pid) for pid in pids))
    finally:
        await registry.aclose()
        await guard.aclose()
