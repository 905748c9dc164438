"""What counts as reading a reply, and how it comes to passes of a decoder."""

import pytest

from tests.benchmarks import sizes, timed_reading
from tests.benchmarks.timed_reading import LEAST_BYTES, Clock, Noted

LONG = b"x" * LEAST_BYTES
SHORT = LONG[1:]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Its time goes on by a microsecond whenever somebody looks."""
    ticks = iter(range(0, 10**9, 1000))
    monkeypatch.setattr(timed_reading.time, "perf_counter_ns", lambda: next(ticks))
    return Clock()


def spent_us(clock: Clock) -> float | None:
    return None if clock._spent_ns is None else clock._spent_ns / 1000


def test_of_functions_that_call_each_other_the_outermost_counts_once(clock: Clock):
    inner = clock._timed(len)
    outer = clock._timed(lambda body: inner(body) + inner(body))
    clock._count(SHORT)
    assert outer(LONG) == 2 * len(LONG)
    assert spent_us(clock) == 1
    inner(LONG)
    assert spent_us(clock) == 2


def test_what_gets_less_than_a_reply_does_not_count_nor_what_is_before_the_first(clock: Clock):
    read = clock._timed(lambda *given: len(given))
    read(LONG)
    assert spent_us(clock) is None
    clock._count(SHORT)
    read(SHORT, 7, None)
    assert spent_us(clock) == 0
    read(7, LONG)
    assert spent_us(clock) == 1


def test_one_that_raises_has_taken_its_time_too(clock: Clock):
    clock._count(SHORT)
    with pytest.raises(ValueError, match="x"):
        clock._timed(int)(LONG)
    assert spent_us(clock) == 1
    clock._timed(len)(LONG)
    assert spent_us(clock) == 2


def test_what_it_takes_more_is_told_in_the_passes_of_the_same_moments():
    noted = Noted([1.0, 3.0], [12.0] * 60 + [22.0] * 60, [10.0] * 6 + [20.0] * 6)
    assert sizes._in_passes(noted, 6).values == (1.0,) * 6
