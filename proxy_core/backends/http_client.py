"""What both HTTP channels share: the client session, its faults in our words, bounded reading.

Nothing of a client's request ever gets here: headers are the configured ones and those the protocol asks for.
"""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from yarl import URL

from proxy_core.backends.channel import Outgoing
from proxy_core.errors import (
    BackendAuthRequired,
    BackendFailing,
    BackendFault,
    BackendHttpError,
    BackendProtocolError,
    BackendStreamLost,
    BackendTimeout,
    BackendUnavailable,
)
from proxy_core.protocol.sse import SseEvent, SseParser

MAX_JSON_BYTES: Final = 16 * 1024 * 1024
MAX_EVENT_BYTES: Final = 4 * 1024 * 1024
# Below the five seconds after which common servers close an idle connection under our feet.
KEEPALIVE_S: Final = 4.0
READ_CHUNK_BYTES: Final = 65_536
MAX_REDIRECTS: Final = 3
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_KEEPING_METHOD: Final = frozenset({307, 308})
"""The others let a client turn a POST into a GET."""


def client_session(headers: Mapping[str, str], connect_s: float) -> aiohttp.ClientSession:
    """A session for one backend: no cookies, no proxy from the environment, no time limit of its own."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=dict(headers),
        timeout=aiohttp.ClientTimeout(total=None, connect=connect_s),
        skip_auto_headers=("User-Agent",),
        read_bufsize=READ_CHUNK_BYTES,
    )


@asynccontextmanager
async def translated(backend: str) -> AsyncIterator[None]:
    """Turn aiohttp's exceptions into ours: whether anything can have reached the server decides which."""
    try:
        yield
    except aiohttp.ClientConnectorCertificateError as error:
        raise Unreachable(backend, f"its TLS certificate was not accepted: {error}") from error
    except aiohttp.ClientConnectorDNSError as error:
        raise Unreachable(backend, f"its host name was not found: {error.host}") from error
    except aiohttp.ClientConnectorError as error:
        why = os.strerror(error.errno) if error.errno else str(error.os_error)
        raise Unreachable(backend, f"could not connect to {error.host}:{error.port}: {why}") from error
    except (aiohttp.ConnectionTimeoutError, ssl.SSLError) as error:
        raise Unreachable(backend, f"could not connect: {error}") from error
    except aiohttp.ClientPayloadError as error:
        raise BackendStreamLost(backend, "The server broke off its answer.", str(error)) from error
    except (aiohttp.ClientError, OSError) as error:
        detail = str(error) or type(error).__name__
        raise BackendStreamLost(backend, "The connection to the server was lost.", detail) from error
    except ValueError as error:
        # Header lines or chunks beyond aiohttp's own bounds.
        raise BackendProtocolError(backend, "The server answered with invalid HTTP.", str(error)) from error


@asynccontextmanager
async def requesting(
    backend: str,
    session: aiohttp.ClientSession,
    method: str,
    url: str | URL,
    headers: Mapping[str, str],
    data: bytes | None = None,
) -> AsyncIterator[aiohttp.ClientResponse]:
    """One request and its response, which may also fail while it is read. Raises: BackendFault.

    A redirect is followed only to where the same headers may go: the same origin, or HTTPS on the same host.
    """
    target = URL(url)
    for _ in range(MAX_REDIRECTS + 1):
        async with (
            translated(backend),
            session.request(method, target, data=data, headers=headers, allow_redirects=False) as response,
        ):
            if response.status not in _REDIRECTS:
                yield response
                return
            target = _redirected(backend, response)
    raise _bad_redirect(backend, f"it redirects more than {MAX_REDIRECTS} times in a row")


def _redirected(backend: str, response: aiohttp.ClientResponse) -> URL:
    try:
        target = response.url.join(URL(response.headers["Location"])).with_user(None)
        is_allowed = may_follow(response.url, target)
    except (KeyError, ValueError):
        raise _bad_redirect(backend, "it redirects to an address that is none") from None
    where = str(target.with_query(None).with_fragment(None))[:200]
    if not is_allowed:
        raise _bad_redirect(
            backend, f"it redirects to {where}: if you trust that address, put it into the config"
        )
    if response.status not in _KEEPING_METHOD:
        raise _bad_redirect(
            backend,
            f"it redirects to {where} with HTTP status {response.status}: put that address into the config",
        )
    return target


def may_follow(first: URL, second: URL) -> bool:
    """Within one origin, or from HTTP to HTTPS on the same host, each on its own port."""
    ports = (first.port, second.port)
    is_upgrade = (first.scheme, second.scheme) == ("http", "https") and ports == (80, 443)
    return (is_upgrade and first.host == second.host) or same_origin(first, second)


def _bad_redirect(backend: str, detail: str) -> BackendProtocolError:
    return BackendProtocolError(backend, "The server redirects elsewhere.", detail)


class Unreachable(BackendUnavailable):
    """No connection could be made, so nothing was sent."""

    def __init__(self, backend: str, detail: str) -> None:
        super().__init__(backend, "The server cannot be reached.", detail)


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
            del self._tasks[message.request_id]
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

    def abort(self, request_id: int) -> None:
        task = self._tasks.get(request_id)
        if task is not None and task is not asyncio.current_task() and request_id not in self._aborted:
            self._aborted.add(request_id)
            task.cancel()


async def read_bounded(backend: str, response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """The whole body. Raises: BackendProtocolError if it is larger."""
    parts: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > max_bytes:
            response.close()
            raise BackendProtocolError(backend, f"The server's answer is larger than {max_bytes} bytes.")
        parts.append(chunk)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def events(response: aiohttp.ClientResponse, parser: SseParser) -> AsyncIterator[SseEvent]:
    async for chunk in response.content.iter_any():
        for event in parser.feed(chunk):
            yield event


def refused(backend: str, status: int) -> BackendFault:
    """The fault for a status that carries no JSON-RPC answer."""
    if status in (401, 403):
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


def same_origin(first: URL, second: URL) -> bool:
    return first.origin() == second.origin()
