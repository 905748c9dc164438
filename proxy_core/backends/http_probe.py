"""Whether an HTTP server is well, by asking the endpoints that the configuration names.

On connections of its own, closed at once, with the headers that calls carry, since they go to the same origin.
Opens no MCP session.
"""

import asyncio
from collections.abc import Iterable
from contextlib import closing
from typing import Final

from proxy_core.backends.http_client import HttpClient
from proxy_core.backends.http_connection import HttpResponse
from proxy_core.backends.http_url import Url
from proxy_core.config.models import HealthEndpoint, HttpTransport, SseTransport
from proxy_core.errors import BackendFailing, BackendTimeout

MAX_READ_BYTES: Final = 1 << 16


async def ask_endpoints(
    backend: str, transport: HttpTransport | SseTransport, endpoints: Iterable[HealthEndpoint], timeout_s: float
) -> None:
    """All of them, one after the other, within `timeout_s` each.

    Raises: BackendFault; BackendFailing with the status if it is not the expected one.
    """
    http = HttpClient(backend, transport.headers, timeout_s)
    try:
        for endpoint in endpoints:
            await _ask(backend, http, Url.of(transport.url), endpoint, timeout_s)
    finally:
        await http.aclose()


async def _ask(backend: str, http: HttpClient, server: Url, endpoint: HealthEndpoint, timeout_s: float) -> None:
    # Not joined: a path that begins with two slashes would then be another host, which gets no headers of ours.
    url = server.at(endpoint.path.partition("#")[0])
    try:
        async with asyncio.timeout(timeout_s):
            with closing(await http.ask(endpoint.method, url, {})) as response:
                status = response.status
                if endpoint.method != "HEAD":
                    await _read(response)
    except TimeoutError as error:
        raise BackendTimeout(
            backend, f"{endpoint.method} {endpoint.path} did not answer within {timeout_s:g} seconds."
        ) from error
    if status != endpoint.expected_status:
        raise BackendFailing(
            backend,
            "The server says that it is not well.",
            f"{endpoint.method} {endpoint.path} answered {status}, not {endpoint.expected_status}",
            status,
        )


async def _read(response: HttpResponse) -> None:
    """As much of the body as a page of health has; whether it ends is part of being well."""
    size = 0
    async for part in response.parts():
        size += len(part)
        if size >= MAX_READ_BYTES:
            return
