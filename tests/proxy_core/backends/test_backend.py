"""One server under one name: its verbs, its calls, its lists."""

import asyncio
import json
from typing import Any

import pytest

from proxy_core.backends import offer
from proxy_core.backends.backend import STDERR_LINES
from proxy_core.backends.isolation import EVERYTHING
from proxy_core.backends.lifecycle import Event
from proxy_core.backends.member import STALE_S
from proxy_core.control import AbandonedCall, DrainOutcome
from proxy_core.errors import (
    BackendError,
    BackendExited,
    BackendFault,
    BackendSessionLost,
    BackendTimeout,
    BackendUnavailable,
)
from proxy_core.protocol.revisions import Era
from proxy_core.telemetry.snapshot import ServerState as S
from tests.support.scripted_backend import FED, REMOTE, Box, child
from tests.support.scripted_channel import (
    discovered,
    initialized,
    refuses,
    result,
    silence,
    tools,
    until,
)

# --- calls --------------------------------------------------------------------------------------------------


async def test_a_call_brings_the_result_and_its_era(box: Box) -> None:
    call = box.call()
    (await box.server.next("tools/call")).answer({"content": []})
    answer = await call
    assert json.loads(bytes(answer.result)) == {"content": []}
    assert (answer.era, answer.revision) == (Era.LEGACY, "2025-06-18")


async def test_a_call_of_a_modern_server_says_so(boxes: Any) -> None:
    script = {"server/discover": discovered(), "tools/list": tools("add"), "tools/call": result({})}
    box = await boxes(script, era="modern").in_service()
    assert (await box.call()).era is Era.MODERN


async def test_a_call_that_fails_for_the_servers_fault_is_remembered(box: Box) -> None:
    call = box.call()
    await box.server.next("tools/call")
    box.server.line.ends()
    with pytest.raises(BackendExited):
        await call
    assert "code 3" in box.backend.members[0].last_error
    assert box.backend.members[0].replica.in_flight == 0


async def test_an_error_answer_is_no_fault_of_the_server(box: Box) -> None:
    box.server.script["tools/call"] = [refuses(-32602)]
    with pytest.raises(BackendError):
        await box.call()
    assert box.backend.members[0].last_error == ""


async def test_a_call_times_out_when_the_sweep_comes(box: Box) -> None:
    call = box.call()
    await box.server.next("tools/call")
    box.clock.advance(300)
    box.backend.sweep(box.clock.monotonic())
    with pytest.raises(BackendTimeout):
        await call


@pytest.mark.requirement("B01")
async def test_a_silent_handshake_ends_when_the_sweep_comes(boxes: Any) -> None:
    box = boxes(child(server_discover=silence), era="auto")
    box.backend.start()
    await until(lambda: box.server.asked)
    box.clock.advance(10)
    box.backend.sweep(box.clock.monotonic())
    await box.reached(S.HEALTHY)


@pytest.mark.requirement("B05")
async def test_calls_that_lost_the_session_are_each_asked_once_more(boxes: Any) -> None:
    box = await boxes(transport=REMOTE).in_service()
    calls = [box.call(capabilities=EVERYTHING) for _ in range(4)]
    lost = [await box.server.next("tools/call") for _ in calls]
    box.backend.want_log_level("debug")
    await box.rest()
    box.offers("add", "new")
    for asked in lost:
        asked.fail(BackendSessionLost("box", "The server ended our session."))
    again = [await box.server.next("tools/call") for _ in calls]
    for asked in again:
        asked.answer({})
    assert len(await asyncio.gather(*calls)) == 4
    await box.rest()
    assert box.server.count("initialize") == 2
    assert box.server.count("tools/call") == 8
    assert box.tools == ["add", "new"], "the lists are read again"
    assert box.server.count("logging/setLevel") == 2, "the new session is told the log level"
    assert box.states == [S.HEALTHY]


async def test_a_session_that_cannot_be_renewed_makes_a_new_connection(boxes: Any) -> None:
    box = await boxes(transport=REMOTE).in_service()
    box.server.script["initialize"].insert(0, refuses(-32603))
    call = box.call(capabilities=EVERYTHING)
    (await box.server.next("tools/call")).fail(BackendSessionLost("box", "The server ended our session."))
    with pytest.raises(BackendFault):
        await call
    await box.reached(S.RESTARTING)
    box.backend.members[0].replica.start()
    await box.reached(S.HEALTHY)
    assert box.states == [S.HEALTHY, S.RESTARTING, S.HEALTHY]


async def test_roots_are_answered_from_the_configuration_when_no_client_can_be_asked(boxes: Any) -> None:
    box = await boxes(roots=("file:///home/a", "file:///b")).in_service()
    box.server.line.says({"jsonrpc": "2.0", "id": 1, "method": "roots/list"})
    assert (await box.server.next("")).message["result"] == {
        "roots": [{"uri": "file:///home/a"}, {"uri": "file:///b"}]
    }


@pytest.mark.parametrize("method", ["roots/list", "sampling/createMessage", "elicitation/create"])
async def test_what_no_client_can_be_asked_is_refused(box: Box, method: str) -> None:
    box.server.line.says({"jsonrpc": "2.0", "id": 1, "method": method, "params": {}})
    assert (await box.server.next("")).message["error"]["code"] == -32601
    assert box.gateway.requests == []


@pytest.mark.parametrize(
    ("params", "heard"),
    [
        ({"elicitationId": "e-1"}, [("box", "e-1")]),
        ({"elicitationId": "e" * 1025}, []),
        ({"elicitationId": 7}, []),
        ({}, []),
    ],
)
async def test_what_the_person_has_done_is_told_to_the_gateway(box: Box, params: Any, heard: Any) -> None:
    box.server.line.notifies("notifications/elicitation/complete", **params)
    assert box.gateway.elicitations == heard


async def test_a_drain_waits_for_the_call_in_flight(box: Box) -> None:
    call = box.call()
    asked = await box.server.next("tools/call")
    drain = box.begin(box.backend.drain(grace_s=30))
    await box.reached(S.DRAINING)
    with pytest.raises(BackendUnavailable, match="being drained"):
        await box.call()
    assert not box.backend.is_listed
    asked.answer({})
    await call
    assert await drain == DrainOutcome(finished=1, abandoned=0)
    assert box.states == [S.HEALTHY, S.DRAINING, S.DRAINED]
    assert box.server.transcript[-1] == "close"


async def test_a_second_drain_joins_the_first(box: Box) -> None:
    call = box.call()
    asked = await box.server.next("tools/call")
    drains = [box.begin(box.backend.drain(30)), box.begin(box.backend.drain(0))]
    await box.reached(S.DRAINING)
    await box.rest()
    assert not any(drain.done() for drain in drains)
    asked.answer({})
    await call
    assert [await drain for drain in drains] == [DrainOutcome(1, 0)] * 2


async def test_a_drain_cuts_off_what_has_not_ended_in_time(box: Box) -> None:
    call = box.call()
    await box.server.next("tools/call")
    asked = box.server.asked[-1]
    outcome = await box.backend.drain(grace_s=0.01)
    assert outcome == DrainOutcome(0, 1, (AbandonedCall(str(asked.id), "tools/call", "add"),))
    with pytest.raises(BackendUnavailable):
        await call
    assert box.backend.members[0].replica.reason == "1 call in flight cut off"


async def test_whoever_waits_for_a_drain_may_go_without_ending_it(box: Box) -> None:
    box.call()
    asked = await box.server.next("tools/call")
    drain = box.begin(box.backend.drain(30))
    await box.reached(S.DRAINING)
    drain.cancel()
    await box.rest()
    assert box.backend.state is S.DRAINING
    asked.answer({})
    await box.reached(S.DRAINED)


async def test_a_server_that_waits_for_its_next_start_drains_at_once(boxes: Any) -> None:
    box = boxes(child(initialize=refuses(-1)))
    box.backend.start()
    await until(lambda: box.backend.members[0].replica.retry_at)
    assert await box.backend.drain(30) == DrainOutcome(0, 0)
    assert (box.backend.state, box.backend.members[0].replica.retry_at) == (S.DRAINED, None)


async def test_a_drain_while_it_starts_ends_the_start(boxes: Any) -> None:
    box = boxes(child(initialize=silence))
    box.backend.start()
    await until(lambda: box.server.asked)
    await box.backend.drain(30)
    assert (box.backend.state, box.server.transcript[-1]) == (S.DRAINED, "close")


async def test_a_call_that_waits_for_the_start_is_told_of_the_drain(boxes: Any) -> None:
    box = boxes(child(initialize=silence))
    box.backend.start()
    call = box.call()
    await until(lambda: box.server.asked)
    assert await box.backend.drain(0.01) == DrainOutcome(0, 1)
    with pytest.raises(BackendUnavailable, match="drained"):
        await call


async def test_a_call_that_waits_for_a_start_during_a_drain_is_still_made(boxes: Any) -> None:
    box = boxes(child(initialize=silence, tools_call=result({})))
    box.backend.start()
    call = box.call()
    await until(lambda: box.server.asked)
    drain = box.begin(box.backend.drain(30))
    await box.reached(S.DRAINING)
    initialized(capabilities=FED)(box.server.asked[0])
    assert bytes((await call)[0]) == b"{}"
    assert await drain == DrainOutcome(1, 0)


async def test_a_drained_server_takes_calls_again_when_asked(box: Box) -> None:
    await box.backend.drain(0)
    await box.backend.resume()
    await box.reached(S.HEALTHY)
    box.server.script["tools/call"] = [result({})]
    await box.call()


async def test_a_resume_waits_for_the_drain_under_way(box: Box) -> None:
    box.call()
    asked = await box.server.next("tools/call")
    box.begin(box.backend.drain(30))
    await box.reached(S.DRAINING)
    resume = box.begin(box.backend.resume())
    await box.rest()
    assert box.backend.state is S.DRAINING
    asked.answer({})
    await resume
    await box.reached(S.HEALTHY)
    assert box.states == [S.HEALTHY, S.DRAINING, S.DRAINED, S.STARTING, S.HEALTHY]


async def test_a_resume_of_a_server_in_service_changes_nothing(box: Box) -> None:
    await box.backend.resume()
    assert (box.states, box.server.starts) == ([S.HEALTHY], 1)


async def test_a_disabled_server_stays_off(box: Box) -> None:
    await box.backend.drain(0, Event.DISABLED)
    assert (box.backend.state, box.backend.is_listed) == (S.DISABLED, False)
    with pytest.raises(BackendUnavailable, match="disabled"):
        await box.call()


async def test_a_restart_reads_the_lists_afresh(box: Box) -> None:
    box.offers("sub")
    await box.backend.restart(0)
    assert box.backend.is_listed, "its old tools are shown until the new ones are known"
    await box.reached(S.HEALTHY)
    assert box.tools == ["sub"]
    assert box.states == [S.HEALTHY, S.DRAINING, S.DRAINED, S.STARTING, S.HEALTHY]


async def test_a_restart_does_not_wait_for_a_back_off(boxes: Any) -> None:
    box = boxes(child(initialize=[refuses(-1), initialized()]))
    box.backend.start()
    await until(lambda: box.backend.members[0].replica.retry_at)
    await box.backend.restart(0)
    await box.reached(S.HEALTHY)


async def test_a_server_that_is_off_in_the_configuration_does_not_start(boxes: Any) -> None:
    box = boxes(enabled=False)
    box.backend.start()
    await box.rest()
    assert (box.backend.state, box.server.starts) == (S.DISABLED, 0)


async def test_a_probe_degrades_and_restores(box: Box) -> None:
    box.server.script["ping"] = [refuses(-32603), result({})]
    assert (await box.backend.probe()).error == "no"
    assert box.backend.state is S.DEGRADED
    assert (await box.backend.probe()).error is None
    assert box.states == [S.HEALTHY, S.DEGRADED, S.HEALTHY]


async def test_a_probe_of_a_drained_server_only_says_so(box: Box) -> None:
    await box.backend.drain(0)
    probe = await box.backend.probe()
    assert (probe.latency_ms, probe.error) == (None, "drained")
    assert box.backend.state is S.DRAINED


# --- lists --------------------------------------------------------------------------------------------------


async def test_the_lists_are_read_before_the_first_call(boxes: Any) -> None:
    box = boxes()
    box.backend.start()
    call = box.call()
    await box.server.next("tools/call")
    assert box.tools == ["add"]
    call.cancel()


async def test_a_list_that_is_refused_costs_that_list_alone(boxes: Any) -> None:
    script = child(
        initialize=initialized(capabilities={"tools": {}, "prompts": {}}), prompts_list=refuses(-32603)
    )
    box = await boxes(script).in_service()
    assert box.tools == ["add"]
    assert box.backend.members[0].last_error == "prompts/list: no"


async def test_a_changed_list_is_read_again_and_told(box: Box) -> None:
    box.gateway.changes.clear()
    box.offers("add", "sub")
    box.server.line.notifies("notifications/tools/list_changed")
    await until(lambda: box.tools == ["add", "sub"])
    await box.rest()
    assert box.gateway.changes == ["box"]


async def test_a_list_is_read_once_for_all_who_ask_meanwhile(box: Box) -> None:
    del box.server.script["tools/list"]
    reads = [box.begin(box.backend.refresh(("tools/list",))) for _ in range(5)]
    asked = await box.server.next("tools/list")
    await box.rest()
    assert not any(read.done() for read in reads)
    tools("sub")(asked)
    await asyncio.gather(*reads)
    assert box.tools == ["sub"]
    assert box.server.count("tools/list") == 2


async def test_whoever_waits_for_a_reading_may_go_without_ending_it(box: Box) -> None:
    del box.server.script["tools/list"]
    first, second = [box.begin(box.backend.refresh(("tools/list",))) for _ in range(2)]
    asked = await box.server.next("tools/list")
    first.cancel()
    await box.rest()
    tools("sub")(asked)
    await second
    assert box.tools == ["sub"]


async def test_a_change_while_the_list_is_read_has_it_read_once_more(box: Box) -> None:
    del box.server.script["tools/list"]
    box.backend.refresh_soon("tools/list")
    asked = await box.server.next("tools/list")
    for _ in range(3):
        box.server.line.notifies("notifications/tools/list_changed")
    tools("old")(asked)
    tools("new")(await box.server.next("tools/list"))
    await until(lambda: box.tools == ["new"])
    await box.rest()
    assert box.server.count("tools/list") == 3


async def test_a_server_that_announces_a_change_with_every_reading_does_not_keep_us_reading(box: Box) -> None:
    before = box.server.count("tools/list")
    for _ in range(10):
        box.server.line.notifies("notifications/tools/list_changed")
        await box.rest()
    assert box.server.count("tools/list") == before + 1, "the next reading waits its turn"


async def test_whoever_asks_for_a_list_again_need_not_pause(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that allows no keeping is asked each time; its clients wait for its answer and for no more."""
    monkeypatch.setattr(offer, "REREAD_PAUSE_S", 600)
    before = box.server.count("tools/list")
    async with asyncio.timeout(30):
        for _ in range(3):
            await box.backend.refresh(("tools/list",))
    assert box.server.count("tools/list") == before + 3


async def test_a_change_while_the_first_lists_are_read_is_not_lost(boxes: Any) -> None:
    box = boxes()
    del box.server.script["tools/list"]
    box.backend.start()
    asked = await box.server.next("tools/list")
    box.server.line.notifies("notifications/tools/list_changed")
    tools("old")(asked)
    tools("new")(await box.server.next("tools/list"))
    await until(lambda: box.tools == ["new"])
    assert box.states == [S.HEALTHY]


async def test_what_was_invalidated_is_told_at_once_and_read_when_it_is_asked_for(box: Box) -> None:
    box.offers("add", "sub")
    before = box.server.count("tools/list")
    box.backend.invalidate(("tools/list",))
    assert box.gateway.invalid == [("box", ("tools/list",))]
    assert [box.backend.is_current(method) for method in ("tools/list", "prompts/list")] == [False, True]
    await box.rest()
    assert box.server.count("tools/list") == before
    await box.backend.renew("tools/list")
    assert box.backend.is_current("tools/list") and box.tools == ["add", "sub"]
    await box.backend.renew("tools/list")
    assert box.server.count("tools/list") == before + 1


async def test_a_reading_that_began_before_a_change_does_not_count_as_one_after_it(box: Box) -> None:
    del box.server.script["tools/list"]
    box.backend.refresh_soon("tools/list")
    early = await box.server.next("tools/list")
    box.backend.invalidate(("tools/list",))
    renewed = box.begin(box.backend.renew("tools/list"))
    tools("old")(early)
    late = await box.server.next("tools/list")
    assert not renewed.done() and not box.backend.is_current("tools/list")
    tools("new")(late)
    await renewed
    assert box.backend.is_current("tools/list") and box.tools == ["new"]


async def test_a_server_that_refuses_its_list_is_not_asked_for_ever(box: Box) -> None:
    box.server.script["tools/list"] = [refuses(-32603)]
    before = box.server.count("tools/list")
    box.backend.invalidate()
    await box.backend.renew("tools/list")
    assert box.server.count("tools/list") == before + 2
    assert not box.backend.is_current("tools/list") and box.tools == ["add"]


async def test_a_list_that_cannot_be_read_again_stays_what_it_was(box: Box) -> None:
    box.server.script["tools/list"] = [refuses(-32603)]
    await box.backend.refresh(("tools/list",))
    assert box.tools == ["add"]
    assert box.sayings[-1] == ("warning", "its tools/list could not be read again: no")


async def test_a_server_that_was_lost_stays_listed_for_a_while(box: Box) -> None:
    box.server.start_fault = BackendUnavailable("box", "no")
    box.server.line.ends()
    await box.reached(S.RESTARTING)
    assert box.backend.is_listed and box.tools == ["add"]
    box.clock.advance(STALE_S - 1)
    assert box.backend.is_listed
    box.backend.sweep(box.clock.monotonic())
    box.gateway.changes.clear()
    box.clock.advance(1)
    box.backend.sweep(box.clock.monotonic())
    assert not box.backend.is_listed
    assert box.gateway.changes == ["box"], "it leaves the lists, and clients are told"
    box.backend.sweep(box.clock.monotonic())
    assert box.gateway.changes == ["box"]


async def test_a_server_that_never_was_in_service_is_not_listed(boxes: Any) -> None:
    box = boxes(child(initialize=silence))
    box.backend.start()
    assert box.backend.is_settling and not box.backend.is_listed


# --- what it hears ------------------------------------------------------------------------------------------


async def test_the_most_verbose_log_level_that_was_asked_for_is_told_and_kept(box: Box) -> None:
    for level in ("warning", "debug", "error"):
        box.backend.want_log_level(level)
        await box.rest()
    told = [asked.params["level"] for asked in box.server.asked if asked.sent.method == "logging/setLevel"]
    assert told == ["warning", "debug"]
    await box.backend.restart(0)
    await box.reached(S.HEALTHY)
    assert box.server.asked[-1].params == {"level": "debug"}


async def test_a_server_without_logging_is_told_no_level(boxes: Any) -> None:
    box = await boxes(child(initialize=initialized())).in_service()
    box.backend.want_log_level("debug")
    await box.rest()
    assert box.server.count("logging/setLevel") == 0


async def test_the_row_of_a_server_that_died_has_its_last_words(box: Box) -> None:
    box.backend.members[0].heard_stderr("Error: no token")
    box.backend.members[0].heard_stderr("bye")
    box.server.line.ends()
    await box.reached(S.RESTARTING)
    assert box.backend.members[0].replica.reason.endswith("Its last words: Error: no token")


async def test_the_last_lines_of_stderr_are_kept(box: Box) -> None:
    for number in range(STDERR_LINES + 5):
        box.backend.members[0].heard_stderr(f"line {number}")
    kept = list(box.backend.stderr.after(0))
    assert len(kept) == STDERR_LINES
    assert kept[0] == (6, "line 5"), "how many came before is known"
    assert box.sayings[-1] == ("info", f"line {STDERR_LINES + 4}")
