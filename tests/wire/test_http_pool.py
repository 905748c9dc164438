"""Keep-alive connections to servers that behave, and to some that do not: what is reused, retried, bounded."""

import asyncio
import gzip
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager

import pytest

from proxy_core.backends import http_connection, http_pool
from proxy_core.backends.http_connection import HIGH_WATER_BYTES, MAX_HEAD_BYTES, MAX_KNOWN, HttpResponse
from proxy_core.backends.http_pool import HttpPool, Unreachable
from proxy_core.backends.http_url import Origin
from proxy_core.errors import BackendProtocolError, BackendStreamLost, BackendTimeout
from tests.support.backend_server import closed_port

SOON_S = 20
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"

Answer = Callable[[asyncio.StreamWriter, int], Awaitable[None]]


class Server:
    """Answers each request by `answer`, which gets the writer and how many this connection has had before."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.origin = Origin("http", "", 0)
        self.connections = 0
        self.requests = 0
        self.ended = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        served = 0
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"POST"):
                    await reader.readexactly(2)
                self.requests += 1
                await self._answer(writer, served)
                served += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.ended += 1
            writer.close()


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[Server]:
    server = Server(answer)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.origin = Origin("http", "127.0.0.1", listener.sockets[0].getsockname()[1])
    async with listener:
        yield server


@asynccontextmanager
async def pool_to(origin: Origin, connect_s: float = SOON_S, **more: int) -> AsyncIterator[HttpPool]:
    pool = HttpPool("box", origin, connect_s, **more)
    try:
        yield pool
    finally:
        await pool.aclose()
        assert len(pool) == 0


def says(*parts: bytes, then_close: bool = False) -> Answer:
    """The same for every request, a write a part."""

    async def answer(writer: asyncio.StreamWriter, served: int) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        if then_close:
            writer.close()
            raise ConnectionResetError

    return answer


async def posted(pool: HttpPool) -> HttpResponse:
    return await asyncio.wait_for(pool.ask(POST, is_idempotent=False), SOON_S)


async def body_of(pool: HttpPool, max_bytes: int = 1 << 20) -> bytes:
    return await asyncio.wait_for((await posted(pool)).read(max_bytes), SOON_S)


async def until(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        while not look():
            await asyncio.sleep(0.01)


# --- one connection for many requests -------------------------------------------------------------------------


async def test_requests_one_after_the_other_share_a_connection() -> None:
    async with serving(says(OK)) as server, pool_to(server.origin) as pool:
        assert [await body_of(pool) for _ in range(5)] == [b"{}"] * 5
        assert (server.connections, server.requests, len(pool)) == (1, 5, 1)


async def test_heads_that_come_again_are_known_and_each_body_is_its_own() -> None:
    bodies = [b"{}", b"{}", b"[1,2,3]", b"", b"[]", b"x" * 30_000, b"{}"]

    async def answer(writer: asyncio.StreamWriter, served: int) -> None:
        body = bodies[served]
        writer.write(b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async with serving(answer) as server, pool_to(server.origin) as pool:
        for body in bodies:
            response = await posted(pool)
            assert await asyncio.wait_for(response.read(1 << 20), SOON_S) == body
            assert response.header(b"content-length") == str(len(body))
            assert (response.status, response.header(b"x")) == (200, "y")
        assert len(pool.known) == 1
        assert server.connections == 1


@pytest.mark.parametrize(
    "reply",
    [
        OK.replace(b"200 OK", b"500 Bad"),
        OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        OK.replace(b"HTTP/1.1", b"HTTP/1.0"),
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        CHUNKED + b"2\r\n{}\r\n0\r\n\r\n",
        OK + b" ",
    ],
)
async def test_only_an_ordinary_head_is_remembered(reply: bytes) -> None:
    async with serving(says(reply)) as server, pool_to(server.origin) as pool:
        assert await body_of(pool) == b"{}"
        assert await body_of(pool) == b"{}"
        assert not pool.known


async def test_a_known_head_whose_body_comes_in_pieces_or_with_more_behind_it_is_read_as_ever() -> None:
    replies = [[OK], [OK[:-1], OK[-1:]], [OK[:20], OK[20:]], [OK]]

    async def answer(writer: asyncio.StreamWriter, served: int) -> None:
        await says(*replies[served])(writer, served)

    async with serving(answer) as server, pool_to(server.origin) as pool:
        assert [await body_of(pool) for _ in replies] == [b"{}"] * 4
        assert len(pool.known) == 1
    async with serving(says(OK, OK)) as server, pool_to(server.origin) as pool:
        # What comes behind an answer is nobody's, also where its head is known.
        assert [await body_of(pool) for _ in range(2)] == [b"{}"] * 2
        await until(lambda: len(pool) == 0)


async def test_a_known_head_with_another_answer_right_behind_it_has_its_own_body() -> None:
    replies = [OK, OK + OK.replace(b"{}", b"[]")]

    async def answer(writer: asyncio.StreamWriter, served: int) -> None:
        writer.write(replies[served])

    async with serving(answer) as server, pool_to(server.origin) as pool:
        assert [await body_of(pool) for _ in replies] == [b"{}"] * 2
        await until(lambda: len(pool) == 0)


async def test_heads_of_one_server_are_bounded() -> None:
    async def answer(writer: asyncio.StreamWriter, served: int) -> None:
        writer.write(OK.replace(b"Content-Type", b"X-%d" % served))

    async with serving(answer) as server, pool_to(server.origin) as pool:
        for _ in range(2 * MAX_KNOWN + 5):
            await body_of(pool)
        assert 0 < len(pool.known) <= MAX_KNOWN


async def test_what_comes_before_the_request_was_written_is_no_answer_to_it() -> None:
    async with serving(says(OK)) as server, pool_to(server.origin) as pool:
        assert await body_of(pool) == b"{}"
        connection = pool.take()
        assert connection is not None
        waiter = connection.ask(POST)
        connection.data_received(OK)
        with pytest.raises(BackendStreamLost) as lost:
            await asyncio.wait_for(waiter, SOON_S)
        # So it may be made again elsewhere.
        assert lost.value.nothing_sent
        assert server.requests == 1


async def test_requests_at_once_have_one_each_and_leave_them_to_those_that_follow() -> None:
    async with serving(says(OK)) as server, pool_to(server.origin) as pool:
        for _ in range(3):
            await asyncio.gather(*(body_of(pool) for _ in range(4)))
        assert (server.connections, server.requests) == (4, 12)


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nforge",
        OK + b"trash",
    ],
    ids=["said", "http-1.0", "kept-shortly", "two-answers", "trash-behind"],
)
async def test_a_connection_that_is_not_to_be_trusted_again_is_not_used_again(reply: bytes) -> None:
    async with serving(says(reply)) as server, pool_to(server.origin) as pool:
        assert [await body_of(pool) for _ in range(3)] == [b"{}"] * 3
        assert server.connections == 3


async def test_what_a_server_says_unasked_is_no_answer_to_anything() -> None:
    async with serving(says(OK, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nforge")) as server:
        async with pool_to(server.origin) as pool:
            assert await body_of(pool) == b"{}"
            await until(lambda: not len(pool))
            assert await body_of(pool) == b"{}"


async def test_an_idle_connection_is_closed_before_its_server_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_pool, "KEEP_S", 0.1)
    async with serving(says(OK)) as server, pool_to(server.origin) as pool:
        await asyncio.gather(*(body_of(pool) for _ in range(3)))
        await until(lambda: not len(pool) and server.ended == 3)


@pytest.mark.parametrize(("after_s", "is_learned"), [(0.6, True), (0.05, False)])
async def test_how_long_a_server_keeps_one_is_learned_when_it_closes_one(
    after_s: float, is_learned: bool
) -> None:
    async def closes(writer: asyncio.StreamWriter, served: int) -> None:
        writer.write(OK)
        asyncio.get_running_loop().call_later(after_s, writer.close)

    async with serving(closes) as server, pool_to(server.origin) as pool:
        assert await body_of(pool) == b"{}"
        await until(lambda: not len(pool))
        if is_learned:
            assert after_s * 0.5 < pool._keep_s < http_pool.KEEP_S
        else:
            assert pool._keep_s == http_pool.KEEP_S


async def test_interim_responses_are_passed_over() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    async with (
        serving(says(b"HTTP/1.1 100 Continue\r\n\r\n", hints + OK)) as server,
        pool_to(server.origin) as pool,
    ):
        response = await posted(pool)
        assert (response.status, await response.read(10), b"link" in response.headers) == (200, b"{}", False)


async def test_an_answer_that_ends_with_the_connection_is_whole() -> None:
    reply = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    async with serving(says(reply + b"1", b"23", then_close=True)) as server, pool_to(server.origin) as pool:
        assert await body_of(pool) == b"123"


# --- connections that end under our feet ----------------------------------------------------------------------


@contextmanager
def closing_behind_our_back() -> Iterator[tuple[Origin, list[int]]]:
    """A server in a thread of its own that answers once a connection, and then closes it."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[int] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                if connection.recv(65_536):
                    seen.append(1)
                    connection.sendall(OK)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield Origin("http", "127.0.0.1", listener.getsockname()[1]), seen
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(SOON_S)


async def test_one_whose_end_lies_unread_in_the_kernel_is_not_written_to() -> None:
    with closing_behind_our_back() as (origin, seen):
        async with pool_to(origin) as pool:
            for _ in range(3):
                assert await body_of(pool) == b"{}"
                # The loop stands still, so that nobody here can have read of the end.
                time.sleep(0.1)  # noqa: ASYNC251
        assert len(seen) == 3


async def hangs_up_on_the_second(writer: asyncio.StreamWriter, served: int) -> None:
    if served:
        raise ConnectionResetError
    writer.write(OK)


async def test_what_may_be_asked_twice_is_asked_again_where_a_used_connection_ends_without_an_answer() -> None:
    async with serving(hangs_up_on_the_second) as server, pool_to(server.origin) as pool:
        for _ in range(2):
            with closing(await pool.ask(GET, is_idempotent=True)) as response:
                assert await response.read(10) == b"{}"
        assert (server.requests, server.connections) == (3, 2)


async def test_a_post_is_never_sent_twice() -> None:
    async with serving(hangs_up_on_the_second) as server, pool_to(server.origin) as pool:
        await body_of(pool)
        with pytest.raises(BackendStreamLost):
            await posted(pool)
        assert server.requests == 2


async def test_a_fresh_connection_that_ends_without_an_answer_is_not_tried_again() -> None:
    async def hangs_up(writer: asyncio.StreamWriter, served: int) -> None:
        raise ConnectionResetError

    async with serving(hangs_up) as server, pool_to(server.origin) as pool:
        with pytest.raises(BackendStreamLost):
            await pool.ask(GET, is_idempotent=True)
        assert server.requests == 1


async def test_whoever_leaves_takes_the_connection_along() -> None:
    async with serving(says()) as server, pool_to(server.origin) as pool:
        asking = asyncio.ensure_future(posted(pool))
        await until(lambda: server.requests == 1)
        asking.cancel()
        await until(lambda: server.ended == 1 and not len(pool))


async def test_a_response_that_is_let_go_takes_the_connection_along() -> None:
    async with serving(says(CHUNKED + b"2\r\n{}\r\n")) as server, pool_to(server.origin) as pool:
        (await posted(pool)).close()
        await until(lambda: server.ended == 1 and not len(pool))


async def test_a_response_that_is_left_gives_its_connection_back_once_its_server_ends_it() -> None:
    async with serving(says(CHUNKED + b"2\r\nok\r\n", b"4\r\nmore\r\n", b"0\r\n\r\n")) as server:
        async with pool_to(server.origin) as pool:
            for _ in range(3):
                response = await pool.ask(POST, is_idempotent=False)
                async for part in response.parts():
                    assert part == b"ok"
                    response.leave()
                    break
                # Nor does it matter that whoever reads closes what he has left.
                response.close()
                await until(lambda: pool.leaving == 0)
            assert (server.connections, len(pool)) == (1, 1)


async def test_a_response_that_is_left_and_never_ends_ends_with_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_connection, "MAX_LEAVING", 2)
    async with serving(says(CHUNKED + b"2\r\nok\r\n")) as server, pool_to(server.origin) as pool:
        responses = [await pool.ask(POST, is_idempotent=False) for _ in range(5)]
        for response in responses:
            response.leave()
            response.leave()
        # Of more than so many nobody waits for the end.
        assert pool.leaving == 2
        await until(lambda: server.ended == 5)
        await until(lambda: len(pool) == 0)
        assert pool.leaving == 0


async def test_a_response_that_is_left_does_not_hold_up_the_end() -> None:
    async with serving(says(CHUNKED + b"2\r\nok\r\n")) as server, pool_to(server.origin) as pool:
        (await pool.ask(POST, is_idempotent=False)).leave()
        await pool.aclose()
        assert pool.leaving == 0


async def test_a_server_that_had_to_wait_can_end_a_response_that_is_left() -> None:
    piece = b"40000\r\n" + b"x" * 0x40000 + b"\r\n"
    async with serving(says(CHUNKED + piece * 4 + b"0\r\n\r\n")) as server, pool_to(server.origin) as pool:
        response = await pool.ask(POST, is_idempotent=False)
        await asyncio.sleep(0.05)
        response.leave()
        await until(lambda: pool.leaving == 0)
        assert len(pool) == 1
        assert response.is_complete


async def test_closing_ends_what_is_under_way() -> None:
    async with serving(says()) as server, pool_to(server.origin) as pool:
        asking = asyncio.ensure_future(posted(pool))
        await until(lambda: server.requests == 1)
        await pool.aclose()
        with pytest.raises(BackendStreamLost):
            await asking
        with pytest.raises(Unreachable):
            await posted(pool)


# --- what is bounded ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nName : x\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2 * MAX_HEAD_BYTES + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * MAX_HEAD_BYTES + b"\r\n",
        CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n",
        CHUNKED + b"2;" + b"x" * 8 * MAX_HEAD_BYTES,
        CHUNKED + b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * MAX_HEAD_BYTES,
        b"HTTP/1.1 102 Processing\r\n\r\n" * 20 + OK,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x00" * 100,
    ],
    ids=[
        "two-framings",
        "two-lengths",
        "negative",
        "overflow",
        "space-before-colon",
        "long-line",
        "many-lines",
        "chunk-size",
        "chunk-extension",
        "trailers",
        "interim-without-end",
        "upgrade",
        "no-http",
        "zeros",
    ],
)
async def test_what_is_not_http_or_has_no_measure_is_refused(reply: bytes) -> None:
    async with serving(says(reply)) as server, pool_to(server.origin) as pool:
        with pytest.raises(BackendProtocolError):
            await body_of(pool)
        await until(lambda: not len(pool))


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        CHUNKED + b"2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\n" + gzip.compress(b"{}")[:12],
    ],
    ids=["length", "chunks", "no-chunks", "gzip"],
)
async def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(reply: bytes) -> None:
    async with serving(says(reply, then_close=True)) as server, pool_to(server.origin) as pool:
        with pytest.raises(BackendStreamLost):
            await body_of(pool)


async def test_a_body_beyond_its_bound_ends_the_connection() -> None:
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + b"x" * 3000
    async with serving(says(reply)) as server, pool_to(server.origin) as pool:
        with pytest.raises(BackendProtocolError, match="larger than 2999 bytes"):
            await body_of(pool, 2999)
        assert await body_of(pool, 3000) == b"x" * 3000


async def test_a_compressed_answer_is_read_and_bounded_by_what_it_inflates_to() -> None:
    packed = gzip.compress(b"0" * 3_000_000)
    reply = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed
    async with serving(says(reply)) as server, pool_to(server.origin) as pool:
        assert await body_of(pool, 3_000_000) == b"0" * 3_000_000
        with pytest.raises(BackendProtocolError, match="larger"):
            await body_of(pool, 2_999_999)


async def test_an_encoding_that_nobody_asked_for_is_refused() -> None:
    reply = b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}"
    async with serving(says(reply)) as server, pool_to(server.origin) as pool:
        with pytest.raises(BackendProtocolError) as refused:
            await body_of(pool)
        assert "Content-Encoding" in refused.value.detail


async def test_a_server_that_is_not_read_from_has_to_wait() -> None:
    sent = 0

    async def floods(writer: asyncio.StreamWriter, served: int) -> None:
        nonlocal sent
        writer.write(CHUNKED)
        for _ in range(1000):
            writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            await writer.drain()
            sent += 65_536
        writer.write(b"0\r\n\r\n")

    async with serving(floods) as server, pool_to(server.origin) as pool:
        response = await posted(pool)
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.2)
        # What the kernel and the server's own buffers hold, beside ours.
        assert sent < HIGH_WATER_BYTES + 16_000_000
        assert len(await asyncio.wait_for(response.read(1 << 27), SOON_S)) == 65_536_000
        assert (await posted(pool)).status == 200


async def test_no_more_connections_than_allowed_and_no_wait_without_end() -> None:
    go_on = asyncio.Event()

    async def waits(writer: asyncio.StreamWriter, served: int) -> None:
        await go_on.wait()
        writer.write(OK)

    async with serving(waits) as server, pool_to(server.origin, 0.2, max_connections=2) as pool:
        asking = [asyncio.ensure_future(body_of(pool)) for _ in range(2)]
        await until(lambda: server.requests == 2)
        with pytest.raises(BackendTimeout, match="no connection free"):
            await posted(pool)
        behind = asyncio.ensure_future(body_of(pool))
        await asyncio.sleep(0)
        go_on.set()
        assert await asyncio.gather(*asking, behind) == [b"{}"] * 3
        assert server.connections == 2


# --- no connection at all -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("127.0.0.1", "Connection refused"),
        ("no.such.host.invalid", "host name was not found"),
        ("x" * 300, "host"),
    ],
)
async def test_why_it_cannot_be_reached_is_said(host: str, words: str) -> None:
    async with pool_to(Origin("http", host, await closed_port())) as pool:
        with pytest.raises(Unreachable) as told:
            await posted(pool)
    assert words in told.value.detail
    assert told.value.nothing_sent
