"""The one sideways road: facts go in, telemetry and the screens read them. Nothing flows back.

Bounded: the oldest facts are dropped, a reader sees how many it missed. Folding consumers are called at once,
so numbers are never lost with the ring.
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Feed(Generic[Item]):
    """A ring of the last `capacity` items, each with a sequence number that only grows."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        # Most servers never write a line, and a ring without any takes 700 bytes.
        self._ring: deque[Item] | None = None
        self._consumers: list[Callable[[Item], None]] = []
        self.last_seq = 0
        """The sequence number of the newest item; 0 before the first."""

    def consume(self, consumer: Callable[[Item], None]) -> None:
        """Call `consumer` with every item published from now on. It must be quick and must not raise."""
        self._consumers.append(consumer)

    def publish(self, item: Item) -> None:
        self.last_seq += 1
        if self._ring is None:
            self._ring = deque(maxlen=self._capacity)
        self._ring.append(item)
        for consumer in self._consumers:
            consumer(item)

    def after(self, seq: int) -> Iterator[tuple[int, Item]]:
        """Items newer than `seq`, oldest first, with their numbers. What the ring dropped is simply absent."""
        # From the new end: readers look many times a second, and a long ring is mostly old to them.
        newest = list(islice(reversed(self._ring or ()), max(0, self.last_seq - seq)))
        newest.reverse()
        return enumerate(newest, start=self.last_seq - len(newest) + 1)
