"""What the traffic inspector hears of a call between us and a server: sent, answered, or failed.

Where nothing is recorded nothing here is called. Headers are those that the protocol asks for, as they are made
for each message; the configured ones, which may hold credentials, are not repeated for each call.
Spec: 2026-07-28 basic/transports/streamable-http, "Request Metadata".
"""

from msgspec import Raw

from proxy_core.backends.call import Call
from proxy_core.backends.opening import TransportKind
from proxy_core.backends.peer import Peer
from proxy_core.errors import BackendError, BackendFault
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.headers import MCP_METHOD, MCP_NAME, MCP_PROTOCOL_VERSION, Headers, encode_value
from proxy_core.protocol.revisions import Era


def sending(
    call: Call, server: str, peer: Peer, transport: TransportKind, params: bytes, headers: Headers | None
) -> None:
    if (trace := call.trace) is not None:
        lines = () if transport == "stdio" else _lines(call, peer, headers or [])
        trace.sent(server, peer, call.method, params, lines)


def heard_answer(call: Call, result: Raw) -> None:
    # Not the trace of the start: a client that went away for input is back with another exchange.
    if call.trace is not None:
        call.trace.answered(call.method, result)


def heard_failure(call: Call, failure: BackendError | BackendFault) -> None:
    if call.trace is None:
        return
    if isinstance(failure, BackendError):
        call.trace.refused(call.method, error_object(failure.code, failure.message, failure.raw_data))
    else:
        call.trace.step("failed", f"{failure.kind}: {failure.detail}"[:1000])


def error_object(code: int, message: str, raw_data: bytes = b"") -> bytes:
    """As it goes over the wire."""
    body: dict[str, object] = {"code": int(code), "message": message}
    if raw_data:
        body["data"] = Raw(raw_data)
    return jsonrpc.encode(body)


def _lines(call: Call, peer: Peer, headers: Headers) -> Headers:
    lines = [] if peer.revision == "2024-11-05" else [(MCP_PROTOCOL_VERSION, peer.revision)]
    if peer.era is Era.MODERN:
        lines.append((MCP_METHOD, call.method))
        if call.name is not None:
            lines.append((MCP_NAME, encode_value(call.name)))
    return [*lines, *headers]
