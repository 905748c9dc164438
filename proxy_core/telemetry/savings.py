"""What did not have to be asked: answers given again, and requests that became one. Part of the picture."""

from msgspec import Struct


class CacheRow(Struct, frozen=True):
    """Kept answers to one method of one server; of its lists too, which are kept as well."""

    method: str
    server: str
    hits: int = 0
    misses: int = 0
    stale_hits: int = 0
    """Answers past their time, given because the server was down; no hits."""
    entries: int = 0
    bytes: int = 0
    mean_age_s: float = 0.0
    """Of an answer when it was given again."""
    max_age_s: float = 0.0
    evictions: tuple[tuple[str, int], ...] = ()
    """By cause: expired, entries, bytes, list_changed, updated, drain, lost, reload, cleared."""


class JoinRow(Struct, frozen=True):
    """Requests of one method to one server that no kept answer served, and that may be made together."""

    method: str
    server: str
    asked: int = 0
    made: int = 0
    """Calls of the server."""
    saved: int = 0
    """Requests that another's call answered; the others' clients gave up."""
    windows: int = 0
    windows_full: int = 0
    """Ended before their time, because as many waited as may."""
    window_wait_s: float = 0.0
    """How long they were open, all together."""


class WireRow(Struct, frozen=True):
    """JSON-RPC batches sent to one server, which 2025-03-26 alone has."""

    server: str
    batches: int = 0
    requests: int = 0
    """In those batches."""


class Savings(Struct, frozen=True):
    """The whole gateway."""

    caches: tuple[CacheRow, ...] = ()
    joins: tuple[JoinRow, ...] = ()
    wires: tuple[WireRow, ...] = ()
    """Of servers that were sent any."""

    @property
    def hits(self) -> int:
        return sum(row.hits for row in self.caches)

    @property
    def misses(self) -> int:
        return sum(row.misses for row in self.caches)

    @property
    def hit_share(self) -> float | None:
        """Of all that was looked up, the kept answers that were given; None if nothing was."""
        return _share(self.hits, self.hits + self.misses)

    @property
    def saved_share(self) -> float | None:
        """Of all requests that may be made together; None if there were none."""
        return _share(sum(row.saved for row in self.joins), sum(row.asked for row in self.joins))

    @property
    def served_share(self) -> float | None:
        """Of all answers that clients needed of servers: those given without a call of their own."""
        joined = sum(row.saved for row in self.joins)
        return _share(self.hits + joined, self.hits + sum(row.asked for row in self.joins))

    @property
    def entries(self) -> int:
        return sum(row.entries for row in self.caches)

    @property
    def bytes(self) -> int:
        return sum(row.bytes for row in self.caches)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
