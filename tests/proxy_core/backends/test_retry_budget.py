"""A repeat for each so many calls, and no more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.backends.retry_budget import MOST, RESERVE, RetryBudget


class Spent:
    """A budget whose ratio can be changed, as by a reload."""

    def __init__(self, ratio: float) -> None:
        self.ratio = ratio
        self.budget = RetryBudget(lambda: self.ratio)

    def call(self, times: int) -> "Spent":
        for _ in range(times):
            self.budget.called()
        return self

    def repeats(self, wanted: int = 10_000) -> int:
        return sum(self.budget.take() for _ in range(wanted))


def test_a_server_with_few_calls_has_a_reserve():
    assert Spent(0.1).call(1).repeats() == RESERVE


@pytest.mark.parametrize(("ratio", "calls", "repeats"), [(0.1, 100, 10), (0.25, 200, 50), (1, 7, 7)])
def test_each_call_pays_its_part_of_a_repeat(ratio: float, calls: int, repeats: int):
    spent = Spent(ratio)
    assert spent.repeats() == RESERVE
    assert spent.call(calls).repeats() == pytest.approx(repeats, abs=1)
    assert spent.repeats() == 0


def test_what_is_saved_has_an_end():
    assert Spent(0.5).call(100_000).repeats() == MOST


def test_a_ratio_of_nothing_allows_none_not_even_the_reserve():
    spent = Spent(0).call(1000)
    assert spent.repeats() == 0
    spent.ratio = 0.1
    assert spent.repeats() == RESERVE, "and calls of that time have paid for nothing"


def test_a_storm_of_failures_adds_only_its_ratio():
    """Every call fails, and wants two repeats."""
    spent = Spent(0.1)
    repeats = sum(spent.call(1).repeats(2) for _ in range(10_000))
    assert repeats == pytest.approx(1000 + RESERVE, abs=1)


@given(
    st.sampled_from([0, 0.01, 0.1, 0.3, 1]),
    st.lists(
        st.one_of(
            st.tuples(st.just("call"), st.integers(1, 300)), st.tuples(st.just("take"), st.integers(1, 120))
        )
    ),
)
def test_repeats_never_exceed_the_reserve_and_the_part_of_the_calls(ratio: float, steps: list[tuple[str, int]]):
    spent, calls, repeats = Spent(ratio), 0, 0
    for step, times in steps:
        if step == "call":
            spent.call(times)
            calls += times
            continue
        taken = spent.repeats(times)
        repeats += taken
        assert taken <= MOST
        assert repeats <= RESERVE + ratio * calls + 1e-6
