"""A breaker by itself: when it opens, when it tries, when it closes."""

import asyncio
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy_core.backends.breaker import TRANSITIONS, Breaker, Event, Permit, is_failure
from proxy_core.backends.http_client import Unreachable
from proxy_core.config.models import CircuitBreakerConfig
from proxy_core.errors import (
    BackendAuthRequired,
    BackendError,
    BackendExited,
    BackendHttpError,
    BackendProtocolError,
    BackendStreamLost,
    BackendTimeout,
    BackendUnavailable,
    CircuitOpen,
    ClientFault,
    ClientSilent,
    ElicitationDeclined,
    InvalidParams,
    InvalidRequest,
    MethodNotFound,
    Overloaded,
    ParseError,
    TooManyRounds,
)
from proxy_core.telemetry.snapshot import BreakerState as S
from tests.support.clock import FakeClock

FAULT = BackendTimeout("box", "The server did not answer.")
ERROR_ANSWER = BackendError("box", -32602, "no")
NOT_ITS_FAULT = (
    BackendHttpError("box", 413),
    BackendAuthRequired("box", "x"),
    TooManyRounds("box", "x"),
    ElicitationDeclined("box", "x"),
    CircuitOpen("box", 3),
    Overloaded("x"),
    ClientSilent("x"),
    *(fault("x") for fault in (ClientFault, ParseError, InvalidRequest, MethodNotFound, InvalidParams)),
    asyncio.CancelledError(),
)
"""What ends a request and says nothing of the server."""


class Guarded:
    """A breaker with its clock, and requests that end as the test says."""

    def __init__(self, **rules: Any) -> None:
        self.rules = CircuitBreakerConfig(**rules)
        self.clock = FakeClock()
        self.states: list[S] = []
        self.breaker = Breaker("box", lambda: self.rules, self.clock.monotonic, self.states.append)

    def permit(self) -> Permit:
        return self.breaker.free or self.breaker.admit()

    def ask(self, *outcomes: BaseException | None) -> S:
        """Requests one after the other; None is an answer."""
        for outcome in outcomes:
            end(self.permit(), outcome)
        return self.breaker.state

    def open(self) -> "Guarded":
        assert self.ask(*[FAULT] * self.rules.failure_threshold) is S.OPEN
        return self

    def half_open(self) -> "Guarded":
        self.open().clock.advance(self.rules.open_s)
        assert self.breaker.state is S.HALF_OPEN
        return self


def end(permit: Permit, outcome: BaseException | None = None) -> None:
    permit.__enter__()
    permit.__exit__(None if outcome is None else type(outcome), outcome, None)


def test_every_state_can_be_left_and_every_event_means_something() -> None:
    assert set(TRANSITIONS) == set(S)
    assert {event for events in TRANSITIONS.values() for event in events} == set(Event)


# --- what counts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        BackendExited("box", "x"),
        BackendStreamLost("box", "x"),
        BackendTimeout("box", "x"),
        BackendUnavailable("box", "x"),
        Unreachable("box", "x"),
        BackendProtocolError("box", "x"),
    ],
)
def test_what_is_the_servers_fault_counts(error: Exception) -> None:
    assert is_failure(error)


@pytest.mark.parametrize("error", [ERROR_ANSWER, *NOT_ITS_FAULT], ids=lambda error: type(error).__name__)
def test_what_is_not_the_servers_fault_does_not(error: BaseException) -> None:
    assert not is_failure(error)
    assert Guarded(failure_threshold=1).ask(error) is S.CLOSED


@pytest.mark.parametrize("code", [-32602, -32600, -32601, -32603, -32002, -32020, 1])
def test_an_error_in_the_servers_own_words_does_not_whatever_its_code(code: int) -> None:
    error = BackendError("box", code, "no")
    assert Guarded(failure_threshold=1).ask(error, error) is S.CLOSED
    assert Guarded(success_threshold=1).half_open().ask(error) is S.CLOSED, "as a trial it is answered"


@pytest.mark.parametrize("error", NOT_ITS_FAULT, ids=lambda error: type(error).__name__)
def test_what_is_not_the_servers_fault_neither_breaks_the_row_nor_passes_a_trial(error: BaseException) -> None:
    guarded = Guarded(failure_threshold=2, success_threshold=1)
    assert guarded.ask(FAULT, error, FAULT) is S.OPEN
    guarded.clock.advance(30)
    assert guarded.ask(error, error) is S.HALF_OPEN
    assert guarded.ask(None) is S.CLOSED


# --- closed -------------------------------------------------------------------------------------------------


@pytest.mark.requirement("B14")
def test_it_opens_after_exactly_so_many_failures_in_a_row() -> None:
    guarded = Guarded()
    assert guarded.ask(*[FAULT] * 4) is S.CLOSED
    assert guarded.ask(FAULT) is S.OPEN
    assert guarded.states == [S.OPEN]


@pytest.mark.parametrize("answer", [None, ERROR_ANSWER])
def test_an_answer_of_any_kind_breaks_the_row(answer: BaseException | None) -> None:
    guarded = Guarded()
    assert guarded.ask(*[FAULT] * 4, answer, *[FAULT] * 4) is S.CLOSED
    assert guarded.ask(FAULT) is S.OPEN


def test_a_cancellation_neither_breaks_the_row_nor_lengthens_it() -> None:
    guarded = Guarded()
    assert guarded.ask(*[FAULT] * 4, *[asyncio.CancelledError()] * 3) is S.CLOSED
    assert guarded.ask(FAULT) is S.OPEN


def test_a_threshold_that_was_lowered_holds_from_the_next_failure_on() -> None:
    guarded = Guarded()
    guarded.ask(FAULT, FAULT)
    guarded.rules = CircuitBreakerConfig(failure_threshold=2)
    assert guarded.breaker.state is S.CLOSED
    assert guarded.ask(FAULT) is S.OPEN


# --- open ---------------------------------------------------------------------------------------------------


@pytest.mark.requirement("B14")
@pytest.mark.parametrize(
    ("passed_s", "words"), [(0, "in 30 seconds"), (28.5, "in 2 seconds"), (29.5, "in 1 second.")]
)
def test_an_open_one_refuses_at_once_and_says_when_it_tries_again(passed_s: float, words: str) -> None:
    guarded = Guarded().open()
    guarded.clock.advance(passed_s)
    with pytest.raises(CircuitOpen, match=words) as refused:
        guarded.permit()
    assert refused.value.data() == {
        "dev.only1mcp": {
            "kind": "backend_unavailable",
            "backend": "box",
            "retryable": True,
            "retryAfterMs": (30 - passed_s) * 1000,
        }
    }


def test_it_half_opens_exactly_when_its_time_has_come() -> None:
    guarded = Guarded().open()
    guarded.clock.advance(29.999)
    assert guarded.breaker.state is S.OPEN
    guarded.clock.advance(0.001)
    assert guarded.breaker.state is S.HALF_OPEN
    assert guarded.permit().is_trial


def test_what_began_before_it_opened_changes_nothing_when_it_ends() -> None:
    guarded = Guarded()
    early = [guarded.permit() for _ in range(4)]
    guarded.open()
    end(early[0])
    end(early[1], FAULT)
    assert guarded.breaker.state is S.OPEN
    guarded.clock.advance(30)
    end(early[2])
    end(early[3], FAULT)
    assert guarded.breaker.state is S.HALF_OPEN


def test_a_probe_tries_before_the_time_has_come() -> None:
    guarded = Guarded().open()
    end(guarded.breaker.admit_probe())
    assert guarded.breaker.state is S.HALF_OPEN
    assert guarded.ask(None) is S.CLOSED


def test_a_probe_that_fails_keeps_it_open_from_now_on() -> None:
    guarded = Guarded().open()
    guarded.clock.advance(20)
    end(guarded.breaker.admit_probe(), FAULT)
    assert guarded.breaker.retry_at == guarded.clock.monotonic() + 30


# --- half open ----------------------------------------------------------------------------------------------


@pytest.mark.requirement("B14")
def test_so_many_trials_in_a_row_close_it() -> None:
    guarded = Guarded().half_open()
    assert guarded.ask(None) is S.HALF_OPEN
    assert guarded.ask(None) is S.CLOSED
    assert guarded.states == [S.OPEN, S.HALF_OPEN, S.CLOSED]
    assert guarded.ask(*[FAULT] * 4) is S.CLOSED, "it counts from nothing"


@pytest.mark.requirement("B14")
def test_one_trial_that_fails_opens_it_again() -> None:
    guarded = Guarded().half_open()
    assert guarded.ask(None, FAULT) is S.OPEN
    guarded.clock.advance(30)
    assert guarded.ask(None) is S.HALF_OPEN, "the trial before does not count any more"


def test_only_so_many_trials_run_at_a_time() -> None:
    guarded = Guarded(half_open_requests=2).half_open()
    first, _ = guarded.permit(), guarded.permit()
    with pytest.raises(CircuitOpen, match="being tried again"):
        guarded.permit()
    with pytest.raises(CircuitOpen):
        guarded.breaker.admit_probe()
    end(first, asyncio.CancelledError())
    assert guarded.permit().is_trial, "one that was cancelled leaves its place"


def test_a_trial_that_still_runs_keeps_its_place_when_it_opens_and_half_opens_again() -> None:
    guarded = Guarded(half_open_requests=2).half_open()
    hanging = guarded.permit()
    assert guarded.ask(FAULT) is S.OPEN
    with_room = guarded.breaker.admit_probe()
    with pytest.raises(CircuitOpen):
        guarded.permit()
    end(hanging)
    assert guarded.breaker.state is S.HALF_OPEN, "what it says is of another time"
    end(with_room)
    assert guarded.ask(None) is S.CLOSED


def test_a_probe_that_finds_no_place_leaves_an_open_one_open() -> None:
    guarded = Guarded().half_open()
    hanging = guarded.permit()
    guarded.breaker.renew()
    guarded.open()
    with pytest.raises(CircuitOpen, match="in 30 seconds"):
        guarded.breaker.admit_probe()
    assert guarded.breaker.state is S.OPEN
    end(hanging)
    end(guarded.breaker.admit_probe())


# --- a new connection ---------------------------------------------------------------------------------------


def test_a_new_connection_is_judged_by_itself() -> None:
    guarded = Guarded()
    late = guarded.permit()
    guarded.ask(*[FAULT] * 4)
    guarded.breaker.renew()
    end(late, FAULT)
    assert guarded.ask(*[FAULT] * 4) is S.CLOSED
    assert guarded.ask(FAULT) is S.OPEN
    guarded.breaker.renew()
    assert guarded.breaker.state is S.CLOSED
    assert guarded.breaker.retry_at is None


# --- whatever happens ---------------------------------------------------------------------------------------


OUTCOMES = st.sampled_from([None, ERROR_ANSWER]) | st.just(FAULT) | st.sampled_from(NOT_ITS_FAULT)


class AnyOrder(RuleBasedStateMachine):
    """Requests begin and end in any order while time passes; the model keeps to the words of the rules."""

    @initialize(
        n=st.integers(1, 5), trials=st.integers(1, 3), successes=st.integers(1, 3), open_s=st.integers(1, 60)
    )
    def begin_with(self, n: int, trials: int, successes: int, open_s: int) -> None:
        self.guarded = Guarded(
            failure_threshold=n, half_open_requests=trials, success_threshold=successes, open_s=open_s
        )
        self.limits, self.breaker = self.guarded.rules, self.guarded.breaker
        self.state, self.opened_at = S.CLOSED, 0.0
        self.failures = self.passed = self.epoch = 0
        self.running: list[tuple[Permit, int, bool]] = []

    def turn(self, state: S) -> None:
        self.state = state
        self.failures = self.passed = 0
        self.epoch += 1
        if state is S.OPEN:
            self.opened_at = self.now

    @property
    def now(self) -> float:
        return self.guarded.clock.monotonic()

    @property
    def trials(self) -> int:
        return sum(is_trial for _, _, is_trial in self.running)

    @rule(is_probe=st.booleans())
    def ask(self, is_probe: bool) -> None:
        has_room = self.trials < self.limits.half_open_requests
        is_let = self.state is S.CLOSED or (has_room and (self.state is S.HALF_OPEN or is_probe))
        try:
            permit = self.breaker.admit_probe() if is_probe else self.guarded.permit()
        except CircuitOpen:
            assert not is_let
            return
        assert is_let
        if self.state is S.OPEN:
            self.turn(S.HALF_OPEN)
        self.running.append((permit, self.epoch, self.state is S.HALF_OPEN))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), outcome=OUTCOMES)
    def finish(self, data: st.DataObject, outcome: BaseException | None) -> None:
        self.finish_one(data.draw(st.integers(0, len(self.running) - 1)), outcome)

    def finish_one(self, index: int, outcome: BaseException | None) -> None:
        permit, epoch, _ = self.running.pop(index)
        end(permit, outcome)
        if epoch != self.epoch or outcome in NOT_ITS_FAULT:
            return
        if outcome is FAULT:
            self.failures += 1
            if self.state is S.HALF_OPEN or self.failures == self.limits.failure_threshold:
                self.turn(S.OPEN)
        else:
            self.failures = 0
            self.passed += 1
            if self.state is S.HALF_OPEN and self.passed == self.limits.success_threshold:
                self.turn(S.CLOSED)

    @rule(seconds=st.integers(0, 60))
    def wait(self, seconds: float) -> None:
        self.guarded.clock.advance(seconds)
        if self.state is S.OPEN and self.now >= self.opened_at + self.limits.open_s:
            self.turn(S.HALF_OPEN)

    @precondition(lambda self: self.state is S.OPEN)
    @rule(short_s=st.sampled_from([0.0, 0.25]))
    def wait_until_about_due(self, short_s: float) -> None:
        self.wait(max(0.0, self.opened_at + self.limits.open_s - short_s - self.now))

    @precondition(lambda self: self.state is S.CLOSED)
    @rule()
    def keep_failing(self) -> None:
        while self.state is S.CLOSED:
            self.ask(False)
            self.finish_one(-1, FAULT)

    @rule()
    def reconnect(self) -> None:
        self.breaker.renew()
        self.turn(S.CLOSED)

    @invariant()
    def is_what_the_rules_say(self) -> None:
        if hasattr(self, "guarded"):
            assert self.breaker.state is self.state
            assert self.trials <= self.limits.half_open_requests
            assert (self.breaker.free is not None) == (self.state is S.CLOSED)


AnyOrder.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestAnyOrder = AnyOrder.TestCase
