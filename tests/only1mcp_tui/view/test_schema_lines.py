"""A schema that a person can read."""

from typing import Any

import pytest

from only1mcp_tui.view.schema_lines import MAX_LINES, schema_lines, type_words
from only1mcp_tui.view.text import plain
from tests.support.server_scene import ISSUE_SCHEMA


def told(schema: object, width: int = 60) -> list[str]:
    return [plain(line) for line in schema_lines(schema, width)]


def test_every_argument_is_told_with_type_default_limits_and_what_it_is_for():
    assert told(ISSUE_SCHEMA) == [
        "   repo  string  required",
        "     at least 3 characters",
        "     Owner and name, as ada/engine.",
        "   title  string  required",
        "     One line.",
        "   labels  list of string",
        "   state  one of a set  = open",
        "     one of open, closed",
        "   priority  integer  = 3",
        "     from 1, up to 5",
        "   draft  boolean",
        "   assignee  object",
        "     Who does it.",
        "     login  string  required",
        "     notify  boolean  = true",
    ]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, "anything"),
        (7, "anything"),
        ({"type": ["string", "null"]}, "string or null"),
        (
            {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}]},
            "string or list of integer",
        ),
        ({"oneOf": [{"type": str(n)} for n in range(9)]}, "0 or 1 or 2 or 3 or …"),
        ({"$ref": "#/$defs/a"}, "see #/$defs/a"),
        ({"const": 5}, "always 5"),
        ({"type": "array"}, "list"),
    ],
)
def test_the_type_in_words(schema: object, words: str):
    assert type_words(schema) == words


def test_the_members_of_a_list_s_objects_stand_below_it():
    items = {"type": "object", "properties": {"id": {"type": "integer"}}}
    assert told({"properties": {"all": {"type": "array", "items": items}}}) == [
        "   all  list of object",
        "     id  integer",
    ]


@pytest.mark.parametrize("nothing", [None, {}, [], {"properties": 7}])
def test_a_schema_without_properties_has_none(nothing: object):
    assert told(nothing) == ["   none"]


def test_what_is_long_or_deep_ends():
    deep: Any = {}
    for _ in range(2000):
        deep = {
            "type": "object",
            "properties": {"x": deep, "y": {"enum": ["z" * 999] * 99, "description": "d " * 9999}},
        }
    assert len(told(deep)) < 100
    wide = {"properties": {f"p{number}": {"description": "x"} for number in range(MAX_LINES)}}
    assert len(told(wide)) == MAX_LINES + 1
