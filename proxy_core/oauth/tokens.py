"""Requests of a client to an authorization server: the proof of who we are, and what of the answer is believed.

Spec: RFC 6749, sections 2.3, 4.1.3, 4.4, 5 and 6; RFC 7523, section 2.2; RFC 8707 (resource).
"""

import asyncio
import base64
import re
import secrets
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import msgspec

from proxy_core.config.login import LoginConfig
from proxy_core.oauth.clients import BASIC, KEY, POST, Client
from proxy_core.oauth.documents import read_scopes
from proxy_core.oauth.fetching import Fetched, FetchFailed, Reach, checked, fetched, shown

ASSERTION_S: Final = 60
MAX_EXPIRES_S: Final = 366 * 86_400
_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# RFC 6750, section 2.1, and a little more: nothing that could end a header line.
_TOKEN: Final = re.compile(r"[!-~]{1,16384}")
_ERROR: Final = re.compile(r"[a-z_]{1,64}")


class TokenRefused(Exception):
    """The authorization server said no. Its words are for whoever operates the gateway."""

    def __init__(self, words: str, error: str) -> None:
        """`error`: its code for it, as `invalid_grant`."""
        super().__init__(words)
        self.error = error


class Tokens(msgspec.Struct, frozen=True):
    """For one resource, from one issuer, to one client."""

    issuer: str
    resource: str
    client: Client
    """Without the secret, where the configuration has it."""
    endpoint: str
    """Where they are renewed: the token endpoint of that issuer."""
    access_token: str
    refresh_token: str | None = None
    granted_at: float = 0.0
    expires_at: float | None = None
    """Wall seconds; None: it is not said."""
    scopes: tuple[str, ...] = ()
    revocation: str | None = None
    """Where that issuer is told that they are good no more; None: nowhere."""

    def __repr__(self) -> str:
        return f"Tokens(for {self.resource!r} from {self.issuer!r})"

    @property
    def address(self) -> tuple[str, str, str]:
        return self.issuer, self.resource, self.client.client_id


async def requested(
    reach: Reach, login: LoginConfig, before: Tokens, form: Mapping[str, str], now: float
) -> Tokens:
    """Tokens in place of `before`, which says what they are for. Raises: TokenRefused, FetchFailed."""
    asked = {**form, "resource": before.resource}
    place, answer = await posted(reach, login, before.client, before.endpoint, asked, now)
    if answer.status != 200:
        raise refusal(place, answer.status, answer.json)
    return _read(answer.json, before, now, place)


async def posted(
    reach: Reach, login: LoginConfig, client: Client, endpoint: str, form: Mapping[str, str], now: float
) -> tuple[str, Fetched]:
    """Who answers, for words, and what, to this form with the proof of who we are. Raises: FetchFailed."""
    url = checked(reach, endpoint)
    headers = {"accept": "application/json", "content-type": "application/x-www-form-urlencoded"}
    proof, extra = await _proof(login, client, now)
    body = urlencode({**form, **proof}).encode()
    return shown(url), await fetched(reach, "POST", url, headers | extra, body)


def refusal(place: str, status: int, answer: Any) -> TokenRefused | FetchFailed:
    """What an answer comes to that is none of what was asked for (RFC 6749, section 5.2)."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if status >= 500 or status == 429 or not isinstance(error, str) or not _ERROR.fullmatch(error):
        return FetchFailed(f"{place} answered with HTTP status {status}", status)
    return TokenRefused(f"{place} refused: {error}", error)


def _read(answer: Any, before: Tokens, now: float, place: str) -> Tokens:
    given = answer if isinstance(answer, dict) else {}
    access, refresh, lifetime = (given.get(key) for key in ("access_token", "refresh_token", "expires_in"))
    if not isinstance(access, str) or not _TOKEN.fullmatch(access):
        raise FetchFailed(f"{place} gave no token")
    if str(given.get("token_type", "")).lower() != "bearer":
        raise FetchFailed(f"{place} gave a token that is no bearer token")
    is_said = isinstance(lifetime, int | float) and 0 < lifetime <= MAX_EXPIRES_S
    said = given.get("scope")
    return msgspec.structs.replace(
        before,
        access_token=access,
        # One that is not renewed itself stays good (RFC 6749, section 6).
        refresh_token=refresh
        if isinstance(refresh, str) and _TOKEN.fullmatch(refresh)
        else before.refresh_token,
        granted_at=now,
        expires_at=now + float(lifetime) if is_said and lifetime is not None else None,
        scopes=read_scopes(said) if isinstance(said, str) else before.scopes,
    )


async def _proof(login: LoginConfig, client: Client, now: float) -> tuple[dict[str, str], dict[str, str]]:
    """Members of the form, and headers."""
    who = {"client_id": client.client_id}
    if client.method == KEY:
        signed = await asyncio.to_thread(_assertion, login, client, now)
        return who | {"client_assertion_type": _ASSERTION, "client_assertion": signed}, {}
    secret = client.secret or login.client_secret or ""
    if client.method == BASIC:
        pair = f"{quote_plus(client.client_id)}:{quote_plus(secret)}"
        return {}, {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return (who | {"client_secret": secret} if client.method == POST else who), {}


def _assertion(login: LoginConfig, client: Client, now: float) -> str:
    """Raises: FetchFailed if the key cannot be used."""
    # Not at the top: few servers want this, and it loads a library of cryptography.
    from joserfc import jwk, jwt
    from joserfc.errors import JoseError

    algorithm = login.signing_algorithm
    claims = {
        "iss": client.client_id,
        "sub": client.client_id,
        "aud": client.issuer,
        "iat": int(now),
        "exp": int(now) + ASSERTION_S,
        "jti": secrets.token_urlsafe(16),
    }
    try:
        pem = login.private_key or ""
        key: jwk.Key
        match algorithm:
            case "EdDSA":
                key = jwk.OKPKey.import_key(pem)
            case "RS256" | "PS256":
                key = jwk.RSAKey.import_key(pem)
            case _:
                key = jwk.ECKey.import_key(pem)
        return jwt.encode({"alg": algorithm}, claims, key, algorithms=[algorithm])
    except (JoseError, ValueError, TypeError) as error:
        # Its words may quote the key.
        raise FetchFailed(f"private_key cannot be used for {algorithm}: {type(error).__name__}") from None
