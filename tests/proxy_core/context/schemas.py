"""Schemas of all sorts for property tests: sound ones, and what a hostile server may send in their place."""

from typing import Any

from hypothesis import strategies as st

NAMES = ("a", "b", "title", "default", "description", "$ref", "items", "examples", "required")
TEXTS = st.sampled_from(
    [
        "",
        " ",
        "Short.",
        "Two  spaces\n\n\n and lines.",
        "A sentence that ends here. " * 9,
        "word" * 60,
        "Args:\n  a: of a\n",
    ]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=8,
)
_ANNOTATIONS = {
    "title": TEXTS,
    "description": TEXTS,
    "default": st.sampled_from([None, "", [], {}, 0, False, "x"]),
    "examples": st.lists(json_values, max_size=2),
    "$comment": TEXTS,
    "x-vendor": json_values,
}
_REFS = st.sampled_from(
    ["#", "#/$defs/a", "#/$defs/b", "#/definitions/a", "#/$defs/gone", "https://far.example/s.json"]
)
_BESIDE_REFS = {
    "type": st.just("string"),
    "required": st.just([]),
    "additionalProperties": st.booleans(),
    "minLength": st.just(2),
}


def _of_one_type(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    strings = {"minLength": st.integers(0, 3), "maxLength": st.integers(0, 3), "pattern": st.just("^a")}
    numbers = {
        "minimum": st.integers(-2, 2),
        "maximum": st.integers(-2, 2),
        "exclusiveMinimum": st.integers(-2, 2),
    }
    lists = {"items": inner, "minItems": st.integers(0, 2), "uniqueItems": st.booleans()}
    objects = {
        "properties": st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
        "required": st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
        "additionalProperties": st.booleans() | st.just({}) | inner,
        "unevaluatedProperties": st.booleans(),
    }
    kinds = [
        ("string", strings),
        ("integer", numbers),
        ("array", lists),
        ("object", objects),
        ("null", {}),
        ("boolean", {}),
    ]
    return st.one_of(
        [
            st.fixed_dictionaries({"type": st.just(kind)}, optional={**keywords, **_ANNOTATIONS})
            for kind, keywords in kinds
        ]
    )


def _combined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    nullable = st.tuples(inner, st.just({"type": "null"})).flatmap(st.permutations)
    return st.fixed_dictionaries(
        {},
        optional={
            "anyOf": nullable,
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
            **_ANNOTATIONS,
        },
    )


_leaves = (
    st.fixed_dictionaries({"$ref": _REFS}, optional={**_ANNOTATIONS, **_BESIDE_REFS})
    | st.fixed_dictionaries({"enum": st.lists(json_values, min_size=1, max_size=3)}, optional=_ANNOTATIONS)
    | st.fixed_dictionaries({"const": json_values})
    | st.booleans()
    | st.just({})
)
subschemas = st.recursive(_leaves, lambda inner: _of_one_type(inner) | _combined(inner), max_leaves=8)
"""Sound schemas, but for references that lead nowhere."""

input_schemas = st.builds(
    lambda body, defs, more: {**body, **({"$defs": defs} if defs else {}), **more},
    _of_one_type(subschemas),
    st.dictionaries(st.sampled_from(["a", "b"]), subschemas, max_size=2),
    st.sampled_from(
        [
            {},
            {"$schema": "http://json-schema.org/draft-07/schema#"},
            {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://near.example/s.json"},
        ]
    ),
)

odd_schemas = st.recursive(
    json_values,
    lambda inner: st.dictionaries(
        st.sampled_from(
            "type properties $defs definitions $ref anyOf items required additionalProperties description "
            "title default $schema $id enum dependencies annotations name".split()
        ),
        inner | st.lists(inner, max_size=2) | _REFS,
        max_size=4,
    ),
    max_leaves=12,
)
"""Anything where a schema should be."""
