"""How a client of 2025-11-25 speaks: a handshake, then requests that carry its session."""

import json
from typing import Final

from tests.benchmarks.lines import Line
from tests.benchmarks.load import Ask, HttpCaller

LEGACY: Final = "2025-11-25"
_VERSION: Final = f"MCP-Protocol-Version: {LEGACY}\r\n".encode()
_SESSION: Final = b"mcp-session-id:"


def legacy_headers(port: int) -> bytes:
    """The header lines of a session that has shaken hands; without its id, where the server gave none."""
    line = Line(port, legacy_list(b""))
    headers = _in_session(*line.exchange(_VERSION, _HELLO))
    line.exchange(headers, _message({}, method="notifications/initialized"))
    line.close()
    return headers


async def session_of(connection: HttpCaller) -> bytes:
    """As `legacy_headers`, beside what else the event loop does: many sessions at once, or some under load.

    They never say that they are initialized.
    """
    return _in_session(*await connection.post(_VERSION, _HELLO))


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


_HELLO: Final = _message(
    {
        "protocolVersion": LEGACY,
        "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"},
    },
    method="initialize",
    id=0,
)


def _in_session(head: bytes, answer: bytes) -> bytes:
    """The header lines of what follows this answer to the handshake."""
    assert b'"protocolVersion"' in answer, answer
    # Header names come in any case; the id must stay as it is.
    if (at := head.lower().find(_SESSION)) < 0:
        return _VERSION
    return _VERSION + b"Mcp-Session-Id: %b\r\n" % head[at + len(_SESSION) :].split(b"\r\n", 1)[0].strip()
