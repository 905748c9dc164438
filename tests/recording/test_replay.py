"""Playing a session again finds what differs, and counts what clients asked and what reached the servers."""

from typing import Any

from tests.recording.replay import MethodCount, comparable, replay
from tests.recording.session import Answered, Asked, Json, Server, Session

LEGACY = "2025-11-25"
HELLO = {
    "result": {
        "protocolVersion": LEGACY,
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "box", "version": "1"},
    }
}
ECHO = {"name": "echo", "inputSchema": {"type": "object"}}
SAID = {"result": {"content": [{"type": "text", "text": "hi"}]}}
CALL = {"name": "box__echo", "arguments": {}}
HANDSHAKE = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "agent", "version": "1"}}
BOX = Server(
    "box",
    "box-server",
    "1",
    "npm",
    "MIT",
    (
        Answered(-1, "server/discover", {}, {"error": {"code": -32601, "message": "no"}}),
        Answered(-1, "initialize", {}, HELLO),
        Answered(-1, "tools/list", {}, {"result": {"tools": [ECHO]}}),
        Answered(20, "tools/call", {"name": "echo", "arguments": {}}, SAID),
    ),
    (),
)


def asked(at_ms: int, method: str, params: Json, answer: Json | None = None) -> Asked:
    return Asked(at_ms, "agent", "agent-1", LEGACY, method, params, answer)


async def test_what_is_answered_as_it_was_recorded_is_no_difference_and_all_is_counted():
    first = await replay(
        Session("", (BOX,), (asked(0, "initialize", HANDSHAKE), asked(20, "tools/call", CALL)))
    )
    requests = (
        asked(0, "initialize", HANDSHAKE, first.answers[0]),
        asked(20, "tools/call", CALL, SAID),
        asked(20, "tools/call", CALL, SAID),
        asked(30, "DELETE", {}),
    )
    result = await replay(Session("", (BOX,), requests))
    assert (result.differences, result.unknown) == ((), ())
    assert result.counts["tools/call"] == MethodCount(requests=2, asked=2, made=2)
    assert result.counts["tools/list"] == MethodCount(requests=0, asked=0, made=1, at_start=1)
    assert result.by_client == {"agent": {"initialize": 1, "tools/call": 2}}
    assert result.lists_by_server == {"box": MethodCount(requests=0, asked=0, made=1, at_start=1)}
    assert result.made_by_server["box"]["initialize"] == 1


async def test_another_answer_and_an_unknown_request_are_found():
    other: Any = {"result": {"content": []}}
    calls = (
        asked(0, "initialize", HANDSHAKE),
        asked(20, "tools/call", CALL, other),
        asked(21, "tools/call", CALL | {"arguments": {"new": 1}}, SAID),
    )
    result = await replay(Session("", (BOX,), calls))
    assert [each.request.at_ms for each in result.differences] == [0, 20, 21]
    assert result.differences[1].got == SAID
    assert result.unknown == ('tools/call {"arguments": {"new": 1}, "name": "echo"}',)


async def test_a_list_that_grows_old_on_the_clock_of_the_recording_is_read_again():
    at_ms = (1_000, 1_500, 3_600_000)
    requests = (asked(0, "initialize", HANDSHAKE), *(asked(at, "tools/list", {}) for at in at_ms))
    result = await replay(Session("", (BOX,), requests))
    assert result.counts["tools/list"].requests == 3
    assert result.counts["tools/list"].at_start == 1
    assert result.counts["tools/list"].made == 2


async def test_what_is_asked_at_one_instant_is_in_the_gateway_before_a_server_answers_any_of_it():
    at_once = [Asked(700_000, "agent", f"agent-{n}", LEGACY, "tools/list", {}, None) for n in range(20)]
    hello = [Asked(0, "agent", f"agent-{n}", LEGACY, "initialize", HANDSHAKE, None) for n in range(20)]
    result = await replay(Session("", (BOX,), (*hello, *at_once)))
    assert result.counts["tools/list"] == MethodCount(requests=20, asked=20, made=2, at_start=1)


async def test_settings_reach_the_gateway():
    naming = {"routing": {"prefix": "none"}}
    call = asked(20, "tools/call", CALL | {"name": "echo"}, SAID)
    result = await replay(Session("", (BOX,), (asked(0, "initialize", HANDSHAKE), call)), naming)
    assert [each.request.method for each in result.differences] == ["initialize"]


def test_the_saved_share_is_of_what_would_have_been_asked():
    assert MethodCount(requests=5, asked=20, made=5).saved_share == 0.75
    assert MethodCount(requests=0, asked=0, made=3).saved_share == 0.0
    assert MethodCount(1, 2, 3, 1) + MethodCount(1, 2, 3, 1) == MethodCount(2, 4, 6, 2)


def test_only_hints_and_our_version_may_differ():
    one = {
        "result": {"tools": [ECHO], "ttlMs": 5, "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "a"}}}
    }
    assert comparable(one) == {"result": {"tools": [ECHO]}}
    assert comparable(HELLO) == comparable({"result": HELLO["result"] | {"serverInfo": {"name": "other"}}})
    assert comparable(SAID) != comparable({"result": {"content": []}})
