"""Each way to break of the proxy, as a plain HTTP client feels it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.support.faults import certificate
from tests.support.faults.tcp_proxy import FaultProxy, Mode, proxied
from tests.support.processes import free_port

BODY = "data: " + "x" * 200 + "\n\n"
CALL = "call-test-1."
QUICK = aiohttp.ClientTimeout(total=0.5)


@asynccontextmanager
async def upstream() -> AsyncIterator[int]:
    async def answer(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response(text=BODY)

    port = free_port()
    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield port
    finally:
        await runner.cleanup()


@asynccontextmanager
async def house() -> AsyncIterator[tuple[FaultProxy, aiohttp.ClientSession]]:
    """A proxy with one connection that is open already, and the client that has it."""
    async with upstream() as port, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
        proxy = FaultProxy(port)
        async with proxied([proxy]):
            assert await post(proxy, http) == BODY
            yield proxy, http


async def post(proxy: FaultProxy, http: aiohttp.ClientSession, body: str = CALL, scheme: str = "http") -> str:
    async with http.post(f"{scheme}://127.0.0.1:{proxy.port}/", data=body) as answer:
        answer.raise_for_status()
        return await answer.text()


BROKEN = {
    Mode.REFUSE: aiohttp.ClientConnectionError,
    Mode.RESET: (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError),
    Mode.ERROR_500: aiohttp.ClientResponseError,
    Mode.HALF_STREAM: aiohttp.ClientPayloadError,
}


@pytest.mark.parametrize("mode", BROKEN)
async def test_it_breaks_open_and_new_connections_and_mends(mode: Mode) -> None:
    async with house() as (proxy, http):
        await proxy.switch(mode)
        for _ in range(3):
            with pytest.raises(BROKEN[mode]):
                await post(proxy, http)
        await proxy.switch(Mode.PASS)
        assert await post(proxy, http) == BODY
    assert proxy.seen == {CALL}


async def test_a_black_hole_holds_back_what_comes_and_gives_it_later() -> None:
    async with house() as (proxy, http):
        await proxy.switch(Mode.BLACK_HOLE)
        waiting = asyncio.create_task(post(proxy, http, "call-test-2."))
        with pytest.raises(TimeoutError):
            async with http.post(f"http://127.0.0.1:{proxy.port}/", data=b"", timeout=QUICK):
                pass
        assert not waiting.done()
        await proxy.switch(Mode.PASS)
        assert await waiting == BODY
    assert "call-test-2." in proxy.seen


async def test_slow_bytes_are_answers_that_do_not_come_to_an_end() -> None:
    async with house() as (proxy, http):
        await proxy.switch(Mode.SLOW_BYTES)
        with pytest.raises(TimeoutError):
            async with http.post(f"http://127.0.0.1:{proxy.port}/", data=b"", timeout=QUICK):
                pass
        waiting = asyncio.create_task(post(proxy, http))
        await proxy.switch(Mode.PASS)
        assert await waiting == BODY


async def test_garbage_is_no_http_by_turns_with_half_a_json_document() -> None:
    async with house() as (proxy, http):
        await proxy.switch(Mode.GARBAGE)
        met = []
        for _ in range(4):
            try:
                met.append(await post(proxy, http))
            except aiohttp.ClientError:
                met.append("no HTTP")
        # The first met the connection that was open already, which was the first of all.
        assert set(met) == {"no HTTP", '{"jsonrpc": "2.0", "id": 1, "result": {'}


@pytest.mark.parametrize("mode", [Mode.PLAIN, Mode.UNTRUSTED])
async def test_tls_is_lost_and_found_again(tmp_path: Path, mode: Mode) -> None:
    path, trusted = certificate.self_signed(tmp_path, "trusted")
    untrusted = certificate.self_signed(tmp_path, "untrusted")[1]
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(path)))
    async with upstream() as port, aiohttp.ClientSession(connector=connector) as http:
        proxy = FaultProxy(port, trusted, untrusted)
        async with proxied([proxy]):
            assert await post(proxy, http, scheme="https") == BODY
            await proxy.switch(mode)
            for _ in range(2):
                with pytest.raises(aiohttp.ClientConnectionError):
                    await post(proxy, http, scheme="https")
            await proxy.switch(Mode.PASS)
            assert await post(proxy, http, scheme="https") == BODY
    assert proxy.seen == {CALL}
