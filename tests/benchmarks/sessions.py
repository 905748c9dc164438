"""How a client of 2025-11-25 speaks: a handshake, then requests that carry its session."""

import json
from typing import Final

from tests.benchmarks.lines import Line
from tests.benchmarks.load import Ask

LEGACY: Final = "2025-11-25"
_SESSION: Final = b"mcp-session-id:"


def legacy_headers(port: int) -> bytes:
    """The header lines of a session that has shaken hands; without its id, where the server gave none."""
    version = f"MCP-Protocol-Version: {LEGACY}\r\n".encode()
    hello: dict[str, object] = {
        "protocolVersion": LEGACY,
        "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"},
    }
    line = Line(port, legacy_list(b""))
    head, answer = line.exchange(version, _message(hello, method="initialize", id=0))
    assert b'"protocolVersion"' in answer, answer
    headers = version
    if (at := head.lower().find(_SESSION)) >= 0:
        headers += b"Mcp-Session-Id: %b\r\n" % head[at + len(_SESSION) :].split(b"\r\n", 1)[0].strip()
    line.exchange(headers, _message({}, method="notifications/initialized"))
    line.close()
    return headers


def legacy_list(headers: bytes) -> Ask:
    return lambda request_id: (headers, b'{"jsonrpc":"2.0","id":%d,"method":"tools/list"}' % request_id)


def legacy_call(headers: bytes, tool: str) -> Ask:
    """With a number of its own among its arguments."""
    body = (
        b'{"jsonrpc":"2.0","id":%%d,"method":"tools/call","params":{"name":"%b","arguments":{"n":%%d}}}'
        % tool.encode()
    )
    return lambda request_id: (headers, body % (request_id, request_id))


def _message(params: dict[str, object], **members: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **members, "params": params}).encode()
