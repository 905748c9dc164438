"""Requests that were not let in: equal ones of a second are one line, and so are all that are too many to tell.

Lives on the loop. Whoever knocks as often as he likes makes a few hundred lines a second at most.
"""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

from proxy_core.access.audit.lines import Line, Refused
from proxy_core.access.audit.words import name, word
from proxy_core.clock import Clock

WINDOW_S: Final = 1.0
MAX_DIFFERENT: Final = 64
"""Told one by one of a window; the others are one line."""
ADMISSION: Final = frozenset({400, 401, 403, 413, 421, 429, 431, 503})
"""HTTP statuses that say who may come in, or how much; others are a matter of form."""


class Refusal(NamedTuple):
    where: str
    """mcp, admin or pages"""
    code: int
    """HTTP status, or JSON-RPC code."""
    why: str
    """Words of ours."""
    principal: str = ""
    peer: str = ""
    path: str = ""


_OTHERS: Final = Refusal("", 0, "others, of more kinds than are told one by one")


class Refusals:
    def __init__(self, clock: Clock, add: Callable[[Line, float], None]) -> None:
        """`add` takes a line and its instant."""
        self._clock = clock
        self._add = add
        self._counts: dict[Refusal, int] = {}
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, refusal: Refusal) -> None:
        if not self._counts:
            self._since = self._clock.monotonic()
            self._timer = asyncio.get_running_loop().call_later(WINDOW_S, self.flush)
        # What was sent may be long, and is not worth to be held.
        refusal = refusal._replace(path=word(refusal.path), why=word(refusal.why))
        if refusal not in self._counts and len(self._counts) >= MAX_DIFFERENT:
            refusal = _OTHERS
        self._counts[refusal] = self._counts.get(refusal, 0) + 1

    def flush(self) -> None:
        """Tell those of the window, and begin another. Safe to call at any time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        counts, self._counts = self._counts, {}
        for refusal, count in counts.items():
            where, code, why, principal, peer, path = refusal
            line = Refused(
                where=where, code=code, why=why, principal=name(principal), peer=peer, path=path, count=count
            )
            self._add(line, self._since)
