"""The ring of exchanges: its bounds, its numbers, and that nothing stays or comes out unmasked."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from proxy_core.errors import UnknownExchange
from proxy_core.facts import RequestFinished
from proxy_core.telemetry import recorder as recorder_module
from proxy_core.telemetry import records
from proxy_core.telemetry.exchanges import ExchangeDetail, ExchangeStatus, Hop, Message
from proxy_core.telemetry.masking import DOTS
from proxy_core.telemetry.recorder import (
    FULL_AT_ONCE,
    FULL_BYTES,
    FULL_PER_S,
    HELD_S,
    MAX_ROWS,
    Recorder,
    Rules,
)
from proxy_core.telemetry.records import CANCELLED
from proxy_core.telemetry.trace import HELD_BYTES, KEPT_BYTES, MAX_NOTES, Failure, Trace
from tests.support.clock import FakeClock

PLANTED = "Zq7Planted9xW"
FINISHED = RequestFinished(
    1000.0, "test", "anon", "legacy", "2025-11-25", "tools/call", "search", "search__t", 5.0, None, True, 8
)
SECRET = json.dumps({"name": "t", "arguments": {"password": PLANTED}}).encode()
OPEN = b'{"name":"t","arguments":{"a":1}}'


@dataclass
class Client:
    era: str = "legacy"
    revision: str = "2025-11-25"
    principal: str = "anon"
    client: str = "test"
    session: str | None = "a-session-id"
    profile: str = "lean"


@dataclass
class Server:
    era: str = "modern"
    revision: str = "2026-07-28"


@dataclass
class House:
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.clock)

    def begin(self, params: bytes = OPEN, method: str = "tools/call", headers: Any = ()) -> Trace:
        return self.recorder.begin(method, Raw(params), Client(), self.clock.monotonic(), headers)

    def end(self, trace: Trace, result: bytes = b'{"content":[]}', failure: Failure | None = None) -> None:
        status = ExchangeStatus.OK if failure is None else ExchangeStatus.ERROR
        self.recorder.end(trace, self.clock.monotonic(), status, result, failure)

    def call(self, params: bytes = OPEN, result: bytes = b'{"content":[]}') -> Trace:
        trace = self.begin(params)
        trace.replica = "main"
        trace.sent("search", Server(), "tools/call", params, [("mcp-method", "tools/call")])
        trace.answered("tools/call", result)
        self.end(trace, result)
        return trace

    def ids(self, seq: int = 0) -> list[int]:
        return [row.id for row in self.recorder.rows_after(seq)[1]]

    async def detail(self, trace: Trace) -> ExchangeDetail:
        return await self.recorder.detail(trace.id)


@pytest.fixture
def house() -> House:
    return House()


def body_of(detail: ExchangeDetail, hop: Hop, *, is_outgoing: bool) -> Message:
    return next(each for each in detail.messages if each.hop is hop and each.is_outgoing is is_outgoing)


# --- what is shown ------------------------------------------------------------------------------------------


async def test_an_exchange_is_told_on_both_hops_with_its_times(house: House) -> None:
    trace = house.begin(headers=[("authorization", "Bearer abc"), ("user-agent", "x")])
    house.clock.advance(0.001)
    trace.step("routed", "t")
    house.clock.advance(0.001)
    trace.replica = "a"
    trace.sent("search", Server(), "tools/call", OPEN, [("mcp-name", "t")])
    house.clock.advance(0.002)
    trace.answered("tools/call", b'{"content":[],"resultType":"complete"}')
    house.clock.advance(0.001)
    trace.target = "search__t"
    house.end(trace)
    await house.recorder.look()
    detail = await house.detail(trace)
    row = detail.row
    assert (row.target, row.server, row.replica, row.attempts) == ("search__t", "search", "a", 1)
    assert (row.duration_ms, row.server_ms) == (pytest.approx(5), pytest.approx(2))
    assert (row.bytes_in, row.bytes_out, row.is_translated) == (len(OPEN), 14, True)
    assert [step.name for step in detail.steps] == ["arrived", "routed", "sent", "answered", "ended"]
    said = [(each.hop.value, each.is_outgoing, each.era, each.replica) for each in detail.messages]
    assert said == [
        ("client", False, "legacy", ""),
        ("server", True, "modern", "search/a"),
        ("server", False, "modern", "search/a"),
        ("client", True, "legacy", ""),
    ]
    assert detail.messages[0].headers == (("authorization", DOTS), ("user-agent", "x"))
    assert detail.messages[1].headers == (("mcp-name", "t"),)
    assert (detail.profile, len(detail.session), detail.masked) == ("lean", 8, 1)
    assert detail.why_not_replayable == ""


async def test_an_error_is_told_as_its_object(house: House) -> None:
    trace = house.begin()
    house.end(trace, b'{"code":-32602,"message":"no"}', Failure(-32602, b'{"code":-32602,"message":"no"}'))
    detail = await house.detail(trace)
    assert (detail.row.status, detail.row.code) == (ExchangeStatus.ERROR, -32602)
    assert (detail.messages[-1].is_error, detail.messages[-1].body) == (True, '{"code":-32602,"message":"no"}')


async def test_one_that_goes_on_may_be_looked_at(house: House) -> None:
    trace = house.begin(SECRET)
    trace.sent("search", Server(), "tools/call", SECRET, ())
    detail = await house.detail(trace)
    assert (detail.row.status, detail.row.duration_ms) == (ExchangeStatus.OPEN, None)
    assert PLANTED not in repr(detail)
    assert detail.masked == 2


async def test_what_happens_after_the_end_is_not_its_own(house: House) -> None:
    trace = house.call()
    trace.told(b"{}")
    trace.sent("search", Server(), "tools/call", OPEN, ())
    trace.answered("tools/call", b"{}")
    trace.step("late")
    detail = await house.detail(trace)
    assert len(detail.messages) == 4
    assert detail.steps[-1].name == "ended"


async def test_a_question_after_the_end_brings_nothing_back(house: House) -> None:
    """Of a call that is parked: its client was answered, and its server goes on."""
    trace = house.call(SECRET)
    seq, _ = house.recorder.rows_after(0)
    await house.recorder.look()
    trace.asked("elicitation/create", SECRET)
    trace.begin_round()
    assert house.recorder.rows_after(seq) == (seq, ())
    assert PLANTED not in repr(await house.detail(trace))


async def test_input_for_the_server_is_a_round_and_no_other_try(house: House) -> None:
    trace = house.begin()
    trace.sent("search", Server(), "tools/call", OPEN, ())
    trace.begin_round()
    trace.is_round = True
    trace.sent("search", Server(), "tools/call", OPEN, ())
    trace.sent("search", Server(), "tools/call", OPEN, ())
    house.end(trace)
    detail = await house.detail(trace)
    assert (detail.row.attempts, detail.row.rounds) == (2, 1)
    assert [each.attempt for each in detail.messages if each.hop is Hop.SERVER] == [1, 1, 2]


@pytest.mark.parametrize(
    ("method", "params", "why"),
    [
        ("initialize", b"{}", "initialize cannot be made again"),
        ("tools/call", SECRET, "held secrets"),
        ("tools/call", b'{"name":"t","requestState":"x"}', "answers that are good for one request"),
        ("tools/call", b'{"a":"%s"}' % (b"x" * KEPT_BYTES), "Not all of the request"),
    ],
)
async def test_what_cannot_be_made_again_says_why(house: House, method: str, params: bytes, why: str) -> None:
    trace = house.begin(params, method)
    house.end(trace)
    assert why in (await house.detail(trace)).why_not_replayable


# --- masking ------------------------------------------------------------------------------------------------


@given(
    method=st.sampled_from(["tools/call", f"x/token={PLANTED}"]),
    target=st.sampled_from(["search__t", f"https://u:{PLANTED}@h/", f"file:///a?api_key={PLANTED}"]),
    params=st.sampled_from([OPEN, SECRET, SECRET[:-3]]),
    result=st.sampled_from(
        [OPEN, SECRET, b'{"content":[{"type":"text","text":"secret: %s"}]}' % PLANTED.encode()]
    ),
    is_open=st.booleans(),
    is_let_go=st.booleans(),
)
async def test_a_planted_secret_never_comes_out(
    method: str, target: str, params: bytes, result: bytes, is_open: bool, is_let_go: bool
) -> None:
    house = House()
    trace = house.begin(params, method, headers=[("x-api-key", PLANTED), ("referer", target)])
    trace.target = target
    trace.step("retried", f"token={PLANTED}")
    trace.sent("search", Server(), method, params, [("mcp-name", target)])
    trace.heard("notifications/message", result)
    trace.told(b'{"jsonrpc":"2.0","method":"notifications/message","params":%s}' % result)
    trace.asked("elicitation/create", params)
    trace.answered(method, result)
    if not is_open:
        house.end(trace, result)
        if is_let_go:
            trace.let_go()
            assert PLANTED not in repr((trace.params, trace.said, trace.steps, trace.headers, trace.target))
        else:
            await house.recorder.look()
    assert PLANTED not in repr(house.recorder.rows_after(0))
    assert PLANTED not in repr(await house.detail(trace))


async def test_nothing_unmasked_stays(house: House) -> None:
    trace = house.call(SECRET, SECRET)
    await house.recorder.look()
    assert PLANTED.encode() not in b"".join(record.rest for record in house.recorder._ring.values())  # type: ignore[union-attr]
    assert trace not in house.recorder._ring.values()
    # Whoever still holds it, as a parked call does, holds no more of it than anybody may see.
    held = (trace.params, trace.result, trace.said, trace.steps, trace.headers, trace.target)
    assert PLANTED not in repr(held)
    assert not house.recorder._pending


async def test_where_more_is_said_than_can_be_masked_the_bodies_go_and_the_exchange_stays(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = house.call(SECRET)
    house.clock.advance(HELD_S + 0.1)
    monkeypatch.setattr(recorder_module, "SHARE_S", 0.0)
    await house.recorder.look()
    detail = await house.detail(trace)
    assert PLANTED not in repr(trace.said)
    assert [each.body for each in detail.messages] == [""] * 4
    assert (detail.messages[0].size, detail.messages[0].is_cut) == (len(SECRET), True)
    assert detail.row.bytes_in == len(SECRET)


async def test_headers_that_are_no_unicode_are_shown_as_far_as_they_are(house: House) -> None:
    trace = house.begin(headers=[("x-name", "caf\udce9"), ("mcp-session-id", "\udce9" * 20)])
    trace.step("failed", "no such file: \udcff")
    house.end(trace)
    await house.recorder.look()
    detail = await house.detail(trace)
    assert detail.messages[0].headers == (("x-name", "caf?"), ("mcp-session-id", "????????…"))
    assert "no such file: ?" in [step.text for step in detail.steps]


async def test_one_that_cannot_be_masked_is_dropped_and_the_next_is_not(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(trace: Trace, detail: ExchangeDetail) -> None:
        monkeypatch.undo()
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(records, "packed", fail)
    first, second = house.call(SECRET), house.call()
    await house.recorder.look()
    assert house.ids() == [second.id]
    assert (first.params, first.said) == (b"", [])
    assert f"the exchange {first.id} could not be masked" in caplog.text
    assert PLANTED not in caplog.text


async def test_bodies_may_be_off_or_full(house: House) -> None:
    house.recorder.use(Rules("off"))
    off = await house.detail(house.call(SECRET))
    assert [(each.body, each.is_cut) for each in off.messages] == [("", False)] * 4
    assert off.messages[0].size == len(SECRET)
    assert "inspect.bodies: off" in off.why_not_replayable
    house.recorder.use(Rules("full"))
    trace = house.begin(SECRET, headers=[("authorization", PLANTED)])
    house.end(trace)
    full = await house.detail(trace)
    assert full.messages[0].body == SECRET.decode()
    assert full.messages[0].headers == (("authorization", DOTS),)
    assert full.why_not_replayable == ""


def test_stricter_rules_hold_for_what_was_recorded_too(house: House) -> None:
    house.recorder.use(Rules("full"))
    house.call(SECRET)
    house.recorder.use(Rules("redacted"))
    assert house.ids() == []


# --- bounds -------------------------------------------------------------------------------------------------


def test_the_oldest_goes_first(house: House) -> None:
    house.recorder.use(Rules(exchanges=3))
    for _ in range(5):
        house.call()
    assert house.ids() == [3, 4, 5]
    house.recorder.use(Rules(exchanges=0))
    assert (house.ids(), house.recorder.is_on) == ([], False)
    assert not house.recorder.reserves(house.clock.monotonic())


async def test_all_bodies_together_are_bounded(house: House) -> None:
    house.recorder.use(Rules(max_bytes=1_048_576))
    for _ in range(40):
        house.call(result=b'{"text":"%s"}' % (b"lorem " * 8_000))
        await house.recorder.look()
    assert house.recorder.kept_bytes <= 1_048_576 * 3 // 4
    assert 0 < len(house.recorder) < 40
    assert house.ids()[-1] == 40


async def test_what_waits_to_be_masked_is_bounded_too(house: House) -> None:
    house.recorder.use(Rules(max_bytes=1_048_576))
    traces = [house.call(result=b'{"text":"%s"}' % (b"x" * 60_000)) for _ in range(20)]
    assert [trace.result == b"" for trace in traces] == [True] * 18 + [False] * 2


async def test_requests_that_wait_to_be_masked_count_as_their_answers_do(house: House) -> None:
    house.recorder.use(Rules(max_bytes=1_048_576))
    traces = [house.call(params=b'{"text":"%s"}' % (b"x" * 60_000)) for _ in range(20)]
    assert [bytes(trace.params) == b"" for trace in traces] == [True] * 18 + [False] * 2


async def test_one_body_is_bounded_and_says_how_long_it_was(house: House) -> None:
    result = b'{"text":"%s"}' % (b"x" * 200_000)
    detail = await house.detail(house.call(result=result))
    answer = detail.messages[-1]
    assert (len(answer.body), answer.size, answer.is_cut) == (KEPT_BYTES, len(result), True)


async def test_notifications_of_one_exchange_are_bounded(house: House) -> None:
    trace = house.begin()
    for _ in range(MAX_NOTES + 50):
        trace.heard("notifications/progress", b'{"progress":1}')
    trace.answered("tools/call", b"{}")
    house.end(trace)
    assert len((await house.detail(trace)).messages) == MAX_NOTES + 3
    trace = house.begin()
    for _ in range(20):
        trace.heard("notifications/message", b'"%s"' % (b"x" * 60_000))
    assert sum(len(bytes(said.body)) for said in trace.said) <= HELD_BYTES


async def test_one_that_is_gone_is_unknown(house: House) -> None:
    with pytest.raises(UnknownExchange):
        await house.recorder.detail(7)


async def test_where_too_many_come_the_rest_are_told_in_brief(house: House) -> None:
    at = house.clock.monotonic()
    assert [house.recorder.takes(at) for _ in range(int(FULL_AT_ONCE) + 1)][-2:] == [True, False]
    house.recorder.brief(replace(FINISHED, target=f"https://u:{PLANTED}@h/", method=f"token={PLANTED}"), 9)
    house.recorder.brief(replace(FINISHED, error_code=-32602, is_tool_error=False), 9)
    house.recorder.brief(replace(FINISHED, error_code=CANCELLED, is_tool_error=False), 9)
    _, rows = house.recorder.rows_after(0)
    assert [row.status for row in rows] == [
        ExchangeStatus.TOOL_ERROR,
        ExchangeStatus.ERROR,
        ExchangeStatus.CANCELLED,
    ]
    assert [row.code for row in rows] == [None, -32602, None]
    assert (rows[1].target, rows[1].server, rows[1].bytes_in, rows[1].bytes_out) == (
        "search__t",
        "search",
        9,
        8,
    )
    detail = await house.recorder.detail(rows[0].id)
    assert PLANTED not in repr((rows, detail, house.recorder._ring))
    assert (detail.row, detail.messages) == (rows[0], ())
    assert "more requests came at the same time" in detail.why_not_replayable


def test_there_is_room_for_full_records_again_with_time(house: House) -> None:
    at = house.clock.monotonic()
    while house.recorder.takes(at):
        pass
    later = [house.recorder.takes(at + 10.5 / FULL_PER_S) for _ in range(12)]
    assert later == [True] * 10 + [False] * 2
    assert house.recorder.takes(at + 3600)


def test_large_ones_leave_less_room_for_others_and_never_none_for_long(house: House) -> None:
    at = house.clock.monotonic()
    house.end(house.begin(), b'"%s"' % (b"x" * 20 * FULL_BYTES))
    small = int(FULL_AT_ONCE) - 20
    assert [house.recorder.takes(at) for _ in range(small + 1)] == [True] * small + [False]
    for _ in range(50):
        house.end(house.begin(), b'"%s"' % (b"x" * (1 << 20)))
    assert not house.recorder.takes(at + 1)
    assert house.recorder.takes(at + 60)


# --- numbers ------------------------------------------------------------------------------------------------


def test_each_change_is_told_once(house: House) -> None:
    first, second = house.begin(), house.begin()
    seq, rows = house.recorder.rows_after(0)
    assert [row.id for row in rows] == [first.id, second.id]
    assert house.recorder.rows_after(seq) == (seq, ())
    first.sent("search", Server(), "tools/call", OPEN, ())
    house.end(first)
    later, rows = house.recorder.rows_after(seq)
    assert [(row.id, row.status) for row in rows] == [(first.id, ExchangeStatus.OK)]
    assert later > seq


def test_one_that_was_forgotten_while_it_went_on_comes_back_with_its_end(house: House) -> None:
    house.recorder.use(Rules(exchanges=2))
    long = house.begin()
    for _ in range(3):
        house.call()
    assert house.ids() == [3, 4]
    house.end(long)
    assert house.ids() == [4, 1]


def test_a_look_is_bounded_and_the_next_brings_the_rest(house: House) -> None:
    for _ in range(MAX_ROWS + 5):
        house.call()
    seq, rows = house.recorder.rows_after(0)
    assert len(rows) == MAX_ROWS
    assert house.ids(seq) == list(range(MAX_ROWS + 1, MAX_ROWS + 6))


async def test_the_recorders_task_masks_by_itself(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "PASS_S", 0.0)
    task = asyncio.ensure_future(house.recorder.run())
    try:
        for _ in range(2):
            house.call(SECRET)
            async with asyncio.timeout(10):
                while house.recorder._pending:
                    await asyncio.sleep(0)
    finally:
        task.cancel()
    assert house.recorder.kept_bytes > 0
