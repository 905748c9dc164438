"""Which mode costs least, as figures; the bounds are reasoned where they stand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.gateway.modes import SMALL, Costs, Mode, cheapest, estimated

TOKENS = st.integers(0, 500_000)


@pytest.mark.parametrize(
    ("full", "compact", "search", "mode"),
    [
        (0, 0, 250, Mode.FULL),
        (34, 34, 347, Mode.FULL),
        (3_888, 2_036, 4_300, Mode.FULL),
        (11_794, 2_655, 3_906, Mode.COMPACT),
        (9_295, 7_776, 2_657, Mode.COMPACT),
        (10_747, 6_937, 1_882, Mode.SEARCH),
        (328_777, 211_431, 3_485, Mode.SEARCH),
    ],
)
def test_sets_of_real_servers_get_the_mode_that_fits_them(full: int, compact: int, search: int, mode: Mode):
    assert cheapest(Costs(full, compact, search)) is mode


@given(TOKENS, TOKENS, TOKENS, st.sampled_from(Mode))
def test_a_choice_made_again_of_the_same_figures_is_the_same(full: int, compact: int, search: int, first: Mode):
    """Whatever was in force before: the second look changes nothing."""
    costs = Costs(full, compact, search)
    chosen = cheapest(costs, first)
    assert cheapest(costs, chosen) is chosen


@pytest.mark.parametrize("share", [0.9, 1.1])
def test_figures_that_move_a_little_move_no_list(share: float):
    for mode, costs in (
        (Mode.FULL, Costs(SMALL, 2_500, 4_000)),
        (Mode.COMPACT, Costs(SMALL, 2_500, 4_000)),
        (Mode.COMPACT, Costs(12_000, 7_000, 2_100)),
        (Mode.SEARCH, Costs(12_000, 7_000, 2_100)),
    ):
        moved = Costs(round(costs.full * share), costs.compact, round(costs.search / share))
        assert cheapest(moved, mode) is mode


def test_figures_that_move_far_do_move_it():
    assert cheapest(Costs(6_000, 4_000, 4_000), Mode.FULL) is Mode.COMPACT
    assert cheapest(Costs(2_000, 1_500, 4_000), Mode.SEARCH) is Mode.FULL
    assert cheapest(Costs(90_000, 60_000, 3_000), Mode.COMPACT) is Mode.SEARCH
    assert cheapest(Costs(9_000, 7_000, 3_000), Mode.SEARCH) is Mode.COMPACT


def test_an_estimate_says_that_it_is_one_and_knows_of_no_tools():
    assert estimated(0, 0, 1_000) == Costs(0, 0, 250, is_estimate=True)


def test_an_estimate_is_near_what_was_counted():
    """1,216 tools of 45 servers: counted 328,777, 211,431 and 3,485."""
    found = estimated(1_450_000, 1_216, 1_400)
    assert (found.full, found.compact) == (362_500, 232_000)
    assert 3_000 < found.search < 4_500
    # Fewer tools than a search finds: each search finds all.
    assert estimated(4_000, 2, 0).search == round(3 * 2 * 1.2 * 0.64 * 1_000 / 2)
