"""Who we are at an authorization server: registered beforehand, by a document about us, or registered now.

Spec: 2026-07-28 basic/authorization, "Client Registration"; RFC 7591.
"""

from typing import Final

import msgspec
from yarl import URL

from proxy_core.config.login import LoginConfig
from proxy_core.oauth.discovery import NotFound
from proxy_core.oauth.documents import ServerMetadata
from proxy_core.oauth.fetching import FetchFailed, Reach, checked, fetched, shown

NONE: Final = "none"
BASIC: Final = "client_secret_basic"
POST: Final = "client_secret_post"
KEY: Final = "private_key_jwt"
_REGISTERING: Final = (NONE, BASIC, POST)
"""Ways that a registration may end with, the best first: a program on a laptop keeps no secret of its own."""
MAX_ID: Final = 2048


class Client(msgspec.Struct, frozen=True):
    """Of one authorization server, and of no other."""

    issuer: str
    client_id: str
    method: str = NONE
    """How it says who it is at the token endpoint."""
    secret: str | None = None
    redirect_uri: str = ""
    """That it was registered with, if it was."""
    expires_at: float = 0.0
    """Wall seconds; 0: never."""

    def __repr__(self) -> str:
        return f"Client({self.client_id!r} at {self.issuer!r}, {self.method})"


def configured(login: LoginConfig, server: ServerMetadata) -> Client | None:
    """The one that the configuration has for this authorization server. Raises: NotFound."""
    if login.client_id is not None:
        return Client(server.issuer, login.client_id, _method(login, server), login.client_secret)
    if login.client_metadata_url is not None and server.reads_client_documents:
        return Client(server.issuer, login.client_metadata_url)
    return None


def _method(login: LoginConfig, server: ServerMetadata) -> str:
    if login.private_key is not None:
        return KEY
    if login.client_secret is None:
        return NONE
    # RFC 8414, section 2: what is left out means basic.
    taken = server.auth_methods or (BASIC,)
    method = next((each for each in (BASIC, POST) if each in taken), None)
    if method is None:
        raise NotFound(f"{server.issuer} takes no client_secret")
    return method


def is_usable(client: Client, redirect_uri: str, now: float) -> bool:
    """Whether an earlier registration is good for a login that comes back to `redirect_uri`."""
    return client.redirect_uri == redirect_uri and not 0 < client.expires_at <= now


async def registered(
    reach: Reach, server: ServerMetadata, redirect_uri: str, scopes: tuple[str, ...]
) -> Client:
    """Register with the authorization server. Raises: NotFound, FetchFailed."""
    if server.registration_endpoint is None:
        raise NotFound(f"{server.issuer} registers nobody by itself: set `client_id`, as it was given there")
    wanted = next((each for each in _REGISTERING if each in server.auth_methods), None)
    if server.auth_methods and wanted is None:
        raise NotFound(f"{server.issuer} takes none of the ways in which we can say who we are")
    asked: dict[str, object] = {
        "client_name": "Only1MCP",
        "application_type": "native",
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": wanted or NONE,
    }
    if scopes:
        asked["scope"] = " ".join(scopes)
    url = checked(reach, server.registration_endpoint)
    headers = {"accept": "application/json", "content-type": "application/json"}
    answer = await fetched(reach, "POST", url, headers, msgspec.json.encode(asked))
    if answer.status not in (200, 201) or not isinstance(answer.json, dict):
        raise FetchFailed(f"{shown(url)} did not register us: HTTP status {answer.status}", answer.status)
    return _client(answer.json, server, wanted or NONE, redirect_uri, url)


def _client(
    answer: dict[str, object], server: ServerMetadata, wanted: str, redirect_uri: str, url: URL
) -> Client:
    client_id, secret = answer.get("client_id"), answer.get("client_secret")
    if not isinstance(client_id, str) or not 0 < len(client_id) <= MAX_ID:
        raise FetchFailed(f"{shown(url)} registered us under no id")
    method = answer.get("token_endpoint_auth_method", wanted)
    if method not in _REGISTERING:
        raise FetchFailed(f"{shown(url)} registered us with a way to say who we are that we do not know")
    if method != NONE and not (isinstance(secret, str) and 0 < len(secret) <= MAX_ID):
        raise FetchFailed(f"{shown(url)} registered us with a secret, and gave none")
    expires_at = answer.get("client_secret_expires_at", 0)
    return Client(
        server.issuer,
        client_id,
        str(method),
        str(secret) if method != NONE else None,
        redirect_uri,
        float(expires_at) if isinstance(expires_at, int) and method != NONE else 0.0,
    )
