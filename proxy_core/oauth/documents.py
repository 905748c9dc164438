"""What we believe of strangers' documents: metadata of servers and of authorization servers, checked. Pure.

Spec: RFC 9728, section 3.3 (resource); RFC 8414, section 3.3 (issuer); RFC 9207 (iss);
2026-07-28 basic/authorization, "Authorization Code Protection" (S256) and "Client ID Metadata Documents".
"""

import re
from dataclasses import dataclass
from typing import Any, Final, Self

from yarl import URL

MAX_SERVERS: Final = 16
MAX_SCOPES: Final = 128
# RFC 6749, section 3.3.
_SCOPE: Final = re.compile(r"[!#-\[\]-~]{1,128}")
_WORD: Final = re.compile(r"[ -~]{1,2048}")


class BadDocument(Exception):
    """Its words are for whoever operates the gateway."""


@dataclass(frozen=True, slots=True)
class ResourceMetadata:
    """Of an MCP server."""

    resource: str
    """Its identifier, to the letter as it is published: tokens are asked for with it."""
    authorization_servers: tuple[str, ...]
    scopes: tuple[str, ...] | None = None
    """None: it names none."""

    @classmethod
    def read(cls, document: Any, server: URL) -> Self:
        """`server`: the URL that the configuration has. Raises: BadDocument."""
        if not isinstance(document, dict):
            raise BadDocument("the server's metadata are no object")
        resource = document.get("resource")
        if not isinstance(resource, str) or not _covers(resource, server):
            found = repr(resource)[:200]
            raise BadDocument(f"the server's metadata are those of another resource: {found}")
        servers = _words(document.get("authorization_servers"), MAX_SERVERS)
        if not servers:
            raise BadDocument("the server's metadata name no authorization server")
        return cls(resource, servers, _scopes(document.get("scopes_supported")))


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """Of an authorization server."""

    issuer: str
    authorization_endpoint: str | None
    token_endpoint: str
    registration_endpoint: str | None
    revocation_endpoint: str | None
    scopes: tuple[str, ...]
    auth_methods: tuple[str, ...]
    """How clients may say who they are at the token endpoint; none: it does not say."""
    has_s256: bool
    sends_iss: bool
    reads_client_documents: bool

    @classmethod
    def read(cls, document: Any, issuer: str) -> Self:
        """Raises: BadDocument."""
        if not isinstance(document, dict) or document.get("issuer") != issuer:
            raise BadDocument(f"the metadata of {issuer[:200]} are another issuer's")
        token_endpoint = _word(document.get("token_endpoint"))
        if token_endpoint is None:
            raise BadDocument(f"the metadata of {issuer[:200]} have no token endpoint")
        return cls(
            issuer,
            _word(document.get("authorization_endpoint")),
            token_endpoint,
            _word(document.get("registration_endpoint")),
            _word(document.get("revocation_endpoint")),
            _scopes(document.get("scopes_supported")) or (),
            _words(document.get("token_endpoint_auth_methods_supported"), MAX_SCOPES),
            "S256" in _words(document.get("code_challenge_methods_supported"), MAX_SCOPES),
            document.get("authorization_response_iss_parameter_supported") is True,
            document.get("client_id_metadata_document_supported") is True,
        )


def read_scopes(text: str) -> tuple[str, ...]:
    """As they stand in a challenge or a token answer; what is no scope is left out."""
    return tuple(dict.fromkeys(scope for scope in text.split(" ") if _SCOPE.fullmatch(scope)))[:MAX_SCOPES]


def _scopes(value: Any) -> tuple[str, ...] | None:
    return None if not isinstance(value, list) else read_scopes(" ".join(_words(value, MAX_SCOPES)))


def _words(value: Any, most: int) -> tuple[str, ...]:
    found = value if isinstance(value, list) else []
    return tuple(word for each in found[:most] if (word := _word(each)) is not None)


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None


def _covers(resource: str, server: URL) -> bool:
    """Whether a token for `resource` is one for the server: itself, or a path above it on the same origin."""
    try:
        url = URL(resource)
        is_here = url.origin() == server.origin() and url.user is None and "#" not in resource
    except ValueError:
        return False
    above, below = url.raw_path.rstrip("/"), server.raw_path.rstrip("/")
    return (
        is_here and _WORD.fullmatch(resource) is not None and (below == above or below.startswith(f"{above}/"))
    )
