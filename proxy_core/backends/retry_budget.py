"""How many repeats the calls of the last while have paid for: a token bucket that calls fill. Pure.

Repeats that are a fixed part of the calls add no storm to a server that fails everything. Knows no time: a
server that nobody calls needs no repeats.
"""

from collections.abc import Callable
from typing import Final

RESERVE: Final = 10.0
"""Repeats that are there from the start, so that a server with few calls has some."""
MOST: Final = 100.0
"""Saved up at most: of a long good time no more than this is left for a bad one."""


class RetryBudget:
    def __init__(self, ratio: Callable[[], float]) -> None:
        """`ratio`: repeats for each call, as the configuration in force says; 0 for none at all."""
        self._ratio = ratio
        self._calls = 0
        """First tries that were not yet counted up; every call passes here, so it costs one addition."""
        self._saved = RESERVE

    def called(self) -> None:
        """A first try begins."""
        self._calls += 1

    def take(self) -> bool:
        """Whether one repeat is paid for; if so, it is spent."""
        ratio = self._ratio()
        self._saved = min(MOST, self._saved + self._calls * ratio)
        self._calls = 0
        if ratio <= 0 or self._saved < 1:
            return False
        self._saved -= 1
        return True
