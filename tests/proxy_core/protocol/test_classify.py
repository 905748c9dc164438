import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_core.errors import ErrorCode
from proxy_core.protocol.classify import (
    LegacyPost,
    ModernNotification,
    ModernRequest,
    Refused,
    classify_line,
    classify_post,
)
from proxy_core.protocol.jsonrpc import Notification, Request, Response
from proxy_core.protocol.revisions import SUPPORTED, Era

P = "io.modelcontextprotocol/"
MODERN = "2026-07-28"
META = {
    P + "protocolVersion": MODERN,
    P + "clientCapabilities": {"sampling": {}},
    P + "clientInfo": {"name": "Host", "version": "1"},
}
ECHO = {"name": "flaky__echo", "arguments": {"text": "hi"}}


def body(method: str = "tools/list", params: Any = None, request_id: Any = 7, meta: Any = META) -> bytes:
    message: dict[str, Any] = {"jsonrpc": "2.0", "id": request_id, "method": method}
    members = dict(params or {})
    if meta is not None:
        members["_meta"] = meta
    if members:
        message["params"] = members
    return json.dumps(message).encode()


def headers(
    method: str = "tools/list", version: str = MODERN, name: str | None = None
) -> list[tuple[str, str]]:
    lines = [("host", "localhost"), ("mcp-protocol-version", version), ("mcp-method", method)]
    return lines if name is None else [*lines, ("mcp-name", name)]


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in META.items() if name != P + key}


def refused(posted: object, code: ErrorCode, raw_id: bytes | None = b"7") -> Refused:
    assert isinstance(posted, Refused), posted
    assert (posted.error.code, posted.raw_id) == (code, raw_id)
    return posted


def served(posted: object) -> ModernRequest:
    assert isinstance(posted, ModernRequest), posted
    return posted


# --- the envelope ---------------------------------------------------------------------------------------------


def test_a_modern_request_comes_out_with_what_its_envelope_says():
    meta = META | {P + "logLevel": "info", "progressToken": "p1"}
    request = served(
        classify_post(headers("tools/call", name="flaky__echo"), body("tools/call", ECHO, "a", meta))
    )
    assert (request.request.id, request.request.raw_id) == ("a", b'"a"')
    assert (request.version, request.log_level, request.client_name) == (MODERN, "info", "Host")
    assert bytes(request.progress_token) == b'"p1"'
    assert json.loads(bytes(request.capabilities)) == {"sampling": {}}


@pytest.mark.requirement("W01")
@pytest.mark.parametrize("bad_id", [None, True, 1.5, 1.0, {"a": 1}, [1]])
def test_an_id_that_is_no_string_or_integer_is_refused(bad_id: Any):
    refused(classify_post(headers(), body(request_id=bad_id)), ErrorCode.INVALID_REQUEST, None)
    refused(classify_post([], body("ping", request_id=bad_id, meta=None)), ErrorCode.INVALID_REQUEST, b"null")


@pytest.mark.requirement("W01")
@pytest.mark.parametrize(("request_id", "raw"), [(1, b"1"), ("1", b'"1"'), ("é", b'"\\u00e9"'), (-3, b"-3")])
def test_an_id_is_echoed_with_its_type(request_id: Any, raw: bytes):
    assert served(classify_post(headers(), body(request_id=request_id))).request.raw_id == raw
    refused(classify_post(headers(), body("nope", request_id=request_id)), ErrorCode.HEADER_MISMATCH, raw)


@pytest.mark.requirement("W02")
@pytest.mark.parametrize(
    ("version", "raw_id", "era"),
    [
        (MODERN, None, Era.MODERN),
        ("2025-11-25", None, Era.LEGACY),
        ("2025-06-18", b"null", Era.LEGACY),
        ("2025-03-26", b"null", Era.LEGACY),
        (None, b"null", Era.LEGACY),
    ],
)
@pytest.mark.parametrize(
    "junk", [b"", b"{", b"nonsense", b'{"jsonrpc":"2.0"', b"\xff\xfe", b'{"a":' + b"[" * 100_000]
)
def test_what_is_no_json_is_a_parse_error_with_the_id_its_revision_wants(
    version: str | None, raw_id: bytes | None, era: Era, junk: bytes
):
    lines = [] if version is None else [("mcp-protocol-version", version)]
    posted = refused(classify_post(lines, junk), ErrorCode.PARSE_ERROR, raw_id)
    assert (posted.era, posted.error.http_status) == (era, 400)


@pytest.mark.requirement("W03")
@pytest.mark.parametrize("array", [b"[]", b" [1]", b"[" + body() + b"," + body() + b"]"])
def test_an_array_is_refused_in_both_eras(array: bytes):
    refused(classify_post(headers(), array), ErrorCode.INVALID_REQUEST, None)
    refused(classify_post([("mcp-session-id", "s")], array), ErrorCode.INVALID_REQUEST, b"null")


@pytest.mark.requirement("W20")
def test_a_response_cannot_be_posted_in_the_modern_era():
    answer = b'{"jsonrpc":"2.0","id":7,"result":{}}'
    refused(classify_post(headers(), answer), ErrorCode.INVALID_REQUEST, None)


# --- _meta ----------------------------------------------------------------------------------------------------


@pytest.mark.requirement("W05")
@pytest.mark.parametrize("meta", [None, 1, "x", []])
def test_a_modern_request_without_meta_is_refused(meta: Any):
    posted = refused(classify_post(headers(), body(meta=meta)), ErrorCode.INVALID_PARAMS)
    assert posted.error.http_status == 400


@pytest.mark.requirement("W06")
def test_meta_without_a_protocol_version_is_refused():
    refused(classify_post(headers(), body(meta=without("protocolVersion"))), ErrorCode.INVALID_PARAMS)
    null_version = META | {P + "protocolVersion": None}
    refused(classify_post(headers(), body(meta=null_version)), ErrorCode.INVALID_PARAMS)


@pytest.mark.requirement("W07")
def test_meta_without_client_capabilities_is_refused():
    refused(classify_post(headers(), body(meta=without("clientCapabilities"))), ErrorCode.INVALID_PARAMS)
    an_array = META | {P + "clientCapabilities": []}
    refused(classify_post(headers(), body(meta=an_array)), ErrorCode.INVALID_PARAMS)


@pytest.mark.requirement("W08")
@pytest.mark.parametrize("info", [None, 5, {}, {"name": 5}])
def test_the_client_need_not_say_who_it_is(info: Any):
    assert served(classify_post(headers(), body(meta=without("clientInfo")))).client_name == ""
    odd = META | {P + "clientInfo": info}
    assert served(classify_post(headers(), body(meta=odd))).client_name == ""


def test_a_long_client_name_is_cut():
    meta = META | {P + "clientInfo": {"name": "x" * 500, "version": "1"}}
    assert served(classify_post(headers(), body(meta=meta))).client_name == "x" * 80


@pytest.mark.parametrize("token", [None, True, {"a": 1}, [1], "x" * 400])
def test_a_progress_token_that_cannot_be_one_is_as_good_as_none(token: Any):
    request = served(classify_post(headers(), body(meta=META | {"progressToken": token})))
    assert bytes(request.progress_token) == b""


@pytest.mark.requirement("W23")
@pytest.mark.parametrize("level", ["loud", "INFO", "", 3, None, ["info"]])
def test_an_unknown_log_level_is_refused(level: Any):
    refused(classify_post(headers(), body(meta=META | {P + "logLevel": level})), ErrorCode.INVALID_PARAMS)


# --- headers against the body ---------------------------------------------------------------------------------


@pytest.mark.requirement("W09")
@pytest.mark.parametrize("version", ["2025-11-25", "2027-01-01", "", MODERN.upper() + "x"])
def test_a_version_header_that_differs_from_meta_is_a_mismatch_before_it_is_unsupported(version: str):
    refused(classify_post(headers(version=version), body()), ErrorCode.HEADER_MISMATCH)


@pytest.mark.requirement("W10")
def test_an_envelope_without_a_version_header_is_a_mismatch():
    posted = refused(classify_post([("mcp-method", "tools/list")], body()), ErrorCode.HEADER_MISMATCH)
    assert posted.era is Era.MODERN


@pytest.mark.requirement("W11")
def test_an_unknown_version_is_told_which_ones_exist():
    meta = META | {P + "protocolVersion": "2027-01-01"}
    posted = refused(
        classify_post(headers(version="2027-01-01"), body(meta=meta)), ErrorCode.UNSUPPORTED_VERSION
    )
    assert posted.error.data() == {"supported": list(SUPPORTED), "requested": "2027-01-01"}


def test_an_envelope_of_a_legacy_version_is_told_to_initialize():
    meta = META | {P + "protocolVersion": "2025-11-25"}
    posted = refused(
        classify_post(headers(version="2025-11-25"), body(meta=meta)), ErrorCode.UNSUPPORTED_VERSION
    )
    assert "initialize" in posted.error.message
    assert posted.error.data() == {"supported": [MODERN], "requested": "2025-11-25"}


@pytest.mark.requirement("W12")
@pytest.mark.parametrize("method", [None, "tools/call", "Tools/List", ""])
def test_the_method_header_must_repeat_the_method(method: str | None):
    lines = [("mcp-protocol-version", MODERN)] + ([] if method is None else [("mcp-method", method)])
    refused(classify_post(lines, body()), ErrorCode.HEADER_MISMATCH)


@pytest.mark.requirement("W13")
@pytest.mark.parametrize(
    ("method", "params"),
    [("tools/call", {"name": "a"}), ("prompts/get", {"name": "a"}), ("resources/read", {"uri": "a"})],
)
def test_the_name_header_must_repeat_the_name(method: str, params: dict[str, Any]):
    served(classify_post(headers(method, name="a"), body(method, params)))
    refused(classify_post(headers(method), body(method, params)), ErrorCode.HEADER_MISMATCH)
    refused(classify_post(headers(method, name="A"), body(method, params)), ErrorCode.HEADER_MISMATCH)
    refused(classify_post(headers(method, name=""), body(method, params)), ErrorCode.HEADER_MISMATCH)


@pytest.mark.requirement("W14")
def test_spaces_around_the_name_header_do_not_count():
    served(classify_post(headers("tools/call", name="  flaky__echo\t"), body("tools/call", ECHO)))


@pytest.mark.requirement("W15")
def test_an_encoded_name_header_is_decoded_before_it_is_compared():
    lines = headers("prompts/get", name="=?base64?w6k=?=")
    served(classify_post(lines, body("prompts/get", {"name": "é"})))
    broken = headers("prompts/get", name="=?base64?w6k?=")
    refused(classify_post(broken, body("prompts/get", {"name": "é"})), ErrorCode.HEADER_MISMATCH)


def test_a_call_without_a_name_is_left_to_the_check_of_its_params():
    served(classify_post(headers("tools/call"), body("tools/call", {"arguments": {}})))


@pytest.mark.requirement("W17")
@pytest.mark.parametrize("line", [("mcp-method", "tools/list"), ("mcp-protocol-version", MODERN)])
def test_a_repeated_routing_header_is_refused(line: tuple[str, str]):
    refused(classify_post([*headers(), line], body()), ErrorCode.HEADER_MISMATCH)


# --- methods --------------------------------------------------------------------------------------------------

REMOVED = [
    "initialize",
    "ping",
    "logging/setLevel",
    "resources/subscribe",
    "resources/unsubscribe",
    "unknown/method",
]


@pytest.mark.requirement("W18")
@pytest.mark.parametrize("method", REMOVED)
def test_methods_that_the_modern_era_does_not_have_are_not_found(method: str):
    posted = refused(classify_post(headers(method), body(method)), ErrorCode.METHOD_NOT_FOUND)
    assert posted.error.http_status == 404


@pytest.mark.requirement("W18")
def test_a_handshake_under_a_modern_header_is_not_found_though_it_has_no_envelope():
    handshake = body("initialize", {"protocolVersion": MODERN, "capabilities": {}}, meta=None)
    refused(classify_post(headers("initialize"), handshake), ErrorCode.METHOD_NOT_FOUND)
    newer = headers("initialize", "2027-01-01")
    refused(classify_post(newer, handshake), ErrorCode.UNSUPPORTED_VERSION)


@pytest.mark.requirement("W19")
def test_a_modern_notification_is_recognised_with_and_without_an_envelope():
    cancel = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}'
    assert isinstance(classify_post(headers(), cancel), ModernNotification)
    refused(classify_post(headers(version="2027-01-01"), cancel), ErrorCode.UNSUPPORTED_VERSION, None)
    note = {"jsonrpc": "2.0", "method": "x", "params": {"_meta": META}}
    refused(classify_post([], json.dumps(note).encode()), ErrorCode.HEADER_MISMATCH, None)


# --- legacy ---------------------------------------------------------------------------------------------------


def test_a_handshake_without_headers_is_legacy():
    posted = classify_post([], body("initialize", {"protocolVersion": MODERN}, meta=None))
    assert isinstance(posted, LegacyPost)
    assert isinstance(posted.message, Request)
    assert (posted.session_id, posted.version_header) == (None, None)


def test_a_legacy_post_brings_its_session_and_version():
    lines = [("mcp-session-id", "s1"), ("mcp-protocol-version", "2025-06-18")]
    note = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
    posted = classify_post(lines, note)
    assert isinstance(posted, LegacyPost)
    assert isinstance(posted.message, Notification)
    assert (posted.session_id, posted.version_header) == ("s1", "2025-06-18")


@pytest.mark.parametrize("meta", [None, {}, {"progressToken": 1}, 5])
def test_a_meta_without_a_protocol_version_leaves_a_request_legacy(meta: Any):
    assert isinstance(classify_post([], body(meta=meta)), LegacyPost)


def test_a_session_id_does_not_make_a_modern_request_legacy():
    served(classify_post([*headers(), ("mcp-session-id", "s")], body()))


def test_a_response_is_legacy_without_a_modern_header():
    posted = classify_post([("mcp-session-id", "s")], b'{"jsonrpc":"2.0","id":1,"result":{}}')
    assert isinstance(posted, LegacyPost)
    assert isinstance(posted.message, Response)


# --- a pipe ---------------------------------------------------------------------------------------------------


def test_both_eras_are_told_apart_on_one_pipe_without_headers():
    served(classify_line(body("tools/call", ECHO)))
    assert isinstance(classify_line(body("initialize", meta=None)), LegacyPost)
    assert isinstance(classify_line(body("server/discover", meta=None)), LegacyPost)
    refused(classify_line(body("initialize")), ErrorCode.METHOD_NOT_FOUND)
    refused(classify_line(body(meta=without("clientCapabilities"))), ErrorCode.INVALID_PARAMS)
    refused(classify_line(b"garbage"), ErrorCode.PARSE_ERROR, b"null")
    note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"_meta": META, "requestId": 1}}
    assert isinstance(classify_line(json.dumps(note).encode()), ModernNotification)
    assert isinstance(classify_line(b'{"jsonrpc":"2.0","id":1,"result":{}}'), LegacyPost)


# --- anything -------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
METAS = JSON | st.dictionaries(st.sampled_from([*META, P + "logLevel", "progressToken"]), JSON)
PARAMS = JSON | st.fixed_dictionaries({"_meta": st.just(META) | METAS}, optional={"name": JSON, "uri": JSON})
METHODS = st.sampled_from(["tools/call", "initialize", "resources/read", "x"])
MESSAGES = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0"), "params": PARAMS},
    optional={"id": JSON, "method": METHODS | JSON, "result": JSON, "error": JSON},
)
NAMES = st.sampled_from(["mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id"])
VALUES = st.sampled_from([MODERN, "2025-11-25", "tools/call", "=?base64?x?="]) | st.text(max_size=8)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=5)


@settings(max_examples=200)
@given(lines=HEADERS, junk=st.binary(max_size=60))
def test_any_bytes_are_classified_without_an_exception(lines: list[tuple[str, str]], junk: bytes):
    assert isinstance(classify_post(lines, junk), Refused | LegacyPost | ModernNotification)
    classify_line(junk)


@settings(max_examples=200)
@given(lines=HEADERS, message=MESSAGES)
def test_any_message_is_classified_without_an_exception(lines: list[tuple[str, str]], message: Any):
    data = msgspec.json.encode(message)
    classify_post(lines, data)
    classify_line(data)
