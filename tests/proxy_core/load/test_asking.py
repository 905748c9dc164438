"""Requests as bytes: whole for every id, in the words of their era."""

import json

import pytest

from proxy_core.load.asking import FIRST_ID, Dialect, goodbye, notification, question

MODERN = Dialect("127.0.0.1:8080", "/mcp")
LEGACY = Dialect("127.0.0.1:8080", "/mcp", revision="2025-11-25", session="abc", token="hunter2")


def parts(request: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert len(headers) == len(lines)
    return first, headers, body


@pytest.mark.parametrize("request_id", [FIRST_ID, FIRST_ID + 1, 10 * FIRST_ID - 1])
@pytest.mark.parametrize("dialect", [MODERN, LEGACY])
def test_the_length_is_right_for_every_id(dialect: Dialect, request_id: int):
    _, headers, body = parts(question(dialect, "tools/list")(request_id))
    assert int(headers["Content-Length"]) == len(body)
    message = json.loads(body)
    assert (message["jsonrpc"], message["id"], message["method"]) == ("2.0", request_id, "tools/list")


def test_a_modern_request_carries_its_envelope_and_its_routing_headers():
    arguments = {"where": "Köln", "n": FIRST_ID}
    ask = question(MODERN, "tools/call", {"name": "wetter in Köln", "arguments": arguments}, [("X-A", "b")])
    first, headers, body = parts(ask(FIRST_ID + 7))
    assert first == "POST /mcp HTTP/1.1"
    assert headers["Host"] == "127.0.0.1:8080"
    assert headers["MCP-Protocol-Version"] == "2026-07-28"
    assert headers["Mcp-Method"] == "tools/call"
    assert headers["Mcp-Name"].startswith("=?base64?")
    assert headers["X-A"] == "b"
    assert "Authorization" not in headers and "Mcp-Session-Id" not in headers
    message = json.loads(body)
    assert message["id"] == FIRST_ID + 7
    # A number that looks like an id is left alone.
    assert message["params"]["arguments"] == arguments
    assert message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"


def test_a_legacy_request_carries_its_session_and_no_envelope():
    _, headers, body = parts(question(LEGACY, "tools/call", {"name": "a", "arguments": {}})(FIRST_ID))
    assert headers["MCP-Protocol-Version"] == "2025-11-25"
    assert headers["Mcp-Session-Id"] == "abc"
    assert headers["Authorization"] == "Bearer hunter2"
    assert "Mcp-Method" not in headers
    assert json.loads(body)["params"] == {"name": "a", "arguments": {}}


def test_initialize_names_no_revision_in_its_head():
    _, headers, _ = parts(question(LEGACY, "initialize")(FIRST_ID))
    assert "MCP-Protocol-Version" not in headers


def test_a_notification_has_no_id_and_a_goodbye_no_body():
    _, headers, body = parts(notification(LEGACY, "notifications/initialized"))
    assert "id" not in json.loads(body)
    assert int(headers["Content-Length"]) == len(body)
    first, headers, body = parts(goodbye(LEGACY))
    assert (first, headers["Mcp-Session-Id"], body) == ("DELETE /mcp HTTP/1.1", "abc", b"")


def test_what_is_secret_is_not_in_the_words_for_it():
    assert "hunter2" not in repr(LEGACY) and "abc" not in repr(LEGACY)
