"""Cross-origin requests of browsers: what a page of an allowed origin may send and read. Pure.

Spec: fetch.spec.whatwg.org, "HTTP extensions". The origin itself was checked by the guards.
"""

import re
from typing import Final

from proxy_core.frontend.wire import HeaderList, WireHead, WireReply

_METHODS: Final = "POST, GET, DELETE"
_PREFLIGHT_S: Final = 600
_REQUEST_HEADERS: Final = frozenset(
    {
        "accept",
        "authorization",
        "content-type",
        "last-event-id",
        "mcp-method",
        "mcp-name",
        "mcp-protocol-version",
        "mcp-session-id",
    }
)
_PARAM_HEADER: Final = re.compile(r"mcp-param-[a-z0-9!#$%&'*+.^_`|~-]+")


def answer_headers(head: WireHead) -> HeaderList:
    """What lets the page that sent this request read the answer; nothing for a request that no page sent."""
    origin = head.values.get("origin")
    if origin is None:
        return []
    return [
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Expose-Headers", "Mcp-Session-Id, Retry-After, WWW-Authenticate"),
        ("Vary", "Origin"),
    ]


def preflight(head: WireHead) -> WireReply:
    asked = head.values.get("access-control-request-headers", "").lower().split(",")
    granted = [name for name in map(str.strip, asked) if _is_granted(name)]
    return WireReply(
        204,
        [
            ("Allow", _METHODS + ", OPTIONS"),
            ("Access-Control-Allow-Methods", _METHODS),
            ("Access-Control-Allow-Headers", ", ".join(granted)),
            ("Access-Control-Max-Age", str(_PREFLIGHT_S)),
        ],
    )


def _is_granted(name: str) -> bool:
    return name in _REQUEST_HEADERS or _PARAM_HEADER.fullmatch(name) is not None
