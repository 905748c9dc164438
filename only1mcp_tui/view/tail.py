"""A list that grows at its end and is cut at its front, at the cost of what is added or cut alone."""

from collections.abc import Iterable, Sequence
from typing import TypeVar, overload

Item = TypeVar("Item")


class Tail(Sequence[Item]):
    """Read by index like a list; live, so that who shows it need not copy it."""

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._items = list(items)
        self._start = 0

    def __len__(self) -> int:
        return len(self._items) - self._start

    @overload
    def __getitem__(self, at: int) -> Item: ...
    @overload
    def __getitem__(self, at: slice) -> list[Item]: ...
    def __getitem__(self, at: int | slice) -> Item | list[Item]:
        if isinstance(at, slice):
            first, last, step = at.indices(len(self))
            return self._items[self._start + first : self._start + last : step]
        if not -len(self) <= at < len(self):
            raise IndexError(at)
        return self._items[at if at < 0 else self._start + at]

    def append(self, item: Item) -> None:
        self._items.append(item)

    def cut(self, number: int) -> None:
        """Let go of the first `number` items."""
        self._start += min(number, len(self))
        # The list itself is cut when half of it is gone: each item is then moved once at most, on average.
        if self._start * 2 > len(self._items):
            del self._items[: self._start]
            self._start = 0

    def put_before(self, items: Sequence[Item]) -> None:
        self._items[: self._start] = items
        self._start = 0
