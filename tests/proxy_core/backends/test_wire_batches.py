"""Batches on a scripted channel: what is sent together, what by itself, and what becomes of each member."""

import asyncio
import json
from typing import Any

import pytest

from proxy_core.backends.batch_support import BatchSupport, Support
from proxy_core.backends.wire_batches import MAX_BATCH_BYTES, TRIAL_S
from proxy_core.config.models import SseTransport
from proxy_core.errors import (
    BackendAuthRequired,
    BackendError,
    BackendExited,
    BackendFailing,
    BackendFault,
    BackendProtocolError,
    BackendSessionLost,
    BackendTimeout,
    BackendUnavailable,
)
from proxy_core.protocol.capabilities import ClientCapabilities
from proxy_core.protocol.revisions import LEGACY_REVISIONS
from proxy_core.telemetry.snapshot import ServerState
from tests.support.scripted_backend import child
from tests.support.scripted_channel import (
    CRASHED,
    Asked,
    Reply,
    Sink,
    answers_each,
    discovered,
    exits,
    initialized,
    raises,
    result,
    silence,
    until,
)
from tests.support.scripted_line import CHILD, REMOTE, Line

REVISION = "2025-03-26"
GONE = BackendSessionLost("box", "The server ended our session.")
ASKABLE = ClientCapabilities(frozenset({"roots"}))
NAMELESS = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "what?"}}


def trusted() -> BatchSupport:
    """Of a server that has answered its pings."""
    support = BatchSupport()
    support.tried(True)
    return support


async def opened(
    dial: Any,
    transport: Any = CHILD,
    *,
    revision: str = REVISION,
    most: int = 10,
    support: BatchSupport | None = None,
    **more: Any,
) -> Line:
    script = {"initialize": initialized(revision), "notifications/initialized": silence}
    line: Line = dial(
        script, transport, era="legacy", wire_batch=most, batch_support=support or trusted(), **more
    )
    await line.connection.open()
    line.server.transcript.clear()
    return line


def ids(asked: Asked) -> list[int]:
    return [member.id for member in asked.members]


def answers(*asked: Asked) -> list[dict[str, Any]]:
    return [{"jsonrpc": "2.0", "id": each.id, "result": {"n": each.id}} for each in asked]


async def results(calls: list[Any]) -> list[Any]:
    """What each call came to: its result, or the error."""
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    return [
        outcome if isinstance(outcome, BaseException) else json.loads(bytes(outcome)) for outcome in outcomes
    ]


# --- what goes together ---------------------------------------------------------------------------------------


async def test_requests_of_one_turn_go_as_one_batch_and_each_gets_its_own_answer(dial: Any) -> None:
    line = await opened(dial)
    calls = [line.call(f'{{"n":{n}}}') for n in range(3)]
    batch = await line.server.next("batch")
    assert line.server.transcript == ["> batch"]
    assert [member.params["arguments"] for member in batch.members] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert b"\n" not in batch.sent.data
    first, second, third = batch.members
    third.answer("c")
    second.refuse(-32000, "broken")
    first.answer("a")
    a, b, c = await results(calls)
    assert (a, c) == ("a", "c")
    assert isinstance(b, BackendError) and b.message == "broken"
    assert line.connection.in_flight == 0


async def test_a_request_alone_is_no_batch_and_waits_for_one_turn_of_the_loop(dial: Any) -> None:
    line = await opened(dial)
    call = line.call()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert line.server.transcript == ["> tools/call"], "one turn to begin, one to see who else is there"
    (await line.server.next("tools/call")).answer({})
    await call


@pytest.mark.parametrize(
    ("calls", "sizes", "alone"), [(2, [2], 0), (10, [10], 0), (11, [10], 1), (25, [10, 10, 5], 0)]
)
async def test_a_batch_holds_so_many_at_most_and_one_left_over_goes_by_itself(
    dial: Any, calls: int, sizes: list[int], alone: int
) -> None:
    line = await opened(dial, concurrency=64)
    for _ in range(calls):
        line.call()
    await line.rest()
    assert [len(asked.members) for asked in line.server.asked if asked.method == "batch"] == sizes
    assert line.server.count("tools/call") == alone


async def test_a_batch_with_a_call_in_it_is_carried_as_a_call(dial: Any) -> None:
    """What may be done about a stream that is lost depends on it."""
    line = await opened(dial, REMOTE)
    line.begin(line.connection.probe(5))
    line.call()
    assert (await line.server.next("batch")).sent.method == "tools/call"
    for _ in range(2):
        line.begin(line.connection.probe(5))
    assert (await line.server.next("batch")).sent.method == "ping"


async def test_places_that_become_free_together_are_taken_by_a_batch(dial: Any) -> None:
    line = await opened(dial, concurrency=2)
    calls = [line.call() for _ in range(4)]
    first = await line.server.next("batch")
    first.channel.says(answers(*first.members))
    second = await line.server.next("batch")
    assert len(second.members) == 2
    second.channel.says(answers(*second.members))
    assert [answer["n"] for answer in await results(calls)] == ids(first) + ids(second)


async def test_what_would_make_a_batch_too_large_goes_by_itself(dial: Any) -> None:
    line = await opened(dial)
    large = f'{{"text":"{"x" * MAX_BATCH_BYTES}"}}'
    line.call()
    line.call()
    line.call(large)
    await line.rest()
    assert line.server.transcript == ["> tools/call", "> batch"]
    (batch,) = [asked for asked in line.server.asked if asked.method == "batch"]
    assert len(batch.sent.data) < 1000


@pytest.mark.parametrize("revision", [each for each in LEGACY_REVISIONS if each != REVISION])
@pytest.mark.parametrize("transport", [CHILD, REMOTE])
async def test_other_revisions_never_get_a_batch(dial: Any, transport: Any, revision: str) -> None:
    support = BatchSupport()
    line = await opened(dial, transport, revision=revision, support=support)
    for _ in range(4):
        line.call()
    await line.rest()
    assert line.server.transcript == ["> tools/call"] * 4
    assert support.state is Support.UNKNOWN


async def test_the_old_sse_transport_never_carries_a_batch(dial: Any) -> None:
    line = await opened(dial, SseTransport(url="http://box.example/sse"))
    for _ in range(4):
        line.call()
    await line.rest()
    assert line.server.transcript == ["> tools/call"] * 4


@pytest.mark.parametrize("transport", [CHILD, REMOTE])
async def test_a_modern_server_never_gets_a_batch(dial: Any, transport: Any) -> None:
    line = dial({"server/discover": discovered()}, transport, wire_batch=10, batch_support=trusted())
    await line.connection.open()
    for _ in range(4):
        line.call()
    await line.rest()
    assert line.server.count("tools/call") == 4 and line.server.count("batch") == 0


@pytest.mark.parametrize("most", [0, 1])
async def test_where_the_configuration_wants_none_there_is_none(dial: Any, most: int) -> None:
    support = BatchSupport()
    line = await opened(dial, most=most, support=support)
    line.call()
    line.call()
    await asyncio.sleep(0)
    assert line.server.transcript == ["> tools/call"] * 2, "nor a turn of the loop to wait for"
    assert support.state is Support.UNKNOWN
    line.wire_batch = 2
    line.call()
    line.call()
    await line.rest()
    assert "> batch" in line.server.transcript, "the configuration in force counts"


async def test_notifications_and_answers_go_by_themselves(dial: Any) -> None:
    line = await opened(dial)
    line.call()
    line.call()
    line.begin(line.connection.notify("notifications/roots/list_changed"))
    line.begin(line.connection.notify("notifications/roots/list_changed"))
    line.server.line.says({"jsonrpc": "2.0", "id": "s1", "method": "ping"})
    line.server.line.says({"jsonrpc": "2.0", "id": "s2", "method": "ping"})
    await line.rest()
    batch = await line.server.next("batch")
    assert [member.method for member in batch.members] == ["tools/call", "tools/call"]
    assert line.server.count("notifications/roots/list_changed") == 2 and line.server.count("") == 2


async def test_a_handshake_goes_by_itself(dial: Any) -> None:
    line = await opened(dial)
    line.begin(line.connection.request("initialize", b"{}", idle_s=30, cap_s=30))
    line.call()
    line.call()
    await line.rest()
    assert [member.method for member in (await line.server.next("batch")).members] == ["tools/call"] * 2
    assert line.server.count("initialize") == 2


# --- whether the server reads batches -------------------------------------------------------------------------


async def test_the_first_that_go_together_go_singly_beside_a_batch_of_pings(dial: Any) -> None:
    support = BatchSupport()
    line = await opened(dial, support=support)
    calls = [line.call(), line.call()]
    trial = await line.server.next("batch")
    assert sorted(line.server.transcript) == ["> batch", "> tools/call", "> tools/call"]
    assert [(member.method, member.params) for member in trial.members] == [("ping", {}), ("ping", {})]
    calls += [line.call(), line.call()]
    await line.rest()
    assert line.server.count("batch") == 1 and line.server.count("tools/call") == 4
    trial.channel.says(answers(*trial.members))
    await until(lambda: support.state is Support.SHOWN)
    assert line.owner.sayings == [("info", "reads JSON-RPC batches")]
    line.call()
    line.call()
    batch = await line.server.next("batch")
    assert [member.method for member in batch.members] == ["tools/call"] * 2
    assert (support.batches_sent, support.requests_in_batches) == (1, 2), "pings do not count"
    assert line.connection.in_flight == 6


async def test_a_request_alone_is_no_occasion_to_try(dial: Any) -> None:
    support = BatchSupport()
    line = await opened(dial, support=support)
    for _ in range(2):
        line.call()
        await line.rest()
    assert line.server.transcript == ["> tools/call"] * 2
    assert support.state is Support.UNKNOWN


async def test_pings_that_are_refused_one_by_one_were_read(dial: Any) -> None:
    support = BatchSupport()
    line = await opened(dial, support=support)
    line.call()
    line.call()
    trial = await line.server.next("batch")
    for member in trial.members:
        member.refuse(-32601)
    await until(lambda: support.state is Support.SHOWN)


def one_of_two(asked: Asked) -> None:
    asked.members[0].answer({})


def nameless(asked: Asked) -> None:
    asked.channel.says(NAMELESS)


@pytest.mark.parametrize("reply", [silence, one_of_two, nameless])
async def test_pings_that_are_not_answered_in_time_mean_no_batches(dial: Any, reply: Reply) -> None:
    support = BatchSupport()
    line = await opened(dial, support=support)
    line.server.script["batch"] = [reply]
    calls = [line.call(), line.call()]
    await until(lambda: line.server.count("batch"))
    for asked in [await line.server.next("tools/call") for _ in calls]:
        asked.answer({})
    await results(calls)
    await line.wait(TRIAL_S)
    await until(lambda: support.state is Support.LACKING)
    assert line.owner.sayings == [("info", "does not read JSON-RPC batches")]
    more = [line.call(), line.call()]
    await line.rest()
    assert line.server.count("batch") == 1 and line.server.count("tools/call") == 4
    assert not any(call.done() for call in more)
    assert line.connection.in_flight == 2


@pytest.mark.parametrize(
    ("reply", "state"),
    [
        (exits, Support.LACKING),
        (raises(BackendProtocolError("box", "no")), Support.LACKING),
        (raises(BackendFailing("box", "no", status=500)), Support.LACKING),
        (raises(BackendAuthRequired("box", "no")), Support.LACKING),
        (raises(BackendUnavailable("box", "no")), Support.UNKNOWN),
    ],
)
async def test_a_trial_that_fails_shows_nothing_only_where_it_did_not_arrive(
    dial: Any, reply: Reply, state: Support
) -> None:
    support = BatchSupport()
    line = await opened(dial, support=support)
    line.server.script["batch"] = [reply]
    line.call()
    line.call()
    await until(lambda: line.server.count("batch") and support.state is not Support.ON_TRIAL)
    assert support.state is state


async def test_a_trial_that_we_end_ourselves_shows_nothing(dial: Any) -> None:
    support = BatchSupport()
    line = await opened(dial, support=support)
    line.call()
    line.call()
    await line.server.next("batch")
    await line.connection.aclose()
    assert support.state is Support.UNKNOWN


async def test_a_trial_that_never_began_shows_nothing(dial: Any) -> None:
    class Hindered(BatchSupport):
        def on_trial(self) -> None:
            super().on_trial()
            asyncio.get_running_loop().call_soon(self.hinder)

        def hinder(self) -> None:
            (trial,) = [task for task in asyncio.all_tasks() if task.get_name().endswith("try-batch")]
            trial.cancel()
            self.was_hindered = True

    support = Hindered()
    line = await opened(dial, support=support)
    line.call()
    line.call()
    await line.rest()
    assert support.was_hindered and line.server.count("batch") == 0
    assert support.state is Support.UNKNOWN


async def test_a_trial_that_ends_the_session_renews_it_and_is_not_repeated(dial: Any) -> None:
    support = BatchSupport()
    line = await opened(dial, support=support)
    line.server.script["batch"] = [raises(GONE)]
    line.call()
    line.call()
    await until(lambda: support.state is Support.LACKING)
    assert line.server.count("initialize") == 2 and line.server.count("batch") == 1


async def test_what_a_replica_has_shown_outlives_its_connections(boxes: Any) -> None:
    offers = initialized(REVISION, capabilities={"tools": {}, "prompts": {}})
    script = child(initialize=offers, prompts_list=result({"prompts": []}), tools_call=result({}))
    box = boxes(script | {"batch": answers_each({"tools": [], "prompts": []})}, wire_batch=10)
    await box.in_service()
    # The lists that are read at the start are the first requests that wait together.
    reads = ("info", "reads JSON-RPC batches")
    await until(lambda: reads in box.sayings)
    assert box.server.count("batch") == 1 and box.backend.batches_sent == 0
    await asyncio.gather(box.call(), box.call(), box.call())
    assert (box.backend.batches_sent, box.backend.requests_in_batches) == (1, 3)
    box.server.line.ends()
    await until(lambda: len(box.server.channels) == 2)
    await box.reached(ServerState.HEALTHY)
    assert box.server.count("batch") == 3, "the lists are read in a batch now"
    await asyncio.gather(box.call(), box.call())
    batches = [asked for asked in box.server.asked if asked.method == "batch"]
    assert [{member.method for member in each.members} for each in batches] == [
        {"ping"},
        {"tools/call"},
        {"tools/list", "prompts/list"},
        {"tools/call"},
    ]
    assert box.sayings.count(reads) == 1
    member = box.backend.members[0]
    assert member.batches_sent == member.replica.batches_sent == box.backend.batches_sent == 3
    assert member.requests_in_batches == box.backend.requests_in_batches == 7


# --- members that leave ---------------------------------------------------------------------------------------


async def test_a_member_that_is_cancelled_leaves_the_others_alone(dial: Any) -> None:
    line = await opened(dial, REMOTE)
    calls = [line.call() for _ in range(3)]
    batch = await line.server.next("batch")
    calls[1].cancel()
    cancelled = await line.server.next("notifications/cancelled")
    assert cancelled.params == {"requestId": ids(batch)[1]}
    assert f"abort {batch.sent.request_id}" not in line.server.transcript
    assert line.connection.waits_for(batch.sent.request_id)
    batch.channel.says(answers(batch.members[0], batch.members[2]))
    first, second, third = await results(calls)
    assert [first["n"], third["n"]] == [ids(batch)[0], ids(batch)[2]]
    assert isinstance(second, asyncio.CancelledError)


async def test_the_last_member_to_leave_ends_the_batch(dial: Any) -> None:
    line = await opened(dial, REMOTE)
    calls = [line.call() for _ in range(2)]
    batch = await line.server.next("batch")
    for call in calls:
        call.cancel()
    await results(calls)
    assert f"abort {batch.sent.request_id}" in line.server.transcript
    assert not line.connection.waits_for(batch.sent.request_id)
    assert line.connection.in_flight == 0


async def test_a_member_that_is_cancelled_before_it_was_sent_never_is(dial: Any) -> None:
    line = await opened(dial)
    calls = [line.call() for _ in range(3)]
    await asyncio.sleep(0)
    calls[0].cancel()
    batch = await line.server.next("batch")
    assert len(batch.members) == 2
    batch.channel.says(answers(*batch.members))
    await results(calls)
    await line.rest()
    assert line.server.count("notifications/cancelled") == 0
    assert line.connection.in_flight == 0


async def test_what_fails_before_it_was_sent_never_is(dial: Any) -> None:
    line = await opened(dial)
    calls = [line.call(), line.call()]
    await asyncio.sleep(0)
    await line.connection.aclose()
    assert all(isinstance(each, BackendFailing) for each in await results(calls))
    assert [asked.method for asked in line.server.asked][2:] == []


async def test_a_member_that_times_out_ends_alone_and_is_the_last_to_be_batched(dial: Any) -> None:
    """A server may answer a batch as a whole only: a slow member then keeps the others waiting."""
    support = trusted()
    line = await opened(dial, support=support, timeouts={"call_idle_s": 60, "call_s": 60})
    calls = [line.call(remaining_s=20), line.call()]
    batch = await line.server.next("batch")
    await line.wait(20)
    with pytest.raises(BackendTimeout):
        await calls[0]
    assert support.state is Support.LACKING
    batch.channel.says(answers(*batch.members))
    assert json.loads(bytes(await calls[1]))["n"] == ids(batch)[1]
    line.call()
    line.call()
    await line.rest()
    assert line.server.count("tools/call") == 2


async def test_progress_of_a_member_is_its_own(dial: Any) -> None:
    line = await opened(dial)
    sinks = [Sink(), Sink()]
    for sink in sinks:
        line.call(sink=sink)
    batch = await line.server.next("batch")
    batch.members[1].progress(5)
    assert [sink.values for sink in sinks] == [[], [5]]


# --- batches that fail ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", [BackendFailing("box", "down", status=503), BackendUnavailable("box", "refused"), CRASHED]
)
async def test_a_batch_that_cannot_be_sent_fails_every_member_alike(dial: Any, fault: BackendFault) -> None:
    line = await opened(dial)
    line.server.script["batch"] = [raises(fault)]
    failures = await results([line.call() for _ in range(3)])
    assert failures == [fault] * 3
    assert line.server.count("batch") == 1 and line.connection.in_flight == 0


async def test_a_lost_connection_fails_the_members_and_is_held_against_batches(dial: Any) -> None:
    support = trusted()
    line = await opened(dial, support=support)
    calls = [line.call(), line.call()]
    batch = await line.server.next("batch")
    batch.channel.ends()
    assert all(isinstance(each, BackendExited) for each in await results(calls))
    assert support.state is Support.LACKING


async def test_a_connection_lost_between_batches_is_not_held_against_them(dial: Any) -> None:
    support = trusted()
    line = await opened(dial, support=support)
    calls = [line.call(), line.call()]
    batch = await line.server.next("batch")
    batch.channel.says(answers(*batch.members))
    await results(calls)
    line.server.line.ends()
    assert support.state is Support.SHOWN


async def test_members_whose_session_is_gone_go_together_on_the_next_one(dial: Any) -> None:
    line = await opened(dial, REMOTE)
    line.server.script["batch"] = [raises(GONE), answers_each({"ok": 1})]
    assert await results([line.call() for _ in range(3)]) == [{"ok": 1}] * 3
    assert [said for said in line.server.transcript if said[0] == ">"] == [
        "> batch",
        "> initialize",
        "> notifications/initialized",
        "> batch",
    ]


async def test_a_renewed_session_of_another_revision_has_no_batches(dial: Any) -> None:
    line = await opened(dial, REMOTE)
    line.server.script["batch"] = [raises(GONE)]
    line.server.script["initialize"] = [initialized("2025-06-18")]
    line.server.script["tools/call"] = [result({"ok": 1})]
    assert await results([line.call() for _ in range(3)]) == [{"ok": 1}] * 3
    assert line.server.count("batch") == 1 and line.server.count("tools/call") == 3


@pytest.mark.parametrize("code", [-32600, -32700])
async def test_members_of_a_batch_that_was_not_understood_go_singly_once(dial: Any, code: int) -> None:
    support = trusted()
    line = await opened(dial, support=support)
    calls = [line.call(), line.call()]
    batch = await line.server.next("batch")
    batch.channel.says(NAMELESS | {"error": {"code": code, "message": "what?"}})
    again = [await line.server.next("tools/call") for _ in calls]
    assert [asked.id for asked in again] == ids(batch)
    again[0].answer("a")
    batch.channel.says(NAMELESS)
    again[1].answer("b")
    assert await results(calls) == ["a", "b"]
    assert support.state is Support.LACKING
    assert line.server.transcript.count("> tools/call") == 2
    line.call()
    line.call()
    await line.rest()
    assert line.server.count("batch") == 1


async def test_a_member_that_went_again_can_be_cancelled(dial: Any) -> None:
    line = await opened(dial)
    calls = [line.call(), line.call()]
    batch = await line.server.next("batch")
    batch.channel.says(NAMELESS)
    again = [await line.server.next("tools/call") for _ in calls]
    calls[0].cancel()
    assert (await line.server.next("notifications/cancelled")).params == {"requestId": again[0].id}
    assert f"abort {again[0].id}" in line.server.transcript
    again[1].answer(1)
    assert await calls[1]


async def test_a_member_that_cannot_go_again_fails_by_itself(dial: Any) -> None:
    line = await opened(dial)
    calls = [line.call(), line.call()]
    batch = await line.server.next("batch")
    fault = BackendFailing("box", "down")
    line.server.script["tools/call"] = [raises(fault), result("b")]
    batch.channel.says(NAMELESS)
    assert await results(calls) == [fault, "b"]


async def test_nothing_goes_twice_where_another_message_may_not_have_been_understood(dial: Any) -> None:
    line = await opened(dial)
    calls = [line.call(), line.call()]
    batch = await line.server.next("batch")
    await line.connection.notify("notifications/roots/list_changed")
    batch.channel.says(NAMELESS)
    await line.rest()
    assert line.server.count("tools/call") == 0 and not any(call.done() for call in calls)
    batch.channel.says(answers(*batch.members))
    await results(calls)


async def test_nothing_goes_twice_where_another_request_is_in_flight(dial: Any) -> None:
    line = await opened(dial)
    line.call()
    await line.server.next("tools/call")
    calls = [line.call(), line.call()]
    batch = await line.server.next("batch")
    batch.channel.says(NAMELESS)
    await line.rest()
    assert line.server.count("tools/call") == 1 and not any(call.done() for call in calls)


@pytest.mark.parametrize("in_one_batch", [True, False])
async def test_nothing_goes_twice_where_a_member_was_answered(dial: Any, in_one_batch: bool) -> None:
    line = await opened(dial)
    calls = [line.call(), line.call()]
    batch = await line.server.next("batch")
    (answer,) = answers(batch.members[1])
    if in_one_batch:
        batch.channel.says([NAMELESS, answer])
    else:
        batch.channel.says(answer)
        batch.channel.says(NAMELESS)
    await line.rest()
    assert line.server.count("tools/call") == 0
    assert calls[1].done()
    assert line.server.count("batch") == 1


async def test_another_error_for_a_whole_batch_is_every_members(dial: Any) -> None:
    support = trusted()
    line = await opened(dial, support=support)
    calls = [line.call(), line.call()]
    batch = await line.server.next("batch")
    batch.channel.says(NAMELESS | {"error": {"code": -32603, "message": "broke", "data": [1]}})
    failures = await results(calls)
    assert [(each.code, each.message, each.raw_data) for each in failures] == [(-32603, "broke", b"[1]")] * 2
    assert support.state is Support.LACKING and line.server.count("tools/call") == 0


# --- a stream that members share ------------------------------------------------------------------------------


def roots_list(batch: Asked) -> None:
    message = {"jsonrpc": "2.0", "id": "s1", "method": "roots/list"}
    batch.channel.says(message, origin=batch.sent.request_id)


async def test_calls_of_clients_that_can_be_asked_share_a_batch_with_their_own_only(dial: Any) -> None:
    line = await opened(dial, REMOTE)
    for client in ("a", "b", "a", "b"):
        line.call(sink=Sink(client=client), capabilities=ASKABLE)
    for _ in range(2):
        line.call(sink=Sink())
    await line.rest()
    assert line.server.transcript == ["> batch"] * 3
    batches = [ids(asked) for asked in line.server.asked if asked.method == "batch"]
    first = batches[0][0]
    assert batches == [[first, first + 2], [first + 1, first + 3], [first + 4, first + 5]]


async def test_on_a_pipe_that_all_share_anyway_they_share_batches_too(dial: Any) -> None:
    line = await opened(dial)
    for client in ("a", "b"):
        line.call(sink=Sink(client=client), capabilities=ASKABLE)
    assert len((await line.server.next("batch")).members) == 2


async def test_calls_that_want_logs_share_no_stream_with_others(dial: Any) -> None:
    line = await opened(dial, REMOTE)
    for _ in range(2):
        line.call(sink=Sink(), log_level="info")
    await line.rest()
    assert line.server.transcript == ["> tools/call"] * 2


async def test_a_question_on_the_stream_of_a_batch_goes_to_the_client_of_its_calls(dial: Any) -> None:
    line = await opened(dial, REMOTE)
    sinks = [Sink(client="a"), Sink(client="a")]
    other = Sink(client="b")
    line.call(sink=other)
    await line.server.next("tools/call")
    for sink in sinks:
        line.call(sink=sink, capabilities=ASKABLE)
    roots_list(await line.server.next("batch"))
    question = await sinks[0].asked()
    assert question.request.method == "roots/list" and not other.questions
    await line.rest()
    for _ in range(2):
        line.call()
    assert len((await line.server.next("batch")).members) == 2, "calls still go side by side"


async def test_a_question_that_several_clients_may_have_caused_is_refused(dial: Any) -> None:
    line = await opened(dial, REMOTE)
    sinks = [Sink(client="a"), Sink(client="b")]
    for sink in sinks:
        line.call(sink=sink)
    roots_list(await line.server.next("batch"))
    refused = await line.server.next("")
    assert refused.message["error"]["code"] == -32603
    assert not any(sink.questions for sink in sinks)


@pytest.mark.parametrize(("clients", "told"), [("aa", [["hello"], []]), ("ab", [[], []])])
async def test_a_log_on_the_stream_of_a_batch_reaches_no_other_client(
    dial: Any, clients: str, told: list[list[str]]
) -> None:
    line = await opened(dial, REMOTE)
    sinks = [Sink(client=client) for client in clients]
    for sink in sinks:
        line.call(sink=sink)
    batch = await line.server.next("batch")
    message = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "hello"}}
    batch.channel.says(message, origin=batch.sent.request_id)
    assert [sink.logs for sink in sinks] == told


async def test_all_members_are_let_go_when_the_server_wants_to_be_polled(dial: Any) -> None:
    line = await opened(dial, REMOTE)
    sinks = [Sink(client="a"), Sink(client="a")]
    for sink in sinks:
        line.call(sink=sink)
    batch = await line.server.next("batch")
    batch.channel.receiver.will_be_polled(batch.sent.request_id)
    assert [sink.times_let_go for sink in sinks] == [1, 1]


async def test_an_error_without_an_id_is_the_last_members_that_waits(dial: Any) -> None:
    line = await opened(dial, REMOTE)
    calls = [line.call(), line.call()]
    batch = await line.server.next("batch")
    batch.channel.says(answers(batch.members[0]), origin=batch.sent.request_id)
    batch.channel.says(NAMELESS, origin=batch.sent.request_id)
    first, second = await results(calls)
    assert first and isinstance(second, BackendError)
