"""Requests of a load as bytes, ready but for their ids. Pure.

Spec: 2026-07-28 basic/transports/streamable-http, "Request Metadata"; 2025-11-25 basic/transports, "Session
Management" and "Protocol Version Header".
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from proxy_core import __version__
from proxy_core.protocol import headers, jsonrpc, meta, methods
from proxy_core.protocol.revisions import MODERN, Era, era_of

FIRST_ID: Final = 10**9
"""Every id of a load has ten digits, so that all requests of one question are equally long."""
CLIENT_INFO: Final = jsonrpc.encode({"name": "only1mcp-bench", "version": __version__})

Ask = Callable[[int], bytes]
"""From a request id to a whole HTTP request."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one endpoint is spoken to."""

    authority: str
    path: str
    revision: str = MODERN
    session: str | None = field(default=None, repr=False)
    """Of a legacy server that gave one."""
    token: str | None = field(default=None, repr=False)

    @property
    def era(self) -> Era:
        return era_of(self.revision)


def question(
    dialect: Dialect, method: str, params: dict[str, Any] | None = None, extra: headers.Headers | None = None
) -> Ask:
    """A request of `dialect` for any id of ten digits. `extra`: header lines that go with it."""
    body = jsonrpc.request(b"%d" % FIRST_ID, method, _params(dialect, params or {}))
    before, _, after = body.partition(b"%d" % FIRST_ID)
    lines = _lines(dialect, method, params or {}, extra or [])
    ready = post(dialect, lines, len(body)) + before

    def ask(request_id: int) -> bytes:
        return b"%b%d%b" % (ready, request_id, after)

    return ask


def notification(dialect: Dialect, method: str) -> bytes:
    body = jsonrpc.notification(method)
    return post(dialect, _lines(dialect, method, {}, []), len(body)) + body


def goodbye(dialect: Dialect) -> bytes:
    """Ends the session of a legacy server."""
    return _head("DELETE", dialect, _lines(dialect, "", {}, [])) + b"\r\n"


def post(dialect: Dialect, lines: headers.Headers, length: int) -> bytes:
    """The head of a POST with a body of `length` bytes."""
    framing = [("Content-Type", "application/json"), ("Content-Length", str(length))]
    return _head("POST", dialect, lines + framing) + b"\r\n"


def _head(verb: str, dialect: Dialect, lines: headers.Headers) -> bytes:
    first = f"{verb} {dialect.path} HTTP/1.1\r\nHost: {dialect.authority}\r\n"
    accepted = [("Accept", "application/json, text/event-stream"), *lines]
    return (first + "".join(f"{name}: {value}\r\n" for name, value in accepted)).encode()


def _params(dialect: Dialect, params: dict[str, Any]) -> bytes:
    if dialect.era is Era.LEGACY:
        return jsonrpc.encode(params)
    return jsonrpc.encode({**params, "_meta": meta.envelope(dialect.revision, b"{}", CLIENT_INFO)})


def _lines(dialect: Dialect, method: str, params: dict[str, Any], extra: headers.Headers) -> headers.Headers:
    lines: headers.Headers = []
    if dialect.token is not None:
        lines.append(("Authorization", f"Bearer {dialect.token}"))
    if method != "initialize":
        lines.append(("MCP-Protocol-Version", dialect.revision))
    if dialect.session is not None:
        lines.append(("Mcp-Session-Id", dialect.session))
    if dialect.era is Era.MODERN:
        lines.append(("Mcp-Method", method))
        if (named_by := methods.NAME_HEADER_PARAM.get(method)) is not None:
            lines.append(("Mcp-Name", headers.encode_value(str(params[named_by]))))
        lines += extra
    return lines
