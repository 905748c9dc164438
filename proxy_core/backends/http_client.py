"""What both HTTP channels and the probes share: requests with their redirects, and their faults in our words.

Nothing of a client's request ever gets here: headers are the configured ones and those the protocol asks for.
Spec: RFC 9112, section 3.2 (request target); RFC 9110, section 15.4 (redirection).
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

from proxy_core.backends.channel import Outgoing
from proxy_core.backends.credentials import REFUSALS, Credentials
from proxy_core.backends.http_connection import HttpResponse
from proxy_core.backends.http_pool import HttpPool, Resolve, Unreachable
from proxy_core.backends.http_url import Origin, Url
from proxy_core.errors import (
    BackendAuthRequired,
    BackendFailing,
    BackendFault,
    BackendHttpError,
    BackendProtocolError,
    BackendTimeout,
)
from proxy_core.protocol.sse import SseEvent, SseParser

MAX_JSON_BYTES: Final = 16 * 1024 * 1024
MAX_EVENT_BYTES: Final = 4 * 1024 * 1024
MAX_REDIRECTS: Final = 3
MAX_LOGINS: Final = 3
"""For one request: one that was kept, one that was renewed, and one with more scopes."""
_MAX_WAYS: Final = 8
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "DELETE"})
"""Of the methods used here (RFC 9110 9.2.2)."""
_FRAMING: Final = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "upgrade", "expect", "te", "trailer"}
)
"""Headers that say where a message ends and how it travels, which no configuration may set but for Host."""
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_KEEPING_METHOD: Final = frozenset({307, 308})
"""The others let a client turn a POST into a GET."""


class _Way(NamedTuple):
    """To one URL."""

    lead: str
    """What follows the method in the head of a request."""
    pool: HttpPool


class HttpClient:
    """Requests to one backend: no cookies, no proxy from the environment, nothing of a client's own headers."""

    def __init__(
        self,
        backend: str,
        headers: Mapping[str, str],
        connect_s: float,
        resolve: Resolve | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        """`headers`: the configured ones, sent with every request unless it has one of that name itself.

        `resolve`: as that of a pool. `credentials`: a login that the configuration allows for.
        """
        self._backend = backend
        self.credentials = credentials
        self._connect_s = connect_s
        self._resolve = resolve
        own = {name.lower(): (name, value) for name, value in headers.items()}
        self._host = own["host"][1] if "host" in own else None
        self._fixed = {key: f"{name}: {value}\r\n" for key, (name, value) in own.items() if key not in _FRAMING}
        self._fixed_lines = "".join(self._fixed.values())
        self._ways: dict[str, _Way] = {}
        """By the text of a URL."""
        self._pools: dict[Origin, HttpPool] = {}
        """There is more than one only where a server moves to HTTPS."""
        self._is_closed = False

    async def ask(
        self, method: str, url: Url, headers: Mapping[str, str], body: bytes | None = None
    ) -> HttpResponse:
        """Send a request; its response, once the head of that is there. Raises: BackendFault.

        Names in `headers` are in lower case, values without line ends: they are ours, or encoded. A redirect is
        followed only to where the same headers may go: the same origin, or HTTPS on the same host. Whoever gets
        the response reads it whole or closes it. Where a login is refused and another one can be had without a
        person, the request is made again: it was refused before it was looked at.
        """
        credentials = self.credentials
        if credentials is None:
            return await self._ask(method, url, headers, body, b"")
        for times in range(MAX_LOGINS + 1):
            sent = credentials.line
            response = await self._ask(method, url, headers, body, sent)
            if response.status not in REFUSALS:
                if times:
                    credentials.accepted()
                return response
            if times == MAX_LOGINS:
                break
            challenge = response.header(b"www-authenticate") or ""
            response.close()
            await credentials.refused(response.status, challenge, sent)
        return response

    async def _ask(
        self, method: str, url: Url, headers: Mapping[str, str], body: bytes | None, login: bytes
    ) -> HttpResponse:
        target = url
        for _ in range(MAX_REDIRECTS + 1):
            framed = b"\r\n" if body is None else b"content-length: %d\r\n\r\n%b" % (len(body), body)
            lead, pool = self._ways.get(target.text) or self._way(target)
            request = f"{method} {lead}{self._lines(headers)}".encode() + login + framed
            response = await pool.ask(request, is_idempotent=method in _IDEMPOTENT)
            response.url = target
            if response.status not in REDIRECTS:
                return response
            response.close()
            target = _redirected(self._backend, response)
        raise _bad_redirect(self._backend, f"it redirects more than {MAX_REDIRECTS} times in a row")

    def head(self, method: str, url: Url, headers: Mapping[str, str]) -> bytes:
        """The head of a request, but for its Content-Length and what ends it."""
        lead, _ = self._ways.get(url.text) or self._way(url)
        return f"{method} {lead}{self._lines(headers)}".encode()

    def pool(self, url: Url) -> HttpPool:
        """The connections that requests to there go by. Raises: Unreachable, once this is closed."""
        return (self._ways.get(url.text) or self._way(url)).pool

    def _lines(self, headers: Mapping[str, str]) -> str:
        own = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        if self._fixed.keys().isdisjoint(headers):
            return self._fixed_lines + own
        return "".join([line for name, line in self._fixed.items() if name not in headers]) + own

    def _way(self, url: Url) -> "_Way":
        if self._is_closed:
            raise Unreachable(self._backend, "the connection is closed")
        lead = f"{url.target} HTTP/1.1\r\nhost: {self._host or url.origin.authority}\r\n"
        if url.user is not None and "authorization" not in self._fixed:
            lead += f"authorization: {_basic(url.user, url.password)}\r\n"
        if url.origin.scheme == "https" and "accept-encoding" not in self._fixed:
            # Far away, bytes cost more than inflating them; on one machine it is the reverse.
            lead += "accept-encoding: gzip, deflate\r\n"
        pool = self._pools.get(url.origin)
        if pool is None:
            pool = HttpPool(self._backend, url.origin, self._connect_s, resolve=self._resolve)
            self._pools[url.origin] = pool
        way = _Way(lead, pool)
        if len(self._ways) < _MAX_WAYS:
            self._ways[url.text] = way
        return way

    async def aclose(self) -> None:
        """Close every connection, whatever is under way. Safe to call twice."""
        self._is_closed = True
        self._ways.clear()
        for pool in self._pools.values():
            await pool.aclose()


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _redirected(backend: str, response: HttpResponse) -> Url:
    location = response.header(b"location")
    try:
        if location is None:
            raise ValueError("no Location")
        target = response.url.joined(location).without_user()
    except ValueError:
        raise _bad_redirect(backend, "it redirects to an address that is none") from None
    where = target.shown()
    if not may_follow(response.url.origin, target.origin):
        raise _bad_redirect(
            backend, f"it redirects to {where}: if you trust that address, put it into the config"
        )
    if response.status not in _KEEPING_METHOD:
        raise _bad_redirect(
            backend,
            f"it redirects to {where} with HTTP status {response.status}: put that address into the config",
        )
    return target


def may_follow(first: Origin, second: Origin) -> bool:
    """Within one origin, or from HTTP to HTTPS on the same host, each on its own port."""
    return first == second or (
        second == Origin("https", first.host, 443) and first == Origin("http", first.host, 80)
    )


def _bad_redirect(backend: str, detail: str) -> BackendProtocolError:
    return BackendProtocolError(backend, "The server redirects elsewhere.", detail)


class Posts:
    """The POSTs under way, each in the task of whoever asks; that of a request can be ended from outside."""

    def __init__(self, backend: str, accept_s: float) -> None:
        """`accept_s`: how long a message that has no answer may wait to be accepted."""
        self._backend = backend
        self._accept_s = accept_s
        self._tasks: dict[int, asyncio.Task[Any]] = {}
        self._aborted: set[int] = set()

    def __contains__(self, request_id: int) -> bool:
        return request_id in self._tasks

    async def run(self, message: Outgoing, post: Callable[[Outgoing], Awaitable[None]]) -> None:
        """Raises: BackendFault."""
        if message.request_id is None:
            await self._notify(message, post)
            return
        task = asyncio.current_task()
        assert task is not None
        cancellations = task.cancelling()
        self._tasks[message.request_id] = task
        try:
            await post(message)
        except asyncio.CancelledError:
            # Cancelled by abort() alone: whoever asked has its fault or its answer already, and goes on.
            if message.request_id not in self._aborted or task.uncancel() > cancellations:
                raise
        finally:
            self._tasks.pop(message.request_id, None)
            self._aborted.discard(message.request_id)

    async def _notify(self, message: Outgoing, post: Callable[[Outgoing], Awaitable[None]]) -> None:
        # No sweep watches over a message without an answer.
        try:
            async with asyncio.timeout(self._accept_s):
                await post(message)
        except TimeoutError as error:
            raise BackendTimeout(
                self._backend,
                "The server does not accept messages.",
                f"it did not take {message.method or 'our answer'}",
            ) from error

    def answered(self, request_id: int) -> None:
        """Its answer is there, and about to be handed on: it cannot be ended any more."""
        self._tasks.pop(request_id, None)

    def abort(self, request_id: int) -> None:
        task = self._tasks.get(request_id)
        if task is not None and request_id not in self._aborted and task is not asyncio.current_task():
            self._aborted.add(request_id)
            task.cancel()


async def events(response: HttpResponse, parser: SseParser) -> AsyncIterator[SseEvent]:
    async for part in response.parts():
        for event in parser.feed(part):
            yield event


def refused(backend: str, status: int) -> BackendFault:
    """The fault for a status that carries no JSON-RPC answer."""
    if status in REFUSALS:
        return BackendAuthRequired(
            backend,
            "The server asks for credentials.",
            f"it answered {status}: check the headers in its config",
        )
    if status >= 500:
        return BackendFailing(
            backend, "The server is failing.", f"it answered with HTTP status {status}", status
        )
    if status >= 400:
        return BackendHttpError(backend, status)
    return BackendProtocolError(backend, "The server did not answer as MCP says.", f"HTTP status {status}")
