"""Fetching what an authorization server publishes: its metadata, and the keys that those lead to.

What is fetched is chosen by the configuration and by strangers' documents, so each URL is looked at, and each
address before it is connected to. Knows nothing of tokens.
Spec: RFC 8414, sections 3 and 5; OpenID Connect Discovery, section 4; basic/security_best_practices, "SSRF".
"""

import asyncio
import socket
from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson
from yarl import URL

from proxy_core.access.addresses import AddressRules
from proxy_core.backends.http_client import HttpClient
from proxy_core.backends.http_pool import Unreachable
from proxy_core.config.auth import IssuerConfig
from proxy_core.config.base import is_loopback
from proxy_core.errors import BackendFault

FETCH_S: Final = 5.0
"""For all that one look takes, the ways that lead nowhere included."""
MAX_BYTES: Final = 1_048_576
MAX_URL_CHARS: Final = 2048
MAX_ADDRESSES: Final = 4
_HEADERS: Final = {"accept": "application/json"}
_WELL_KNOWN: Final = "/.well-known/"


class FetchFailed(Exception):
    """Its words are for our log."""


async def key_document(settings: IssuerConfig) -> Any:
    """The issuer's JWK set, as JSON gives it. Raises: FetchFailed."""
    try:
        async with asyncio.timeout(FETCH_S):
            url = settings.jwks_url or await _advertised(settings)
            return await _json_at(settings, url)
    except TimeoutError as error:
        raise FetchFailed(f"it took longer than {FETCH_S:g} seconds") from error


async def _advertised(settings: IssuerConfig) -> str:
    """Where its keys are, by its metadata. Raises: FetchFailed."""
    first: FetchFailed | None = None
    for url in _metadata_urls(settings.issuer):
        try:
            metadata = await _json_at(settings, url)
        except FetchFailed as error:
            # Most servers have one of them, and what they answer for the others says little.
            first = first or error
            continue
        if not isinstance(metadata, dict) or metadata.get("issuer") != settings.issuer:
            raise FetchFailed(f"the metadata at {url} are another issuer's")
        found = metadata.get("jwks_uri")
        if not isinstance(found, str):
            raise FetchFailed(f"the metadata at {url} have no jwks_uri")
        return found
    raise first or FetchFailed("it publishes no metadata")


def _metadata_urls(issuer: str) -> Iterator[str]:
    """In the order in which they are tried (2026-07-28 basic/authorization, "Server Metadata Discovery")."""
    url = URL(issuer)
    path = url.raw_path.rstrip("/")
    for name in ("oauth-authorization-server", "openid-configuration"):
        yield str(url.with_path(f"{_WELL_KNOWN}{name}{path}", encoded=True))
    if path:
        yield str(url.with_path(f"{path}{_WELL_KNOWN}openid-configuration", encoded=True))


async def _json_at(settings: IssuerConfig, text: str) -> Any:
    """Raises: FetchFailed."""
    url = _checked(text)
    is_ours = _is_named(settings, url) and is_loopback(url.host or "")
    if url.scheme != "https" and not is_ours:
        raise FetchFailed("it points to a URL that is not HTTPS")
    rules = AddressRules(settings.networks, may_be_loopback=is_ours)
    client = HttpClient(settings.issuer, {}, FETCH_S, _Resolver(settings.issuer, rules))
    try:
        response = await client.ask("GET", url, _HEADERS)
        if response.status != 200:
            response.close()
            raise FetchFailed(f"{_shown(url)} answered with HTTP status {response.status}")
        return orjson.loads(await response.read(MAX_BYTES))
    except BackendFault as fault:
        raise FetchFailed(f"{_shown(url)}: {fault.detail}") from fault
    except orjson.JSONDecodeError as error:
        raise FetchFailed(f"{_shown(url)} is no JSON") from error
    finally:
        await client.aclose()


def _checked(text: str) -> URL:
    try:
        url = URL(text) if len(text) <= MAX_URL_CHARS else URL()
    except ValueError as error:
        raise FetchFailed("it points to a URL that is none") from error
    if url.scheme not in ("https", "http") or not url.host or url.user is not None or not url.port:
        raise FetchFailed("it points to a URL that is none")
    return url.with_fragment(None)


def _is_named(settings: IssuerConfig, url: URL) -> bool:
    """Whether the configuration itself has this origin; no document that is fetched can say so."""
    named = (URL(each).origin() for each in (settings.issuer, settings.jwks_url) if each is not None)
    return url.origin() in named


def _shown(url: URL) -> str:
    return str(url.with_query(None))[:200]


class _Resolver:
    """Looks a name up once: what is allowed of it is what is connected to."""

    def __init__(self, issuer: str, rules: AddressRules) -> None:
        self._issuer = issuer
        self._rules = rules

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        allowed = [address for address in addresses if self._rules.allows(address)]
        if not allowed:
            raise Unreachable(
                self._issuer,
                f"{host[:200]} is {', '.join(addresses[:MAX_ADDRESSES])}, which may not be asked; "
                "a private network may, if `networks` of the issuer names it",
            )
        return allowed[:MAX_ADDRESSES]
