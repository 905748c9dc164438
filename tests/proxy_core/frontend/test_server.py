"""The listener: what it does with bytes that are too many, too slow, compressed or no HTTP, and how it ends."""

import asyncio
import contextlib
import io
import json
import os
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from proxy_core.errors import PortInUse
from proxy_core.frontend import aiohttp_server
from proxy_core.frontend import fast_path as fast_path_module
from tests.support.http_client import SOON_S, Client, modern
from tests.support.scripted_gateway import MODERN_RESULT, ScriptedGateway

pytestmark = pytest.mark.parametrize("fast_path", [True, False], ids=["fast", "plain"], indirect=True)
HEAD = (
    "POST /mcp HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\nContent-Type: application/json\r\n"
    "Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\n"
)


class Raw:
    """A connection on which the test writes every byte itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self.reader = reader
        self.writer = writer
        self.head = HEAD.format(host=host)

    def send(self, text: str | bytes) -> None:
        self.writer.write(text if isinstance(text, bytes) else text.encode())

    async def line(self) -> bytes:
        return await asyncio.wait_for(self.reader.readline(), SOON_S)


@contextlib.asynccontextmanager
async def connected(url: str) -> Any:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield Raw(reader, writer, address.netloc)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def big(size: int) -> dict[str, Any]:
    body, _ = modern("tools/list")
    body["params"]["padding"] = "x" * size
    return body


@pytest.mark.requirement("W22")
async def test_a_body_that_says_it_is_too_long_is_not_even_asked_for(serving: Any, gateway: ScriptedGateway):
    async with serving(max_body_bytes=1024) as frontend, connected(frontend.url) as raw:
        raw.send(raw.head + "Content-Length: 1025\r\nExpect: 100-continue\r\n\r\n")
        assert b" 413 " in await raw.line()
    assert gateway.exchanges == []


@pytest.mark.requirement("W22")
async def test_a_body_of_unknown_length_is_cut_off_at_the_limit(serving: Any, gateway: ScriptedGateway):
    async with serving(max_body_bytes=1024) as frontend, connected(frontend.url) as raw:
        raw.send(raw.head + "Transfer-Encoding: chunked\r\n\r\n")
        # The body never ends, so an answer shows that it was not waited for.
        for _ in range(3):
            raw.send(b"200\r\n" + b"x" * 0x200 + b"\r\n")
        assert b" 413 " in await raw.line()
    assert gateway.exchanges == []


async def test_a_body_of_exactly_the_limit_is_served(serving: Any, http: Any):
    async with serving(max_body_bytes=2048) as frontend:
        client = Client(http, frontend.url)
        body, headers = modern("tools/list")
        body["params"]["padding"] = ""
        size = len(json.dumps(body))
        assert (await client.send("POST", big(2048 - size), headers=headers)).status == 200
        assert (await client.send("POST", big(2049 - size), headers=headers)).status == 413


async def test_a_large_body_in_many_pieces_is_served(client: Client):
    _, headers = modern("tools/list")
    body = io.BytesIO(json.dumps(big(3_000_000)).encode())
    assert (await client.send("POST", body, headers=headers)).status == 200


async def test_a_client_that_waits_to_be_asked_for_the_body_is_asked(frontend: Any):
    body = json.dumps(big(10)).encode()
    async with connected(frontend.url) as raw:
        raw.send(raw.head + f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n")
        assert b" 100 " in await raw.line()
        await raw.line()
        raw.send(body)
        assert b" 200 " in await raw.line()


async def test_a_body_that_never_comes_is_not_waited_for(frontend: Any, monkeypatch: pytest.MonkeyPatch):
    for module in (aiohttp_server, fast_path_module):
        monkeypatch.setattr(module, "BODY_S", 0.05)
    async with connected(frontend.url) as raw:
        raw.send(raw.head + "Content-Length: 100\r\n\r\n{")
        assert b" 408 " in await raw.line()


async def test_a_body_that_is_not_framed_as_http_says_is_refused(frontend: Any):
    async with connected(frontend.url) as raw:
        raw.send(raw.head + "Transfer-Encoding: chunked\r\n\r\n")
        raw.send("nonsense\r\n")
        assert b" 400 " in await raw.line()


async def test_a_compressed_body_is_refused(client: Client):
    body, headers = modern("tools/list")
    reply = await client.send("POST", body, headers=headers | {"Content-Encoding": "gzip"})
    assert (reply.status, reply.headers["Accept-Encoding"]) == (415, "identity")


async def test_a_header_line_beyond_the_limit_is_refused(client: Client, gateway: ScriptedGateway):
    reply = await client.ask("tools/list", headers={"X-Long": "x" * 9000})
    assert reply.status == 400
    assert gateway.exchanges == []


async def test_what_is_no_http_gets_400_and_no_line_in_the_log(frontend: Any, caplog: pytest.LogCaptureFixture):
    async with connected(frontend.url) as raw:
        raw.send(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
        assert b" 400 " in await raw.line()
    assert caplog.records == []


async def test_only_the_endpoint_is_served(client: Client):
    body, headers = modern("tools/list")
    assert (await client.send("POST", body, headers=headers, url=client.url + "/x")).status == 404
    assert (await client.send("POST", body, headers=headers, url=client.url + "?a=b")).status == 200
    for method in ("PUT", "PATCH", "HEAD", "TRACE"):
        refused = await client.send(method)
        assert (refused.status, refused.headers["Allow"]) == (405, "POST, GET, DELETE, OPTIONS")


@pytest.mark.requirement("A05")
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE", "OPTIONS", "PUT"])
async def test_a_foreign_page_or_name_is_refused_whatever_it_asks(client: Client, method: str):
    body, headers = modern("tools/list")
    data = body if method == "POST" else None
    foreign = await client.send(method, data, headers=headers | {"Origin": "https://evil.example"})
    rebound = await client.send(method, data, headers=headers | {"Host": "evil.example"})
    assert (foreign.status, rebound.status) == (403, 421)
    assert not any(name.startswith("Access-Control") for name in (*foreign.headers, *rebound.headers))


@pytest.mark.requirement("A05")
async def test_a_page_of_this_machine_may_ask_and_read(client: Client, gateway: ScriptedGateway):
    origin = {"Origin": "http://localhost:6274"}
    allowed = await client.send(
        "OPTIONS", headers=origin | {"Access-Control-Request-Headers": "content-type,mcp-method"}
    )
    assert allowed.status == 204
    assert allowed.headers["Access-Control-Allow-Headers"] == "content-type, mcp-method"
    body, headers = modern("tools/call", {"name": "a__b"})
    plain = await client.send("POST", body, headers=headers | origin)
    gateway.scripts["tools/call"] = lambda exchange: exchange.outlet.notify(b"{}") or MODERN_RESULT
    streamed = await client.send("POST", body, headers=headers | origin)
    refused = await client.send("POST", body, headers=headers | origin | {"Accept": "text/html"})
    assert [reply.status for reply in (plain, streamed, refused)] == [200, 200, 406]
    assert streamed.headers["Content-Type"] == "text/event-stream"
    for reply in (allowed, plain, streamed, refused):
        assert reply.headers["Access-Control-Allow-Origin"] == origin["Origin"]


async def test_a_port_in_use_says_which_process_has_it(serving: Any):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        with pytest.raises(PortInUse, match=rf"pid {os.getpid()}"):
            async with serving(port=holder.getsockname()[1]):
                pass


async def test_a_burst_of_connections_waits_to_be_accepted(frontend: Any):
    address = urlsplit(frontend.url)
    with contextlib.ExitStack() as opened:
        # Nobody accepts meanwhile, since this blocks the loop. Some systems never hold more than 128.
        for _ in range(min(300, socket.SOMAXCONN)):
            opened.enter_context(socket.create_connection((address.hostname, address.port), timeout=0.5))
