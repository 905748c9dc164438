"""Parts of documents that are made anew: theirs alone, whole, and no others."""

from pathlib import Path

import pytest

from tests.benchmarks.__main__ import DOCS, SECTIONS
from tests.benchmarks.figures import END, begin, renew, sections_in, updated

PAGE = f"""# Speed

Words.

{begin("calls")}

| old |

{END}

More words.

{begin("lists")}

| old list |

{END}
The end.
"""


def test_a_part_is_made_anew_and_all_else_stays():
    after = updated(PAGE, {"calls": ["| a |", "| b |"]})
    assert after == PAGE.replace("| old |", "| a |\n| b |")
    assert updated(after, {"calls": ["| a |", "| b |"]}) == after


def test_figures_without_a_place_go_nowhere():
    assert updated(PAGE, {"memory": ["| 1 |"]}) == PAGE
    assert updated("No figures.", {"calls": ["| 1 |"]}) == "No figures."


def test_a_section_stands_in_as_many_places_as_want_it():
    assert updated(PAGE + PAGE, {"lists": ["| new |"]}).count("| new |") == 2


def test_a_part_without_an_end_is_not_guessed_at():
    broken = PAGE.replace(f"\n{END}\n\nMore", "\nMore")
    with pytest.raises(ValueError, match="figures of calls have no end"):
        updated(broken, {"lists": ["| new |"]})


def test_figures_of_another_command_are_renewed_as_well_and_keep_its_name():
    page = PAGE.replace(begin("calls"), begin("calls", "make soak"))
    after = updated(page, {"calls": ["| a |"]})
    assert after == page.replace("| old |", "| a |")
    assert sections_in(after) == ["lists"]
    assert sections_in(after, "make soak") == ["calls"]


def test_the_documents_that_changed_are_written_and_no_others(tmp_path: Path):
    page, other = tmp_path / "page.md", tmp_path / "other.md"
    page.write_text(PAGE)
    other.write_text("Words.")
    assert renew(tmp_path, {"calls": ["| new |"]}) == [page]
    assert "| new |" in page.read_text()
    assert renew(tmp_path, {"calls": ["| new |"]}) == []


def test_every_section_has_its_place_in_the_pages_and_every_place_a_section():
    pages = [(DOCS / name).read_text(encoding="utf-8") for name in ("benchmarks.md", "performance_guide.md")]
    assert [section for page in pages for section in sections_in(page)] == list(SECTIONS)
    for document in DOCS.glob("*.md"):
        assert set(sections_in(document.read_text(encoding="utf-8"))) <= SECTIONS.keys(), document.name
