"""The kept exchanges: always sorted, filtered and bounded, whatever comes in whatever order."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from only1mcp_tui.view.exchange_list import ExchangeList
from only1mcp_tui.view.exchanges import COLUMNS, fields_of, numbers_of, parse_exchange_filter
from proxy_core.telemetry.exchanges import ExchangeRow, ExchangeStatus
from tests.support.exchanges import many_rows
from tests.support.fake_control import exchange_row

BY = {column.key: column.order for column in COLUMNS}


def ids(exchanges: ExchangeList) -> list[int]:
    return [row.id for row in exchanges]


def test_an_open_one_ends_in_its_place() -> None:
    exchanges = ExchangeList()
    opened = exchange_row(2, status=ExchangeStatus.OPEN, duration_ms=None)
    assert exchanges.take([exchange_row(1), opened, exchange_row(3)]) == 3
    assert exchanges.take([replace(opened, status=ExchangeStatus.OK, duration_ms=4.0)]) == 0
    assert ids(exchanges) == [1, 2, 3]
    assert exchanges.at(1).status is ExchangeStatus.OK


def test_one_that_comes_to_pass_the_filter_stands_where_it_belongs() -> None:
    exchanges = ExchangeList()
    exchanges.use_filter(parse_exchange_filter("status:error"))
    failed = {"status": ExchangeStatus.ERROR, "code": -1}
    exchanges.take([exchange_row(1, **failed), exchange_row(2), exchange_row(3, **failed)])
    assert ids(exchanges) == [1, 3]
    assert exchanges.take([exchange_row(2, **failed)]) == 0
    assert ids(exchanges) == [1, 2, 3]
    exchanges.take([exchange_row(1)])
    assert ids(exchanges) == [2, 3]
    assert exchanges.total == 3


def test_those_that_changed_first_are_still_in_order_of_their_beginning() -> None:
    exchanges = ExchangeList()
    exchanges.take([exchange_row(6), exchange_row(5)])
    assert ids(exchanges) == [5, 6]


def test_the_oldest_make_room_and_do_not_come_back() -> None:
    exchanges = ExchangeList(most=3)
    exchanges.take(many_rows(5))
    assert ids(exchanges) == [3, 4, 5]
    exchanges.take([exchange_row(1)])
    assert ids(exchanges) == [3, 4, 5]


def test_a_mark_is_found_by_the_filter_and_goes_with_its_row() -> None:
    exchanges = ExchangeList(most=3)
    exchanges.take(many_rows(3))
    exchanges.use_filter(parse_exchange_filter("is:marked"))
    assert ids(exchanges) == []
    exchanges.mark(1)
    assert ids(exchanges) == [1]
    assert [row.id for row in exchanges.marked] == [1]
    exchanges.take(many_rows(1, first=4))
    assert exchanges.marked == ()
    exchanges.mark(1)
    assert exchanges.marked == ()


rows = st.builds(
    lambda id, ms, target: exchange_row(id, target=target, duration_ms=ms),
    st.integers(1, 30),
    st.none() | st.floats(0, 500),
    st.sampled_from(["a__x", "b__y", "c__z"]),
)


@given(
    st.lists(st.lists(rows, max_size=6), max_size=8),
    st.sampled_from(["", "a__", "ms:>100", "!b__"]),
    st.sampled_from([None, "ms", "target", "status"]),
    st.booleans(),
    st.integers(0, 8),
)
def test_it_is_what_filtering_and_sorting_everything_would_give(
    batches: list[list[ExchangeRow]], expression: str, column: str | None, is_descending: bool, turn: int
) -> None:
    exchanges = ExchangeList(most=10)
    chosen = parse_exchange_filter(expression)
    for number, batch in enumerate(batches):
        if number == turn:
            exchanges.use_filter(chosen)
            exchanges.use_order(None if column is None else BY[column], is_descending)
        exchanges.take(batch)
    exchanges.use_filter(chosen)
    exchanges.use_order(None if column is None else BY[column], is_descending)
    kept = [exchanges.get(id) for id in range(31)]
    passing = [r for r in kept if r is not None and chosen.matches(fields_of(r, False), numbers_of(r))]
    key = (lambda r: (0, r.id)) if column is None else (lambda r: (BY[column](r), r.id))
    assert list(exchanges) == sorted(passing, key=key, reverse=is_descending)
    assert exchanges.total <= 10
    assert [exchanges.index_of(row.id) for row in exchanges] == list(range(len(exchanges)))
