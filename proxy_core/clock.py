"""Time, injected, so that tests decide when it passes.

Monotonic seconds drive every deadline; wall time is for people only.
"""

import time
from typing import Protocol


class Clock(Protocol):
    def monotonic(self) -> float:
        """Seconds on a clock that never goes back; only differences mean anything."""
        ...

    def wall(self) -> float:
        """Seconds since the epoch, for showing to people and for log lines."""
        ...


class SystemClock:
    """The machine's own clocks."""

    # On the way of every call, several times: without a call of our own around it.
    monotonic = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
