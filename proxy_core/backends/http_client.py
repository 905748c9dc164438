"""What both HTTP channels share: the client session, its faults in our words, bounded reading.

Nothing of a client's request ever gets here: headers are the configured ones and those the protocol asks for.
"""

import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from yarl import URL

from proxy_core.errors import (
    BackendAuthRequired,
    BackendFault,
    BackendHttpError,
    BackendProtocolError,
    BackendStreamLost,
    BackendUnavailable,
)
from proxy_core.protocol.sse import SseEvent, SseParser

MAX_JSON_BYTES: Final = 16 * 1024 * 1024
MAX_EVENT_BYTES: Final = 4 * 1024 * 1024
# Below the five seconds after which common servers close an idle connection under our feet.
KEEPALIVE_S: Final = 4.0
READ_CHUNK_BYTES: Final = 65_536


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


class Unreachable(BackendUnavailable):
    """No connection could be made, so nothing was sent."""

    def __init__(self, backend: str, detail: str) -> None:
        super().__init__(backend, "The server cannot be reached.", detail)


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
        return BackendUnavailable(backend, "The server is failing.", f"it answered with HTTP status {status}")
    if status >= 400:
        return BackendHttpError(backend, status)
    return BackendProtocolError(backend, "The server did not answer as MCP says.", f"HTTP status {status}")


def same_origin(first: URL, second: URL) -> bool:
    return first.origin() == second.origin()
