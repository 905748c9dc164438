"""Recorded exchanges over the admin API: a page, one in full, one made again, and the rows as they come."""

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from proxy_core.admin_wire import ExchangePage, NumberedExchange, decoded
from proxy_core.errors import NotReplayable
from proxy_core.telemetry.exchanges import (
    ExchangeDetail,
    ExchangeRow,
    Hop,
    Message,
    MessageKind,
    Step,
)
from tests.proxy_core.frontend.test_admin_events import reading
from tests.support.admin_house import House, house
from tests.support.fake_control import FakeControl, exchange_row

ROW = exchange_row(7)
DETAIL = ExchangeDetail(
    ROW,
    (Step(0.0, "arrived"),),
    (Message(0.0, Hop.CLIENT, False, MessageKind.REQUEST, "tools/call", "{}", 2, headers=(("accept", "x"),)),),
    replay_of=3,
)


def row(id: int) -> ExchangeRow:
    return replace(ROW, id=id)


@pytest.fixture
def control() -> FakeControl:
    control = FakeControl()
    control.exchanges = {7: DETAIL}
    control.see(*map(row, range(1, 8)))
    return control


@pytest.fixture
async def served(control: FakeControl) -> AsyncIterator[House]:
    async with house(control) as served:
        yield served


async def test_a_page_is_the_newest_rows_and_where_to_go_on(served: House):
    page = decoded((await served.ask("GET", "exchanges?after=2&limit=3")).body, ExchangePage)
    assert page == ExchangePage(7, (row(5), row(6), row(7)))
    assert decoded((await served.ask("GET", "exchanges?after=7")).body, ExchangePage) == ExchangePage(7)
    assert decoded((await served.ask("GET", "exchanges?limit=0")).body, ExchangePage) == ExchangePage(7)


@pytest.mark.parametrize("query", ["after=-1", "limit=x", "after=" + "9" * 19])
async def test_a_query_that_makes_no_sense_is_refused(served: House, query: str):
    assert (await served.ask("GET", f"exchanges?{query}")).error == "bad_request"


async def test_one_is_told_in_full_or_known_to_be_gone(served: House):
    assert decoded((await served.ask("GET", "exchanges/7")).body, ExchangeDetail) == DETAIL
    gone = await served.ask("GET", "exchanges/999999999999999999")
    assert (gone.status, gone.error) == (404, "unknown_exchange")


async def test_one_is_made_again_at_the_target_that_is_given(
    served: House, control: FakeControl, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO", "proxy_core")
    answer = await served.ask("POST", "exchanges/7/replay", {"target": "search/a"})
    assert decoded(answer.body, ExchangeDetail) == DETAIL
    assert (await served.ask("POST", "exchanges/7/replay")).status == 200
    assert control.replayed == [(7, "search/a"), (7, None)]
    assert caplog.messages.count("admin: replay 7") == 2


@pytest.mark.parametrize("target", ["", "SEARCH", "a/b/c", "search/", "x" * 25, 7])
async def test_a_target_that_is_none_is_refused(served: House, control: FakeControl, target: object):
    assert (await served.ask("POST", "exchanges/7/replay", {"target": target})).error == "bad_request"
    assert control.replayed == []


async def test_why_one_cannot_be_made_again_is_said(served: House, control: FakeControl):
    control.refusal = NotReplayable("The request held secrets.")
    said = await served.ask("POST", "exchanges/7/replay")
    assert (said.status, said.error) == (409, "not_replayable")
    assert said.json["error"]["message"] == "The request held secrets."


async def test_rows_come_if_asked_for_and_from_the_place_asked_for(served: House, control: FakeControl):
    async with reading(served, "?exchanges=1&exchanges_after=5") as stream:
        told = [decoded((await stream.of("exchange")).data, NumberedExchange) for _ in range(2)]
        # Whoever is cut off in between gets those of the same look again: each row is itself by its id.
        assert told == [NumberedExchange(5, row(6)), NumberedExchange(7, row(7))]
        control.see(row(8))
        assert decoded((await stream.of("exchange")).data, NumberedExchange) == NumberedExchange(8, row(8))
    async with reading(served) as stream:
        control.log()
        assert [(await stream.next()).event for _ in range(2)] == ["session", "snapshot"]
