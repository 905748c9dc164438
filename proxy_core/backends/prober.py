"""When a replica is probed: again and again, a little jittered, as long as it is switched on.

Knows nothing of what a probe asks or says. Waits in real time, since it only decides when to look; what is seen
is judged by the injected clock.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

from proxy_core.config.models import HealthConfig
from proxy_core.signals import Signal
from proxy_core.tasks import Tasks

JITTER: Final = 0.2
"""At most this share of the interval is left off, so that many replicas are not probed all at once."""


class Prober:
    def __init__(self, rules: Callable[[], HealthConfig], probe: Callable[[], Awaitable[None]]) -> None:
        """`rules`: as the configuration in force says. `probe` must not raise."""
        self._rules = rules
        self._probe = probe
        self._tasks = Tasks("prober")
        self._changed = Signal()
        self._interval_s = 0.0
        """That the wait for the next probe was made of."""

    def start(self) -> None:
        """Safe to call twice."""
        if not len(self._tasks):
            self._tasks.start(self._run(), "run")

    def rules_changed(self) -> None:
        """If the interval is another, the wait for the next probe begins anew."""
        if self._rules().probe_interval != self._interval_s:
            self._changed.set()

    async def stop(self) -> None:
        await self._tasks.aclose()

    async def _run(self) -> None:
        while True:
            if await self._is_due():
                await self._probe()

    async def _is_due(self) -> bool:
        """Whether the whole wait has passed; False if the rules changed meanwhile."""
        self._changed.clear()
        self._interval_s = self._rules().probe_interval
        wait_s = self._interval_s * (1 - random.uniform(0, JITTER))
        try:
            async with asyncio.timeout(wait_s):
                await self._changed.wait()
        except TimeoutError:
            return True
        return False
