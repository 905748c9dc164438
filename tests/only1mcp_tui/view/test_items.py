"""The tools, resources and prompts of one server."""

import pytest
from msgspec.structs import replace

from only1mcp_tui.view.items import (
    about_lines,
    cells,
    does,
    item_lines,
    marks_of,
    passes,
    tool_lines,
    tools_of,
)
from only1mcp_tui.view.text import plain
from tests.support.changes import changed_control
from tests.support.server_scene import TOOLS, items

CREATE, SEARCH, DELETE, ODD = TOOLS
ITEMS = {item.origin: item for item in items()}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("issue", ["create_issue", "search", "triage"]),
        ("ISSUE write", ["create_issue"]),
        ("for good", ["delete_repo"]),
        ("nothing at all", []),
    ],
)
def test_a_search_looks_at_names_and_descriptions(words: str, found: list[str]):
    assert [item.origin for item in items() if passes(item, words)] == found


def test_a_row_says_what_a_tool_does_and_what_it_costs():
    costs = {CREATE.name: CREATE.cost} if CREATE.cost else {}
    columns = ("name", "does", "tokens")
    destructive = frozenset({DELETE.name})
    told = [
        [cell[0] for cell in cells(ITEMS[name], costs, destructive, columns)]
        for name in ("create_issue", "search", "delete_repo")
    ]
    assert told == [
        ["github__create_issue", "writes", "380"],
        ["github__search", "reads", "-"],
        ["github__delete_repo", "destroys", "-"],
    ]


def test_a_tool_that_reads_cannot_destroy():
    assert does(True, True)[0] == "reads"


def test_what_is_under_the_cursor_is_told_in_a_few_lines():
    assert [plain(line) for line in about_lines(ITEMS["create_issue"], 60, 3)] == [
        " repo title labels? state? priority? draft? assignee?",
        " Create an issue in a repository.",
        " Needs write access to it.",
    ]


def test_a_tool_in_full_names_both_names_its_cost_and_both_schemas():
    told = [plain(line) for line in tool_lines(CREATE, 70)]
    assert told[:5] == [
        " name         github__create_issue",
        " own name     create_issue",
        " title        Create an issue",
        " it says it   writes",
        " tokens       420 on the wire  380 before the model  130 compact",
    ]
    for head in (" ARGUMENTS", " ANSWERS", " ANNOTATIONS", " INPUT SCHEMA", " OUTPUT SCHEMA"):
        assert any(line.startswith(head) for line in told)
    assert '   "destructiveHint": false' in told


def test_a_schema_that_was_cut_is_shown_as_far_as_it_goes():
    cut = replace(ODD, input_schema='{"type": "object", "prop…', cost=None, description="")
    told = [plain(line) for line in tool_lines(cut, 70)]
    assert told[-3:] == [" {", '   "type": "object",', '   "prop…']
    assert "   none" in told
    assert " tokens       not counted yet" in told
    assert " It does not say what it does." in told


def test_a_prompt_lists_its_arguments():
    assert [plain(line) for line in item_lines(ITEMS["triage"], 60)][-2:] == [" ARGUMENTS", "   repo  required"]


def test_what_wants_an_eye_is_marked_and_said():
    control = changed_control()
    detail = control.details["github"]
    marks, shown = marks_of(detail), tools_of(detail)
    columns = ("name", "does")
    rows = [cells(item, {}, frozenset(), columns, marks) for item in shown if item.kind == "tool"]
    assert [row[0][0] for row in rows[:3]] == ["≠ create_issue", "+ transfer_repo", "! github__search"]
    assert [row[1][0] for row in rows[:3]] == ["withheld", "withheld", "reads"]
    said = [plain(about_lines(item, 100, 3, marks)[0]) for item in shown[:3]]
    assert said == [
        " ≠ withheld, changed: description, input schema",
        " + withheld, is new",
        " ! names tools of other servers: files__read_file",
    ]


def test_a_tool_that_is_offered_though_it_changed_stands_there_once():
    detail = changed_control().details["github"]
    change = replace(detail.tool_changes[0], tool="search", is_withheld=False)
    detail = replace(detail, tool_changes=(change,), naming=())
    assert len(tools_of(detail)) == len(detail.items)
    marks = marks_of(detail)
    (search,) = (item for item in tools_of(detail) if item.origin == "search")
    assert (marks.sign(search), marks.is_withheld(search), marks.has_changed(search)) == ("≠ ", False, True)
    prompt = replace(search, kind="prompt")
    assert (marks.sign(prompt), marks.is_withheld(prompt), list(marks.words(prompt))) == ("", False, [])
