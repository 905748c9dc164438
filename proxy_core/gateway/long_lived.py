"""Large lists left out of full garbage collections: one that walks them all holds every call meanwhile.

They live long, and go by themselves once nothing refers to them. Only what refers to itself in a circle needs
the collector, and lists, which come as JSON, never do.
"""

import gc
from typing import Final

STEP: Final = 2000
"""Items: their schemas are some ten thousand objects, which a collection walks in five to ten milliseconds."""


class LongLived:
    """Knows how much was left out. What else is in a circle just then stays for good, so it is done seldom."""

    def __init__(self) -> None:
        self._left_out = 0

    def holds(self, items: int) -> None:
        """The lists have so many items now."""
        if items < self._left_out + STEP:
            return
        self._left_out = items
        # The young ones, which costs little: hardly any circle is older than that.
        gc.collect(1)
        gc.freeze()
