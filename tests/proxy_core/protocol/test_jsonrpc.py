"""JSON-RPC envelopes: what is one message, what is not, and that what is relayed stays as it came."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_core.errors import Only1Error, ParseError
from proxy_core.protocol import jsonrpc

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def envelope(**members: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0"} | members).encode()


@pytest.mark.requirement("W01")
@pytest.mark.parametrize("bad_id", [None, True, False, 1.5, 1.0, {"a": 1}, [1]])
def test_an_id_that_is_no_string_and_no_integer_is_refused(bad_id: object) -> None:
    with pytest.raises(jsonrpc.NotOneMessage) as refused:
        jsonrpc.parse(envelope(id=bad_id, method="ping"))
    assert refused.value.raw_id == b""


@pytest.mark.requirement("W01")
@pytest.mark.parametrize("raw_id", [b"1", b'"1"', b"-7", b'"a b"', b"0", b"12345678901234567890123"])
def test_an_id_keeps_its_type_and_its_spelling(raw_id: bytes) -> None:
    request = jsonrpc.parse(b'{"jsonrpc":"2.0","id":%s,"method":"ping"}' % raw_id)
    assert isinstance(request, jsonrpc.Request)
    assert request.raw_id == raw_id
    assert request.id == json.loads(raw_id)


@pytest.mark.parametrize("body", [b"", b"{", b"nul", b'{"a":"\xff"}', b'{"a":01}', b"{} x", b'{"a":"\n"}'])
def test_what_is_not_json_is_a_parse_error(body: bytes) -> None:
    with pytest.raises(ParseError):
        jsonrpc.parse(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"1",
        b'"x"',
        b"null",
        b"{}",
        envelope(method=3),
        envelope(method="a", params=[1]),
        envelope(id=1),
        envelope(id=1, result={}, error={}),
        envelope(result={}),
        b'{"id":1,"method":"a"}',
        b'{"jsonrpc":2.0,"id":1,"method":"a"}',
    ],
)
def test_json_that_is_no_single_message_is_refused(body: bytes) -> None:
    with pytest.raises(jsonrpc.NotOneMessage):
        jsonrpc.parse(body)


@pytest.mark.parametrize("body", [b" [1]", b"[]"])
def test_an_array_is_told_from_other_refusals(body: bytes) -> None:
    with pytest.raises(jsonrpc.NotOneMessage) as refused:
        jsonrpc.parse(body)
    assert refused.value.is_array


def test_params_and_results_stay_the_bytes_they_were() -> None:
    params = b'{ "z": 1.50,  "a":[1e2, "\\u00e9"] }'
    request = jsonrpc.parse(b'{"jsonrpc":"2.0","id":1,"method":"m","params":' + params + b"}")
    assert isinstance(request, jsonrpc.Request)
    assert bytes(request.params) == params


def test_an_error_without_an_id_is_a_response() -> None:
    answer = jsonrpc.parse(envelope(id=None, error={"code": -32700, "message": "?"}))
    assert isinstance(answer, jsonrpc.Response)
    assert answer.id is None


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_any_bytes_are_a_message_or_one_of_our_errors(body: bytes) -> None:
    try:
        jsonrpc.parse(body)
    except Only1Error:
        return


@given(JSON, JSON, JSON)
@settings(max_examples=200)
def test_any_json_members_are_a_message_or_one_of_our_errors(
    id_: object, method: object, params: object
) -> None:
    try:
        message = jsonrpc.parse(envelope(id=id_, method=method, params=params))
    except Only1Error:
        return
    assert isinstance(message, jsonrpc.Request)
    assert message.id == id_


@pytest.mark.parametrize("depth", [10_000, 200_000])
def test_nesting_without_end_is_one_of_our_errors(depth: int) -> None:
    with pytest.raises(Only1Error):
        jsonrpc.parse(b'{"jsonrpc":"2.0","id":1,"method":"m","params":' + b'{"a":' * depth)


@pytest.mark.parametrize(
    "error",
    [
        b"null",
        b"{}",
        b"[]",
        b'"no"',
        b'{"code":"x","message":"m"}',
        b'{"code":1}',
        b'{"code":true,"message":"m"}',
    ],
)
def test_a_malformed_error_becomes_an_internal_one_that_says_so(error: bytes) -> None:
    assert jsonrpc.rpc_error(msgspec.Raw(error)).code == -32603


@given(JSON)
@settings(max_examples=100)
def test_one_line_changes_white_space_only(value: object) -> None:
    pretty = json.dumps(value, indent=2).encode()
    line = jsonrpc.one_line(pretty)
    assert b"\n" not in line
    assert json.loads(line) == value


def test_a_raw_line_end_inside_a_string_is_refused() -> None:
    with pytest.raises(ParseError):
        jsonrpc.one_line(b'{"a":"x\ny"}')


def test_what_is_built_parses_back() -> None:
    request = jsonrpc.parse(jsonrpc.request(b'"q"', "tools/call", b'{"name":"x"}'))
    notification = jsonrpc.parse(jsonrpc.notification("notifications/x"))
    result = jsonrpc.parse(jsonrpc.result(b"1", b"{}"))
    error = jsonrpc.parse(jsonrpc.error(b"null", -32600, 'a "quoted" word', b'{"k":1}'))
    assert isinstance(request, jsonrpc.Request) and request.method == "tools/call"
    assert isinstance(notification, jsonrpc.Notification) and jsonrpc.is_empty(notification.params)
    assert isinstance(result, jsonrpc.Response) and bytes(result.result) == b"{}"
    assert isinstance(error, jsonrpc.Response)
    assert jsonrpc.rpc_error(error.error).message == 'a "quoted" word'


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        (rb"a\ud83d", rb"a\ufffd"),
        (rb"\uDE00b", rb"\ufffdb"),
        (rb"\ud83d\ude00", rb"\ud83d\ude00"),
        (rb"\\ud83d\ud83d", rb"\\ud83d\ufffd"),
        (rb"\ud83d\ud83d\ude00", rb"\ufffd\ud83d\ude00"),
    ],
)
def test_half_an_emoji_costs_that_character_and_not_the_message(text: bytes, mended: bytes) -> None:
    """JavaScript servers cut texts by UTF-16 units; msgspec refuses what is left."""
    answer = jsonrpc.parse(rb'{"jsonrpc":"2.0","id":1,"result":{"t":"%s","e":"\ud800"}}' % text)
    assert isinstance(answer, jsonrpc.Response)
    assert bytes(answer.result) == rb'{"t":"%s","e":"\ufffd"}' % mended
