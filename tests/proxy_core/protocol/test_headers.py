import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_core.errors import HeaderMismatch, Only1Error
from proxy_core.protocol.headers import (
    MCP_SESSION_ID,
    RoutingHeaders,
    decode_value,
    encode_value,
    first,
    routing_headers,
)


def sentinel(text: str) -> str:
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


@pytest.mark.requirement("H01")
@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("us-west1", "us-west1"),
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ("", ""),
        ("a\tb", "=?base64?YQli?="),
        ("=?base64?=", "=?base64?="),
        ("a b", "a b"),
    ],
)
def test_values_are_encoded_only_where_they_must_be(value: str, encoded: str):
    assert encode_value(value) == encoded
    assert decode_value(encoded) == value


@pytest.mark.requirement("H02")
@pytest.mark.parametrize(
    "header",
    [
        "=?base64?SGVsbG8?=",  # no padding
        "=?base64?SGVsbG9=?=",  # unused bits are set
        "=?base64?SGV sbG8=?=",
        "=?base64?SGVs\tbG8=?=",
        "=?base64?SGVsbG8-_w==?=",  # the other alphabet
        "=?base64?//79?=",  # not UTF-8
        "=?base64?é?=",
        "=?base64?=?=",
    ],
)
def test_a_sentinel_that_is_not_canonical_is_refused(header: str):
    with pytest.raises(HeaderMismatch):
        decode_value(header)


@pytest.mark.parametrize("header", ["=?BASE64?SGVsbG8=?=", "=?base64?SGVsbG8=", "SGVsbG8=?=", "=?utf8?x?="])
def test_what_is_no_exact_sentinel_is_literal(header: str):
    assert decode_value(header) == header


def test_optional_whitespace_around_a_value_is_no_part_of_it():
    assert decode_value(" \tname\t ") == "name"
    assert decode_value("a\tb") == "a\tb"


@pytest.mark.requirement("H02")
@pytest.mark.parametrize("header", ["é", "\u00a0name", "a\x00b", "a\x7fb", "\udce9"])
def test_a_value_with_characters_that_no_header_may_have_is_refused(header: str):
    with pytest.raises(HeaderMismatch, match="encoded"):
        decode_value(header)


def test_routing_headers_are_found_among_others():
    headers = [("host", "x"), ("mcp-method", " tools/call "), ("mcp-name", "echo")]
    assert routing_headers(headers) == RoutingHeaders(None, "tools/call", "echo")


@pytest.mark.requirement("W17")
@pytest.mark.parametrize("name", ["mcp-method", "mcp-name", "mcp-protocol-version"])
def test_a_repeated_routing_header_is_refused_even_with_equal_values(name: str):
    with pytest.raises(HeaderMismatch, match=name):
        routing_headers([(name, "a"), (name, "a")])


def test_the_first_line_of_a_name_counts():
    headers = [(MCP_SESSION_ID, " a "), (MCP_SESSION_ID, "b")]
    assert first(headers, MCP_SESSION_ID) == "a"
    assert first(headers, "accept") is None


@settings(max_examples=200)
@given(st.text())
def test_every_text_survives_the_codec(value: str):
    encoded = encode_value(value)
    assert encoded.isascii() and encoded.strip() == encoded
    assert decode_value(encoded) == value


@settings(max_examples=200)
@given(st.text(st.characters()), st.booleans())
def test_any_header_value_is_decoded_or_refused(value: str, in_sentinel: bool):
    try:
        decode_value(f"=?base64?{value}?=" if in_sentinel else value)
    except Only1Error as error:
        assert isinstance(error, HeaderMismatch)
