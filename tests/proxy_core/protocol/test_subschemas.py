from typing import Any

import pytest

from proxy_core.protocol.subschemas import TooDeep, every, rewritten, within

SCHEMA: dict[str, Any] = {
    "properties": {"a": {"n": 1}, "b": True},
    "items": {"n": 2},
    "anyOf": [{"n": 3}, {"not": {"n": 4}}],
    "dependencies": {"a": ["b"], "c": {"n": 5}},
    "enum": [{"n": "data"}],
    "default": {"properties": {"n": "data"}},
    "x-vendor": {"properties": {"n": "data"}},
}


def numbers(schema: Any, max_depth: int = 9, max_count: int = 99) -> list[Any]:
    return [inner["n"] for _, inner in every(schema, max_depth, max_count) if "n" in inner]


def test_schemas_are_found_where_keywords_have_them_and_nowhere_else():
    assert numbers(SCHEMA) == [1, 2, 3, 4, 5]


def test_the_way_to_each_is_told():
    assert [where for where, _ in within(SCHEMA)] == [
        ("properties", "a"),
        ("properties", "b"),
        ("items",),
        ("anyOf", 0),
        ("anyOf", 1),
        ("dependencies", "a"),
        ("dependencies", "c"),
    ]


def test_the_depth_of_each_is_told():
    assert [depth for depth, _ in every(SCHEMA, 9, 99)] == [0, 1, 1, 1, 1, 2, 1]


def test_a_tuple_of_items_is_many_schemas():
    assert numbers({"items": [{"n": 1}, {"n": 2}]}) == [1, 2]


@pytest.mark.parametrize(("max_depth", "max_count"), [(1, 99), (9, 6)])
def test_more_than_was_asked_for_is_refused(max_depth: int, max_count: int):
    with pytest.raises(TooDeep):
        numbers(SCHEMA, max_depth, max_count)


@pytest.mark.parametrize(
    "odd", [None, True, 3, "x", [], [{"n": 1}], {"properties": [{"n": 1}], "anyOf": {"n": 1}}]
)
def test_what_is_no_schema_holds_none(odd: object):
    assert numbers(odd) == []
    assert rewritten(odd, lambda schema: {**schema}, 9) == odd


def test_each_schema_is_made_anew_from_within():
    seen: list[Any] = []

    def rule(schema: dict[str, Any]) -> dict[str, Any]:
        seen.append(schema.get("n"))
        return {**schema, "seen": True}

    new = rewritten(SCHEMA, rule, 9)
    assert seen == [1, 2, 3, 4, None, 5, None]
    assert new["anyOf"][1] == {"not": {"n": 4, "seen": True}, "seen": True}
    assert new["default"] is SCHEMA["default"]
    assert "seen" not in SCHEMA["properties"]["a"]


def test_a_copy_that_would_be_too_deep_is_refused():
    with pytest.raises(TooDeep):
        rewritten(SCHEMA, lambda schema: schema, 1)
    assert rewritten(SCHEMA, lambda schema: schema, 2) == SCHEMA
