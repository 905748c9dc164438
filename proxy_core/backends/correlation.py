"""Which answer belongs to which request: our ids, our progress tokens, our deadlines. Pure; time is passed in.

Each connection has its own space of ids, never a client's, never reused (2026-07-28 basic, "Requests").
Progress must rise strictly, and ends with the answer (basic/utilities/progress).
"""

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from msgspec import Struct

Waiter = TypeVar("Waiter")


class Pending(Struct, Generic[Waiter], eq=False):
    """One request in flight. `waiter` is whoever waits for it; this module never looks inside."""

    id: int
    method: str
    waiter: Waiter
    sink: Any
    idle_s: float
    idle_at: float
    """Monotonic seconds; moved on by progress."""
    cap_at: float
    last_progress: float | None = None


class Correlation(Generic[Waiter]):
    def __init__(self, token_prefix: str) -> None:
        """`token_prefix` must be unguessable and unique to the connection."""
        self._prefix = token_prefix
        self._next_id = 1
        self._pending: dict[int, Pending[Waiter]] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def __iter__(self) -> Iterator[Pending[Waiter]]:
        return iter(list(self._pending.values()))

    def open(
        self, method: str, waiter: Waiter, *, now: float, idle_s: float, cap_s: float, sink: Any = None
    ) -> Pending[Waiter]:
        request_id = self._next_id
        self._next_id += 1
        pending = Pending(request_id, method, waiter, sink, idle_s, now + idle_s, now + cap_s)
        self._pending[request_id] = pending
        return pending

    def token(self, pending: Pending[Waiter]) -> bytes:
        """The progress token that we send with this request, as JSON."""
        return f'"{self._prefix}{pending.id}"'.encode()

    def get(self, request_id: object) -> Pending[Waiter] | None:
        # `1.0 == 1 == True` as dict keys; only an integer can be ours.
        return self._pending.get(request_id) if type(request_id) is int else None

    def close(self, request_id: object) -> Pending[Waiter] | None:
        """Forget the request: answered, failed or given up. None if it is not in flight."""
        return self._pending.pop(request_id, None) if type(request_id) is int else None

    def progressed(self, token: object, progress: object, now: float) -> Pending[Waiter] | None:
        """The request this progress belongs to; None if it is unknown or the value did not rise."""
        if not isinstance(token, str) or not token.startswith(self._prefix):
            return None
        suffix = token[len(self._prefix) :]
        pending = self._pending.get(int(suffix)) if suffix.isdecimal() and len(suffix) < 20 else None
        if pending is None or isinstance(progress, bool) or not isinstance(progress, int | float):
            return None
        if pending.last_progress is not None and progress <= pending.last_progress:
            return None
        pending.last_progress = progress
        pending.idle_at = now + pending.idle_s
        return pending

    def expired(self, now: float) -> list[Pending[Waiter]]:
        return [p for p in self._pending.values() if now >= p.idle_at or now >= p.cap_at]

    def only_one_with_sink(self) -> Pending[Waiter] | None:
        """The call in flight that a client made, if there is exactly one: uncorrelated logs are its."""
        calls = [p for p in self._pending.values() if p.sink is not None]
        return calls[0] if len(calls) == 1 else None
