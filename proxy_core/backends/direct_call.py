"""A call without a task of its own: begun in one step, ended in another, by whoever brings the answer.

Only what is ordinary in every way goes like this: its server is connected, free and modern. What fails is told
as it failed, and goes on as any other call would from there (`Call.met`).
"""

from typing import Protocol

from msgspec import Raw

from proxy_core.backends.breaker import Permit
from proxy_core.backends.call import Answer, Call
from proxy_core.backends.connection import Connection, Waiter
from proxy_core.backends.correlation import Pending
from proxy_core.errors import BackendError, BackendFault


class Ended(Protocol):
    """Whoever began the call. Called once, and not after `cancel`; must not raise."""

    def answered(self, answer: Answer) -> None: ...

    def failed(self, failure: BackendError | BackendFault) -> None: ...


class Places(Protocol):
    """What a call in flight counts towards, and no longer does once it is over."""

    def call_over(self, failure: BackendError | BackendFault | None, permit: Permit | None) -> None: ...


class DirectCall:
    """One call in flight. Its connection's `Waiter`."""

    __slots__ = ("_connection", "_ended", "_is_over", "_pending", "_permit", "_places", "_replica")

    def __init__(
        self, replica: str, connection: Connection, permit: Permit, places: Places, ended: Ended
    ) -> None:
        self._replica = replica
        self._connection = connection
        self._permit = permit
        self._places = places
        self._ended = ended
        self._is_over = False
        self._pending: Pending[Waiter] | None = None

    def begin(self, call: Call) -> bool:
        """Whether it could be sent at once; if not, nothing was done."""
        self._pending = self._connection.begin(call, self)
        return self._pending is not None

    def cancel(self) -> None:
        """Nobody waits any more: the server is told, nobody here is. Safe at any time."""
        if not self._is_over:
            self._over(None, None)

    def _over(self, failure: BackendError | BackendFault | None, permit: Permit | None) -> None:
        self._is_over = True
        pending, self._pending = self._pending, None
        assert pending is not None
        self._connection.ended(pending)
        self._places.call_over(failure, permit)

    # --- what its connection tells (Waiter) -------------------------------------------------------------------

    def done(self) -> bool:
        return self._is_over

    def cancelled(self) -> bool:
        return False

    def exception(self) -> None:
        """There is nobody to read it."""

    def set_result(self, result: Raw, /) -> None:
        peer = self._connection.peer
        self._over(None, self._permit)
        self._ended.answered(Answer(result, peer.era, peer.revision, self._replica))

    def set_exception(self, failure: BackendError | BackendFault, /) -> None:
        self._over(failure, self._permit)
        self._ended.failed(failure)
