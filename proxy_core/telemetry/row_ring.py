"""Rows of exchanges that another gateway told: each once, in the order of change, under numbers of our own.

Bounded: those that changed longest ago go first.
"""

from collections import OrderedDict
from typing import Final

from proxy_core.telemetry.exchanges import ExchangeRow

ROWS: Final = 5000
MAX_ROWS: Final = 500
"""Of one look, as in `recorder`."""


class RowRing:
    def __init__(self, capacity: int = ROWS) -> None:
        self._capacity = capacity
        self._rows: OrderedDict[int, tuple[int, ExchangeRow]] = OrderedDict()
        """By id: our number of its last change, and how it was then."""
        self._seq = 0

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, row: ExchangeRow) -> None:
        """It began or changed."""
        self._seq += 1
        self._rows[row.id] = self._seq, row
        self._rows.move_to_end(row.id)
        if len(self._rows) > self._capacity:
            self._rows.popitem(last=False)

    def clear(self) -> None:
        """What comes from now on has other ids; numbers go on."""
        self._rows.clear()

    def after(self, seq: int) -> tuple[int, tuple[ExchangeRow, ...]]:
        """As `Control.exchanges_after`."""
        newer: list[tuple[int, ExchangeRow]] = []
        for numbered in reversed(self._rows.values()):
            if numbered[0] <= seq:
                break
            newer.append(numbered)
        if not newer:
            return self._seq, ()
        newer.reverse()
        shown = newer[:MAX_ROWS]
        return shown[-1][0], tuple(row for _, row in shown)
