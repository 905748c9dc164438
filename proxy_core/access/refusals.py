"""What limits refuse, told: each refusal is counted, and a person hears of each limit once a minute at most."""

import logging
from collections.abc import Callable
from typing import Final

from proxy_core.clock import Clock
from proxy_core.facts import Fact, LimitReached

NEWS_S: Final = 60.0
MAX_TOLD: Final = 1000
"""Limits that are remembered to have been told of."""
MAX_NAME: Final = 128
log = logging.getLogger(__name__)


class Refusals:
    def __init__(self, clock: Clock, publish: Callable[[Fact], None]) -> None:
        self._clock = clock
        self._publish = publish
        self._told_at: dict[tuple[str, str, str], float] = {}

    def tell(self, limit: str, kind: str, name: str) -> None:
        """`limit`, `kind` and `name` as in `LimitReached`."""
        name = name[:MAX_NAME]
        now, key = self._clock.monotonic(), (limit, kind, name)
        last = self._told_at.get(key)
        is_news = last is None or now - last >= NEWS_S
        if is_news:
            if len(self._told_at) >= MAX_TOLD:
                self._told_at.clear()
            self._told_at[key] = now
            log.info("a limit of the %s %s is reached: %s", limit, name, kind)
        self._publish(LimitReached(now, limit, kind, name, is_news))
