"""How many of one thing each principal holds at once. Pure."""

from proxy_core.errors import Overloaded


class Quota:
    """Sole owner of its counts. `limit` 0 means none; a principal in `exempt` is counted and never refused."""

    def __init__(self, what: str, limit: int, exempt: frozenset[str] = frozenset()) -> None:
        self._what = what
        self.limit = limit
        self._exempt = exempt
        self._held: dict[str, int] = {}
        self.total = 0

    def is_full(self, principal: str) -> bool:
        """Whether one more would be refused."""
        return bool(self.limit) and principal not in self._exempt and self._held.get(principal, 0) >= self.limit

    def enter(self, principal: str) -> None:
        """Raises: Overloaded."""
        held = self._held.get(principal, 0)
        if held >= self.limit and self.is_full(principal):
            raise Overloaded(f"Too many {self._what} at once; the limit is {self.limit}.")
        self._held[principal] = held + 1
        self.total += 1

    def leave(self, principal: str) -> None:
        held = self._held[principal] - 1
        self.total -= 1
        if held:
            self._held[principal] = held
        else:
            del self._held[principal]
