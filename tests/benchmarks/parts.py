"""What one run measures, each of it once, though several sections may show it."""

import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from tests.benchmarks.bridges import beside_bridges
from tests.benchmarks.equal_ids import equal_ids
from tests.benchmarks.footprint import cold_start, memory
from tests.benchmarks.forwarding import JUDGED, NAMES, forwarding
from tests.benchmarks.goals import Part
from tests.benchmarks.listing import listing
from tests.benchmarks.micro import micro
from tests.benchmarks.pace import PACES, SHORT, pace
from tests.benchmarks.results import Section
from tests.benchmarks.screen import screen
from tests.benchmarks.sizes import sizes
from tests.benchmarks.streams import streams

_SHORT: Final = (6, 0.1)
"""Rounds, and seconds of each way in each, for a short look: enough to see that it works."""
_STEADY: Final = (9, 0.2)
"""The same at what the CI judges."""
_MEASURES: Final[Mapping[str, Callable[[bool], Awaitable[Part]]]] = {
    "forwarding": lambda is_quick: forwarding(*((*_STEADY, JUDGED) if is_quick else (12, 0.5, NAMES))),
    "bridges": lambda is_quick: beside_bridges(*(_SHORT if is_quick else (9, 0.5))),
    "pace": lambda is_quick: pace(SHORT if is_quick else PACES),
    "listing": lambda is_quick: listing(*(_STEADY if is_quick else (12, 0.5))),
    "sizes": lambda is_quick: sizes(*(_SHORT if is_quick else (6, 0.25))),
    "ids": lambda is_quick: equal_ids(),
    "streams": lambda is_quick: streams(*(_SHORT if is_quick else (6, 0.25))),
    "memory": lambda is_quick: memory(),
    "start": lambda is_quick: cold_start(6 if is_quick else 9),
    "screen": lambda is_quick: screen(is_quick),
    "micro": lambda is_quick: micro(),
}


class Parts:
    def __init__(self, is_quick: bool) -> None:
        self.is_quick = is_quick
        self._found: dict[str, Part] = {}

    async def of(self, name: str) -> Part:
        """Measured by whoever asks first."""
        if name not in self._found:
            begun = time.perf_counter()
            self._found[name] = await _MEASURES[name](self.is_quick)
            print(f"measured: {name}, {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
        return self._found[name]

    def forget(self) -> None:
        """Whatever is asked for is measured again."""
        self._found.clear()

    async def section(self, name: str) -> Section:
        """One that shows a part as it is."""
        part = await self.of(name)
        return Section([*part.table], part.figures)
