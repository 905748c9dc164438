"""The tools, resources and prompts of one server."""

from dataclasses import replace

import pytest

from only1mcp_tui.view.items import about_lines, cells, does, item_lines, passes, tool_lines
from only1mcp_tui.view.text import plain
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
