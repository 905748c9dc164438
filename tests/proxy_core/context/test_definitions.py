from typing import Any

import pytest

from proxy_core.context.definitions import Bounds, inlined, place_of
from proxy_core.protocol.subschemas import TooDeep

BOUNDS = Bounds(depth=16, count=1000)
STRING = {"type": "string"}


def ref(name: str, **beside: Any) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}", **beside}


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("#/$defs/a", ("$defs", "a")),
        ("#/definitions/a~1b~0c%20d", ("definitions", "a/b~c d")),
        ("#/$defs/a/properties/b", None),
        ("#/properties/a", None),
        ("#", None),
        ("#a", None),
        ("https://far.example/s.json#/$defs/a", None),
        (None, None),
        (["#/$defs/a"], None),
    ],
)
def test_a_reference_to_a_whole_definition_is_told_from_others(written: object, place: object):
    assert place_of(written) == place


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({**of(a=ref("s")), "$defs": {"s": STRING}}, of(a=STRING)),
        ({**of(a={"$ref": "#/definitions/s"}), "definitions": {"s": STRING}}, of(a=STRING)),
        ({**of(a=STRING), "$defs": {"s": STRING}, "definitions": {}}, of(a=STRING)),
        # What a reference says itself comes before what it refers to.
        (
            {**of(a=ref("s", description="Mine.")), "$defs": {"s": {**STRING, "description": "Its."}}},
            of(a={**STRING, "description": "Mine."}),
        ),
        # One in the other, each used once.
        ({**of(a=ref("outer")), "$defs": {"outer": of(b=ref("s")), "s": STRING}}, of(a=of(b=STRING))),
        # Used by what is not used itself: not used.
        ({**of(a=ref("s")), "$defs": {"s": STRING, "unused": ref("s")}}, of(a=STRING)),
        # The root itself.
        ({"$ref": "#/$defs/r", "$defs": {"r": of(a=STRING)}, "title": "R"}, {**of(a=STRING), "title": "R"}),
        ({**ref("r", type="object"), "$defs": {"r": of(a=STRING)}}, of(a=STRING)),
    ],
)
def test_what_is_used_once_moves_and_what_is_not_used_goes(schema: dict[str, Any], expected: dict[str, Any]):
    assert inlined(schema, BOUNDS) == expected


@pytest.mark.parametrize(
    "schema",
    [
        {**of(a=ref("s"), b=ref("s")), "$defs": {"s": STRING}},
        {**of(a=ref("self")), "$defs": {"self": of(a=ref("self"))}},
        # Before 2019-09 the minLength is not looked at, after it is.
        {**of(a=ref("s", minLength=3)), "$defs": {"s": STRING}},
        {**of(a=ref("s", type="integer")), "$defs": {"s": STRING}},
        {**of(a=ref("flag")), "$defs": {"flag": False}},
        # A header that a definition asks for is asked for by nobody.
        {**of(a=ref("s")), "$defs": {"s": {**STRING, "x-mcp-header": "A"}}},
        of(a=ref("gone")),
        {**of(a=ref("s")), "$defs": ["odd"]},
    ],
)
def test_what_cannot_move_without_changing_what_it_means_stays(schema: dict[str, Any]):
    assert inlined(schema, BOUNDS) == {key: value for key, value in schema.items() if value != ["odd"]}


def test_two_that_refer_to_each_other_end():
    schema = {**of(a=ref("one")), "$defs": {"one": of(b=ref("two")), "two": of(c=ref("one"))}}
    assert inlined(schema, BOUNDS) == {**of(a=ref("one")), "$defs": {"one": of(b=of(c=ref("one")))}}


def test_the_original_is_not_changed():
    schema = {**of(a=ref("s")), "$defs": {"s": STRING}}
    inlined(schema, BOUNDS)
    assert schema == {**of(a=ref("s")), "$defs": {"s": STRING}}


def test_a_long_chain_of_definitions_is_refused():
    chain = {str(number): of(a=ref(str(number + 1))) for number in range(500)}
    with pytest.raises(TooDeep):
        inlined({**of(a=ref("0")), "$defs": chain}, Bounds(depth=64, count=10_000))
