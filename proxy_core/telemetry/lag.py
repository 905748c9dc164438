"""How late the event loop runs: the longest uninterrupted callback is what every client feels."""

import asyncio
import math
from collections import deque
from typing import Final

from proxy_core.clock import Clock

EVERY_S: Final = 0.1
KEPT: Final = 300
"""Samples; half a minute of them."""


class LoopLag:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._late_ms: deque[float] = deque(maxlen=KEPT)

    async def watch(self) -> None:
        """Sample until cancelled."""
        while True:
            due_at = self._clock.monotonic() + EVERY_S
            await asyncio.sleep(EVERY_S)
            self._late_ms.append(max(0.0, (self._clock.monotonic() - due_at) * 1000))

    @property
    def p99_ms(self) -> float:
        """0 before the first sample."""
        if not self._late_ms:
            return 0.0
        return sorted(self._late_ms)[math.ceil(len(self._late_ms) * 0.99) - 1]
