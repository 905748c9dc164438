"""A ring holds the newest turns, gaps where there was nothing, and takes no room for what never was."""

import math
import sys

from only1mcp_tui.view.rings import Ring


def shown(values: object) -> list[float | None]:
    """Missing ones as None, which is equal to itself."""
    return [None if value != value else value for value in values]  # type: ignore[attr-defined]


def test_what_was_put_is_read_and_what_was_not_is_missing() -> None:
    ring = Ring(2, 4, "d")
    ring.put(10, (1, 2))
    ring.put(12, (5, 6))
    assert shown(ring.read(13, 5)) == [None, None, 1, 2, None, None, 5, 6, None, None]


def test_the_oldest_turns_are_overwritten() -> None:
    ring = Ring(1, 3, "d")
    for turn in range(10):
        ring.put(turn, (turn,))
    assert shown(ring.read(9, 5)) == [None, None, 7, 8, 9]


def test_a_pause_longer_than_the_ring_leaves_nothing_of_before() -> None:
    ring = Ring(1, 3, "d")
    ring.put(0, (1,))
    ring.put(100, (2,))
    assert shown(ring.read(100, 3)) == [None, None, 2]
    ring.put(101, (3,))
    assert shown(ring.read(101, 4)) == [None, None, 2, 3]


def test_a_turn_that_is_over_is_not_written_again() -> None:
    ring = Ring(1, 3, "d")
    ring.put(5, (1,))
    ring.put(5, (2,))
    ring.put(4, (3,))
    assert shown(ring.read(5, 2)) == [None, 1]


def test_half_precision_keeps_what_a_plot_shows_and_has_a_top() -> None:
    ring = Ring(3, 3, "e")
    ring.put(0, (61.2, 1e9, math.nan))
    close, top, missing = ring.read(0, 1)
    assert abs(close - 61.2) < 0.05
    assert top == 65_504
    assert missing != missing


def test_it_takes_room_for_the_turns_that_there_were() -> None:
    ring = Ring(10, 600, "e")
    empty = sys.getsizeof(ring)
    for turn in range(5000):
        ring.put(turn, (1,) * 10)
    assert sys.getsizeof(ring) - empty == 600 * 10 * 2
