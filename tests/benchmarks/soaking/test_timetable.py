"""The trouble of a soak: the same for a seed, never a crash loop, over before the end."""

from itertools import pairwise

import pytest

from tests.benchmarks.soaking.timetable import GAP_S, QUIET, Event, What, timetable

TARGETS = {
    What.KILL_CHILD: ["child-a", "child-b"],
    What.KILL_BACKEND: ["web", "sse"],
    What.RELOAD: [""],
    What.ABANDON: [""],
    What.HANG_UP: [""],
}


def of(events: list[Event], what: What, target: str) -> list[Event]:
    return [event for event in events if (event.what, event.target) == (what, target)]


def test_a_seed_is_its_trouble():
    assert timetable(7, 1800, TARGETS) == timetable(7, 1800, TARGETS)
    assert timetable(7, 1800, TARGETS) != timetable(8, 1800, TARGETS)


def test_a_target_more_leaves_the_others_as_they_are():
    more = TARGETS | {What.KILL_BACKEND: ["web", "sse", "new"]}
    with_it = [event for event in timetable(7, 1800, more) if event.target != "new"]
    assert with_it == timetable(7, 1800, TARGETS)


@pytest.mark.parametrize("seconds", [30, 48, 1800])
@pytest.mark.parametrize("seed", range(5))
def test_all_of_it_happens_to_everyone_and_ends_in_time(seed: int, seconds: float):
    events = timetable(seed, seconds, TARGETS)
    assert events == sorted(events)
    assert all(0 <= event.at_s < seconds * (1 - QUIET) for event in events)
    for what, names in TARGETS.items():
        assert all(of(events, what, name) for name in names), what


@pytest.mark.parametrize("seed", range(5))
def test_gaps_are_kept_so_that_no_child_is_given_up(seed: int):
    events = timetable(seed, 7200, TARGETS)
    for what, (least_s, most_s) in GAP_S.items():
        times = [event.at_s for event in of(events, what, TARGETS[what][0])]
        assert all(least_s <= later - sooner <= most_s for sooner, later in pairwise(times))
    for name in TARGETS[What.KILL_CHILD]:
        kills = [event.at_s for event in of(events, What.KILL_CHILD, name)]
        assert all(sum(at <= other < at + 600 for other in kills) < 5 for at in kills)
