"""Flat schemas of elicitations, read as fields, and what may be filled in."""

import json
from typing import Any

import pytest

from proxy_core import forms
from proxy_core.errors import InvalidParams
from proxy_core.forms import FormField


def read(required: tuple[str, ...] = (), **properties: Any) -> tuple[FormField, ...]:
    return forms.read(json.dumps({"type": "object", "properties": properties, "required": required}))


def field(**schema: Any) -> FormField:
    return read(x=schema)[0]


ENUM = {"type": "string", "enum": ["a", "b"]}
TITLED = {"type": "string", "oneOf": [{"const": "a", "title": "Alpha"}, {"const": "b", "title": "Beta"}]}
NAMED = {"type": "string", "enum": ["a", "b"], "enumNames": ["Alpha", "Beta"]}
SEVERAL = {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "minItems": 1}
SEVERAL_TITLED = {"type": "array", "items": {"anyOf": TITLED["oneOf"]}}


@pytest.mark.parametrize(
    ("schema", "kind", "choices"),
    [
        ({"type": "string"}, "string", ()),
        ({"type": "number"}, "number", ()),
        ({"type": "integer"}, "integer", ()),
        ({"type": "boolean"}, "boolean", ()),
        (ENUM, "choice", (("a", "a"), ("b", "b"))),
        (TITLED, "choice", (("a", "Alpha"), ("b", "Beta"))),
        (NAMED, "choice", (("a", "Alpha"), ("b", "Beta"))),
        (SEVERAL, "choices", (("a", "a"), ("b", "b"))),
        (SEVERAL_TITLED, "choices", (("a", "Alpha"), ("b", "Beta"))),
    ],
)
def test_every_kind_of_field_that_forms_have_is_read(schema: Any, kind: str, choices: Any):
    assert (field(**schema).kind, field(**schema).choices) == (kind, choices)


def test_fields_keep_the_order_of_the_schema_and_say_what_is_required():
    found = read(("b",), b={"type": "string", "title": "Bee"}, a={"type": "string"})
    assert [(each.name, each.label, each.is_required) for each in found] == [
        ("b", "Bee", True),
        ("a", "a", False),
    ]


@pytest.mark.parametrize(
    "schema",
    [
        b"",
        b"[]",
        b"{}",
        b'{"properties":[]}',
        b'{"properties":{"x":1}}',
        b'{"properties":{"x":{"type":"object"}}}',
        b'{"properties":{"x":{"type":["string","null"]}}}',
        b'{"properties":{"x":{"type":"array","items":{"type":"string"}}}}',
        b'{"properties":{"x":{"type":"string","enum":[1,2]}}}',
        b'{"properties":{"x":{"type":"string","oneOf":[{"title":"no const"}]}}}',
        json.dumps({"properties": {f"f{number}": {"type": "string"} for number in range(99)}}).encode(),
        b"[" * 100_000,
    ],
)
def test_what_is_no_flat_form_is_refused_in_a_sentence(schema: bytes):
    with pytest.raises(InvalidParams, match=r"^The form.*\.$"):
        forms.read(schema)


def test_a_default_that_fits_is_kept_and_any_other_left_out():
    assert field(type="integer", default=3).default == 3
    assert field(type="integer", default="three").default is None
    assert field(**ENUM, default="b").default == "b"
    assert field(**ENUM, default="c").default is None
    assert field(**SEVERAL, default=["a"]).default == ["a"]


@pytest.mark.parametrize(
    ("schema", "good", "bad", "words"),
    [
        ({"type": "string"}, "", 1, "a text"),
        ({"type": "string", "minLength": 2}, "ab", "a", "at least 2 characters"),
        ({"type": "string", "maxLength": 2}, "ab", "abc", "at most 2 characters"),
        ({"type": "string", "format": "email"}, "a@b.c", "a.b.c", "an e-mail address"),
        ({"type": "string", "format": "uri"}, "https://a.b/c", "a b", "a URI"),
        ({"type": "string", "format": "date"}, "2026-01-31", "2026-02-31", "a date"),
        ({"type": "string", "format": "date-time"}, "2026-01-31T14:00:00Z", "2026-01-31", "a date and time"),
        ({"type": "string", "format": "later"}, "anything", None, "a text"),
        ({"type": "number"}, 1.5, float("nan"), "a number"),
        ({"type": "number"}, 2, True, "a number"),
        ({"type": "number", "minimum": 2}, 2, 1.9, "at least 2"),
        ({"type": "number", "maximum": 2}, 2, 2.1, "at most 2"),
        ({"type": "integer"}, 7, 1.5, "a whole number"),
        ({"type": "boolean"}, True, "true", "true or false"),
        (ENUM, "a", "c", "one of a, b"),
        (SEVERAL, ["b"], [], "at least 1 choices"),
        (SEVERAL, ["b", "a"], ["c"], "some of a, b"),
    ],
)
def test_a_value_fits_or_the_sentence_says_what_would(schema: Any, good: Any, bad: Any, words: str):
    found = read(("x",), x=schema)
    assert forms.checked(found, {"x": good}) == {"x": good}
    with pytest.raises(InvalidParams, match=f"^'x' must be.*{words}"):
        forms.checked(found, {"x": bad})


def test_a_whole_number_may_be_written_with_a_point():
    value = forms.checked(read(x={"type": "integer"}), {"x": 3.0})["x"]
    assert (value, type(value)) == (3, int)


def test_what_is_required_must_be_there_and_what_is_not_asked_for_must_not():
    found = read(("a",), a={"type": "string"}, b={"type": "string"})
    assert forms.checked(found, {"a": "x"}) == {"a": "x"}
    with pytest.raises(InvalidParams, match="'a' must be filled in"):
        forms.checked(found, {"b": "x"})
    with pytest.raises(InvalidParams, match="does not ask for 'c'; it asks for a, b"):
        forms.checked(found, {"a": "x", "c": 1})


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "string"}, " as it is ", " as it is "),
        ({"type": "integer"}, "7", 7),
        ({"type": "number"}, "1.5", 1.5),
        ({"type": "boolean"}, "Yes", True),
        ({"type": "boolean"}, "false", False),
        (ENUM, "b", "b"),
        (SEVERAL, "a, b", ["a", "b"]),
    ],
)
def test_what_somebody_typed_becomes_the_fields_kind(schema: Any, text: str, value: Any):
    assert forms.parsed(field(**schema), text) == value


@pytest.mark.parametrize("text", ["", "seven", "9" * 5000, "inf"])
def test_what_is_no_number_is_refused(text: str):
    with pytest.raises(InvalidParams, match="must be a number"):
        forms.parsed(field(type="number"), text)


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("password", True),
        ("api_key", True),
        ("ACCESS_TOKEN", True),
        ("pin", True),
        ("name", False),
        ("spinner", False),
    ],
)
def test_a_field_that_seems_to_ask_for_a_secret_is_known_by_its_words(name: str, is_secret: bool):
    assert FormField(name, "string").looks_secret is is_secret
