"""The exchanges that the screen keeps: filtered, sorted, marked. What a frame costs depends on its news alone.

Every row that passes has a place in one sorted list of (what it is sorted by, its number), so a row that
begins, changes or leaves moves itself and no other. Only another filter or order looks at all of them, once.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from only1mcp_tui.view.exchanges import fields_of, numbers_of
from only1mcp_tui.view.filters import Filter
from proxy_core.telemetry.exchanges import ExchangeRow

ROWS_KEPT: Final = 5000
Key: TypeAlias = str | float
Place: TypeAlias = tuple[Key, int]


@dataclass(slots=True)
class _Kept:
    row: ExchangeRow
    fields: dict[str, str]
    numbers: dict[str, float | None]
    place: Place | None = None
    """None: the filter leaves it out."""


class ExchangeList:
    """At most `most` exchanges, the newest ones."""

    def __init__(self, most: int = ROWS_KEPT) -> None:
        self.most = most
        self._kept: dict[int, _Kept] = {}
        """By number, in its order."""
        self._places: list[Place] = []
        self._filter = Filter()
        self._key_of: Callable[[ExchangeRow], Key] | None = None
        self._is_descending = False
        self._marked: set[int] = set()

    # --- what is asked --------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Of those that pass the filter."""
        return len(self._places)

    def __iter__(self) -> Iterator[ExchangeRow]:
        """Those that pass the filter, in the order shown."""
        return (self.at(index) for index in range(len(self._places)))

    def __contains__(self, id: object) -> bool:
        """Whether it is kept, whatever the filter says."""
        return id in self._kept

    @property
    def total(self) -> int:
        return len(self._kept)

    @property
    def marked(self) -> tuple[ExchangeRow, ...]:
        """The marked ones, whether they pass or not."""
        return tuple(self._kept[id].row for id in sorted(self._marked))

    def at(self, index: int) -> ExchangeRow:
        return self._kept[self._places[len(self._places) - 1 - index if self._is_descending else index][1]].row

    def get(self, id: int) -> ExchangeRow | None:
        kept = self._kept.get(id)
        return None if kept is None else kept.row

    def is_marked(self, id: int) -> bool:
        return id in self._marked

    def index_of(self, id: int) -> int | None:
        """Where it is shown; None if it is not."""
        kept = self._kept.get(id)
        if kept is None or kept.place is None:
            return None
        index = bisect_left(self._places, kept.place)
        return len(self._places) - 1 - index if self._is_descending else index

    # --- what changes ---------------------------------------------------------------------------------------

    def take(self, news: Iterable[ExchangeRow]) -> int:
        """Rows that began or changed; how many of them are new and pass."""
        added = 0
        # One that began later may have changed first; by number they stay in order.
        for row in sorted(news, key=lambda row: row.id):
            is_new = row.id not in self._kept
            if is_new and self._is_too_old(row.id):
                continue
            self._put(row)
            added += is_new and self._kept[row.id].place is not None
        while len(self._kept) > self.most:
            self._drop(next(iter(self._kept)))
        return added

    def use_filter(self, chosen: Filter) -> None:
        self._filter = chosen
        self._place_all()

    def use_order(self, key_of: Callable[[ExchangeRow], Key] | None, is_descending: bool) -> None:
        """`key_of` None: by number."""
        is_other = key_of is not self._key_of
        self._key_of, self._is_descending = key_of, is_descending
        if is_other:
            self._place_all()

    def mark(self, id: int) -> None:
        """Mark it, or take its mark away."""
        if (kept := self._kept.get(id)) is not None:
            self._marked ^= {id}
            self._put(kept.row)

    def _is_too_old(self, id: int) -> bool:
        return len(self._kept) >= self.most and id < next(iter(self._kept))

    def _put(self, row: ExchangeRow) -> None:
        kept = _Kept(row, fields_of(row, row.id in self._marked), numbers_of(row))
        if (before := self._kept.get(row.id)) is not None and before.place is not None:
            del self._places[bisect_left(self._places, before.place)]
        self._kept[row.id] = kept
        if (place := self._place_of(kept)) is not None:
            insort(self._places, place)

    def _place_of(self, kept: _Kept) -> Place | None:
        if not self._filter.matches(kept.fields, kept.numbers):
            kept.place = None
        else:
            kept.place = (0.0 if self._key_of is None else self._key_of(kept.row), kept.row.id)
        return kept.place

    def _place_all(self) -> None:
        places = (self._place_of(kept) for kept in self._kept.values())
        self._places = sorted(place for place in places if place is not None)

    def _drop(self, id: int) -> None:
        kept = self._kept.pop(id)
        self._marked.discard(id)
        if kept.place is not None:
            del self._places[bisect_left(self._places, kept.place)]
