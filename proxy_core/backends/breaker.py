"""Whether a server that keeps failing is asked at all: closed, open, half open, as a table. Pure.

Closed, everything passes and failures in a row are counted; open, nothing passes for a while; half open, a few
requests pass as trials. Knows no connections and no clocks but the one it is given: whoever asks the server
does so inside `with` a permit, which sees what comes of it.
"""

from collections.abc import Callable
from enum import Enum, auto
from types import TracebackType
from typing import Final

from proxy_core.config.models import CircuitBreakerConfig
from proxy_core.errors import BackendError, BackendFault, BackendHttpError, CircuitOpen, Kind
from proxy_core.telemetry.snapshot import BreakerState as S


class Event(Enum):
    TRIPPED = auto()
    """`failure_threshold` failures in a row."""
    WAITED = auto()
    """`open_s` have passed."""
    PROBED = auto()
    """Somebody wants to know now."""
    TRIAL_FAILED = auto()
    TRIALS_PASSED = auto()
    """`success_threshold` trials were answered, none failed."""
    RENEWED = auto()
    """What failed has gone: the next connection is judged by itself."""


TRANSITIONS: Final[dict[S, dict[Event, S]]] = {
    S.CLOSED: {Event.TRIPPED: S.OPEN, Event.RENEWED: S.CLOSED},
    S.OPEN: {Event.WAITED: S.HALF_OPEN, Event.PROBED: S.HALF_OPEN, Event.RENEWED: S.CLOSED},
    S.HALF_OPEN: {Event.TRIAL_FAILED: S.OPEN, Event.TRIALS_PASSED: S.CLOSED, Event.RENEWED: S.CLOSED},
}

_FAILURES: Final = frozenset({Kind.UNAVAILABLE, Kind.TIMEOUT, Kind.EXITED, Kind.STREAM_LOST, Kind.PROTOCOL})


def is_failure(error: BaseException) -> bool:
    """Whether the server is to blame. An HTTP status from 400 to 499 blames the request.

    What was never sent, because a breaker is open, says nothing of the server: else an open one could keep
    another, or itself, from closing.
    """
    if isinstance(error, BackendHttpError | CircuitOpen):
        return False
    return isinstance(error, BackendFault) and error.kind in _FAILURES


class Breaker:
    def __init__(
        self,
        backend: str,
        rules: Callable[[], CircuitBreakerConfig],
        now: Callable[[], float],
        on_state: Callable[[S], None] = lambda state: None,
    ) -> None:
        """`rules`: as the configuration in force says. `now`: monotonic seconds.

        `on_state` hears what the server's answers and time have changed, `renew` not.
        """
        self._backend = backend
        self._rules = rules
        self._now = now
        self._on_state = on_state
        self._state = S.CLOSED
        self._period = 0
        """Grows with every transition: what began in an earlier one says nothing of this one."""
        self._trials = 0
        """Under way, those of earlier periods included: they too are at the server."""
        self._passed = 0
        self.failures = 0
        """In a row, while closed."""
        self.retry_at: float | None = None
        """When an open one half opens, in monotonic seconds."""
        self.free: Permit | None = Permit(self, 0, is_trial=False)
        """The permit of everybody while closed, so that a call then costs no more than to look."""

    @property
    def state(self) -> S:
        """As of now; an open one half opens by time alone."""
        is_due = self.retry_at is not None and self._now() >= self.retry_at
        return S.HALF_OPEN if is_due else self._state

    def admit(self) -> "Permit":
        """Leave to ask the server once. Raises: CircuitOpen."""
        self.check()
        if self.retry_at is not None:
            self._turn(Event.WAITED)
        return self.free or self._trial()

    def admit_probe(self) -> "Permit":
        """As `admit`, but an open one is tried before its time. Raises: CircuitOpen if enough trials run."""
        if self._state is S.OPEN and self._has_room:
            self._turn(Event.PROBED)
        return self.admit()

    def check(self) -> None:
        """Raises: CircuitOpen if nothing is let through now."""
        if self.admits:
            return
        wait_s = self.retry_at - self._now() if self.retry_at is not None else 0.0
        raise CircuitOpen(self._backend, wait_s)

    @property
    def admits(self) -> bool:
        """Whether a request would be let through now."""
        return self.free is not None or (self.state is S.HALF_OPEN and self._has_room)

    @property
    def _has_room(self) -> bool:
        return self._trials < self._rules().half_open_requests

    def _trial(self) -> "Permit":
        self._trials += 1
        return Permit(self, self._period, is_trial=True)

    def ended(self, permit: "Permit", error: BaseException | None = None) -> None:
        """What came of a request. An error answer is an answer; a cancellation says nothing either way."""
        if permit.is_trial:
            self._trials -= 1
        if permit.period != self._period:
            return
        if error is None or isinstance(error, BackendError):
            self._answered()
        elif is_failure(error):
            self._failed()

    def _answered(self) -> None:
        self.failures = 0
        if self._state is S.HALF_OPEN:
            self._passed += 1
            if self._passed >= self._rules().success_threshold:
                self._turn(Event.TRIALS_PASSED)

    def _failed(self) -> None:
        if self._state is S.HALF_OPEN:
            self._turn(Event.TRIAL_FAILED)
            return
        self.failures += 1
        if self.failures >= self._rules().failure_threshold:
            self._turn(Event.TRIPPED)

    def renew(self) -> None:
        """Close, and forget what was: for when the connection it was about has ended."""
        self._turn(Event.RENEWED)

    def _turn(self, event: Event) -> None:
        self._state = TRANSITIONS[self._state][event]
        self._period += 1
        self._passed = self.failures = 0
        self.retry_at = self._now() + self._rules().open_s if self._state is S.OPEN else None
        self.free = Permit(self, self._period, is_trial=False) if self._state is S.CLOSED else None
        if event is not Event.RENEWED:
            self._on_state(self._state)


class Permit:
    """Leave to ask the server; the `with` block is the request."""

    __slots__ = ("_breaker", "is_trial", "period")

    def __init__(self, breaker: Breaker, period: int, *, is_trial: bool) -> None:
        self._breaker = breaker
        self.period = period
        self.is_trial = is_trial

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Nothing to tell while all goes well.
        if kind is not None or self.is_trial or self._breaker.failures:
            self._breaker.ended(self, error)
