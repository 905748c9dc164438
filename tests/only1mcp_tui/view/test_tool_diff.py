"""What is different in a tool, as lines."""

import json
import time

import pytest
from msgspec.structs import replace

from only1mcp_tui.view.text import cells, plain
from only1mcp_tui.view.tool_diff import (
    LINES_SHOWN,
    DiffLine,
    approved_words,
    diff_lines,
    diff_of,
    stands_words,
    what_words,
    whose_words,
)
from proxy_core.telemetry.tool_changes import ToolChange, ToolDiff, ToolText
from tests.support.changes import ADDED, CHANGED

CHANGE = ToolChange("box", "read", "changed", "0" * 32, ("description",))
OLD = ToolText(description="Reads a file. Fast.", input_schema='{"type":"object","a":1}')


def lines(now: ToolText, before: ToolText | None = OLD, what: str = "changed") -> list[str]:
    diff = ToolDiff(replace(CHANGE, what=what), now, before)
    return [f"{line.mark} {line.text}".rstrip() for line in diff_of(diff)]


def test_a_text_is_compared_by_sentences():
    now = replace(OLD, description="Reads a file. Sends it on. Fast.")
    assert lines(now) == ["# DESCRIPTION", "  Reads a file.", "+ Sends it on.", "  Fast."]


def test_a_schema_is_compared_by_members_whatever_their_order():
    now = replace(OLD, input_schema='{"type":"object","a":2}')
    expected = ["# INPUT SCHEMA", "  {", '-   "a": 1,', '+   "a": 2,', '    "type": "object"', "  }"]
    assert lines(now) == expected


def test_which_tools_of_others_it_names_is_said_first():
    diff = ToolDiff(CHANGE, replace(OLD, title="T"), OLD, ("files__read", "web/\x1b[31msearch"))
    assert next(diff_of(diff)) == DiffLine(
        "!", "It names tools of other servers: files__read, web/␛[31msearch."
    )


def test_a_new_tool_is_all_new():
    assert lines(ToolText(description="Hi."), None, "new") == ["# DESCRIPTION", "+ Hi."]


def test_what_was_not_kept_is_said():
    assert lines(ToolText(description="Hi."), None)[0].startswith("! What was approved before was not kept")


def test_what_hides_is_seen():
    assert lines(replace(OLD, description="Reads a file.\U000e0041 Fast.\x1b[2J")) == [
        "# DESCRIPTION",
        "- Reads a file.",
        "- Fast.",
        "+ Reads a file.� Fast.␛[2J",
    ]


def test_a_schema_that_was_cut_is_compared_as_text():
    long = json.dumps({"x": ["y"] * 5})[:-4] + "…"
    found = lines(replace(OLD, input_schema=long))
    assert found[0] == "# INPUT SCHEMA"
    assert any("…" in line for line in found)


def test_what_differs_further_on_is_said():
    assert lines(OLD) == ["! They differ beyond what is kept of them: further on than 32,768 characters."]
    assert lines(replace(OLD, description="Reads a file.  Fast."))[1].startswith("! The difference is in white")


def test_more_lines_than_are_shown_are_counted():
    many = "\n".join(f"line {number}" for number in range(LINES_SHOWN + 5))
    assert lines(replace(OLD, description=many))[-1] == "! 5 more lines not shown."


@pytest.mark.parametrize("pair", [("a\nb\n", "b\na\n"), ("a\n", "a\nb\n"), ("{\n}\n", "}\n{\n")])
def test_hostile_texts_take_no_longer(pair: tuple[str, str]):
    begun = time.process_time()
    assert lines(ToolText(description=pair[0] * 20_000), ToolText(description=pair[1] * 20_000))
    assert time.process_time() - begun < 2


def test_lines_are_as_wide_as_they_may_be_and_break_at_spaces():
    for width in (24, 60, 100):
        drawn = diff_lines(list(diff_of(CHANGED)), width)
        assert all(cells(line) <= width for line in drawn)
    assert "the body, without" in "\n".join(map(plain, diff_lines(list(diff_of(CHANGED)), 90)))
    drawn = diff_lines([DiffLine("+", "    " + "word " * 5)], 20)
    assert [plain(line) for line in drawn] == [" +     word word", "       word word", "       word"]


def test_what_is_said_of_it():
    assert what_words(CHANGED.change) == "changed: description, input schema"
    assert what_words(ADDED.change) == "is new"
    assert "until you approve it" in stands_words(CHANGED.change)
    assert "on_change: warn" in stands_words(CHANGE)
    assert whose_words(CHANGE) == ""
    some = replace(CHANGE, principals=("a", "b", "c", "d\x1b"))
    assert whose_words(some) == "In the list of a, b, c and 1 more alone."
    assert approved_words("box", ["a", "b", "c", "d"]) == "box: a, b, c and 1 more approved."
