"""The page: whole, with everything that was measured, and with nothing from elsewhere."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from tests.benchmarks.bars import LABEL, VALUE, WIDTH, Bar, chart
from tests.benchmarks.report import blocks, doubts, page
from tests.benchmarks.results import Figure, Machine, Section, plain
from tests.benchmarks.test_results import FIGURE, results
from tests.benchmarks.verdicts import compared

SVG = "{http://www.w3.org/2000/svg}"
VOID = {"meta", "br"}


class Tags(HTMLParser):
    """Fails on what is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def tags_of(text: str) -> list[str]:
    tags = Tags()
    tags.feed(text)
    tags.close()
    assert tags.open == []
    return tags.seen


def test_the_page_is_whole_and_has_everything():
    found = page(results(), compared(results(), results()))
    seen = tags_of(found)
    assert seen.count("svg") == 1 and seen.count("table") == 2
    assert "Some CPU" in found and "uvloop 0.22.1" in found and "load average 0.10 before" in found
    assert "<td>no difference</td>" in found
    assert "dashed: the baseline; red: must; green: aim" in found


def test_nothing_is_loaded_and_nothing_runs():
    found = page(results(), compared(results(), results())).replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?:|//|url\(|@import|<script|<link|<img|\son\w+=", found)


def test_words_from_outside_stay_words():
    hostile = "<script>alert(1)</script>"
    given = results(Figure(hostile, hostile, "lower", (1.0,)))
    given.sections[hostile] = Section([f"| {hostile} |", "|---|", "| a |", hostile])
    found = page(given)
    assert "<script" not in found and "&lt;script" in found
    tags_of(found)


def test_a_section_without_figures_has_its_tables_alone():
    given = results()
    given.sections = {
        "screen": Section(["| a | b |", "|---|---|", "| 1 | `c` |", "", "| d |", "|---|", "| 2 |"])
    }
    found = page(given)
    assert "<svg" not in found and found.count("<table>") == 2
    assert "<td><code>c</code></td>" in found


def test_lines_of_text_are_paragraphs():
    assert (
        "".join(blocks(["some **words**", "", "more"])) == "<p>some <strong>words</strong></p>\n<p>more</p>\n"
    )


def elements(svg: str, name: str, kind: str = "") -> list[ElementTree.Element]:
    found = ElementTree.fromstring(svg).iter(SVG + name)
    return [element for element in found if not kind or element.get("class") == kind]


def test_bars_are_as_long_as_their_figures():
    svg = chart([Bar(Figure("a", "ms", "lower", (50.0,))), Bar(Figure("b", "ms", "lower", (100.0,)))])
    half, whole = (float(bar.get("width", "")) for bar in elements(svg, "rect", "bar"))
    assert whole == pytest.approx(WIDTH - LABEL - VALUE)
    assert half == pytest.approx(whole / 2, abs=0.1)
    assert elements(svg, "circle") == []


def test_rounds_bounds_and_the_baseline_are_marked_and_told():
    svg = chart([Bar(FIGURE, before=80.0)])
    assert len(elements(svg, "circle", "round")) == 3
    assert [len(elements(svg, "path", kind)) for kind in ("before", "must", "aim")] == [1, 1, 1]
    (title,) = elements(svg, "title")
    assert title.text == (
        "RSS: 71.0 MB, lower is better; rounds 70.0, 72.0, 71.0; baseline 80.0; must 60.0; aim 45.0"
    )
    # The largest of all is at the right end, and nothing beyond it.
    assert max(float(path.get("d", "")[1:].split()[0]) for path in elements(svg, "path")) == WIDTH - VALUE


def test_nothing_measured_is_drawn_too():
    assert elements(chart([Bar(Figure("a", "ms", "lower", (0.0,)))]), "rect")[0].get("width") == "0.0"


def test_a_long_name_is_cut_where_it_is_drawn_and_whole_where_it_is_told():
    svg = chart([Bar(Figure("x" * 80, "ms", "lower", (1.0,)))])
    assert all(len(text.text or "") < 60 for text in elements(svg, "text"))
    assert "x" * 80 in (elements(svg, "title")[0].text or "")


def test_doubts_are_told():
    assert list(doubts(results(), results())) == []
    other = Machine(**{**plain(results())["machine"], "cores": 8})
    found = list(doubts(results(load_before=1.5), results(machine=other, is_quick=True)))
    assert found == [
        "The baseline is of another machine or other packages (cores differ).",
        "One of the two is a quick look.",
        "The machine was busy before this run: load average 1.50.",
    ]
