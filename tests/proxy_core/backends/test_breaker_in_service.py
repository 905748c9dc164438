"""The breaker of a server that is connected but fails: what feeds it, what it refuses, when it lets go."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy_core.backends.isolation import EVERYTHING
from proxy_core.backends.pictures import row_of
from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.errors import (
    BackendExited,
    BackendHttpError,
    BackendStreamLost,
    BackendTimeout,
    BackendUnavailable,
    CircuitOpen,
    NotServable,
)
from proxy_core.protocol.capabilities import ClientCapabilities
from proxy_core.proxy import Proxy
from proxy_core.telemetry.metrics import Metrics
from proxy_core.telemetry.snapshot import BreakerState as B
from proxy_core.telemetry.snapshot import ServerRow
from proxy_core.telemetry.snapshot import ServerState as S
from tests.support.backend_server import DISCOVERED, BackendServer, answers, serving
from tests.support.backend_server import refuses as refuses_http
from tests.support.clock import FakeClock
from tests.support.scripted_backend import REMOTE, Box, child
from tests.support.scripted_channel import Reply, initialized, raises, refuses, result, silence, until

FAILING = raises(BackendUnavailable("box", "The server is failing.", "it answered with HTTP status 500"))
BROKEN = raises(BackendStreamLost("box", "The server broke off its answer."))
FORMS = ClientCapabilities(frozenset({"elicitation.form"}))
THRESHOLD = 5


def breaker_of(box: Box) -> B:
    return box.backend.members[0].replica.breaker.state


async def fails(box: Box, count: int = THRESHOLD, reply: Reply = FAILING, **more: Any) -> Box:
    """So many calls, one after the other, each of which fails as `reply` says."""
    box.server.script["tools/call"] = [reply]
    for _ in range(count):
        with pytest.raises((BackendUnavailable, BackendStreamLost)):
            await box.call(**more)
    return box


@pytest.mark.requirement("B14")
async def test_a_child_that_times_out_is_left_alone_and_tried_when_it_may_be_back(box: Box) -> None:
    """Five timeouts, then refusals that reach nobody, then one trial at a time, then business as usual."""
    for _ in range(THRESHOLD):
        call = box.call()
        await box.server.next("tools/call")
        await box.wait(300)
        with pytest.raises(BackendTimeout):
            await call
    for _ in range(3):
        with pytest.raises(CircuitOpen, match="tried again in 30 seconds") as refused:
            await box.call()
        assert refused.value.retryable
    assert box.server.count("tools/call") == THRESHOLD
    assert (breaker_of(box), box.backend.state) == (B.OPEN, S.HEALTHY), "it is not a state"
    await box.wait(30)
    trial = box.call()
    asked = await box.server.next("tools/call")
    with pytest.raises(CircuitOpen, match="being tried again"):
        await box.call()
    asked.answer({})
    await trial
    assert breaker_of(box) is B.HALF_OPEN
    box.server.script["tools/call"] = [result({})]
    await box.call()
    assert breaker_of(box) is B.CLOSED
    await asyncio.gather(*(box.call() for _ in range(10)))


@pytest.mark.requirement("B14")
async def test_a_trial_that_fails_starts_the_wait_anew(box: Box) -> None:
    await fails(box)
    await box.wait(30)
    await fails(box, 1, BROKEN)
    await box.wait(29)
    with pytest.raises(CircuitOpen, match="in 1 second"):
        await box.call()
    assert box.server.count("tools/call") == THRESHOLD + 1


@pytest.mark.requirement("B14")
@pytest.mark.parametrize("reply", [refuses(-32602), refuses(-32603), result({"isError": True, "content": []})])
async def test_what_a_server_answers_is_no_failure_of_it(box: Box, reply: Reply) -> None:
    box.server.script["tools/call"] = [reply]
    for _ in range(3 * THRESHOLD):
        await asyncio.gather(box.call(), return_exceptions=True)
    assert (breaker_of(box), box.server.count("tools/call")) == (B.CLOSED, 3 * THRESHOLD)


async def test_clients_that_hang_up_do_not_open_it_and_leave_their_place_as_a_trial(box: Box) -> None:
    for _ in range(2 * THRESHOLD):
        call = box.call()
        await box.server.next("tools/call")
        call.cancel()
    await box.rest()
    assert breaker_of(box) is B.CLOSED
    await fails(box)
    await box.wait(30)
    del box.server.script["tools/call"]
    trial = box.call()
    await box.server.next("tools/call")
    trial.cancel()
    await box.rest()
    box.server.script["tools/call"] = [result({})]
    await box.call()


async def test_a_refusal_does_not_hide_what_went_wrong(box: Box) -> None:
    await fails(box)
    with pytest.raises(CircuitOpen):
        await box.call()
    assert box.backend.members[0].last_error == "it answered with HTTP status 500"
    assert [level for level, text in box.sayings if "breaker" in text] == ["warning"]


# --- connections --------------------------------------------------------------------------------------------


async def test_a_crash_with_many_calls_in_flight_does_not_keep_the_server_from_coming_back(box: Box) -> None:
    calls = [box.call() for _ in range(2 * THRESHOLD)]
    for _ in calls:
        await box.server.next("tools/call")
    box.server.line.ends()
    lost = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(each) for each in lost] == [BackendExited] * len(calls)
    await box.reached(S.RESTARTING)
    assert breaker_of(box) is B.CLOSED, "its state says that it is down, and when it is tried"
    box.server.script["tools/call"] = [result({})]
    await box.call()
    assert box.states == [S.HEALTHY, S.RESTARTING, S.HEALTHY]


async def test_a_restart_by_a_person_is_a_fresh_start(box: Box) -> None:
    await fails(box)
    await box.backend.restart(0)
    await box.reached(S.HEALTHY)
    box.server.script["tools/call"] = [result({})]
    await box.call()


async def test_all_connections_to_one_endpoint_share_it(boxes: Any) -> None:
    box = await fails(await boxes(transport=REMOTE).in_service(), capabilities=FORMS)
    with pytest.raises(CircuitOpen):
        await box.call()
    with pytest.raises(CircuitOpen):
        await box.call(principal="bob")
    assert box.server.starts == 2, "none is opened to be refused"


async def test_a_handshake_that_some_clients_alone_cannot_have_counts_for_nobody(boxes: Any) -> None:
    box = await boxes(child(tools_call=result({})), transport=REMOTE).in_service()
    box.server.script["initialize"] = [refuses(-32603)]
    for _ in range(2 * THRESHOLD):
        with pytest.raises(NotServable):
            await box.call(capabilities=FORMS)
    await box.call(capabilities=EVERYTHING)


async def test_a_child_of_ones_own_cannot_take_the_others_down(boxes: Any) -> None:
    box = await fails(await boxes().in_service(), 2 * THRESHOLD, principal="mallory")
    box.server.script["tools/call"] = [result({})]
    await box.call()
    await box.call(principal="bob")


# --- probes -------------------------------------------------------------------------------------------------


async def test_probes_count_like_calls(box: Box) -> None:
    box.server.script["ping"] = [FAILING]
    await fails(box, THRESHOLD - 1)
    await box.backend.probe()
    with pytest.raises(CircuitOpen):
        await box.call()
    box.server.script["ping"] = [result({})]
    assert (await box.backend.probe()).error is None, "a person need not wait"
    assert breaker_of(box) is B.HALF_OPEN
    await box.backend.probe()
    assert breaker_of(box) is B.CLOSED


async def test_a_probe_beside_a_trial_says_so_and_changes_no_state(boxes: Any) -> None:
    box = await fails(await boxes(child(ping=result({}))).in_service())
    await box.wait(30)
    box.server.script["tools/call"] = [silence]
    box.call()
    await box.rest()
    probe = await box.backend.probe()
    assert probe.error == "The server is failing; being tried again."
    assert (box.backend.state, box.server.count("ping")) == (S.HEALTHY, 0)


async def test_a_probe_that_is_refused_in_words_is_an_answer(boxes: Any) -> None:
    box = await boxes(child(ping=refuses(-32601), initialize=initialized())).in_service()
    for _ in range(THRESHOLD):
        await box.backend.probe()
    assert breaker_of(box) is B.CLOSED


# --- what is seen -------------------------------------------------------------------------------------------


def seen(box: Box) -> tuple[B, float | None]:
    row = row_of(box.backend, Metrics(), box.clock.monotonic())
    return row.breaker, row.breaker_retry_at


async def test_the_row_says_when_it_is_open_and_until_when(box: Box) -> None:
    assert seen(box) == (B.CLOSED, None)
    await fails(box)
    assert seen(box) == (B.OPEN, box.clock.monotonic() + 30)
    await box.wait(30)
    assert seen(box)[0] is B.HALF_OPEN


# --- over real HTTP -----------------------------------------------------------------------------------------


class Served:
    """A gateway in front of one server on real HTTP; the clock is the test's."""

    def __init__(self, server: BackendServer) -> None:
        self.server = server
        self.clock = FakeClock()
        sections = {
            "servers": [{"id": "box", "transport": {"type": "http", "url": server.url}, "era": "modern"}],
            "circuit_breaker": {"failure_threshold": 5, "open_s": 7, "success_threshold": 2},
        }
        loaded = LoadedConfig(Config.model_validate(sections), None, {})
        self.proxy = Proxy(loaded, listen=False, clock=self.clock)

    @property
    def row(self) -> ServerRow:
        return self.proxy.detail("box").row

    async def call(self) -> Any:
        return await self.proxy.call("box__add", {})


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    table: dict[str, Any] = {
        "server/discover": answers(DISCOVERED),
        "tools/list": answers({"tools": [{"name": "add", "inputSchema": {"type": "object"}}]}),
        "tools/call": [refuses_http(500)] * 5 + [answers({"content": [], "resultType": "complete"})],
    }
    async with serving(table) as server:
        made = Served(server)
        async with made.proxy.started():
            await until(lambda: made.row.state is S.HEALTHY)
            yield made


@pytest.mark.requirement("B14")
async def test_a_server_on_http_that_answers_500_five_times_is_spared_and_then_taken_back(
    served: Served,
) -> None:
    for _ in range(5):
        with pytest.raises(BackendUnavailable, match="The server is failing"):
            await served.call()
    assert served.row.breaker is B.OPEN
    began = time.perf_counter()
    with pytest.raises(CircuitOpen, match="in 7 seconds"):
        await served.call()
    assert time.perf_counter() - began < 2
    assert len(served.server.of("tools/call")) == 5
    served.clock.advance(7)
    await served.call()
    assert served.row.breaker is B.HALF_OPEN
    await served.call()
    assert served.row.breaker is B.CLOSED
    assert len(served.server.of("tools/call")) == 7


async def test_a_status_that_blames_the_request_does_not_open_it(served: Served) -> None:
    served.server.table["tools/call"] = refuses_http(413)
    for _ in range(10):
        with pytest.raises(BackendHttpError, match="413"):
            await served.call()
    assert served.row.breaker is B.CLOSED
