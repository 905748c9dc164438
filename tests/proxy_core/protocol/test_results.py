import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from proxy_core.errors import Only1Error
from proxy_core.protocol.results import (
    UnusableResult,
    input_required,
    needing_input,
    result_for_legacy,
    result_for_modern,
)

SERVER_INFO = "io.modelcontextprotocol/serverInfo"
OURS = {"name": "only1mcp", "version": "1"}
STAMP = {"resultType": "complete", "_meta": {SERVER_INFO: OURS}}


def raw(value: Any) -> Raw:
    return Raw(json.dumps(value).encode())


def legacy(value: Any) -> Any:
    return json.loads(bytes(result_for_legacy(raw(value))))


def modern(value: Any, cache: tuple[int, str] | None = None, keep_cache: bool = False) -> Any:
    return json.loads(result_for_modern(raw(value), json.dumps(OURS).encode(), cache, keep_cache))


@pytest.mark.requirement("L14")
def test_a_legacy_result_has_nothing_of_the_modern_era():
    backends = {
        "resultType": "complete",
        "tools": [],
        "ttlMs": 5,
        "cacheScope": "public",
        "_meta": {SERVER_INFO: {"name": "b"}, "com.vendor/x": 1},
    }
    assert legacy(backends) == {"tools": [], "_meta": {"com.vendor/x": 1}}


@pytest.mark.requirement("L14")
def test_a_meta_that_held_only_the_stamp_goes_with_it():
    assert legacy({"content": [], "_meta": {SERVER_INFO: {}}}) == {"content": []}


def test_a_result_with_nothing_to_take_out_is_the_very_same_object():
    for value in ({"content": [], "_meta": {"x": 1}}, {}, {"text": "resultType, ttlMs, serverInfo and é"}):
        result = raw(value)
        assert result_for_legacy(result) is result


@pytest.mark.requirement("L14")
def test_a_member_spelled_with_escapes_does_not_slip_through():
    assert bytes(result_for_legacy(Raw(b'{"a":1,"ttl\\u004ds":5}'))) == b'{"a":1}'
    stamped = b'{"a":1,"_meta":{"io.modelcontextprotocol\\/serverInfo":{}}}'
    assert bytes(result_for_legacy(Raw(stamped))) == b'{"a":1}'


@pytest.mark.requirement("W25")
@pytest.mark.parametrize("value", [{}, {"content": []}, {"content": [{"type": "text", "text": "é"}]}])
def test_a_modern_result_gets_its_type_and_our_server_info(value: dict[str, Any]):
    assert modern(value) == value | STAMP


@pytest.mark.requirement("W25")
def test_the_stamp_of_a_backend_is_replaced_and_its_other_meta_stays():
    theirs = {"resultType": "complete", "a": 1, "_meta": {SERVER_INFO: {"name": "b"}, "x": 2}}
    assert modern(theirs) == {"a": 1, "resultType": "complete", "_meta": {SERVER_INFO: OURS, "x": 2}}
    assert modern({"_meta": None}) == STAMP


def test_whitespace_after_the_brace_does_not_break_the_splice():
    assert json.loads(result_for_modern(Raw(b"{ \n }"), json.dumps(OURS).encode())) == STAMP
    assert json.loads(result_for_modern(Raw(b'{ "a" : 1 }'), json.dumps(OURS).encode())) == STAMP | {"a": 1}


@pytest.mark.requirement("C01")
def test_cache_hints_are_ours_when_given_and_otherwise_taken_out():
    theirs = {"a": 1, "ttlMs": 9, "cacheScope": "public"}
    assert modern(theirs) == {"a": 1} | STAMP
    assert modern(theirs, (5, "private")) == {"a": 1, "ttlMs": 5, "cacheScope": "private"} | STAMP
    assert modern({}, (5, "public")) == STAMP | {"ttlMs": 5, "cacheScope": "public"}


@pytest.mark.requirement("C01")
def test_kept_cache_hints_are_there_even_if_the_backend_gave_none():
    theirs = {"ttlMs": 9, "cacheScope": "public"}
    assert modern(theirs, keep_cache=True) == theirs | STAMP
    assert modern({"a": 1}, keep_cache=True) == {"a": 1, "ttlMs": 0, "cacheScope": "private"} | STAMP


@pytest.mark.requirement("C03")
@pytest.mark.parametrize("ttl", [-1, 1.5, "9", None, True, []])
def test_a_ttl_that_is_no_sane_integer_is_zero(ttl: Any):
    assert modern({"ttlMs": ttl, "cacheScope": "public"}, keep_cache=True)["ttlMs"] == 0
    assert modern({"ttlMs": 1, "cacheScope": "everyone"}, keep_cache=True)["cacheScope"] == "private"


@pytest.mark.requirement("B13")
@pytest.mark.parametrize("kind", ["input_required", "task", "new", "", None, 5])
def test_a_result_of_another_type_is_unusable(kind: Any):
    with pytest.raises(UnusableResult):
        legacy({"resultType": kind})
    with pytest.raises(UnusableResult):
        modern({"resultType": kind})


@pytest.mark.parametrize("value", [None, [], "x", 5, True])
def test_a_result_that_is_no_object_is_unusable(value: Any):
    with pytest.raises(UnusableResult):
        legacy(value)
    with pytest.raises(UnusableResult):
        modern(value)


@settings(max_examples=200)
@given(st.binary(max_size=60), st.sampled_from([b"", b'{"_meta":', b'{"resultType":"complete",', b"{"]))
def test_any_bytes_are_made_right_or_refused_by_an_error_of_ours(junk: bytes, start: bytes):
    for convert in (result_for_legacy, lambda result: result_for_modern(result, b"{}", keep_cache=True)):
        try:
            convert(Raw(start + junk))
        except Only1Error:
            pass


# --- results that need input first ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "result", [{}, {"resultType": "complete", "content": [{"text": "input_required"}]}, {"x": "input_required"}]
)
def test_most_results_need_no_input(result: Any):
    assert input_required(raw(result)) is None


@pytest.mark.parametrize("name", ["resultType", "result\\u0054ype"])
@pytest.mark.parametrize("kind", ["input_required", "input\\u005frequired"])
def test_a_need_for_input_is_seen_however_it_is_spelled(name: str, kind: str):
    body = f'{{"{name}":"{kind}","inputRequests":{{"a":{{"method":"roots/list"}}}},"requestState":"s"}}'
    found = input_required(Raw(body.encode()))
    assert found is not None
    assert (bytes(found.requests["a"]), found.state) == (b'{"method":"roots/list"}', "s")


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"inputRequests": {}},
        {"inputRequests": None, "requestState": None},
        {"inputRequests": [1]},
        {"inputRequests": {"a": 1}, "requestState": 7},
    ],
)
def test_a_need_that_says_nothing_is_unusable(members: dict[str, Any]):
    with pytest.raises(UnusableResult):
        input_required(raw({"resultType": "input_required"} | members))


@pytest.mark.requirement("C01")
def test_a_result_that_needs_input_carries_our_stamp_and_no_hints():
    members = {"ttlMs": 5, "cacheScope": "public", "requestState": "theirs", "x/y": 1, "_meta": {"a": 1}}
    found = input_required(raw({"resultType": "input_required"} | members))
    assert found is not None
    told = json.loads(needing_input({}, "ours", json.dumps(OURS).encode(), found.members))
    stamp = {"a": 1, SERVER_INFO: OURS}
    assert told == {"resultType": "input_required", "requestState": "ours", "x/y": 1, "_meta": stamp}
    bare = json.loads(needing_input({"r1": {}}, None, b"{}"))
    assert bare == {"resultType": "input_required", "inputRequests": {"r1": {}}, "_meta": {SERVER_INFO: {}}}
