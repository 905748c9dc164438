"""The HTTP headers of MCP: their names, the codec of their values, and what routes a request.

Header names are lower case here. Knows no HTTP library.
Spec: 2026-07-28 basic/transports/streamable-http, "Request Metadata" and "Value Encoding".
"""

import base64
import re
from typing import Final, TypeAlias

from msgspec import Struct

from proxy_core.errors import HeaderMismatch

Headers: TypeAlias = list[tuple[str, str]]
"""Header lines as they came, names in lower case, repeated ones kept."""

MCP_PROTOCOL_VERSION: Final = "mcp-protocol-version"
MCP_METHOD: Final = "mcp-method"
MCP_NAME: Final = "mcp-name"
MCP_PARAM: Final = "mcp-param-"
MCP_SESSION_ID: Final = "mcp-session-id"
LAST_EVENT_ID: Final = "last-event-id"

_ROUTING: Final = {MCP_PROTOCOL_VERSION: "version", MCP_METHOD: "method", MCP_NAME: "name"}
_OPTIONAL_WHITESPACE: Final = " \t"
_MARK: Final = "=?base64?"
_END: Final = "?="
_PLAIN: Final = re.compile(r"[\x20-\x7e]*\Z")
_READABLE: Final = re.compile(r"[\t\x20-\x7e]*\Z")


class RoutingHeaders(Struct, frozen=True, gc=False):
    """What intermediaries route a modern request by, trimmed but not decoded; None: the header is absent."""

    version: str | None = None
    method: str | None = None
    name: str | None = None


def first(headers: Headers, name: str) -> str | None:
    """The trimmed value of the first line of that name."""
    for key, value in headers:
        if key == name:
            return value.strip(_OPTIONAL_WHITESPACE)
    return None


def routing_headers(headers: Headers) -> RoutingHeaders:
    """Raises: HeaderMismatch if one is repeated, since readers of the first and the last would disagree."""
    found: dict[str, str] = {}
    for key, value in headers:
        field = _ROUTING.get(key)
        if field is None:
            continue
        if field in found:
            raise HeaderMismatch(f"The header {key} is repeated.")
        found[field] = value.strip(_OPTIONAL_WHITESPACE)
    return RoutingHeaders(**found)


def param_headers(headers: Headers) -> Headers:
    """The `Mcp-Param-*` lines."""
    return [line for line in headers if line[0].startswith(MCP_PARAM)]


def encode_value(value: str) -> str:
    """A header value that any HTTP library carries unchanged; base64 in a sentinel where it must be."""
    if _PLAIN.match(value) and value == value.strip(_OPTIONAL_WHITESPACE) and not _looks_encoded(value):
        return value
    return _MARK + base64.b64encode(value.encode()).decode() + _END


def decode_value(value: str) -> str:
    """The inverse of `encode_value`; edge whitespace is not part of the value.

    Raises: HeaderMismatch for a sentinel that does not hold canonical base64 of UTF-8, and for characters
    that every reader takes for something else.
    """
    value = value.strip(_OPTIONAL_WHITESPACE)
    if not _READABLE.match(value):
        raise HeaderMismatch("A header value has characters that must be encoded.")
    if not _looks_encoded(value):
        return value
    payload = value[len(_MARK) : -len(_END)]
    try:
        decoded = base64.b64decode(payload, validate=True)
        # validate=True lets unused trailing bits pass, and two spellings of one value must not.
        if base64.b64encode(decoded).decode() == payload:
            return decoded.decode()
    except ValueError:
        pass
    raise HeaderMismatch("A header value is not valid base64 of UTF-8 text.")


def _looks_encoded(value: str) -> bool:
    return value.startswith(_MARK) and value.endswith(_END) and len(value) >= len(_MARK) + len(_END)
