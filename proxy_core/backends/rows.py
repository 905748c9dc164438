"""The rows of one picture after the other; where there are many, some of them are made ahead of it."""

from collections.abc import Callable, Iterable
from typing import Final

from proxy_core.backends.backend import Backend
from proxy_core.telemetry.metrics import Metrics
from proxy_core.telemetry.snapshot import ServerRow

SLICE: Final = 20
"""Rows that are made at once: some half a millisecond, in which no call is carried."""
GOOD_S: Final = 0.2
"""How old a row may be that was made ahead."""


class Rows:
    """Makes rows, and holds the last one of each server.

    A row that says what the one before it said is that same object: whoever looks at it sees at once that
    nothing changed.
    """

    def __init__(self, metrics: Metrics, make: Callable[[Backend, float], ServerRow]) -> None:
        self._metrics = metrics
        self._make = make
        self._last: dict[str, ServerRow] = {}
        self._ahead: dict[Backend, ServerRow] = {}
        """Of the next picture, as far as they are made."""
        self._ahead_of: object = None
        self._ahead_at = 0.0
        """When the first of them was made."""

    def make_ahead(self, backends: Iterable[Backend], now: float, sign: object) -> bool:
        """Make a slice of the next picture's rows; False: the rest is little enough to be made with it.

        With another `sign`, those that were made so far may be wrong.
        """
        if not self._is_for(now, sign):
            self._ahead, self._ahead_of, self._ahead_at = {}, sign, now
        rest = [backend for backend in backends if backend not in self._ahead]
        if len(rest) <= SLICE:
            return False
        for backend in rest[:SLICE]:
            self._ahead[backend] = self._made(backend, now)
        return True

    def rows(self, backends: Iterable[Backend], now: float, sign: object) -> tuple[ServerRow, ...]:
        """As of now: of those made ahead, the ones of whose server nothing was heard since."""
        ahead = self._ahead if self._is_for(now, sign) else {}
        found = []
        for backend in backends:
            row = ahead.get(backend)
            if row is None or not self._still_says(row, backend):
                row = self._made(backend, now)
            found.append(row)
        self._last, self._ahead = {row.id: row for row in found}, {}
        return tuple(found)

    def _is_for(self, now: float, sign: object) -> bool:
        return sign == self._ahead_of and 0 <= now - self._ahead_at < GOOD_S

    def _made(self, backend: Backend, now: float) -> ServerRow:
        row, before = self._make(backend, now), self._last.get(backend.id)
        return before if before is not None and before == row else row

    def _still_says(self, row: ServerRow, backend: Backend) -> bool:
        return row.in_flight == backend.in_flight and row.calls == self._metrics.of(backend.id).calls
