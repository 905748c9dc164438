import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from proxy_core.errors import InvalidParams, Only1Error
from proxy_core.protocol.meta import envelope, for_legacy_backend, for_modern_backend, progress_token, read_meta

P = "io.modelcontextprotocol/"
CLIENTS_META = {
    P + "protocolVersion": "2026-07-28",
    P + "clientCapabilities": {"sampling": {}},
    P + "clientInfo": {"name": "Host", "version": "1"},
    P + "logLevel": "debug",
    "progressToken": 1,
    "traceparent": "00-a-b-01",
    "tracestate": "k=v",
    "baggage": "user=ann",
    "com.vendor/key": {"deep": [1, 2]},
}
KEPT = {"traceparent": "00-a-b-01", "tracestate": "k=v", "com.vendor/key": {"deep": [1, 2]}}


def raw(value: Any) -> Raw:
    return Raw(json.dumps(value).encode())


def legacy(params: Any, replace: dict[str, bytes] | None = None, token: bytes | None = None) -> Any:
    return json.loads(for_legacy_backend(raw(params), replace or {}, token))


def modern(params: Any, token: bytes | None = None, log_level: str | None = None) -> Any:
    client_info = b'{"name":"only1mcp","version":"1"}'
    return json.loads(for_modern_backend(raw(params), {}, token, "2026-07-28", b"{}", client_info, log_level))


def test_a_legacy_backend_sees_vendor_and_trace_keys_but_no_envelope_and_no_token_of_the_client():
    params = {"name": "gh__search", "arguments": {"q": "x"}, "_meta": CLIENTS_META}
    assert legacy(params, {"name": b'"search"'}) == {"name": "search", "arguments": {"q": "x"}, "_meta": KEPT}
    assert legacy(params, token=b'"g1"')["_meta"] == KEPT | {"progressToken": "g1"}


def test_an_empty_meta_is_left_out():
    assert legacy({"name": "a", "_meta": {}}) == {"name": "a"}
    assert legacy({"name": "a", "_meta": {"progressToken": 5}}) == {"name": "a"}
    assert legacy({"name": "a", "_meta": None}) == {"name": "a"}
    assert for_legacy_backend(Raw(), {}, None) == b"{}"


def test_a_modern_backend_sees_the_envelope_of_this_hop_only():
    envelope_of_hop = {
        P + "protocolVersion": "2026-07-28",
        P + "clientCapabilities": {},
        P + "clientInfo": {"name": "only1mcp", "version": "1"},
    }
    assert modern({"_meta": CLIENTS_META})["_meta"] == envelope_of_hop | KEPT
    assert modern({})["_meta"] == envelope_of_hop
    loud = modern({}, b'"g1"', "info")["_meta"]
    assert loud == envelope_of_hop | {P + "logLevel": "info", "progressToken": "g1"}


def test_values_that_are_passed_on_keep_their_very_bytes():
    params = Raw(b'{"arguments":{"n" : 1.0, "big":123456789012345678901234567890,"u":"\\u00e9"}}')
    assert for_legacy_backend(params, {}, None) == bytes(params)


def test_a_stray_task_member_is_not_passed_on():
    assert legacy({"name": "a", "task": {"ttl": 1}}) == {"name": "a"}


@pytest.mark.parametrize("meta", [1, "x", [], True])
def test_a_meta_that_is_no_object_is_refused(meta: Any):
    with pytest.raises(InvalidParams):
        legacy({"_meta": meta})
    with pytest.raises(InvalidParams):
        read_meta(raw({"_meta": meta}))


def test_meta_is_read_as_json_members():
    meta = read_meta(raw({"_meta": {"progressToken": "p", "x": [1]}}))
    assert (bytes(meta["x"]), bytes(progress_token(meta))) == (b"[1]", b'"p"')
    assert read_meta(Raw()) == {}


def test_an_envelope_stands_alone_for_requests_of_our_own():
    members = envelope("2026-07-28", b"{}", b'{"name":"n","version":"1"}')
    assert sorted(members) == [P + "clientCapabilities", P + "clientInfo", P + "protocolVersion"]


@settings(max_examples=200)
@given(st.binary(max_size=60) | st.sampled_from([b'{"_meta":{"a":1}}', b'{"_meta":[1]}', b'{"a":"\xff"}']))
def test_any_bytes_are_rebuilt_or_refused_by_an_error_of_ours(params: bytes):
    for rebuild in (
        lambda: for_legacy_backend(Raw(params), {"name": b'"n"'}, b"1"),
        lambda: for_modern_backend(Raw(params), {}, None, "2026-07-28", b"{}", b"{}", "info"),
    ):
        try:
            rebuild()
        except Only1Error:
            pass
