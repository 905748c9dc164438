import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from proxy_core.errors import HeaderMismatch, Only1Error
from proxy_core.protocol.header_params import (
    HeaderParam,
    InvalidAnnotation,
    annotations,
    check,
    headers_for,
    is_annotated,
    without_invalid,
)
from proxy_core.protocol.headers import Headers

REGION = {"type": "string", "x-mcp-header": "Region"}


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def nested(depth: int, inner: dict[str, Any]) -> dict[str, Any]:
    for _ in range(depth):
        inner = schema(deeper=inner)
    return inner


def raw(arguments: Any) -> Raw:
    return Raw(json.dumps(arguments).encode())


def on_the_wire(headers: Headers) -> Headers:
    return [(name.lower(), value) for name, value in headers]


# --- annotations --------------------------------------------------------------------------------------------


def test_annotated_properties_are_found_at_any_depth_of_properties():
    tool = schema(
        where=REGION,
        count={"type": "integer", "x-mcp-header": "Count"},
        options=schema(dry={"type": "boolean", "x-mcp-header": "X-Dry_run!"}, other={"type": "number"}),
    )
    assert annotations(tool) == (
        HeaderParam("Region", ("where",), "string"),
        HeaderParam("Count", ("count",), "integer"),
        HeaderParam("X-Dry_run!", ("options", "dry"), "boolean"),
    )
    assert is_annotated(tool)
    assert without_invalid(tool) is tool


@pytest.mark.parametrize(
    "tool",
    [
        {},
        {"type": "object", "properties": None},
        schema(a=True, b=None, c=7),
        schema(**{"x-mcp-header": {"type": "string"}}),
        schema(a={"type": "object", "default": {"x-mcp-header": ""}, "enum": [{"x-mcp-header": ""}]}),
        {"examples": [{"x-mcp-header": ""}], "const": {"x-mcp-header": ""}, "x-vendor": {"x-mcp-header": ""}},
    ],
)
def test_data_within_a_schema_and_a_property_of_that_name_are_no_annotations(tool: dict[str, Any]):
    assert annotations(tool) == ()
    assert without_invalid(tool) is tool


INVALID: dict[str, dict[str, Any]] = {
    "empty": schema(a={"type": "string", "x-mcp-header": ""}),
    "a space": schema(a={"type": "string", "x-mcp-header": "My Region"}),
    "a colon": schema(a={"type": "string", "x-mcp-header": "Region:Primary"}),
    "not ASCII": schema(a={"type": "string", "x-mcp-header": "Région"}),
    "a line end": schema(a={"type": "string", "x-mcp-header": "Region\n"}),
    "a header of its own": schema(a={"type": "string", "x-mcp-header": "a\r\nX-Evil: 1"}),
    "no string": schema(a={"type": "string", "x-mcp-header": 5}),
    "null": schema(a={"type": "string", "x-mcp-header": None}),
    "an object": schema(a={"type": "object", "x-mcp-header": "A"}),
    "an array": schema(a={"type": "array", "items": {"type": "string"}, "x-mcp-header": "A"}),
    "the null type": schema(a={"type": "null", "x-mcp-header": "A"}),
    "a number": schema(a={"type": "number", "x-mcp-header": "A"}),
    "a union": schema(a={"type": ["string", "null"], "x-mcp-header": "A"}),
    "no type": schema(a={"$ref": "#/$defs/a", "x-mcp-header": "A"}),
    "twice": schema(a={"type": "string", "x-mcp-header": "A"}, b={"type": "string", "x-mcp-header": "A"}),
    "twice but for case": schema(
        a={"type": "string", "x-mcp-header": "MyA"}, o=schema(b={"type": "string", "x-mcp-header": "myA"})
    ),
    "the root": schema() | {"x-mcp-header": "A"},
    "items": schema(a={"type": "array", "items": REGION}),
    "items in a row": schema(a={"type": "array", "items": [True, REGION]}),
    "properties of items": schema(a={"type": "array", "items": schema(b=REGION)}),
    "prefixItems": schema(a={"type": "array", "prefixItems": [REGION]}),
    "oneOf": schema(a={"oneOf": [REGION, {"type": "null"}]}),
    "anyOf of the root": {"type": "object", "anyOf": [schema(a=REGION)]},
    "allOf": schema(a={"type": "string", "allOf": [REGION]}),
    "not": schema(a={"not": REGION}),
    "then": {"type": "object", "if": {}, "then": schema(a=REGION)},
    "$defs": schema(a={"$ref": "#/$defs/a"}) | {"$defs": {"a": REGION}},
    "definitions": schema() | {"definitions": {"a": schema(b=REGION)}},
    "patternProperties": schema() | {"patternProperties": {"^x": REGION}},
    "additionalProperties": schema() | {"additionalProperties": REGION},
    "dependentSchemas": schema() | {"dependentSchemas": {"a": schema(b=REGION)}},
}


@pytest.mark.requirement("H05")
@pytest.mark.parametrize("tool", INVALID.values(), ids=INVALID.keys())
def test_an_annotation_that_no_client_may_follow_is_found(tool: dict[str, Any]):
    with pytest.raises(InvalidAnnotation) as caught:
        annotations(tool)
    assert caught.value.message.isprintable()


@pytest.mark.requirement("H06")
@pytest.mark.parametrize("tool", INVALID.values(), ids=INVALID.keys())
def test_an_invalid_annotation_is_taken_out_and_nothing_else(tool: dict[str, Any]):
    with_a_good_one = copy.deepcopy(tool)
    with_a_good_one.setdefault("properties", {})["good"] = {"type": "integer", "x-mcp-header": "Good"}
    before = copy.deepcopy(with_a_good_one)
    mended = without_invalid(with_a_good_one)
    assert annotations(mended) == (HeaderParam("Good", ("good",), "integer"),)
    assert with_a_good_one == before
    assert json.dumps(mended).count("x-mcp-header") == 1
    assert bare(mended) == bare(before)


def bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: bare(inner) for key, inner in value.items() if key != "x-mcp-header"}
    return [bare(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    "tool",
    [
        nested(40, schema(a=REGION)),
        schema(**{f"p{n}": REGION | {"x-mcp-header": f"P{n}"} for n in range(2100)}),
    ],
    ids=["deep", "wide"],
)
def test_a_schema_beyond_bounds_is_not_searched(tool: dict[str, Any]):
    for look in (annotations, without_invalid):
        with pytest.raises(InvalidAnnotation, match="too large"):
            look(tool)


schemas = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["string", "integer", "boolean", "number", "null"]) | st.just(["string"]),
            "x-mcp-header": st.sampled_from(["A", "a", "B", "C", "", "x y"]) | st.none(),
        },
    ),
    lambda inner: st.builds(
        lambda keyword, value: {"type": "object", keyword: value},
        st.sampled_from(["properties", "properties", "$defs", "items", "allOf", "default"]),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3) | st.lists(inner, max_size=2) | inner,
    ),
    max_leaves=8,
)


@settings(max_examples=200)
@given(schemas)
def test_what_is_mended_is_valid_and_what_is_valid_stays(tool: dict[str, Any]):
    mended = without_invalid(tool)
    annotations(mended)
    assert without_invalid(mended) is mended
    try:
        annotations(tool)
    except InvalidAnnotation:
        assert mended is not tool
    else:
        assert mended is tool


# --- headers of a call --------------------------------------------------------------------------------------

PARAMS = (
    HeaderParam("Region", ("where",), "string"),
    HeaderParam("Count", ("count",), "integer"),
    HeaderParam("Dry-Run", ("options", "dry"), "boolean"),
)


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ({"where": "us-west1", "count": -7, "options": {"dry": False}}, ["us-west1", "-7", "false"]),
        ({"where": "Hello, 世界", "count": 0}, ["=?base64?SGVsbG8sIOS4lueVjA==?=", "0"]),
        ({"options": {"dry": True}}, ["true"]),
        ({"where": "a\r\nX-Evil: 1"}, ["=?base64?YQ0KWC1FdmlsOiAx?="]),
        ({"where": ""}, [""]),
        ({"where": None, "count": None, "options": None}, []),
        ({"options": [], "other": 1}, []),
        ({"options": {}}, []),
        ({"count": 9007199254740993}, ["9007199254740993"]),
        ({"count": 42.0}, ["42"]),
        # Of another type than the schema says: sent as what it is, for the server to judge.
        ({"where": 5, "count": "many", "options": {"dry": 1.5}}, ["5", "many", "1.5"]),
        ({"where": ["x"], "count": {}, "options": {"dry": {"dry": True}}}, []),
        ([], []),
        ("text", []),
    ],
)
def test_arguments_become_headers(arguments: Any, headers: list[str]):
    sent = headers_for(PARAMS, raw(arguments))
    assert [value for _, value in sent] == headers
    assert all(name in ("Mcp-Param-Region", "Mcp-Param-Count", "Mcp-Param-Dry-Run") for name, _ in sent)


@pytest.mark.parametrize(
    ("number", "header"),
    [(b"-0", "0"), (b"4.2e1", "42"), (b"1.50", "1.5"), (b"1e400", None), (b"1e-9", None)],
)
def test_a_number_is_sent_in_plain_decimal_form_or_not_at_all(number: bytes, header: str | None):
    sent = headers_for(PARAMS, Raw(b'{"count":%s}' % number))
    assert [value for _, value in sent] == ([] if header is None else [header])


# --- what a client sent -------------------------------------------------------------------------------------


def refused(arguments: Any, *headers: tuple[str, str]) -> str:
    with pytest.raises(HeaderMismatch) as caught:
        check(PARAMS, arguments if isinstance(arguments, Raw) else raw(arguments), list(headers))
    return caught.value.message


@pytest.mark.requirement("H03")
def test_an_argument_and_its_header_come_together_or_not_at_all():
    assert "missing" in refused({"where": "x"})
    assert "missing" in refused({"where": ""})
    assert "missing" in refused({"options": {"dry": False}})
    for arguments in ({"where": None}, {}, {"where": {}}, [], None):
        assert "not the argument" in refused(arguments, ("mcp-param-region", "x"))
        assert "not the argument" in refused(arguments, ("mcp-param-region", ""))
        check(PARAMS, raw(arguments), [])
    check(PARAMS, Raw(), [])


@pytest.mark.requirement("H03")
def test_a_header_says_what_its_argument_says_letter_by_letter():
    check(PARAMS, raw({"where": "us west"}), [("mcp-param-region", " us west\t")])
    check(PARAMS, raw({"where": "Hello"}), [("mcp-param-region", "=?base64?SGVsbG8=?=")])
    for other in ("Us west", "us  west", "dXMgd2VzdA==", "null"):
        assert "not what" in refused({"where": "us west"}, ("mcp-param-region", other))
    assert "not what" in refused({"options": {"dry": True}}, ("mcp-param-dry-run", "True"))
    assert "not what" in refused({"options": {"dry": True}}, ("mcp-param-dry-run", "1"))


@pytest.mark.requirement("H04")
@pytest.mark.parametrize("header", ["42", "42.0", "42.000", "042"])
def test_integers_are_compared_as_numbers(header: str):
    check(PARAMS, raw({"count": 42}), [("mcp-param-count", header)])
    check(PARAMS, raw({"count": 42.0}), [("mcp-param-count", header)])


@pytest.mark.requirement("H04")
@pytest.mark.parametrize(
    "header", ["4.2e1", "42.1", "43", "+42", "0x2a", "42.", ".42", "4_2", "४२", "", "NaN", "42 "]
)
def test_only_in_decimal_form(header: str):
    if header.strip() == "42":
        check(PARAMS, raw({"count": 42}), [("mcp-param-count", header)])
    else:
        refused({"count": 42}, ("mcp-param-count", header))


def test_large_integers_are_not_rounded():
    check(PARAMS, raw({"count": 2**53 + 1}), [("mcp-param-count", "9007199254740993")])
    refused({"count": 2**53 + 1}, ("mcp-param-count", "9007199254740992"))
    refused(Raw(b'{"count":1e999999999}'), ("mcp-param-count", "1"))


def test_a_string_of_digits_is_not_compared_as_a_number():
    refused({"where": "42"}, ("mcp-param-region", "42.0"))
    refused({"count": "42"}, ("mcp-param-count", "42.0"))


@pytest.mark.requirement("H02")
@pytest.mark.parametrize("header", ["=?base64?SGVsbG8?=", "=?base64?SGVs!G8=?=", "=?base64?/w==?=", "Héllo"])
def test_a_value_that_cannot_be_decoded_is_a_mismatch(header: str):
    refused({"where": "Hello"}, ("mcp-param-region", header))


@pytest.mark.requirement("H03")
def test_a_repeated_header_is_a_mismatch_even_with_equal_values():
    """Readers of the first and of the last line would disagree."""
    line = ("mcp-param-region", "x")
    assert "repeated" in refused({"where": "x"}, line, line)


def test_headers_of_no_property_mean_nothing():
    """A client may know a tool's schema of yesterday."""
    check(PARAMS, raw({}), [("mcp-param-other", "x"), ("mcp-param-other", "y"), ("mcp-param-", "z")])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["dry", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@settings(max_examples=400)
@given(
    st.dictionaries(st.sampled_from(["where", "count", "options"]), json_values) | json_values,
    st.booleans(),
)
def test_what_is_sent_is_always_accepted(arguments: Any, is_ascii: bool):
    body = Raw(json.dumps(arguments, ensure_ascii=is_ascii).encode())
    sent = headers_for(PARAMS, body)
    assert all(name.isascii() and value.isascii() and value.isprintable() for name, value in sent)
    check(PARAMS, body, on_the_wire(sent))
    for index in range(len(sent)):
        with pytest.raises(HeaderMismatch):
            check(PARAMS, body, on_the_wire(sent[:index] + sent[index + 1 :]))


@settings(max_examples=200)
@given(json_values, st.lists(st.tuples(st.sampled_from(["mcp-param-region", "mcp-param-count"]), st.text())))
def test_any_headers_are_accepted_or_refused(arguments: Any, headers: Headers):
    try:
        check(PARAMS, raw({"where": arguments, "count": arguments}), headers)
    except Only1Error as error:
        assert isinstance(error, HeaderMismatch)
