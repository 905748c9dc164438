"""Whether an HTTP server is well, asked over real HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from proxy_core.backends.http_probe import MAX_READ_BYTES, ask_endpoints
from proxy_core.config.models import HealthEndpoint, HttpTransport, SseTransport
from proxy_core.errors import (
    BackendFailing,
    BackendFault,
    BackendProtocolError,
    BackendStreamLost,
    BackendTimeout,
    BackendUnavailable,
)
from tests.support.backend_server import BackendServer, Holds, Seen, closed_port, refuses, serving

SOON_S = 20.0


def says(status: int, body: bytes = b"", **headers: str) -> Any:
    return refuses(status, body, **headers)


@pytest.fixture
async def server() -> AsyncIterator[BackendServer]:
    async with serving({each: says(200) for each in ("GET", "HEAD", "OPTIONS", "POST")}) as made:
        yield made


async def ask(url: str, *endpoints: HealthEndpoint, timeout_s: float = SOON_S, **more: Any) -> None:
    await ask_endpoints("box", HttpTransport(url=url, **more), endpoints or (HealthEndpoint(),), timeout_s)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
async def test_an_endpoint_that_answers_as_expected_is_well(server: BackendServer, method: Any) -> None:
    await ask(server.url, HealthEndpoint(path="/live", method=method), headers={"X-Key": "k"})
    (seen,) = server.seen
    assert (seen.request.method, seen.request.path) == (method, "/live")
    assert seen.headers["X-Key"] == "k", "it may have to know us"


async def test_the_path_is_on_the_servers_origin_and_goes_as_it_is_written(server: BackendServer) -> None:
    await ask(f"{server.url}/deep/mcp?key=s3cret", HealthEndpoint(path="/a%20b//c?deep=1&x=%2F"))
    assert server.seen[0].request.raw_path == "/a%20b//c?deep=1&x=%2F"


async def test_a_path_that_begins_like_a_host_is_a_path_all_the_same(server: BackendServer) -> None:
    """The headers of the server would go there."""
    await ask(server.url, HealthEndpoint(path="//live/here"))
    assert server.seen[0].request.raw_path == "//live/here"


async def test_an_sse_server_is_asked_likewise(server: BackendServer) -> None:
    transport = SseTransport(type="sse", url=server.url)
    await ask_endpoints("box", transport, (HealthEndpoint(path="/live"),), SOON_S)
    assert server.seen[0].request.path == "/live"


@pytest.mark.parametrize(("status", "expected"), [(503, 200), (404, 200), (201, 200), (200, 204), (401, 200)])
async def test_another_status_is_said_with_its_code(server: BackendServer, status: int, expected: int) -> None:
    server.table["GET"] = says(status)
    with pytest.raises(BackendFailing) as failing:
        await ask(server.url, HealthEndpoint(expected_status=expected))
    assert failing.value.status == status
    assert failing.value.detail == f"GET /health answered {status}, not {expected}"
    assert str(status) not in failing.value.message, "clients are not told"


@pytest.mark.parametrize("status", [204, 401, 503])
async def test_any_status_may_be_the_expected_one(server: BackendServer, status: int) -> None:
    server.table["GET"] = says(status)
    await ask(server.url, HealthEndpoint(expected_status=status))


async def test_all_endpoints_are_asked_in_turn_up_to_the_first_that_fails(server: BackendServer) -> None:
    endpoints = [HealthEndpoint(path=f"/{each}") for each in ("one", "two", "three")]
    await ask(server.url, *endpoints)
    assert [seen.request.path for seen in server.seen] == ["/one", "/two", "/three"]
    server.seen.clear()
    server.table["GET"] = [says(200), says(500), says(200)]
    with pytest.raises(BackendFailing, match="not well") as failing:
        await ask(server.url, *endpoints)
    assert failing.value.detail.startswith("GET /two answered 500")
    assert [seen.request.path for seen in server.seen] == ["/one", "/two"]


async def test_one_that_does_not_answer_in_time_is_let_go(server: BackendServer) -> None:
    server.table["GET"] = hold = Holds()
    with pytest.raises(BackendTimeout) as late:
        await ask(server.url, timeout_s=0.05)
    assert late.value.detail == "GET /health did not answer within 0.05 seconds."
    async with asyncio.timeout(SOON_S):
        await hold.gone.wait()


async def test_one_that_drips_its_body_is_let_go(server: BackendServer) -> None:
    server.table["GET"] = Holds(as_stream=True)
    with pytest.raises(BackendTimeout):
        await ask(server.url, timeout_s=0.05)


async def test_an_answer_without_end_is_not_read_to_it(server: BackendServer) -> None:
    async def endless(seen: Seen) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(seen.request)
        while True:
            await response.write(bytes(MAX_READ_BYTES))

    server.table["GET"] = endless
    await ask(server.url)


async def test_one_that_cannot_be_reached_says_so() -> None:
    with pytest.raises(BackendUnavailable) as gone:
        await ask(f"http://127.0.0.1:{await closed_port()}/mcp")
    assert "could not connect" in gone.value.detail


@asynccontextmanager
async def hanging_up() -> AsyncIterator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listener:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/mcp"


async def test_one_that_hangs_up_says_so() -> None:
    async with hanging_up() as url:
        with pytest.raises(BackendStreamLost):
            await ask(url)


async def test_a_redirect_elsewhere_does_not_get_the_headers(server: BackendServer) -> None:
    async with serving({"GET": says(200)}) as other:
        server.table["GET"] = says(307, Location=other.url)
        with pytest.raises(BackendProtocolError, match="redirects elsewhere"):
            await ask(server.url, headers={"Authorization": "Bearer s3cret"})
        assert other.seen == []


async def test_a_probe_leaves_no_connection_open() -> None:
    """So that a probe is a fresh look, and a server behind a balancer is not held by us."""
    counts: list[Callable[[], int]] = []

    async with serving({"GET": says(200)}) as server:

        async def well(seen: Seen) -> web.StreamResponse:
            transport = seen.request.transport
            assert transport is not None
            counts.append(lambda: int(not transport.is_closing()))
            return web.Response()

        server.table["GET"] = well
        await ask(server.url)
        async with asyncio.timeout(SOON_S):
            while counts[0]():
                await asyncio.sleep(0.001)


@pytest.mark.parametrize("fails", [True, False])
async def test_a_probe_opens_no_session(server: BackendServer, fails: bool) -> None:
    server.table["GET"] = says(500 if fails else 200)
    try:
        await ask(server.url)
    except BackendFault:
        assert fails
    assert server.keys == ["GET"]
