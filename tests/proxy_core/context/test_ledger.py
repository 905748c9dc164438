"""The ledger: when it counts, what it says meanwhile, and what becomes of a count that fails."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping

import pytest
from msgspec.structs import replace

from proxy_core.context.bill import BilledList, BilledTool
from proxy_core.context.ledger import (
    FIRST_RETRY_S,
    LONG_BYTES,
    LONGEST_REST_S,
    LONGEST_RETRY_S,
    PAUSE_S,
    TokenLedger,
)
from proxy_core.context.tokens import HelperFailed, TokenCounter
from proxy_core.telemetry.context_bill import ContextBill, Cost
from tests.support.clock import FakeClock
from tests.support.scripted_channel import until


def tools(*names: str) -> tuple[BilledTool, ...]:
    return tuple(BilledTool("box", name, b"1234", b"12", b"123", b"1", name.encode()) for name in names)


class Source:
    def __init__(self) -> None:
        self.lists: tuple[BilledList, ...] = (BilledList("", "full", tools("add", "sub")),)
        self.asked = 0

    async def billed_lists(self) -> tuple[BilledList, ...]:
        self.asked += 1
        return self.lists


class Lengths(TokenCounter):
    """Counts bytes, as far as it can: `fails` times not, and not before `may_go_on` is set."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(None)
        self.clock = clock
        self.takes_s = 0.0
        self.fails = 0
        self.tries = 0
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def count(self, texts: Mapping[str, bytes]) -> dict[str, int]:
        self.tries += 1
        await self.may_go_on.wait()
        self.clock.advance(self.takes_s)
        if self.fails:
            self.fails -= 1
            raise HelperFailed("it ended too early: no vocabulary")
        return {key: len(text) for key, text in texts.items()}


class Rests:
    """How long was rested each time: the clock moves on so far at once, or as soon as `may_go_on` is set."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.seconds: list[float] = []
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)
        await self.may_go_on.wait()
        self.clock.advance(seconds)


class House:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.source = Source()
        self.counter = Lengths(self.clock)
        self.rests = Rests(self.clock)
        self.ledger = TokenLedger(self.source, self.counter, self.clock, self.rests)

    async def counted(self) -> None:
        await until(lambda: self.ledger.bill.is_complete)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    await house.ledger.aclose()


async def test_before_the_first_count_nothing_is_claimed(house: House):
    assert house.ledger.bill == ContextBill("o200k_base", is_complete=False)
    assert (house.ledger.totals, dict(house.ledger.server_costs)) == (None, {})


async def test_it_counts_a_moment_after_its_start_and_a_moment_after_each_change(house: House):
    ledger = house.ledger
    ledger.start()
    await house.counted()
    assert ledger.bill.modes.full == Cost(11, 9)
    assert dict(ledger.server_costs) == {"box": Cost(8, 6)}
    totals = ledger.totals
    assert ledger.totals is totals
    house.source.lists = (BilledList("", "compact", tools("add")),)
    ledger.changed()
    assert not ledger.bill.is_complete
    assert ledger.bill.modes.full == Cost(11, 9), "the figures of before, until there are others"
    await house.counted()
    assert ledger.bill.modes.full == Cost(6, 5)
    assert dict(ledger.server_costs) == {"box": Cost(2, 1)}
    assert house.rests.seconds == [PAUSE_S, PAUSE_S]


async def test_it_is_told_when_the_bill_is_of_the_lists_in_force():
    told: list[ContextBill] = []
    house = House()
    counting: TokenLedger = TokenLedger(
        house.source, house.counter, house.clock, house.rests, lambda: told.append(counting.bill)
    )
    house.counter.may_go_on.clear()
    counting.start()
    await until(lambda: house.counter.tries == 1)
    counting.changed()
    house.counter.may_go_on.set()
    await until(lambda: told)
    await counting.aclose()
    # Not the first, which was of lists that had changed meanwhile.
    assert house.counter.tries == 2
    assert [bill.is_complete for bill in told] == [True]


async def test_what_changes_together_is_counted_together(house: House):
    house.rests.may_go_on.clear()
    house.ledger.start()
    for _ in range(100):
        house.ledger.changed()
        await asyncio.sleep(0)
    house.rests.may_go_on.set()
    await house.counted()
    assert (house.source.asked, house.counter.tries) == (1, 1)


async def test_a_change_during_a_count_has_it_counted_once_more(house: House):
    ledger = house.ledger
    house.counter.may_go_on.clear()
    ledger.start()
    await until(lambda: house.counter.tries == 1)
    house.source.lists = (BilledList("", "full", tools("add")),)
    ledger.changed()
    house.rests.may_go_on.clear()
    house.counter.may_go_on.set()
    await until(lambda: ledger.totals)
    assert (ledger.bill.modes.full, ledger.bill.is_complete) == (Cost(11, 9), False)
    house.rests.may_go_on.set()
    await house.counted()
    assert ledger.bill.modes.full == Cost(6, 5)


@pytest.mark.parametrize(("took_s", "rest_s"), [(0.0, PAUSE_S), (0.3, 3.0), (30.0, LONGEST_REST_S)])
async def test_after_a_count_it_rests_the_longer_the_longer_that_took(
    house: House, took_s: float, rest_s: float
):
    """So that a server whose list never rests costs no more than a share of the time."""
    house.counter.takes_s = took_s
    house.ledger.start()
    await house.counted()
    house.ledger.changed()
    await house.counted()
    assert house.rests.seconds == [PAUSE_S, pytest.approx(rest_s)]


async def test_once_it_has_rested_a_change_is_counted_as_soon_as_ever(house: House):
    house.counter.takes_s = 30.0
    house.ledger.start()
    await house.counted()
    house.clock.advance(LONGEST_REST_S)
    house.ledger.changed()
    await house.counted()
    assert house.rests.seconds == [PAUSE_S, PAUSE_S]


async def test_a_count_that_fails_is_said_once_and_tried_again_ever_later(
    house: House, caplog: pytest.LogCaptureFixture
):
    house.counter.fails = 9
    with caplog.at_level(logging.DEBUG, "proxy_core.context.ledger"):
        house.ledger.start()
        await house.counted()
        told = [(each.levelname, each.message) for each in caplog.records if "could not be" in each.message]
        assert [level for level, _ in told] == ["WARNING", *["DEBUG"] * 8]
        assert told[0][1].endswith("it ended too early: no vocabulary")
        assert house.rests.seconds == [PAUSE_S, 5, 10, 20, 40, 80, 160, 320, LONGEST_RETRY_S, LONGEST_RETRY_S]
        caplog.clear()
        house.counter.fails = 1
        house.ledger.changed()
        await house.counted()
    assert [each.levelname for each in caplog.records if "could not be" in each.message] == ["WARNING"]
    assert house.rests.seconds[-1] == FIRST_RETRY_S


async def test_while_counting_fails_the_bill_is_that_of_before(house: House):
    house.ledger.start()
    await house.counted()
    before = house.ledger.bill.modes
    house.counter.fails = 1_000_000
    house.source.lists = (BilledList("", "full", tools("add")),)
    house.ledger.changed()
    await until(lambda: house.counter.tries > 3)
    assert (house.ledger.bill.is_complete, house.ledger.bill.modes) == (False, before)


async def test_a_long_text_is_counted_as_a_short_one(house: House):
    house.source.lists = (BilledList("", "full", (replace(tools("add")[0], full=b"x" * (LONG_BYTES + 1)),)),)
    house.ledger.start()
    await house.counted()
    assert house.ledger.bill.tools[0].full.wire == LONG_BYTES + 1


async def test_it_may_be_closed_while_it_counts_and_be_started_again(house: House):
    house.counter.may_go_on.clear()
    house.ledger.start()
    await until(lambda: house.counter.tries == 1)
    await house.ledger.aclose()
    house.counter.may_go_on.set()
    house.ledger.start()
    await house.counted()


async def test_what_a_list_costs_is_known_by_profile_and_mode(house: House):
    house.source.lists = (BilledList("", "full", tools("add"), b'[{"name":"find","title":"t"}]'),)
    assert house.ledger.list_cost("", "full") is None
    house.ledger.start()
    await house.counted()
    assert house.ledger.list_cost("", "full") == len(b"[123]")
    assert house.ledger.list_cost("", "compact") == len(b"[1]")
    assert house.ledger.list_cost("", "search") == len(b'[{"name":"find"}]')
    assert house.ledger.list_cost("unheard-of", "full") is None
