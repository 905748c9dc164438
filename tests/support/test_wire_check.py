"""What the check of the wire finds and what it lets pass."""

from typing import Any

import pytest

from tests.support.wire_check import CLIENT, SERVER, problems

LEGACY, MODERN = "2025-11-25", "2026-07-28"
KEY = "io.modelcontextprotocol/"
ENVELOPE = {KEY + "protocolVersion": MODERN, KEY + "clientCapabilities": {}}
Json = dict[str, Any]


def request(method: str, params: Json | None = None, id: Any = 1) -> Json:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}}


def modern(method: str, params: Json | None = None) -> Json:
    return request(method, (params or {}) | {"_meta": ENVELOPE})


def result(value: Any, id: Any = 1) -> Json:
    return {"jsonrpc": "2.0", "id": id, "result": value}


def error(code: Any, **more: Any) -> Json:
    return {"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "No."} | more}


CALL = request("tools/call", {"name": "add", "arguments": {"a": 1}})
LIST = request("tools/list")
TOOL = {"name": "add", "inputSchema": {"type": "object"}}
TEXT = {"type": "text", "text": "3"}
AUDIO = {"type": "audio", "data": "AA==", "mimeType": "audio/wav"}
COMPLETE = {"resultType": "complete"}
HINTS = COMPLETE | {"ttlMs": 0, "cacheScope": "private"}
TOKEN = {"progressToken": "t", "progress": 1}


@pytest.mark.parametrize(
    ("message", "revision", "sender", "asked"),
    [
        (CALL, LEGACY, CLIENT, None),
        (modern("tools/call", {"name": "add"}), MODERN, CLIENT, None),
        (result({"tools": [TOOL]}), LEGACY, SERVER, LIST),
        (result({"tools": [TOOL]} | HINTS), MODERN, SERVER, modern("tools/list")),
        (result({"content": [TEXT]}), "2024-11-05", SERVER, CALL),
        (result({"content": [AUDIO]}), "2025-03-26", SERVER, CALL),
        (result({"roots": []}), LEGACY, CLIENT, request("roots/list")),
        (result({}), LEGACY, SERVER, request("ping")),
        ({"jsonrpc": "2.0", "method": "notifications/progress", "params": TOKEN}, MODERN, SERVER, None),
        (error(-32602), LEGACY, SERVER, CALL),
        (error(-32002, data={"uri": "a:b"}), LEGACY, SERVER, CALL),
        (error(-32021, data={"requiredCapabilities": {"sampling": {}}}), MODERN, SERVER, CALL),
        ({"jsonrpc": "2.0", "error": {"code": -32700, "message": "?"}}, LEGACY, SERVER, None),
        ([CALL, LIST], "2025-03-26", CLIENT, None),
    ],
)
def test_what_the_spec_allows_has_no_problems(
    message: Any, revision: str, sender: str, asked: Json | None
) -> None:
    assert problems(message, revision, sender, asked) == []


def test_members_that_nobody_knows_are_allowed() -> None:
    tool = TOOL | {"x-own": 1, "_meta": {"example.org/unit": [None]}}
    assert problems(result({"tools": [tool], "more": 1}), LEGACY, SERVER, LIST) == []


@pytest.mark.parametrize(
    ("message", "revision", "sender", "asked", "said"),
    [
        ({"id": 1, "method": "ping"}, LEGACY, CLIENT, None, "no JSON-RPC"),
        ([CALL, LIST], LEGACY, CLIENT, None, "no JSON-RPC"),
        (request("tools/call", {}), LEGACY, CLIENT, None, "params.name"),
        (request("tools/list", id=None), LEGACY, CLIENT, None, "id: "),
        (request("tools/list", id=True), LEGACY, CLIENT, None, "id: "),
        (request("ping"), MODERN, CLIENT, None, "none of the client's requests in 2026-07-28"),
        (request("roots/list"), MODERN, SERVER, None, "none of the server's requests"),
        (request("elicitation/create"), "2025-03-26", SERVER, None, "none of the server's requests"),
        (request("tools/list"), MODERN, CLIENT, None, "_meta"),
        (modern("tools/list"), LEGACY, CLIENT, None, "of the modern era"),
        (result({"tools": [TOOL | {"name": 7}]}), LEGACY, SERVER, LIST, "tools.0.name"),
        (result({"tools": [{"name": "add"}]}), LEGACY, SERVER, LIST, "inputSchema"),
        (result({"tools": []}), MODERN, SERVER, modern("tools/list"), "resultType"),
        (result({"tools": []} | COMPLETE), MODERN, SERVER, modern("tools/list"), "ttlMs"),
        (result({"tools": []} | HINTS), LEGACY, SERVER, LIST, "ttlMs is of the modern era"),
        (result({"tools": []}, id="1"), LEGACY, SERVER, LIST, "not that of the request"),
        (result({"content": [AUDIO]}), "2024-11-05", SERVER, CALL, "audio is not known in 2024-11-05"),
        (result({"content": [TEXT]}) | {"error": {}}, LEGACY, SERVER, CALL, "exactly one"),
        (error("-32602"), LEGACY, SERVER, CALL, "integer code"),
        (error(-32602, message=None), LEGACY, SERVER, CALL, "without a message"),
        (error(-32002), MODERN, SERVER, CALL, "legacy era"),
        (error(-32021, data={"requiredCapabilities": ["sampling"]}), MODERN, SERVER, CALL, "data of code"),
        (error(-32022, data={"supported": []}), MODERN, SERVER, CALL, "data of code"),
        (error(-32022), MODERN, SERVER, CALL, "data of code"),
    ],
)
def test_what_the_spec_does_not_allow_is_named(
    message: Any, revision: str, sender: str, asked: Json | None, said: str
) -> None:
    assert any(said in fault for fault in problems(message, revision, sender, asked))
