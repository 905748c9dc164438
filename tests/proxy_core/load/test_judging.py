"""Replies: which are the answer, and what the others are counted as."""

import json
from typing import Any

import pytest

from proxy_core.load.judging import MAX_DETAIL, Fault, fault_in, is_answer

ID = 1_000_000_007


def reply(result: Any, request_id: Any = ID) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "result": result}).encode()


def tight(result: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": ID, "result": result}, separators=(",", ":")).encode()


@pytest.mark.parametrize("written", [reply, tight])
@pytest.mark.parametrize(
    "result",
    [
        {},
        {"tools": []},
        {"content": [], "isError": False},
        {"structuredContent": {"isError": True}, "content": []},
        {"content": [{"type": "text", "text": '"isError":true'}]},
    ],
)
def test_an_answer_is_an_answer_however_it_is_written(written: Any, result: Any):
    assert fault_in(200, written(result), ID) is None


def test_the_order_of_members_does_not_matter():
    assert fault_in(200, b'{"result":{"id":5},"id":%d,"jsonrpc":"2.0"}' % ID, ID) is None


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, reply({}, ID + 1), "the answer to another request"),
        (200, reply({}, str(ID)), "the answer to another request"),
        (200, b'{"jsonrpc":"2.0","id":%d1,"result":{}}' % ID, "the answer to another request"),
        (200, b"", "no JSON-RPC answer"),
        (200, b"<html>", "no JSON-RPC answer"),
        (200, b'{"jsonrpc":"2.0","method":"x"}', "no JSON-RPC answer"),
        (200, reply([]), "no JSON-RPC answer"),
        (200, b'{"jsonrpc":"2.0","id":%d,"result":{"a":' % ID, "no JSON-RPC answer"),
        (200, tight({"content": [], "isError": True}), "the tool failed"),
        (200, reply({"content": [], "isError": True}), "the tool failed"),
        (200, tight({"resultType": "input_required"}), "the server asks for input"),
        (503, b"busy", "HTTP 503"),
        (202, b"", "HTTP 202"),
        (500, tight({}), "HTTP 500"),
    ],
)
def test_what_is_no_answer_is_counted_by_its_kind(status: int, body: bytes, kind: str):
    fault = fault_in(status, body, ID)
    assert fault is not None and fault.kind == kind


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("written_id", [b"%d" % ID, b"null"])
def test_an_error_is_counted_by_its_code_whatever_the_status(status: int, written_id: bytes):
    body = b'{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}' % written_id
    assert fault_in(status, body, ID) == Fault("JSON-RPC error -32601", "no")


@pytest.mark.parametrize(
    ("result", "fault"),
    [
        (
            {"isError": True, "content": [{"type": "image"}, {"type": "text", "text": "full"}]},
            Fault("the tool failed", "full"),
        ),
        ({"isError": True, "content": 7}, Fault("the tool failed")),
        (
            {"resultType": "input_required", "inputRequests": {"name": {}, "age": {}}},
            Fault("the server asks for input", "name, age"),
        ),
        ({"resultType": "input_required", "inputRequests": 7}, Fault("the server asks for input")),
    ],
)
def test_a_result_that_is_no_success_says_why(result: Any, fault: Fault):
    assert fault_in(200, tight(result), ID) == fault


def test_a_list_is_a_success_whatever_its_words():
    body = tight({"tools": [{"name": "isError"}], "isError": True})
    assert fault_in(200, body, ID, is_list=True) is None
    assert fault_in(200, body, ID + 1, is_list=True) is not None


def test_what_a_server_said_is_kept_in_part():
    fault = fault_in(502, b"x" * 10_000, ID)
    assert fault is not None and fault.detail == "x" * MAX_DETAIL


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (tight({}), True),
        (reply({}), True),
        (b'{"jsonrpc":"2.0","id":%d,"error":{"code":1,"message":""}}' % ID, True),
        (b'{"jsonrpc":"2.0","method":"notifications/progress","params":{}}', False),
        (b'{"jsonrpc":"2.0","id":%d,"method":"ping"}' % ID, False),
        (b"nonsense", False),
    ],
)
def test_notifications_and_requests_precede_an_answer_in_a_stream(data: bytes, expected: bool):
    assert is_answer(data, ID) is expected
