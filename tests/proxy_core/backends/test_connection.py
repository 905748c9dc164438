"""A connection against a scripted backend: the handshake, calls, what the backend starts by itself."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from proxy_core.backends.call import Call
from proxy_core.errors import (
    BackendAuthRequired,
    BackendError,
    BackendExited,
    BackendFault,
    BackendHttpError,
    BackendTimeout,
    BackendUnavailable,
    InvalidParams,
    NotServable,
    Overloaded,
)
from proxy_core.protocol.capabilities import NONE, TASKS, UI, ClientCapabilities
from proxy_core.protocol.header_params import HeaderParam
from tests.support.scripted_channel import (
    SOON_S,
    Reply,
    Sink,
    discovered,
    exits,
    garbage,
    initialized,
    raises,
    refuses,
    result,
    silence,
    tools,
    until,
)
from tests.support.scripted_line import CHILD, REMOTE, Line, new_call

MODERN_ONLY = {"supported": ["2026-07-28"]}
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


async def opened(dial: Any, **settings: Any) -> Line:
    """A legacy child, its handshake done."""
    line: Line = dial(
        {"initialize": initialized(), "notifications/initialized": silence}, era="legacy", **settings
    )
    await line.connection.open()
    return line


# --- the handshake ------------------------------------------------------------------------------------------

LEGACY_TAIL = ["> initialize", "< result", "> notifications/initialized", "stream 2025-06-18"]


@pytest.mark.requirement("B01")
@pytest.mark.parametrize(
    ("discover", "heard"),
    [
        pytest.param(refuses(-32601), ["< error -32601"], id="method-not-found"),
        pytest.param(refuses(-32602), ["< error -32602"], id="invalid-params"),
        pytest.param(refuses(-32022, {"supported": ["2025-06-18"]}), ["< error -32022"], id="legacy-versions"),
        pytest.param(
            refuses(-32022, {"supported": ["2025-06-18", 7, None]}), ["< error -32022"], id="odd-list"
        ),
        pytest.param(result({"hello": "there"}), ["< result"], id="a-result-of-something-else"),
        pytest.param(result({"supportedVersions": "all"}), ["< result"], id="versions-no-list"),
        pytest.param(exits, ["exit", "start stdio"], id="exit"),
    ],
)
async def test_a_legacy_child_is_found_out(dial: Any, discover: Reply, heard: list[str]) -> None:
    line = dial(
        {"server/discover": discover, "initialize": initialized(), "notifications/initialized": silence}
    )
    await line.connection.open()
    assert line.server.transcript == ["start stdio", "> server/discover", *heard, *LEGACY_TAIL]
    assert line.connection.peer.revision == "2025-06-18"
    assert line.connection.peer.server_info == "box 1.2"
    assert line.owner.lost == [], "an exit on the probe is no loss of a server in service"


@pytest.mark.requirement("B01")
@pytest.mark.parametrize("discover", [silence, garbage], ids=["silence", "garbage"])
async def test_a_child_that_does_not_answer_the_probe_gets_initialize(dial: Any, discover: Reply) -> None:
    line = dial(
        {"server/discover": discover, "initialize": initialized(), "notifications/initialized": silence}
    )
    opened = line.begin(line.connection.open())
    await until(lambda: line.server.asked)
    await line.wait(10)
    await opened
    assert [said for said in line.server.transcript if said != "< garbage"] == [
        "start stdio",
        "> server/discover",
        "abort 1",
        *LEGACY_TAIL,
    ], "the probe is never cancelled on the wire"


@pytest.mark.requirement("B01")
async def test_a_modern_child_is_ready_after_the_probe(dial: Any) -> None:
    line = dial({"server/discover": discovered(instructions="Be kind.")})
    await line.connection.open()
    assert line.server.transcript == ["start stdio", "> server/discover", "< result"]
    assert line.connection.peer.revision == "2026-07-28"
    assert line.connection.peer.instructions == "Be kind."


@pytest.mark.requirement("B01")
async def test_a_probe_that_got_through_late_ends_in_the_modern_era(dial: Any) -> None:
    line = dial(
        {
            "server/discover": [silence, discovered()],
            "initialize": refuses(-32022, MODERN_ONLY),
        }
    )
    opened = line.begin(line.connection.open())
    await until(lambda: line.server.asked)
    await line.wait(10)
    await opened
    assert line.connection.peer.revision == "2026-07-28"


@pytest.mark.requirement("B04")
async def test_a_discover_that_lists_only_legacy_versions_is_followed_by_initialize(dial: Any) -> None:
    line = dial(
        {
            "server/discover": discovered("2025-06-18", "2025-03-26"),
            "initialize": initialized(),
            "notifications/initialized": silence,
        }
    )
    await line.connection.open()
    assert line.server.transcript == ["start stdio", "> server/discover", "< result", *LEGACY_TAIL]


@pytest.mark.requirement("B03")
async def test_initialize_carries_nothing_of_the_probe(dial: Any) -> None:
    line = dial(
        {
            "server/discover": raises(BackendHttpError("box", 400)),
            "initialize": initialized(),
            "notifications/initialized": silence,
        },
        REMOTE,
    )
    await line.connection.open()
    discover, initialize, done = (asked.sent for asked in line.server.asked)
    assert (discover.revision, discover.is_modern) == ("2026-07-28", True)
    assert (initialize.revision, initialize.is_modern) == (None, False)
    assert (done.revision, done.is_modern) == ("2025-06-18", False)
    assert "_meta" not in line.server.asked[1].params


@pytest.mark.requirement("B02")
async def test_an_http_server_that_refuses_both_is_tried_over_sse(dial: Any) -> None:
    refused = raises(BackendHttpError("box", 405))
    line = dial(
        {
            "server/discover": refused,
            "initialize": [refused, initialized("2024-11-05")],
            "notifications/initialized": silence,
        },
        REMOTE,
    )
    await line.connection.open()
    assert [said for said in line.server.transcript if said.startswith(("start", "close"))] == [
        "start http",
        "close",
        "start sse",
    ]
    assert line.connection.transport == "sse"


@pytest.mark.requirement("B02")
@pytest.mark.parametrize(
    "fault",
    [BackendAuthRequired("box", "It asks."), BackendUnavailable("box", "It is failing.", "it answered 503")],
)
async def test_an_outage_or_missing_credentials_are_no_verdict(dial: Any, fault: BackendFault) -> None:
    line = dial({"server/discover": raises(fault)}, REMOTE)
    with pytest.raises(type(fault)):
        await line.connection.open()
    assert line.server.count("initialize") == 0


async def test_a_failed_handshake_says_why(dial: Any) -> None:
    line = dial({"server/discover": refuses(-32601), "initialize": refuses(-32603)})
    with pytest.raises(NotServable) as failure:
        await line.connection.open()
    assert failure.value.detail == "it refused initialize with error -32603"


async def test_a_child_that_dies_in_every_handshake_says_how(dial: Any) -> None:
    line = dial({"server/discover": exits, "initialize": exits})
    with pytest.raises(BackendExited) as failure:
        await line.connection.open()
    assert "code 3" in failure.value.detail
    assert line.server.starts == 2


@pytest.mark.parametrize(
    "odd",
    [
        {"_meta": None},
        {"_meta": "text"},
        {"_meta": {"io.modelcontextprotocol/serverInfo": 7}},
        {"capabilities": []},
        {"instructions": {"a": 1}},
        {"capabilities": {"tools": True}},
    ],
)
async def test_a_discover_result_with_odd_members_is_taken_for_what_is_usable(dial: Any, odd: Any) -> None:
    line = dial({"server/discover": discovered(**odd)})
    await line.connection.open()
    assert line.connection.peer.revision == "2026-07-28"


@pytest.mark.parametrize("odd", [{"serverInfo": None}, {"capabilities": None}, {"instructions": 7}])
async def test_an_initialize_result_with_odd_members_is_taken_for_what_is_usable(dial: Any, odd: Any) -> None:
    line = dial({"initialize": initialized(**odd), "notifications/initialized": silence}, era="legacy")
    await line.connection.open()
    assert line.connection.peer.revision == "2025-06-18"


async def test_what_a_server_says_of_itself_is_kept_within_bounds(dial: Any) -> None:
    long = "x" * 100_000
    info = {"name": long, "version": long}
    line = dial({"initialize": initialized(serverInfo=info, instructions=long)}, era="legacy")
    line.server.script["notifications/initialized"] = [silence]
    await line.connection.open()
    assert len(line.connection.peer.server_info) < 200
    assert len(line.connection.peer.instructions) < 20_000


async def test_the_reason_why_a_server_cannot_be_used_is_kept_within_bounds(dial: Any) -> None:
    line = dial({"server/discover": discovered("9" * 100_000)})
    with pytest.raises(NotServable) as failure:
        await line.connection.open()
    assert len(failure.value.detail) < 3000


@pytest.mark.requirement("D05")
async def test_our_own_requests_declare_no_capabilities(modern: Line, legacy: Line) -> None:
    for line in (modern, legacy):
        line.server.script["tools/list"] = [tools("add")]
        await line.connection.ask("tools/list", {"cursor": "2"}, timeout_s=5)
    discover, listing = modern.server.asked
    for asked in (discover, listing):
        assert asked.params["_meta"].items() >= ENVELOPE.items()
    assert listing.params["cursor"] == "2"
    initialize, _, listing = legacy.server.asked
    assert initialize.params["capabilities"] == {}
    assert listing.params == {"cursor": "2"}


# --- calls and their answers --------------------------------------------------------------------------------


async def test_a_call_ends_with_the_backends_own_bytes(modern: Line) -> None:
    call = modern.call('{"a": 1}')
    asked = await modern.server.next("tools/call")
    asked.channel.says_bytes(b'{"jsonrpc":"2.0","id":%d,"result":{ "big": 1e2 }}' % asked.id)
    assert bytes(await call) == b'{ "big": 1e2 }'
    assert asked.params["arguments"] == {"a": 1}
    assert (asked.sent.method, asked.sent.name, asked.sent.request_id) == ("tools/call", "add", asked.id)


async def test_answers_may_come_in_any_order(legacy: Line) -> None:
    calls = [legacy.call(str(number)) for number in range(3)]
    asked = [await legacy.server.next("tools/call") for _ in calls]
    for one in reversed(asked):
        one.answer(one.params["arguments"])
    assert [json.loads(bytes(await call)) for call in calls] == [0, 1, 2]


async def test_ids_are_never_used_twice(legacy: Line) -> None:
    legacy.server.script["tools/call"] = [
        result({}),
        refuses(-1),
        raises(BackendUnavailable("box", "no")),
        result({}),
    ]
    for _ in range(4):
        await asyncio.gather(legacy.call(), return_exceptions=True)
    ids = [asked.id for asked in legacy.server.asked if asked.id is not None]
    assert len(set(ids)) == len(ids) == 5


@pytest.mark.parametrize("almost", [1.0, "2", True, None, [2], 2.0, 99, -2, 2**70])
async def test_an_answer_with_another_id_answers_nothing(legacy: Line, almost: Any) -> None:
    call = legacy.call()
    asked = await legacy.server.next("tools/call")
    assert asked.id == 2
    asked.answer("wrong", id=almost)
    await asyncio.sleep(0)
    assert not call.done()
    asked.answer("right")
    asked.answer("again")
    assert bytes(await call) == b'"right"'


async def test_an_error_is_relayed_with_its_data(legacy: Line) -> None:
    call = legacy.call()
    asked = await legacy.server.next("tools/call")
    asked.refuse(-32099, "x" * 10_000, {"why": [1]})
    with pytest.raises(BackendError) as failure:
        await call
    assert (failure.value.code, len(failure.value.message)) == (-32099, 4096)
    assert json.loads(failure.value.raw_data) == {"why": [1]}


@pytest.mark.parametrize("error", [7, "no", [], {}, {"code": "x", "message": 1}, {"code": True, "message": ""}])
async def test_a_malformed_error_is_still_an_error(legacy: Line, error: Any) -> None:
    call = legacy.call()
    asked = await legacy.server.next("tools/call")
    asked.channel.says({"jsonrpc": "2.0", "id": asked.id, "error": error})
    with pytest.raises(BackendError, match="malformed"):
        await call


async def test_an_error_without_an_id_answers_the_request_whose_stream_carried_it(legacy: Line) -> None:
    call, other = legacy.call(), legacy.call()
    asked = await legacy.server.next("tools/call")
    nameless = {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "unreadable"}}
    asked.channel.says(nameless)
    await asyncio.sleep(0)
    assert not call.done() and not other.done()
    asked.channel.says(nameless, origin=asked.id)
    with pytest.raises(BackendError, match="unreadable"):
        await call
    assert not other.done()


async def test_answers_in_an_array_count_in_the_legacy_era(legacy: Line) -> None:
    calls = [legacy.call(), legacy.call()]
    asked = [await legacy.server.next("tools/call") for _ in calls]
    answers = [{"jsonrpc": "2.0", "id": one.id, "result": one.id} for one in asked]
    asked[0].channel.says([answers[1], 7, [answers[0]], {"jsonrpc": "2.0"}, answers[0]])
    assert [int(bytes(await call)) for call in calls] == [2, 3]


async def test_an_array_of_thousands_of_messages_is_not_read(legacy: Line) -> None:
    call = legacy.call()
    asked = await legacy.server.next("tools/call")
    asked.channel.says([1] * 100_000)
    assert len(legacy.owner.sayings) < 2000
    asked.answer(1)
    await call


async def test_an_array_means_nothing_in_the_modern_era(modern: Line) -> None:
    call = modern.call()
    asked = await modern.server.next("tools/call")
    asked.channel.says([{"jsonrpc": "2.0", "id": asked.id, "result": {}}])
    await asyncio.sleep(0)
    assert not call.done()
    assert "not MCP" in modern.owner.sayings[0][1]


async def test_a_fault_of_sending_ends_the_call_and_frees_its_id(legacy: Line) -> None:
    legacy.server.script["tools/call"] = [raises(BackendUnavailable("box", "no"))]
    with pytest.raises(BackendUnavailable):
        await legacy.call()
    assert legacy.connection.in_flight == 0


async def test_params_that_cannot_be_read_are_the_clients_fault_and_leave_nothing_behind(legacy: Line) -> None:
    with pytest.raises(InvalidParams):
        await legacy.connection.call(Call("tools/call", Raw(b'{"_meta":7}')))
    assert legacy.connection.in_flight == 0
    assert legacy.server.transcript == []


@pytest.mark.requirement("B08")
async def test_the_end_of_the_line_fails_everything_in_flight_at_once(legacy: Line) -> None:
    calls = [legacy.call(), legacy.call()]
    await legacy.server.next("tools/call")
    legacy.server.line.ends()
    for call in calls:
        with pytest.raises(BackendExited):
            await call
    assert len(legacy.owner.lost) == 1
    with pytest.raises(BackendExited):
        await legacy.call()


async def test_closing_fails_everything_in_flight_and_is_no_loss(legacy: Line) -> None:
    call = legacy.call()
    await legacy.server.next("tools/call")
    await legacy.connection.aclose()
    await legacy.connection.aclose()
    with pytest.raises(BackendUnavailable):
        await call
    assert legacy.owner.lost == []
    assert legacy.server.transcript == ["> tools/call", "close"]


# --- what is declared and repeated in headers -------------------------------------------------------------


@pytest.mark.requirement("D04")
async def test_a_modern_server_is_told_with_each_call_what_its_client_declared(dial: Any) -> None:
    offered = {"tools": {}, "extensions": {UI: {}}}
    line = dial({"server/discover": discovered(capabilities=offered)})
    await line.connection.open()
    declared = ClientCapabilities(
        frozenset({"sampling", "elicitation.form"}), extensions=((TASKS, b"{}"), (UI, b'{"mimeTypes":["a"]}'))
    )
    for capabilities in (declared, ClientCapabilities(frozenset({"roots"}), announces_roots=True), NONE):
        line.call(capabilities=capabilities)
    told = [(await line.server.next("tools/call")).params["_meta"] for _ in range(3)]
    assert [meta["io.modelcontextprotocol/clientCapabilities"] for meta in told] == [
        {"sampling": {}, "elicitation": {"form": {}}, "extensions": {UI: {"mimeTypes": ["a"]}}},
        {"roots": {}},
        {},
    ]


async def test_a_legacy_server_is_told_in_its_handshake(dial: Any) -> None:
    roots = ClientCapabilities(frozenset({"roots"}), announces_roots=True)
    script = {"initialize": initialized(), "notifications/initialized": silence}
    line = dial(script, era="legacy", declared=roots)
    await line.connection.open()
    assert line.server.asked[0].params["capabilities"] == {"roots": {"listChanged": True}}
    assert line.connection.announces_roots


@pytest.mark.requirement("H07")
async def test_annotated_arguments_go_into_headers_for_modern_http_alone(dial: Any) -> None:
    params = (HeaderParam("Number", ("n",), "integer"), HeaderParam("Absent", ("x",), "string"))
    script = {
        "server/discover": discovered(),
        "initialize": initialized(),
        "notifications/initialized": silence,
    }
    headers = []
    for transport, era in ((REMOTE, "modern"), (REMOTE, "legacy"), (CHILD, "modern")):
        line = dial(script, transport, era=era)
        await line.connection.open()
        line.call('{"n": 42}', header_params=params)
        asked = await line.server.next("tools/call")
        assert asked.sent.name == "add"
        headers.append(asked.sent.param_headers)
    assert headers == [[("Mcp-Param-Number", "42")], [], []]


# --- places -----------------------------------------------------------------------------------------------


async def test_only_so_many_calls_are_in_flight_and_the_rest_follow_in_order(dial: Any) -> None:
    line = await opened(dial, concurrency=2)
    calls = [line.call(str(number)) for number in range(4)]
    await line.rest()
    assert line.server.count("tools/call") == 2
    for number, call in enumerate(calls):
        asked = await line.server.next("tools/call")
        assert asked.params["arguments"] == number
        asked.answer({})
        await call
    assert line.connection.in_flight == 0


async def test_requests_of_our_own_wait_for_no_place(dial: Any) -> None:
    line = await opened(dial, concurrency=1)
    line.call()
    line.server.script["tools/list"] = [tools("add")]
    await line.connection.ask("tools/list", timeout_s=5)


async def test_more_than_may_wait_are_turned_away(dial: Any) -> None:
    line = await opened(dial, concurrency=1, server_queue=1)
    line.call()
    waiting = line.call()
    await line.rest()
    with pytest.raises(Overloaded):
        await line.call()
    assert not waiting.done()


async def test_waiting_for_a_place_ends_with_the_time_that_a_call_may_be_silent(dial: Any) -> None:
    line = await opened(dial, concurrency=1, timeouts={"call_idle_s": 30, "call_s": 100})
    first = line.call(sink=Sink())
    asked = await line.server.next("tools/call")
    waiting = line.call()
    await line.rest()
    await line.wait(29)
    asked.progress(1)
    await line.wait(1)
    with pytest.raises(Overloaded):
        await waiting
    assert not first.done()


async def test_a_lost_line_fails_the_calls_that_wait_for_a_place(dial: Any) -> None:
    line = await opened(dial, concurrency=1)
    calls = [line.call(), line.call()]
    await line.rest()
    line.server.line.ends()
    for call in (*calls, line.call()):
        with pytest.raises(BackendExited):
            await call


@pytest.mark.requirement("P04")
async def test_a_call_cancelled_while_it_waits_never_reaches_the_server(dial: Any) -> None:
    line = await opened(dial, concurrency=1)
    first, second, third = line.call("1"), line.call("2"), line.call("3")
    await line.rest()
    second.cancel()
    (await line.server.next("tools/call")).answer({})
    await first
    asked = await line.server.next("tools/call")
    assert asked.params["arguments"] == 3
    asked.answer({})
    await third
    assert line.server.count("notifications/cancelled") == 0


async def test_a_parked_call_lends_its_place_and_ends_without_giving_it_back_twice(dial: Any) -> None:
    line = await opened(dial, concurrency=1)
    thinking = new_call("1")
    first = line.ask(thinking)
    asked = await line.server.next("tools/call")
    thinking.park()
    line.call("2")
    second = await line.server.next("tools/call")
    asked.answer({})
    await first
    line.call("3")
    await line.rest()
    assert line.server.count("tools/call") == 2
    second.answer({})
    await line.server.next("tools/call")


# --- giving up ----------------------------------------------------------------------------------------------


@pytest.mark.requirement("P04")
@pytest.mark.parametrize(
    ("transport", "era"),
    [(CHILD, "legacy"), (CHILD, "modern"), (REMOTE, "legacy")],
    ids=lambda value: str(value)[:6],
)
async def test_a_cancelled_call_is_cancelled_at_the_backend_by_our_id(
    dial: Any, transport: Any, era: Any
) -> None:
    script = {
        "server/discover": discovered(),
        "initialize": initialized(),
        "notifications/initialized": silence,
    }
    line = dial(script, transport, era=era)
    await line.connection.open()
    call = line.call()
    asked = await line.server.next("tools/call")
    call.cancel()
    cancelled = await line.server.next("notifications/cancelled")
    assert cancelled.params["requestId"] == asked.id
    assert cancelled.id is None
    assert f"abort {asked.id}" in line.server.transcript
    asked.answer({})
    assert line.connection.in_flight == 0


@pytest.mark.requirement("P04")
async def test_on_modern_http_the_closed_stream_is_the_cancellation(dial: Any) -> None:
    line = dial({"server/discover": discovered()}, REMOTE)
    await line.connection.open()
    call = line.call()
    asked = await line.server.next("tools/call")
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await asyncio.sleep(0)
    assert line.server.transcript[-2:] == ["> tools/call", f"abort {asked.id}"]


async def test_a_call_that_was_answered_is_not_cancelled(legacy: Line) -> None:
    call = legacy.call()
    asked = await legacy.server.next("tools/call")
    asked.answer({})
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await asyncio.sleep(0)
    assert legacy.server.count("notifications/cancelled") == 0


async def test_a_call_without_an_answer_times_out_and_is_cancelled(dial: Any) -> None:
    script = {"initialize": initialized(), "notifications/initialized": silence}
    line = dial(script, era="legacy", timeouts={"call_idle_s": 30, "call_s": 100})
    await line.connection.open()
    sink = Sink()
    call = line.call(sink=sink)
    asked = await line.server.next("tools/call")
    await line.wait(29)
    assert not call.done()
    asked.progress(1)
    await line.wait(29)
    assert not call.done(), "progress moved the deadline"
    asked.progress(1)
    await line.wait(1)
    with pytest.raises(BackendTimeout, match="30 seconds"):
        await call
    assert (await line.server.next("notifications/cancelled")).params["requestId"] == asked.id


async def test_progress_does_not_move_the_hard_limit(dial: Any) -> None:
    script = {"initialize": initialized(), "notifications/initialized": silence}
    line = dial(script, era="legacy", timeouts={"call_idle_s": 30, "call_s": 100})
    await line.connection.open()
    call = line.call(sink=Sink())
    asked = await line.server.next("tools/call")
    for value in range(4):
        await line.wait(24)
        asked.progress(value)
    await line.wait(4)
    with pytest.raises(BackendTimeout, match="100 seconds"):
        await call


async def test_a_cancellation_that_cannot_be_sent_is_only_noted(legacy: Line) -> None:
    legacy.server.script["notifications/cancelled"] = [raises(BackendUnavailable("box", "no"))]
    call = legacy.call()
    await legacy.server.next("tools/call")
    call.cancel()
    await until(lambda: legacy.owner.sayings)
    assert legacy.owner.sayings[0][0] == "debug"


# --- what the backend starts by itself ----------------------------------------------------------------------


async def test_a_request_of_a_modern_backend_is_dropped(modern: Line) -> None:
    modern.server.line.says({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    await asyncio.sleep(0)
    assert modern.server.transcript == ["< ping"]
    assert "may not send" in modern.owner.sayings[0][1]


@pytest.mark.parametrize("kind", ["tools", "resources", "prompts"])
async def test_a_changed_list_is_told_to_the_owner(legacy: Line, kind: str) -> None:
    legacy.server.line.notifies(f"notifications/{kind}/list_changed")
    legacy.server.line.notifies("notifications/something/else")
    assert legacy.owner.changes == [kind]


async def test_a_modern_backend_that_announces_changes_is_listened_to(dial: Any) -> None:
    capabilities = {"tools": {"listChanged": True}, "prompts": {}}
    line = dial({"server/discover": discovered(capabilities=capabilities)})
    await line.connection.open()
    listen = await line.server.next("subscriptions/listen")
    assert listen.params["notifications"] == {"toolsListChanged": True}
    assert listen.params["_meta"].items() >= ENVELOPE.items()
    line.server.line.notifies("notifications/tools/list_changed")
    await line.wait(86_400)
    assert line.owner.changes == ["tools"], "a listen has no deadline"


async def test_a_modern_backend_that_knows_no_listen_is_left_alone(dial: Any) -> None:
    script = {
        "server/discover": discovered(capabilities={"tools": {"listChanged": True}}),
        "subscriptions/listen": refuses(-32601),
    }
    line = dial(script)
    await line.connection.open()
    await until(lambda: line.owner.sayings)
    assert line.server.count("subscriptions/listen") == 1


# --- hostile bytes ------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MESSAGES = st.dictionaries(
    st.sampled_from(["jsonrpc", "id", "method", "params", "result", "error"]),
    st.sampled_from(
        [
            "2.0",
            1,
            2,
            "notifications/progress",
            "notifications/message",
            "notifications/cancelled",
            "notifications/elicitation/complete",
            "ping",
            "roots/list",
            "elicitation/create",
            {"requestId": 1},
            {"progressToken": 1, "progress": 1},
        ]
    )
    | JSON,
)
ANYTHING = (
    st.binary()
    | (MESSAGES | st.lists(MESSAGES, max_size=3) | JSON).map(lambda value: json.dumps(value).encode())
    | MESSAGES.map(lambda members: json.dumps(members | {"jsonrpc": "2.0"}).encode())
)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(ANYTHING, st.none() | st.integers(0, 3)), max_size=5),
    st.sampled_from(["legacy", "modern"]),
)
def test_no_bytes_of_a_backend_do_harm(said: list[tuple[bytes, int | None]], era: Any) -> None:
    async def play() -> None:
        script = {
            "server/discover": discovered(),
            "initialize": initialized(),
            "notifications/initialized": silence,
            "": silence,
        }
        line = Line(script, era=era)
        await line.connection.open()
        call, bystander = line.call(sink=Sink()), line.call(sink=Sink())
        await line.server.next("tools/call")
        await line.server.next("tools/call")
        for data, origin in said:
            line.connection.message(data, origin)
        await asyncio.sleep(0)
        line.server.line.ends()
        async with asyncio.timeout(SOON_S):
            await asyncio.gather(call, bystander, return_exceptions=True)
        await line.aclose()

    asyncio.run(play())
