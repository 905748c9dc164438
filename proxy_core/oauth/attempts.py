"""One try of a person to log in: the URL for the browser, and what of its answer is believed.

Nothing is sent with the answer's code before the answer is known to be the right one's.
Spec: 2026-07-28 basic/authorization, "Authorization Flow Steps"; RFC 7636 (PKCE), RFC 8707 (resource),
RFC 9207 (iss).
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from yarl import URL

from proxy_core.errors import LoginFailed
from proxy_core.oauth.clients import Client
from proxy_core.oauth.discovery import NotFound
from proxy_core.oauth.documents import ResourceMetadata, ServerMetadata
from proxy_core.oauth.fetching import Reach, checked
from proxy_core.oauth.tokens import Tokens
from proxy_core.protocol.text import clean_text

ATTEMPT_S: Final = 600.0
"""How long a person may take."""
MAX_WORDS: Final = 200


def _random() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True)
class Attempt:
    resource: ResourceMetadata
    server: ServerMetadata
    client: Client = field(repr=False)
    redirect_uri: str
    scopes: tuple[str, ...]
    begun_at: float
    """Monotonic seconds."""
    state: str = field(default_factory=_random, repr=False)
    verifier: str = field(default_factory=_random, repr=False)

    def url(self, reach: Reach) -> str:
        """Where the person logs in. Raises: NotFound, FetchFailed."""
        # As strict as with what is fetched: it is a browser that goes there, with a person's sessions.
        page = checked(reach, check_page(self.server))
        digest = hashlib.sha256(self.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": self.redirect_uri,
            "state": self.state,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
            "resource": self.resource.resource,
        }
        if self.scopes:
            query["scope"] = " ".join(self.scopes)
        return str(page.update_query(query))

    def code(self, answer: Mapping[str, str]) -> str:
        """That of the answer which came back to us, whose `state` is ours. Raises: LoginFailed."""
        issuer = answer.get("iss")
        # Compared as text: what is equal after some tidying up may be another's.
        if issuer is not None and issuer != self.server.issuer:
            raise LoginFailed(
                "The answer is from another authorization server than was asked; it was not used."
            )
        if issuer is None and self.server.sends_iss:
            raise LoginFailed("The answer does not say which authorization server it is from, as it should.")
        if "error" in answer:
            words = clean_text(answer["error"], MAX_WORDS)
            raise LoginFailed(f"The authorization server did not let us in: {words}.")
        code = answer.get("code", "")
        if not code:
            raise LoginFailed("The answer of the authorization server has no code.")
        return code

    def form(self, code: str) -> dict[str, str]:
        return {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
        }

    def tokens_to_be(self) -> Tokens:
        """What they will be for; scopes are as asked for, unless the answer says others (RFC 6749, 5.1)."""
        return Tokens(
            self.server.issuer,
            self.resource.resource,
            self.client,
            self.server.token_endpoint,
            "",
            scopes=self.scopes,
            revocation=self.server.revocation_endpoint,
        )


def check_page(server: ServerMetadata) -> str:
    """Where persons log in. Raises: NotFound, if there is nothing, or a code would be safe from nobody."""
    if server.authorization_endpoint is None:
        raise NotFound(f"{server.issuer} has no page where a person could log in")
    if not server.has_s256:
        raise NotFound(f"{server.issuer} does not say that it knows PKCE with S256")
    return server.authorization_endpoint


def is_loopback_redirect(text: str) -> bool:
    """Whether a browser on the person's machine comes back to that very machine (RFC 8252, section 7.3)."""
    try:
        url = URL(text)
    except ValueError:
        return False
    is_here = url.scheme == "http" and url.host in ("127.0.0.1", "::1", "localhost")
    return is_here and bool(url.port) and url.user is None and not url.query_string and "#" not in text
