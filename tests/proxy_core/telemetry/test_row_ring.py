"""Rows that another gateway told."""

from msgspec.structs import replace

from proxy_core.telemetry.exchanges import ExchangeStatus
from proxy_core.telemetry.row_ring import MAX_ROWS, RowRing
from tests.support.fake_control import exchange_row

ROW = exchange_row(1, status=ExchangeStatus.OPEN)


def ring_of(*ids: int, capacity: int = 5000) -> RowRing:
    ring = RowRing(capacity)
    for id in ids:
        ring.take(replace(ROW, id=id))
    return ring


def ids(ring: RowRing, seq: int = 0) -> list[int]:
    return [row.id for row in ring.after(seq)[1]]


def test_a_row_that_changed_is_there_once_and_last() -> None:
    ring = ring_of(1, 2)
    seq, _ = ring.after(0)
    ring.take(replace(ROW, id=1, status=ExchangeStatus.OK))
    assert ids(ring) == [2, 1]
    assert [row.status for row in ring.after(seq)[1]] == [ExchangeStatus.OK]


def test_the_one_that_changed_longest_ago_goes_first() -> None:
    assert ids(ring_of(1, 2, 3, 1, capacity=2)) == [3, 1]


def test_numbers_go_on_where_ids_begin_anew() -> None:
    ring = ring_of(1, 2)
    seq, _ = ring.after(0)
    ring.clear()
    ring.take(ROW)
    assert ids(ring, seq) == [1]


def test_a_look_is_bounded_and_the_next_brings_the_rest() -> None:
    ring = ring_of(*range(MAX_ROWS + 2))
    seq, rows = ring.after(0)
    assert len(rows) == MAX_ROWS
    assert len(ring.after(seq)[1]) == 2
