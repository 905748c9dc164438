"""Fetching what strangers publish: each URL is looked at, and each address before it is asked.

What is fetched is chosen by the configuration and by strangers' documents, so only public addresses are asked,
and private ones that the configuration names. Knows nothing of what the documents say.
Spec: basic/security_best_practices, "Server-Side Request Forgery".
"""

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from yarl import URL

from proxy_core.access.addresses import AddressRules
from proxy_core.backends.http_client import HttpClient
from proxy_core.backends.http_pool import Unreachable
from proxy_core.backends.http_url import Url
from proxy_core.errors import BackendFault

FETCH_S: Final = 5.0
"""For one document, the ways that lead nowhere included."""
MAX_BYTES: Final = 1_048_576
MAX_URL_CHARS: Final = 2048
MAX_ADDRESSES: Final = 4
_GETTING: Final = {"accept": "application/json"}


class FetchFailed(Exception):
    """Its words are for our log and for whoever operates the gateway."""

    def __init__(self, words: str, status: int | None = None) -> None:
        """`status`: that of HTTP, if it was this which failed."""
        super().__init__(words)
        self.status = status


@dataclass(frozen=True, slots=True)
class Reach:
    """Whom a fetch may ask."""

    subject: str
    """On whose behalf, for the words of a fault."""
    networks: Sequence[str]
    """Private ones that the configuration names."""
    hint: str
    """Which key of the configuration names them."""
    may_be_local: Callable[[URL], bool]
    """Whether this URL may be on this machine, and without TLS: never by a stranger's word alone."""


@dataclass(frozen=True, slots=True)
class Fetched:
    status: int
    json: Any
    """None where it is no JSON."""


async def json_at(reach: Reach, text: str) -> Any:
    """The document there. Raises: FetchFailed."""
    url = checked(reach, text)
    found = await fetched(reach, "GET", url, _GETTING)
    if found.status != 200:
        raise FetchFailed(f"{shown(url)} answered with HTTP status {found.status}", found.status)
    if found.json is None:
        raise FetchFailed(f"{shown(url)} is no JSON")
    return found.json


async def fetched(
    reach: Reach, method: str, url: URL, headers: Mapping[str, str], body: bytes | None = None
) -> Fetched:
    """What is answered, whatever its status; `url` has been checked. Raises: FetchFailed."""
    rules = AddressRules(reach.networks, may_be_loopback=reach.may_be_local(url))
    client = HttpClient(reach.subject, {}, FETCH_S, _Resolver(reach, rules))
    try:
        async with asyncio.timeout(FETCH_S):
            response = await client.ask(method, Url.of(str(url)), headers, body)
            try:
                data = await response.read(MAX_BYTES)
            finally:
                response.close()
    except BackendFault as fault:
        raise FetchFailed(f"{shown(url)}: {fault.detail}") from fault
    except TimeoutError as error:
        raise FetchFailed(f"{shown(url)} took longer than {FETCH_S:g} seconds") from error
    finally:
        await client.aclose()
    try:
        return Fetched(response.status, orjson.loads(data))
    except orjson.JSONDecodeError:
        return Fetched(response.status, None)


def checked(reach: Reach, text: str) -> URL:
    """A URL that may be asked as far as it shows. Raises: FetchFailed."""
    try:
        url = URL(text) if len(text) <= MAX_URL_CHARS else URL()
    except ValueError as error:
        raise FetchFailed("it points to a URL that is none") from error
    if url.scheme not in ("https", "http") or not url.host or url.user is not None or not url.port:
        raise FetchFailed("it points to a URL that is none")
    if url.scheme != "https" and not reach.may_be_local(url):
        raise FetchFailed(f"it points to {shown(url)}, a URL that is not HTTPS")
    return url.with_fragment(None)


def shown(url: URL) -> str:
    return str(url.with_query(None).with_fragment(None))[:200]


class _Resolver:
    """Looks a name up once: what is allowed of it is what is connected to."""

    def __init__(self, reach: Reach, rules: AddressRules) -> None:
        self._reach = reach
        self._rules = rules

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        allowed = [address for address in addresses if self._rules.allows(address)]
        if not allowed:
            found_at = ", ".join(each for each in addresses[:MAX_ADDRESSES] if each != host)
            raise Unreachable(
                self._reach.subject,
                f"{host[:200]}{f' is {found_at}, which' if found_at else ''} may not be asked; "
                f"a private network may, if {self._reach.hint} names it",
            )
        return allowed[:MAX_ADDRESSES]
