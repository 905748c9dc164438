"""How often further scopes were got for a server that missed them, so that it does not go on for ever. Pure.

Spec: 2026-07-28 basic/authorization, "Scope Challenge Handling": clients limit their tries.
"""

from typing import Final

MOST: Final = 2
"""Logins for the same further scopes; whoever still refuses then will not stop."""
WINDOW_S: Final = 600.0
MAX_REMEMBERED: Final = 16


class StepUps:
    def __init__(self) -> None:
        self._steps: dict[frozenset[str], tuple[int, float]] = {}
        """Scopes -> how often they were got, and when first, in monotonic seconds. The oldest first."""

    def was_in_vain(self, scopes: frozenset[str], now: float) -> bool:
        """Whether these were got often enough already."""
        times, first_at = self._steps.get(scopes, (0, now))
        return times >= MOST and now - first_at < WINDOW_S

    def stepped(self, scopes: frozenset[str], now: float) -> None:
        """They were got once more."""
        times, first_at = self._steps.pop(scopes, (0, now))
        self._steps[scopes] = (times + 1, first_at) if now - first_at < WINDOW_S else (1, now)
        while len(self._steps) > MAX_REMEMBERED:
            del self._steps[next(iter(self._steps))]

    def clear(self) -> None:
        self._steps.clear()
