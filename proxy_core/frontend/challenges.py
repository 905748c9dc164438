"""What a client is told that is not let in: how to come by a token, or by a better one. Pure.

Spec: 2026-07-28 basic/authorization, "Protected Resource Metadata Discovery" and "Scope Challenge Handling";
RFC 6750, section 3; RFC 9728, section 5.1.
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from proxy_core.access.claims import canonical
from proxy_core.config.models import AuthConfig
from proxy_core.errors import HttpRefusal

CHALLENGE: Final = "WWW-Authenticate"
WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
_REALM: Final = 'realm="only1mcp"'


class Challenges:
    def __init__(self, auth: AuthConfig | None = None) -> None:
        """Without issuers there is nothing that a client could do by itself, and so no metadata to point to."""
        self._metadata = metadata_url(auth.resource) if auth is not None and auth.resource else ""
        self._scopes = auth.scopes if auth is not None else ()

    def missing(self) -> HttpRefusal:
        """RFC 6750 3.1: a request that brought no token is told no error code."""
        return self._refusal(401, "This gateway wants a token: send it as Authorization: Bearer <token>.")

    def malformed(self) -> HttpRefusal:
        return self._refusal(400, "The Authorization header must be: Bearer <token>.", "invalid_request")

    def invalid(self) -> HttpRefusal:
        return self._refusal(401, "The token is not one of this gateway's.", "invalid_token")

    def changed(self) -> HttpRefusal:
        """To a request that was let in, and is not finished; whoever gets another token may ask again."""
        return self._refusal(401, "What this token is for has changed since it was asked.", "invalid_token")

    def insufficient(self, scopes: Sequence[str]) -> HttpRefusal:
        """`scopes`: all that the request needs."""
        words = [f'error="insufficient_scope", scope="{" ".join(scopes)}"']
        return _refused(403, "The token lacks a scope.", [*words, *self._pointer])

    @property
    def _pointer(self) -> list[str]:
        return [f'resource_metadata="{self._metadata}"'] if self._metadata else []

    def _refusal(self, status: int, message: str, error: str = "") -> HttpRefusal:
        words = self._pointer or [_REALM]
        if self._metadata and self._scopes:
            words.append(f'scope="{" ".join(self._scopes)}"')
        return _refused(status, message, [*words, *([f'error="{error}"'] if error else [])])


def metadata_url(resource: str) -> str:
    """RFC 9728, section 3.1: the well-known part stands between host and path."""
    uri = canonical(resource)
    path = urlsplit(uri).path
    return f"{uri.removesuffix(path) if path else uri}{WELL_KNOWN}{path}"


def _refused(status: int, message: str, words: list[str]) -> HttpRefusal:
    return HttpRefusal(status, message, {CHALLENGE: f"Bearer {', '.join(words)}"})
