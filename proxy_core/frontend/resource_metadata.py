"""Where a client learns which authorization server has tokens for us: a small document that everybody may read.

Spec: RFC 9728, sections 2 and 3; 2026-07-28 basic/authorization, "Protected Resource Metadata Discovery".
"""

import json
from typing import Final
from urllib.parse import urlsplit

from proxy_core.access.claims import canonical
from proxy_core.config.models import AuthConfig
from proxy_core.errors import HttpRefusal
from proxy_core.frontend import cors
from proxy_core.frontend.challenges import WELL_KNOWN
from proxy_core.frontend.endpoint import McpEndpoint
from proxy_core.frontend.guards import JSON, too_large
from proxy_core.frontend.responses import http_refusal
from proxy_core.frontend.wire import WireHead, WireReply, WireRequest

_METHODS: Final = ("GET", "OPTIONS")
_KEPT_S: Final = 300


class ResourceMetadata:
    """Served beside the MCP endpoint, under its guard and without its tokens."""

    def __init__(self, mcp: McpEndpoint, auth: AuthConfig) -> None:
        self._mcp = mcp
        self.use(auth)

    def use(self, auth: AuthConfig) -> None:
        """Tell this from now on; nothing, where there are no issuers."""
        self._document = json.dumps(document(auth)).encode() if auth.resource else b""
        self._public_path = WELL_KNOWN + urlsplit(canonical(auth.resource or "")).path

    def serves(self, path: str) -> bool:
        """The root form; that of the URI which clients know, and of the path that a proxy makes of it."""
        if not self._document or not path.startswith(WELL_KNOWN):
            return False
        is_public = path in (WELL_KNOWN, self._public_path)
        return is_public or self._mcp.guard.profile_in(path.removeprefix(WELL_KNOWN)) is not None

    @property
    def max_body_bytes(self) -> int:
        return 0

    def admit(self, head: WireHead) -> WireReply | None:
        guard = self._mcp.guard
        refusal = guard.host_refusal(head) or guard.origin_refusal(head)
        if refusal is None and head.method not in _METHODS:
            allow = ", ".join(_METHODS)
            refusal = HttpRefusal(405, "This HTTP method is not served here.", {"Allow": allow})
        if refusal is None and (
            head.values.get("content-length", "0") != "0" or "transfer-encoding" in head.values
        ):
            refusal = too_large(0)
        return None if refusal is None else self.refuse(head, refusal)

    def refuse(self, head: WireHead, refusal: HttpRefusal) -> WireReply:
        return http_refusal(refusal)

    async def answer(self, request: WireRequest) -> WireReply:
        if request.head.method == "OPTIONS":
            return cors.preflight(request.head)
        kept = ("Cache-Control", f"max-age={_KEPT_S}")
        return WireReply(
            200, [("Content-Type", JSON), kept, *cors.answer_headers(request.head)], self._document
        )


def document(auth: AuthConfig) -> dict[str, object]:
    """No `offline_access`: whether a client may renew its tokens is between it and its server."""
    granted = (scope for issuer in auth.issuers for grant in issuer.grants for scope in grant.scopes)
    return {
        "resource": auth.resource,
        "authorization_servers": [each.issuer for each in auth.issuers],
        "scopes_supported": list(dict.fromkeys((*auth.scopes, *granted))),
        "bearer_methods_supported": ["header"],
    }
