"""From a schema to fields, and from what was typed to arguments."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from only1mcp_tui.view.schema_form import (
    MAX_FIELDS,
    FieldKind,
    choice_words,
    fields_of,
    read,
    read_json,
    texts_of,
)
from tests.support.server_scene import ISSUE_SCHEMA, ODD_SCHEMA

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYWORDS = st.sampled_from(
    ("type", "properties", "required", "enum", "const", "default", "anyOf", "items", "minimum", "maxLength")
)
SCHEMAS = st.recursive(
    JSON,
    lambda inner: st.fixed_dictionaries(
        {"type": st.sampled_from(("object", "string", "integer", "array", ["string", "null"])) | JSON},
        optional={
            "properties": st.dictionaries(st.text(max_size=6), inner, max_size=4) | JSON,
            "required": st.lists(st.text(max_size=6), max_size=3) | JSON,
            "enum": st.lists(JSON, max_size=4) | JSON,
            "default": JSON,
            "anyOf": st.lists(inner, max_size=3) | JSON,
            "minimum": JSON,
        },
    ),
    max_leaves=10,
)


def schema(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def said(form: dict[str, Any], **texts: str) -> Any:
    """The arguments, or the one sentence that stands at the field."""
    fields = fields_of(form)
    assert fields is not None
    found = read(fields, {tuple(name.split("__")): text for name, text in texts.items()})
    return found.arguments if not found.faults else next(iter(found.faults.values()))


def test_each_type_has_a_field_of_its_own_and_required_ones_come_first():
    fields = fields_of(ISSUE_SCHEMA)
    assert fields is not None
    assert [(field.label, field.kind.value) for field in fields] == [
        ("repo", "text"),
        ("title", "text"),
        ("labels", "list"),
        ("state", "choice"),
        ("priority", "integer"),
        ("draft", "boolean"),
        ("assignee.login", "text"),
        ("assignee.notify", "boolean"),
    ]
    assert [field.label for field in fields if field.is_required] == ["repo", "title", "assignee.login"]
    assert {field.label: field.preset for field in fields if field.preset} == {
        "state": '"open"',
        "priority": "3",
    }


def test_what_was_typed_becomes_arguments_of_the_right_types():
    texts = {
        "repo": "ada/engine",
        "title": "It stops",
        "labels": '["bug"]',
        "state": '"closed"',
        "priority": " 5 ",
        "draft": "false",
        "assignee__login": "ada",
    }
    assert said(ISSUE_SCHEMA, **texts) == {
        "repo": "ada/engine",
        "title": "It stops",
        "labels": ["bug"],
        "state": "closed",
        "priority": 5,
        "draft": False,
        "assignee": {"login": "ada"},
    }


def test_what_is_left_empty_is_left_out_with_its_object():
    assert said(ISSUE_SCHEMA, repo="ada/engine", title="x") == {"repo": "ada/engine", "title": "x"}


@pytest.mark.parametrize(
    ("property", "text", "sentence"),
    [
        ({"type": "string"}, "", "It is required."),
        ({"type": "integer"}, "1.5", "It must be a whole number."),
        ({"type": "integer"}, "9" * 5000, "The number is too large."),
        ({"type": "integer", "minimum": 2}, "1", "It must be at least 2."),
        ({"type": "number", "maximum": 2}, "2.5", "It must be at most 2."),
        ({"type": "number"}, "1e999", "It must be a finite number."),
        ({"type": "number"}, "much", "It must be a number."),
        ({"type": "string", "minLength": 3}, "ab", "It must have at least 3 characters."),
        ({"type": "string", "maxLength": 1}, "ab", "It must have at most 1 character."),
        ({"type": "boolean"}, "perhaps", "It must be true or false."),
        ({"enum": ["a"]}, '"b"', "It must be one of those listed."),
        ({"type": "array"}, "{}", "It must be a JSON list: [...]."),
        ({"type": "object"}, "[]", "It must be a JSON object: {...}."),
        ({"type": "array"}, "[1,", "It is not valid JSON (line 1, column 4: Expecting value)."),
        ({}, "NaN", "JSON has no NaN."),
        ({}, "[" * 100_000, "It is nested too deeply."),
        ({}, "[" * 80 + "]" * 80, "It is nested too deeply."),
        ({}, '"\\ud800"', "It holds half a character, a lone surrogate."),
        ({}, "1e999", "A number is too large."),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(property: dict[str, Any], text: str, sentence: str):
    assert said(schema("x", x=property), x=text) == sentence


def test_a_member_is_required_only_where_its_object_is_given():
    form = schema(who=schema("login", login={"type": "string"}, team={"type": "string"}))
    assert said(form) == {}
    assert said(form, who__team="a") == "It is required."
    assert said({**form, "required": ["who"]}) == "It is required."


def test_a_required_object_is_sent_even_if_nothing_is_in_it():
    assert said(schema("who", who=schema(login={"type": "string"}))) == {"who": {}}


@pytest.mark.parametrize(
    "optional",
    [
        {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        {"oneOf": [{"type": "null"}, {"type": "integer"}]},
        {"type": ["integer", "null"]},
    ],
)
def test_something_or_null_is_something_that_may_be_left_out(optional: dict[str, Any]):
    (field,) = fields_of(schema(x=optional)) or ()
    assert (field.kind, field.preset) == (FieldKind.INTEGER, "")


@pytest.mark.parametrize(
    "unusual",
    [
        None,
        [],
        True,
        {},
        {"type": "object"},
        ODD_SCHEMA,
        {"$ref": "#/$defs/x"},
        {**schema(a={}), "allOf": []},
        schema(**{f"p{number}": {} for number in range(MAX_FIELDS + 1)}),
        schema(**{f"o{o}": schema(**{f"p{p}": {} for p in range(40)}) for o in range(3)}),
    ],
)
def test_what_a_form_cannot_say_is_left_to_json(unusual: object):
    assert fields_of(unusual) is None


@pytest.mark.parametrize(
    "odd", [{"$ref": "#/x"}, {"anyOf": [{}, {}, {}]}, {"enum": [float("nan")]}, 7, {"type": 7}]
)
def test_an_argument_that_a_field_cannot_say_is_json(odd: Any):
    (field,) = fields_of(schema(x=odd)) or ()
    assert field.kind is FieldKind.JSON


def test_a_default_that_a_line_cannot_hold_is_left_to_the_server():
    form = schema(a={"type": "string", "default": "two\nlines"}, b={"type": "string", "default": "\x1b[31m"})
    assert [field.preset for field in fields_of(form) or ()] == ["", ""]


def test_a_choice_is_read_without_quotes():
    assert [choice_words(choice) for choice in ('"open"', "1", "null")] == ["open", "1", "null"]


def test_raw_json_is_an_object():
    assert read_json(' {"a": [1]} ').arguments == {"a": [1]}
    assert read_json("").arguments == {}
    assert read_json("[]").faults == {(): "Arguments are a JSON object: {...}."}


def test_arguments_are_typed_into_the_form_again_if_it_can_say_them():
    fields = fields_of(ISSUE_SCHEMA) or ()
    arguments = {"repo": "ada/engine", "title": "x", "priority": 4, "assignee": {"login": "ada"}}
    texts = texts_of(fields, arguments)
    assert texts is not None
    assert read(fields, texts).arguments == arguments
    assert texts_of(fields, {**arguments, "more": 1}) is None
    assert texts_of(fields, {**arguments, "priority": "high"}) is None


@given(SCHEMAS)
def test_no_schema_breaks_the_form(weird: Any):
    for form in (weird, {"type": "object", "properties": {"x": weird}}):
        fields = fields_of(form)
        if fields is not None:
            found = read(fields, {field.path: field.preset for field in fields})
            # What comes out can be sent.
            json.dumps(found.arguments, allow_nan=False).encode()


@given(st.text())
def test_no_text_breaks_the_reading(text: str):
    for kind in ("string", "integer", "number", "array", "object", "boolean"):
        found = read(fields_of(schema(x={"type": kind})) or (), {("x",): text})
        json.dumps(found.arguments, allow_nan=False).encode()
    read_json(text)


def test_deep_schemas_end():
    deep: Any = {"type": "string"}
    for _ in range(3000):
        deep = {"type": "object", "properties": {"x": deep}}
    (field,) = fields_of(deep) or ()
    assert (field.label, field.kind) == ("x.x", FieldKind.OBJECT)
