from random import Random
from typing import Any

import pytest

from proxy_core.context.schema_rules import BOUNDS, compact_schema, with_descriptions
from tests.support.schema_instances import instances, verdict

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema"
STRING = {"type": "string"}
NULL = {"type": "null"}


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("schema", "compact"),
    [
        ({"title": "Gate", "type": "object"}, {"type": "object"}),
        (
            of(title=STRING, description=STRING, default=STRING),
            of(title=STRING, description=STRING, default=STRING),
        ),
        (of(a={"title": "A", "type": "string"}), of(a=STRING)),
        ({"const": {"title": "kept"}}, {"const": {"title": "kept"}}),
        ({"enum": [{"title": "kept", "default": None}]}, {"enum": [{"title": "kept", "default": None}]}),
        ({"title": {"odd": 1}}, {"title": {"odd": 1}}),
        ({"$comment": "for us", "type": "object"}, {"type": "object"}),
        ({"examples": [1, 2], "type": "integer"}, {"type": "integer"}),
        ({"description": " ", "type": "string"}, STRING),
        ({"required": [], "type": "object"}, {"type": "object"}),
        ({"required": ["a"]}, {"required": ["a"]}),
        ({"additionalProperties": True}, {}),
        ({"additionalProperties": {"title": "Any"}}, {}),
        ({"additionalProperties": False}, {"additionalProperties": False}),
        ({"additionalProperties": STRING}, {"additionalProperties": STRING}),
        (
            {"unevaluatedProperties": False, "allOf": [{"additionalProperties": True}]},
            {"unevaluatedProperties": False, "allOf": [{"additionalProperties": True}]},
        ),
        *[({"type": "string", "default": empty}, STRING) for empty in (None, "", [], {})],
        *[({"default": value}, {"default": value}) for value in (0, False, "x", [0])],
        (
            {"type": "integer", "minimum": -(2**53), "maximum": 2**53, "format": "int64"},
            {"type": "integer", "minimum": -(2**53), "maximum": 2**53, "format": "int64"},
        ),
        ({"type": "string", "x-mcp-header": "Gate"}, {"type": "string", "x-mcp-header": "Gate"}),
    ],
)
def test_what_validates_nothing_goes_and_nothing_else(schema: dict[str, Any], compact: dict[str, Any]):
    assert compact_schema(schema, 100) == compact


@pytest.mark.parametrize(
    ("schema", "compact"),
    [
        ({"anyOf": [STRING, NULL]}, {"type": ["string", "null"]}),
        (
            {"anyOf": [NULL, STRING], "description": "Which."},
            {"type": ["string", "null"], "description": "Which."},
        ),
        (
            {"anyOf": [{"type": "array", "items": STRING, "minItems": 1}, NULL], "default": None},
            {"type": ["array", "null"], "items": STRING, "minItems": 1},
        ),
        *[
            ({"anyOf": branches, **beside}, None)
            for branches, beside in [
                ([STRING, {"type": "integer"}], {}),
                ([STRING, NULL, {"type": "integer"}], {}),
                ([{"type": "string", "enum": ["a"]}, NULL], {}),
                ([{"type": "string", "const": "a"}, NULL], {}),
                ([{"enum": ["a"]}, NULL], {}),
                ([{"type": "string", "not": NULL}, NULL], {}),
                ([{"type": ["string", "integer"]}, NULL], {}),
                ([{"type": "string", "x-mcp-header": "A"}, NULL], {}),
                ([{"type": "string", "description": "Inner."}, NULL], {"description": "Outer."}),
                ([{"type": "object", "additionalProperties": False}, NULL], {"properties": {"a": {}}}),
                ([STRING, NULL], {"type": "string"}),
                ([STRING, NULL], {"enum": ["a"]}),
                ([NULL, NULL], {}),
                ([STRING, {"type": "null", "enum": []}], {}),
                ([STRING, True], {}),
            ]
        ],
    ],
)
def test_a_type_or_null_is_a_list_of_types_where_that_means_the_same(schema: dict[str, Any], compact: Any):
    assert compact_schema(schema, 100) == (schema if compact is None else compact)


def test_what_validates_nothing_keeps_no_definition_in_its_place():
    schema = {**of(a={"$ref": "#/$defs/s", "required": []}), "$defs": {"s": STRING}}
    assert compact_schema(schema, 100) == of(a=STRING)


@pytest.mark.parametrize(
    ("schema", "is_kept"),
    [
        ({"$schema": DRAFT_2020, "prefixItems": [STRING]}, False),
        ({"$schema": DRAFT_7, "type": "object"}, False),
        ({"$schema": DRAFT_7, "items": [STRING]}, True),
        ({"$schema": DRAFT_7, "type": "string", "format": "date-time"}, False),
        ({"$schema": DRAFT_7, "type": "string", "format": "uuid"}, True),
        ({"$schema": DRAFT_7, "dependencies": {"a": ["b"]}}, True),
        ({"$schema": DRAFT_7, "properties": {"a": {"unevaluatedProperties": False}}}, True),
        ({"$schema": DRAFT_7, "properties": {"a": {"$ref": "#", "type": "string"}}}, True),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, True),
        ({"$schema": 7}, True),
    ],
)
def test_the_dialect_is_left_out_only_where_the_usual_one_means_the_same(schema: dict[str, Any], is_kept: bool):
    compact = compact_schema(schema, 100)
    assert ("$schema" in compact) == is_kept
    assert compact == {keyword: schema[keyword] for keyword in schema if is_kept or keyword != "$schema"}


@pytest.mark.parametrize(
    "fixing",
    [
        {"properties": {"b": {"$ref": "#/properties/a/anyOf/0"}}},
        {"properties": {"b": {"$ref": "https://far.example/s.json"}}},
        {"properties": {"b": {"$ref": "#anchor"}}},
        {"properties": {"b": {"$ref": 7}}},
        {"properties": {"b": {"$id": "https://near.example/b.json"}}},
        {"properties": {"b": {"$schema": DRAFT_7}}},
        {"allOf": [{"$dynamicRef": "#here"}]},
        {"$schema": "https://example.com/own-dialect"},
    ],
)
def test_where_parts_are_referred_to_by_their_place_the_form_stays(fixing: dict[str, Any]):
    a = {"anyOf": [STRING, NULL], "default": None, "additionalProperties": True, "examples": [1]}
    rest = {**fixing, "properties": {"a": a, **fixing.get("properties", {})}}
    schema = {"$id": "https://near.example/a.json", "$defs": {"unused": STRING}, **rest}
    assert compact_schema(schema, 100) == schema
    titled = {**schema, "title": "Gate", "description": "One. " * 60}
    assert compact_schema(titled, 100) == {**schema, "description": ("One. " * 20).strip()}


def test_an_id_that_nothing_refers_to_goes():
    assert compact_schema({"$id": "https://near.example/a.json", **of(a=STRING)}, 100) == of(a=STRING)


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"title": "innermost"}
    for _ in range(depth):
        schema = {"title": "outer", "not": schema}
    return schema


def test_a_schema_that_is_too_deep_stays_as_it_is():
    assert "title" not in str(compact_schema(nested(BOUNDS.depth), 100))
    too_deep = nested(BOUNDS.depth + 1)
    assert compact_schema(too_deep, 100) is too_deep
    far_too_deep = nested(100_000)
    assert compact_schema(far_too_deep, 100) is far_too_deep
    while far_too_deep:  # Python 3.11 frees what is nested by recursion; do it by hand.
        far_too_deep = far_too_deep.pop("not", {})


def test_a_schema_that_is_too_large_stays_as_it_is():
    large = {"title": "kept", "properties": {str(number): {} for number in range(BOUNDS.count)}}
    assert compact_schema(large, 100) is large


def test_descriptions_go_to_properties_that_have_none():
    schema = of(a=STRING, b={"description": "Its own."}, c={"description": ""}, d=True)
    described = with_descriptions(schema, dict.fromkeys("abcde", "New."))
    assert described == of(
        a={**STRING, "description": "New."}, b={"description": "Its own."}, c={"description": "New."}, d=True
    )
    assert schema["properties"]["a"] == STRING


def test_the_judge_of_these_tests_sees_a_bound_that_was_lost():
    """If it did not, that two schemas take the same would mean nothing."""
    schema = {**of(a={"type": "integer", "minimum": 3}), "additionalProperties": False, "required": ["a"]}
    for lost in (
        {**schema, "required": []},
        {**schema, "additionalProperties": True},
        {**schema, "properties": {"a": {"type": "integer"}}},
    ):
        values = list(instances(schema, Random(7), 200))
        assert any(verdict(lost, value) != verdict(schema, value) for value in values)
