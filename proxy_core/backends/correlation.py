"""Which answer belongs to which request: our ids, our progress tokens, our deadlines. Pure; time is passed in.

Each connection has its own space of ids, never a client's, never reused (2026-07-28 basic, "Requests").
Progress must rise strictly, and ends with the answer (basic/utilities/progress).
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from proxy_core.backends.call import Call
from proxy_core.backends.upward import CallSink

Waiter = TypeVar("Waiter")


class Pending(Struct, Generic[Waiter], eq=False):
    """One request in flight. `waiter` is whoever waits for it; this module never looks inside."""

    id: int
    method: str
    waiter: Waiter
    call: Call | None
    """The client's call that this is; None for a request of our own."""
    idle_s: float
    idle_at: float
    """Monotonic seconds; moved on by progress. Means nothing while the backend waits for input."""
    cap_at: float
    cap_s: float = 0.0
    """How long it may take in all; for telling."""
    last_progress: float | None = None
    questions: int = 0
    """The backend's own requests on behalf of this one that wait for an answer."""
    held_at: float = 0.0
    """Since when it waits for input."""
    task: str | None = None
    """The backend's own id of the task that it has become."""
    asked_as: int | None = None
    """The id of the request that was answered with that task: progress still names it."""
    batch: int | None = None
    """The id of the JSON-RPC batch that it was sent in."""

    @property
    def sink(self) -> CallSink | None:
        return self.call.sink if self.call is not None else None

    @property
    def is_parked(self) -> bool:
        return self.call is not None and self.call.is_parked

    def has_idled(self, now: float) -> bool:
        return not self.questions and now >= self.idle_at

    def heard(self, now: float, pause_s: float) -> None:
        """The backend has told how its task fares, and is asked again after `pause_s`."""
        self.idle_at, self.held_at = now + pause_s + self.idle_s, now

    def hold(self, now: float) -> None:
        """The backend waits for input, so it is not its silence that counts."""
        if not self.questions:
            self.held_at = now
        self.questions += 1

    def release(self, now: float) -> None:
        """One question less; with the last one the idle clock goes on from where it stood."""
        self.questions -= 1
        if not self.questions:
            self.idle_at += now - self.held_at


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

    def mint(self) -> int:
        """An id that nothing else in this space has or will have."""
        request_id = self._next_id
        self._next_id += 1
        return request_id

    def open(
        self,
        method: str,
        waiter: Waiter,
        *,
        now: float,
        idle_s: float,
        cap_s: float,
        call: Call | None = None,
    ) -> Pending[Waiter]:
        request_id = self.mint()
        pending = Pending(request_id, method, waiter, call, idle_s, now + idle_s, now + cap_s, cap_s)
        self._pending[request_id] = pending
        return pending

    def add(self, pending: Pending[Waiter]) -> None:
        """One more in flight, whose id was minted here."""
        self._pending[pending.id] = pending

    def go_on(self, pending: Pending[Waiter], waiter: Waiter, task: str) -> Pending[Waiter]:
        """A request has been answered with a task: what is in flight in its place, until that has ended."""
        request_id = self.mint()
        goes_on = msgspec.structs.replace(
            pending, id=request_id, waiter=waiter, questions=0, task=task, asked_as=pending.id, batch=None
        )
        self._pending[request_id] = goes_on
        return goes_on

    def _in_place_of(self, asked_as: int) -> Pending[Waiter] | None:
        return next((p for p in self._pending.values() if p.asked_as == asked_as), None)

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
        asked_as = int(suffix) if suffix.isdecimal() and len(suffix) < 20 else 0
        pending = self._pending.get(asked_as) or self._in_place_of(asked_as)
        if pending is None or isinstance(progress, bool) or not isinstance(progress, int | float):
            return None
        if pending.last_progress is not None and progress <= pending.last_progress:
            return None
        pending.last_progress = progress
        pending.idle_at, pending.held_at = now + pending.idle_s, now
        return pending

    def expired(self, now: float) -> list[Pending[Waiter]]:
        return [p for p in self._pending.values() if p.has_idled(now) or now >= p.cap_at]

    def only_one_with_sink(self) -> Pending[Waiter] | None:
        """The call in flight that a client made, if there is exactly one: uncorrelated logs are its."""
        calls = [p for p in self._pending.values() if p.sink is not None]
        if len(calls) > 1:
            calls = without_parked(calls)
        # A call that has become a task may have a request for its result in flight beside it.
        is_one = bool(calls) and all(each.sink is calls[0].sink for each in calls)
        return calls[0] if is_one else None


def without_parked(calls: list[Pending[Waiter]]) -> list[Pending[Waiter]]:
    """Those that may have caused something now: a parked call has said what it wants, and waits for its client.

    Between principals that is not good enough: there, all of them may have.
    """
    principals = {each.call.principal for each in calls if each.call is not None}
    return calls if len(principals) > 1 else [each for each in calls if not each.is_parked]
