"""HTTP/1.1 as bytes, on the fast path and off it: one request after another, framing, bounds, hang-ups."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from proxy_core.frontend.frontend import Frontend
from tests.support.http_client import SOON_S, modern
from tests.support.scripted_gateway import MODERN_RESULT, ScriptedGateway

pytestmark = pytest.mark.parametrize("fast_path", [True, False], ids=["fast", "plain"], indirect=True)


class Wire:
    """A connection on which a test writes every byte, and reads responses one by one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self._reader = reader
        self.writer = writer
        self.host = host

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def post(self, number: int, *lines: str, method: str = "tools/list", framed: str | None = None) -> bytes:
        """One request of that id. `framed`: in place of its Content-Length."""
        body = json.dumps(modern(method)[0] | {"id": number}).encode()
        head = (
            "POST /mcp HTTP/1.1",
            f"Host: {self.host}",
            "Accept: application/json, text/event-stream",
            "Content-Type: application/json",
            "MCP-Protocol-Version: 2026-07-28",
            f"Mcp-Method: {method}",
            *lines,
            f"Content-Length: {len(body)}" if framed is None else framed,
        )
        return "\r\n".join(head).encode() + b"\r\n\r\n" + body

    async def line(self) -> bytes:
        return await asyncio.wait_for(self._reader.readline(), SOON_S)

    async def response(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in lower case, body."""
        status = int((await self.line()).split()[1])
        headers: dict[str, str] = {}
        while (line := await self.line()) not in (b"\r\n", b""):
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("transfer-encoding") == "chunked":
            return status, headers, await self._chunks()
        size = int(headers.get("content-length", "0"))
        return status, headers, await asyncio.wait_for(self._reader.readexactly(size), SOON_S)

    async def _chunks(self) -> bytes:
        parts = []
        while size := int(await self.line(), 16):
            parts.append((await asyncio.wait_for(self._reader.readexactly(size + 2), SOON_S))[:-2])
        await self.line()
        return b"".join(parts)

    async def answered(self) -> int:
        """The id of the answer that is next; it must be a good one."""
        status, _, body = await self.response()
        assert status == 200, body
        return int(json.loads(body)["id"])

    async def ended(self) -> bool:
        return await self.rest() == b""

    async def rest(self) -> bytes:
        """All until the connection ends, however it does."""
        parts = []
        with contextlib.suppress(ConnectionError):
            while part := await asyncio.wait_for(self._reader.read(1 << 20), SOON_S):
                parts.append(part)
        return b"".join(parts)


@asynccontextmanager
async def connected(frontend: Frontend) -> AsyncIterator[Wire]:
    address = urlsplit(frontend.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield Wire(reader, writer, address.netloc)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.fixture
async def wire(frontend: Frontend) -> AsyncIterator[Wire]:
    async with connected(frontend) as wire:
        yield wire


# --- one connection, many requests ----------------------------------------------------------------------------


async def test_requests_sent_ahead_are_answered_in_their_order(wire: Wire):
    wire.send(b"".join(wire.post(number) for number in range(20)))
    assert [await wire.answered() for _ in range(20)] == list(range(20))


async def test_one_that_is_served_keeps_those_behind_it_waiting(wire: Wire, gateway: ScriptedGateway):
    gateway.held = {"tools/list"}
    wire.send(wire.post(1) + wire.post(2))
    first = await gateway.next_call()
    await asyncio.sleep(0.05)
    assert len(gateway.exchanges) == 1
    first.answer(MODERN_RESULT)
    assert await wire.answered() == 1
    (await gateway.next_call()).answer(MODERN_RESULT)
    assert await wire.answered() == 2


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
async def test_a_request_may_come_in_pieces_of_any_size(wire: Wire, size: int):
    data = wire.post(1) + wire.post(2)
    for at in range(0, len(data), size):
        wire.send(data[at : at + size])
        await asyncio.sleep(0)
    assert [await wire.answered(), await wire.answered()] == [1, 2]


async def test_posts_and_others_may_follow_each_other_on_one_connection(wire: Wire):
    other = f"GET /nowhere HTTP/1.1\r\nHost: {wire.host}\r\n\r\n".encode()
    wire.send(wire.post(1) + other + wire.post(2))
    assert await wire.answered() == 1
    assert (await wire.response())[0] == 404
    assert await wire.answered() == 2
    wire.send(wire.post(3))
    assert await wire.answered() == 3


async def test_a_chunked_request_is_served_and_so_is_the_one_behind_it(wire: Wire):
    head, _, body = wire.post(1, framed="Transfer-Encoding: chunked").partition(b"\r\n\r\n")
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:9], body[9:])) + b"0\r\n\r\n"
    wire.send(head + b"\r\n\r\n" + chunks + wire.post(2))
    assert [await wire.answered(), await wire.answered()] == [1, 2]


async def test_a_client_that_says_close_is_answered_and_left(wire: Wire):
    wire.send(wire.post(1, "Connection: close"))
    status, headers, _ = await wire.response()
    assert (status, headers["connection"]) == (200, "close")
    assert await wire.ended()


async def test_a_client_of_http_1_0_is_answered_and_left(wire: Wire):
    wire.send(wire.post(1).replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert await wire.answered() == 1
    assert await wire.ended()


async def test_an_empty_line_before_a_request_is_passed_over(wire: Wire):
    # RFC 9112 2.2: old clients end a body with one that they do not count.
    wire.send(wire.post(1))
    assert await wire.answered() == 1
    wire.send(b"\r\n" + wire.post(2))
    assert await wire.answered() == 2


async def test_a_refusal_leaves_the_connection_to_the_next_request(wire: Wire, gateway: ScriptedGateway):
    wire.send(wire.post(1).replace(b"application/json\r\n", b"text/plain\r\n") + wire.post(2))
    assert (await wire.response())[0] == 415
    assert await wire.answered() == 2
    assert len(gateway.exchanges) == 1


# --- framing that could be read in two ways (RFC 9112 11.2) ---------------------------------------------------


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    "framed",
    [
        "Content-Length: 10\r\nContent-Length: 200",
        "Content-Length: 10, 200",
        "Content-Length: 10\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 10",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding : chunked",
        "Content-Length : 10",
        "Content-Length: +10",
        "Content-Length: -10",
        "Content-Length: 0x10",
        "Content-Length: 1_0",
        "Content-Length: 10 10",
        "Content-Length: 99999999999999999999999",
        "Content-Length:",
        "X: y\rContent-Length: 10",
        "X: y\nContent-Length: 10",
        "X: \x00y\r\nContent-Length: 10",
        "X\x00: y\r\nContent-Length: 10",
        " Content-Length: 10",
        "Content-Length: 10\r\n 0",
    ],
)
async def test_a_length_in_doubt_is_refused_and_ends_the_connection(
    wire: Wire, gateway: ScriptedGateway, framed: str
):
    wire.send(wire.post(1, framed=framed) + wire.post(2))
    assert (await wire.response())[0] in (400, 413)
    assert await wire.ended()
    assert gateway.exchanges == []


@pytest.mark.parametrize(
    "chunks",
    [
        b"zz\r\n{}\r\n0\r\n\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}xx0\r\n\r\n",
        b"0x2\r\n{}\r\n0\r\n\r\n",
        b" 2\r\n{}\r\n0\r\n\r\n",
    ],
)
async def test_chunks_of_a_wrong_size_are_refused(wire: Wire, gateway: ScriptedGateway, chunks: bytes):
    head = wire.post(1, framed="Transfer-Encoding: chunked").partition(b"\r\n\r\n")[0]
    wire.send(head + b"\r\n\r\n" + chunks + wire.post(2))
    assert (await wire.response())[0] == 400
    assert await wire.ended()
    assert gateway.exchanges == []


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"POST\r\n\r\n",
        b"POST /mcp\r\n\r\n",
        b"POST /mcp HTTP/9.9\r\n\r\n",
        b"\x00" * 40,
    ],
)
async def test_what_is_no_request_is_refused(wire: Wire, data: bytes, caplog: pytest.LogCaptureFixture):
    wire.send(data)
    wire.writer.write_eof()
    first = await wire.line()
    assert first.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ")) or first == b""
    assert caplog.records == []


# --- bounds in size and time ----------------------------------------------------------------------------------


async def test_a_head_without_end_is_not_read_to_it(wire: Wire):
    wire.send(wire.post(1).partition(b"\r\n\r\n")[0] + b"\r\n")
    # What is refused with bytes unread may end as a reset.
    with contextlib.suppress(ConnectionError):
        for _ in range(10_000):
            wire.send(b"X: " + b"y" * 1000 + b"\r\n")
            await wire.writer.drain()
            await asyncio.sleep(0)
        pytest.fail("ten megabytes of headers were read")


async def test_a_client_that_reads_nothing_holds_up_only_itself(frontend: Any, gateway: ScriptedGateway):
    gateway.scripts["tools/list"] = lambda exchange: b'{"x":"' + b"y" * 4_000_000 + b'"}'
    async with connected(frontend) as slow, connected(frontend) as other:
        slow.send(b"".join(slow.post(number) for number in range(64)))
        await slow.writer.drain()
        other.send(other.post(1))
        assert await other.answered() == 1
        before = -1
        while before != len(gateway.exchanges):
            before = len(gateway.exchanges)
            await asyncio.sleep(0.2)
        # Each answer is 4 MB: a few are on their way, the rest has not even been asked for.
        assert before < 16
        assert [await slow.answered() for _ in range(64)] == list(range(64))


# --- hanging up -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["half", "whole"])
async def test_a_client_that_hangs_up_has_cancelled(frontend: Any, gateway: ScriptedGateway, how: str):
    gateway.held = {"tools/list"}
    async with connected(frontend) as wire:
        wire.send(wire.post(1))
        held = await gateway.next_call()
        if how == "half":
            wire.writer.write_eof()
        else:
            wire.writer.transport.abort()
        await asyncio.wait_for(held.cancelled.wait(), SOON_S)


async def test_an_answer_that_became_a_stream_ends_as_a_body_and_not_as_the_connection(
    wire: Wire, gateway: ScriptedGateway
):
    gateway.scripts["tools/list"] = lambda exchange: exchange.outlet.notify(b"{}") or MODERN_RESULT
    wire.send(wire.post(1) + wire.post(2))
    for _ in range(2):
        status, headers, body = await wire.response()
        assert (status, headers["content-type"]) == (200, "text/event-stream")
        assert body.count(b"data: ") == 2
    wire.send(wire.post(3))
    assert (await wire.response())[0] == 200


async def test_of_many_who_come_first_at_the_same_time_all_are_served(serving: Any):
    """What serves them is loaded meanwhile, and some arrive as it takes over from those that waited."""

    async def served(frontend: Frontend, number: int) -> int:
        async with connected(frontend) as wire:
            wire.send(wire.post(number))
            return await wire.answered()

    for _ in range(20):
        async with serving() as frontend:
            assert await asyncio.gather(*(served(frontend, each) for each in range(5))) == list(range(5))
