"""Where a picture puts what it is given, and that it is a picture."""

import re
from xml.etree import ElementTree

import pytest

from tests.benchmarks.growth.fit import Point
from tests.benchmarks.growth.plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, Drawn, svg

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*places: tuple[float, float], name: str = "tools/call") -> Drawn:
    return Drawn(name, [Point(units, cost) for units, cost in places])


def corners(picture: str, number: int = 0) -> list[tuple[float, float]]:
    """Of a curve, in pixels."""
    line = list(ElementTree.fromstring(picture).iter(f"{SVG}polyline"))[number]
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+),([\d.]+)", line.attrib["points"])]


def test_an_axis_has_the_decades_that_hold_all_values():
    assert list(Axis.of([1, 8, 2000]).decades) == [0, 1, 2, 3, 4]
    assert list(Axis.of([230, 260]).decades) == [2, 3]
    assert list(Axis.of([10]).decades) == [1, 2]
    assert list(Axis.of([0.03]).decades) == [-2, -1]


def test_nothing_stands_a_decade_before_the_least_of_something():
    axis = Axis.of([0, 1000, 100_000])
    assert list(axis.decades) == [2, 3, 4, 5]
    assert axis.share(0) == 0
    assert axis.share(100_000) == 1


def test_a_curve_goes_from_corner_to_corner_if_its_values_do():
    picture = svg("t", "units", "cost", [drawn((1, 10), (100, 1000))])
    assert corners(picture) == [(LEFT, HEIGHT - BOTTOM), (WIDTH - RIGHT, TOP)]


def test_what_costs_the_same_is_level():
    (_, left), (_, right) = corners(svg("t", "units", "cost", [drawn((1, 50), (10, 50))]))
    assert left == right


def test_what_grows_in_proportion_runs_beside_the_dotted_line():
    picture = svg(
        "t", "units", "cost", [drawn((1, 3), (1000, 3000), name="a"), drawn((1, 1), (10, 1), name="b")]
    )
    (x1, y1), (x2, y2) = corners(picture)
    (guide,) = (each for each in ElementTree.fromstring(picture).iter() if each.get("class") == "guide")
    gx1, gy1, gx2, gy2 = (float(guide.attrib[name]) for name in ("x1", "y1", "x2", "y2"))
    assert (y2 - y1) / (x2 - x1) == pytest.approx((gy2 - gy1) / (gx2 - gx1), rel=0.01)


def test_names_are_shown_as_they_are_and_break_nothing():
    picture = svg("a < b & c", "units", "µs", [drawn((1, 1), (2, 2), name="<call>"), drawn((1, 2), (2, 2))])
    texts = [each.text for each in ElementTree.fromstring(picture).iter(f"{SVG}text")]
    assert {"a < b & c", "units", "µs", "<call>", "tools/call"} <= set(texts)


def test_a_picture_has_colours_for_dark_pages_and_takes_no_more_curves_than_it_has_colours():
    assert "prefers-color-scheme: dark" in svg("t", "u", "c", [drawn((1, 1), (2, 1))])
    with pytest.raises(ValueError, match="colours"):
        svg("t", "u", "c", [drawn((1, 1), (2, 1))] * 5)
