"""What is written into the page: every figure at its place, and nothing beside the marks is touched."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from proxy_core.context.compaction import DEFAULT_BUDGETS
from proxy_core.context.token_main import ENCODING
from proxy_core.gateway.meta_tools import DEFAULT_LIMIT, MAX_LIMIT
from proxy_core.gateway.modes import SMALL, WORTH_SEARCHING
from tests.benchmarks import context_page
from tests.support.processes import ROOT

DAY = date(2026, 1, 31)


def row(wire: int, share: float) -> dict[str, Any]:
    shares = {"of full": share, "of full without our _meta": share, "of visible full": share}
    return {"wire": wire, "visible": wire - 1, **shares}


def server(left: float) -> dict[str, Any]:
    return {"tools": 4, "wire": 1_500, "left of wire": 0.5, "visible": 1_200, "left of visible": left}


def kinds(recall: float) -> dict[str, Any]:
    return {
        kind: {"tasks": 80, "recall@5": recall, "p95_ms": 1.25} for kind in ("keywords", "sentences", "both")
    }


FIGURES: dict[str, Any] = {
    "build": {"build_cpu_ms": 501.2, "longest_step_cpu_ms": 0.89, "rebuild_cpu_ms": 82.6},
    "catalogue": {"servers": 3, "tools": 1_216, "encoding": "some_base", "auto": "search"},
    "modes": {"full": row(492_131, 1.0), "search": row(4_033, 0.0082)},
    "one search": {
        "searches": 150,
        "visible mean": 1_073,
        "visible p50": 955,
        "visible p95": 2_215,
        "a right tool in the answer": 0.99,
    },
    "servers": {"ant": server(0.24), "bee": server(0.71), "cat": server(1.0)},
    "sets": {
        "15": {
            "sets": 22,
            "least": 0.28,
            "median": 0.67,
            "most": 1.0,
            "auto full": 13,
            "auto compact": 9,
            "auto search": 0,
        },
        "80": {
            "sets": 41,
            "least": 0.079,
            "median": 0.14,
            "most": 0.24,
            "auto full": 0,
            "auto compact": 0,
            "auto search": 41,
        },
    },
    "retrieval tasks": kinds(0.988),
    "validation": {"instances": 36_480, "disagreements": 0},
}


def test_every_figure_has_its_place():
    text = context_page.part("catalogue", FIGURES, DAY)
    for line in (
        "Measured on 2026-01-31: 3 servers, 1,216 tools, encoding some_base. `auto` chooses search.",
        "| full | 492,131 | 100 % | 100 % | 492,130 | 100 % |",
        "| search | 4,033 | 0.8 % | 0.8 % | 4,032 | 0.8 % |",
        "| 15 tools | 22 | 28 % | 67 % | 100 % | full for 13, compact for 9 |",
        "| 80 tools | 41 | 7.9 % | 14 % | 24 % | search |",
        "| tasks (80) | 0.99 | 0.99 | 0.99 | 1.2 |",
    ):
        assert line in text.splitlines()
    assert "compact leaves 24 % to 100 % of visible; of half of them 71 % or more. 2 of 3 keep more" in text
    assert "of 150: mean 1,073 tokens, median 955, p95 2,215. A right tool was in the answer in 99 %." in text
    assert "36,480 values" in text and "0 disagreements." in text


def test_servers_are_named_where_the_part_says_so():
    assert "| bee | 4 | 1,500 | 50 % | 1,200 | 71 % |" in context_page.part("live", FIGURES, DAY).splitlines()
    assert "bee" not in context_page.part("catalogue", FIGURES, DAY)


def test_without_tasks_and_sets_the_rest_is_told():
    few = {key: value for key, value in FIGURES.items() if key not in ("one search", "retrieval tasks")}
    text = context_page.part("catalogue", few | {"sets": {}}, DAY)
    assert "No tasks were given" in text and "at most |" not in text and "first 5" not in text
    assert "\n\n\n" not in text


PAGE = """Before.

<!-- live: written by `live` -->
old
<!-- end of live -->

Between.

<!-- catalogue: written by `it` -->
<!-- end of catalogue -->
After.
"""


def test_a_part_is_put_between_its_marks_and_nowhere_else(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    context_page.write(page, "live", "new")
    context_page.write(page, "catalogue", "figures")
    written = page.read_text()
    assert written == PAGE.replace("old\n", "\nnew\n\n").replace("`it` -->\n", "`it` -->\n\nfigures\n\n")
    context_page.write(page, "live", "new")
    assert page.read_text() == written


def test_a_page_without_marks_is_left_alone(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("<!-- live: written by x -->\nno end")
    with pytest.raises(ValueError, match="'live'"):
        context_page.write(page, "live", "new")
    assert page.read_text().endswith("no end")


@pytest.mark.parametrize(
    "said",
    [
        f"`{ENCODING}`",
        f"longer than {DEFAULT_BUDGETS.tool_chars} characters in a tool's description",
        f"{DEFAULT_BUDGETS.property_chars} in a property's",
        f"`limit`, {DEFAULT_LIMIT} unless told, at most {MAX_LIMIT}",
        f"Up to **{SMALL:,}** visible tokens",
        f"less than **{100 * WORTH_SEARCHING:.0f} %** of compact",
    ],
)
def test_the_page_names_the_bounds_that_are_in_force(said: str):
    assert said in (ROOT / "docs" / "context.md").read_text(encoding="utf-8").replace("\n  ", " ")


@pytest.mark.parametrize("name", context_page.PARTS)
def test_the_page_has_a_place_for_each_part(name: str, tmp_path: Path):
    page = tmp_path / "context.md"
    page.write_text((ROOT / "docs" / "context.md").read_text(encoding="utf-8"), encoding="utf-8")
    context_page.write(page, name, "other figures")
    assert "other figures" in page.read_text(encoding="utf-8")
