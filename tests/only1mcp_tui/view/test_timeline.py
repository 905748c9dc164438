"""Where the time of an exchange went."""

import pytest
from msgspec.structs import replace

from only1mcp_tui.view.text import cells, plain
from only1mcp_tui.view.timeline import Holder, events_of, shares_of, timeline_lines
from proxy_core.telemetry.exchanges import ExchangeDetail, Step
from tests.support.exchanges import hostile_detail, plain_detail, translated_detail
from tests.support.fake_control import exchange_row


def test_each_part_goes_to_who_had_it() -> None:
    shares = {holder: round(ms, 1) for holder, ms in shares_of(events_of(translated_detail())).items()}
    assert shares == {Holder.GATEWAY: 24.3, Holder.QUEUE: 1.6, Holder.SERVER: 177.7, Holder.CLIENT: 209.0}
    assert sum(shares.values()) == pytest.approx(412.6)


def test_the_time_of_an_operator_is_neither_the_gateways_nor_the_servers() -> None:
    detail = plain_detail(exchange_row(1, duration_ms=100.0))
    asked = Step(20.0, "operator asked", "form"), Step(80.0, "operator answered", "accept")
    without = shares_of(events_of(detail))
    shares = shares_of(events_of(replace(detail, steps=(*detail.steps, *asked))))
    assert shares[Holder.OPERATOR] == pytest.approx(60.0, abs=20)
    assert sum(shares.values()) == pytest.approx(sum(without.values()))


def test_an_answer_from_the_cache_costs_no_server_time() -> None:
    row = exchange_row(1, server="", replica="", duration_ms=0.6)
    assert set(shares_of(events_of(plain_detail(row)))) == {Holder.GATEWAY}


@pytest.mark.parametrize("width", [40, 60, 79, 119, 199])
@pytest.mark.parametrize("detail", [translated_detail(), hostile_detail()], ids=["translated", "hostile"])
def test_no_line_is_wider_than_the_screen(detail: ExchangeDetail, width: int) -> None:
    for line in timeline_lines(detail, width):
        assert cells(line) <= width, plain(line)


def test_nothing_recorded_is_said() -> None:
    lines = [plain(line) for line in timeline_lines(ExchangeDetail(exchange_row(1, duration_ms=None)), 80)]
    assert lines == ["  Nothing was recorded of how it went."]
