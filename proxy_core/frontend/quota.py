"""How many of one thing each principal holds at once. Pure."""

from collections.abc import Callable, Mapping

from proxy_core.errors import Overloaded


def _untold(principal: str) -> None:
    """For whoever counts no refusals."""


class Quota:
    """Sole owner of its counts. A limit of 0 is none; a principal in `exempt` is counted and never refused."""

    def __init__(
        self,
        what: str,
        limit: int,
        exempt: frozenset[str] = frozenset(),
        *,
        own: Mapping[str, int] | None = None,
        refused: Callable[[str], None] = _untold,
    ) -> None:
        """`own`: limits of single principals in place of `limit`. `refused` is told who was."""
        self._what = what
        self.limit = limit
        self.own: Mapping[str, int] = own or {}
        self._exempt = exempt
        self._refused = refused
        self._held: dict[str, int] = {}
        self.total = 0

    def is_full(self, principal: str) -> bool:
        """Whether one more would be refused."""
        limit = self._limit_of(principal)
        return bool(limit) and principal not in self._exempt and self._held.get(principal, 0) >= limit

    def enter(self, principal: str) -> None:
        """Raises: Overloaded."""
        held = self._held.get(principal, 0)
        if (held >= self.limit or self.own) and self.is_full(principal):
            self._refused(principal)
            raise Overloaded(f"Too many {self._what} at once; the limit is {self._limit_of(principal)}.")
        self._held[principal] = held + 1
        self.total += 1

    def leave(self, principal: str) -> None:
        held = self._held[principal] - 1
        self.total -= 1
        if held:
            self._held[principal] = held
        else:
            del self._held[principal]

    def _limit_of(self, principal: str) -> int:
        return self.own.get(principal, self.limit) if self.own else self.limit
