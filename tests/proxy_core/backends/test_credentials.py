"""A login at the transports: which requests carry it, what is asked again, and what is given up."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from proxy_core.backends.channel import Outgoing
from proxy_core.backends.credentials import LoginNeeded
from proxy_core.backends.http_channel import HttpChannel
from proxy_core.backends.http_client import MAX_LOGINS, HttpClient
from proxy_core.backends.http_url import Url
from proxy_core.backends.sse_channel import SseChannel
from proxy_core.config.models import HttpTransport, SseTransport
from proxy_core.errors import BackendAuthRequired, BackendFault
from tests.support.wire import comes_true


class Guarded:
    """Takes one token, by HTTP and by HTTP+SSE."""

    def __init__(self) -> None:
        self.token = "good"
        self.status = 401
        self.seen: list[tuple[str, str, str]] = []
        self.url = ""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        given = request.headers.get("Authorization", "")
        self.seen.append((request.method, request.path, given))
        if given != f"Bearer {self.token}":
            return web.Response(status=self.status, headers={"WWW-Authenticate": 'Bearer scope="a"'})
        if request.path == "/sse":
            stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await stream.prepare(request)
            await stream.write(b"event: endpoint\ndata: /post\n\n")
            await asyncio.sleep(20)
            return stream
        if request.path == "/post":
            return web.Response(status=202)
        return web.json_response({"jsonrpc": "2.0", "id": (await request.json())["id"], "result": {}})


@pytest.fixture
async def guarded() -> AsyncIterator[Guarded]:
    server = Guarded()
    app = web.Application()
    app.router.add_route("*", "/{path}", server.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


class Tokens:
    """Gives these one after the other; then there is no more."""

    def __init__(self, *tokens: str, first: str = "") -> None:
        self.line = line_of(first) if first else b""
        self.tokens = list(tokens)
        self.refusals: list[tuple[int, str, bytes]] = []
        self.good = 0

    async def refused(self, status: int, challenge: str, sent: bytes) -> None:
        self.refusals.append((status, challenge, sent))
        if not self.tokens:
            raise LoginNeeded("box", "The server asks for a login.")
        self.line = line_of(self.tokens.pop(0))

    def accepted(self) -> None:
        self.good += 1


def line_of(token: str) -> bytes:
    return f"authorization: Bearer {token}\r\n".encode()


class Heard:
    """The connection above a channel."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.faults: list[BackendFault] = []
        self.ends: list[BackendFault] = []

    def message(self, data: bytes, origin: int | None) -> bool:
        self.messages.append(data)
        return origin is not None and self.waits_for(origin)

    def request_failed(self, request_id: int, fault: BackendFault) -> None:
        self.faults.append(fault)

    def waits_for(self, request_id: int) -> bool:
        return not self.messages and not self.faults

    def will_be_polled(self, request_id: int) -> None: ...

    def closed(self, fault: BackendFault) -> None:
        self.ends.append(fault)

    def missed(self) -> None: ...

    def skipped(self, reason: str, sample: bytes) -> None: ...


def outgoing(id: int) -> Outgoing:
    data = b'{"jsonrpc":"2.0","id":%d,"method":"tools/list","params":{}}' % id
    return Outgoing(data, id, "tools/list", None, "2026-07-28", True)


def http(guarded: Guarded, tokens: Tokens, heard: Heard) -> HttpChannel:
    transport = HttpTransport(url=f"{guarded.url}/mcp")
    return HttpChannel("box", transport, heard, 5, lambda note: None, tokens)


async def test_a_refused_request_is_made_again_with_what_is_got_then(guarded: Guarded):
    tokens, heard = Tokens("bad", "good"), Heard()
    channel = http(guarded, tokens, heard)
    await channel.open()
    await channel.send(outgoing(1))
    assert [given for _, _, given in guarded.seen] == ["", "Bearer bad", "Bearer good"]
    assert tokens.refusals[0] == (401, 'Bearer scope="a"', b"")
    assert (len(heard.messages), tokens.good, heard.ends) == (1, 1, [])
    await channel.aclose()


async def test_a_call_without_a_task_carries_the_token_of_now_and_is_made_again_too(guarded: Guarded):
    tokens, heard = Tokens(first="good"), Heard()
    channel = http(guarded, tokens, heard)
    await channel.open()
    await channel.send(outgoing(1))
    heard.messages.clear()
    assert channel.begin(outgoing(2).data, 2, "run")
    await comes_true(lambda: heard.messages, "the answer is there")
    guarded.token = "better"
    tokens.tokens.append("better")
    heard.messages.clear()
    assert channel.begin(outgoing(3).data, 3, "run")
    await comes_true(lambda: heard.messages, "the answer is there")
    heard.messages.clear()
    assert channel.begin(outgoing(4).data, 4, "run")
    await comes_true(lambda: heard.messages, "the answer is there")
    assert [given for _, _, given in guarded.seen][-2:] == ["Bearer better"] * 2
    await channel.aclose()


async def test_a_channel_without_a_login_that_is_taken_ends(guarded: Guarded):
    heard = Heard()
    channel = http(guarded, Tokens(), heard)
    await channel.open()
    with pytest.raises(LoginNeeded):
        await channel.send(outgoing(1))
    assert [type(fault) for fault in heard.ends] == [LoginNeeded]
    await channel.aclose()


async def test_one_request_is_not_made_for_ever(guarded: Guarded):
    guarded.status = 403
    tokens = Tokens(*["bad"] * 100)
    client = HttpClient("box", {}, 5, credentials=tokens)
    response = await client.ask("GET", Url.of(f"{guarded.url}/mcp"), {})
    assert response.status == 403
    assert len(guarded.seen) == MAX_LOGINS + 1
    response.close()
    await client.aclose()


async def test_over_http_and_sse_stream_and_posts_carry_the_token(guarded: Guarded):
    heard = Heard()
    transport = SseTransport(url=f"{guarded.url}/sse")
    channel = SseChannel("box", transport, heard, 5, lambda note: None, Tokens("good"))
    await channel.open()
    await channel.send(outgoing(1))
    assert guarded.seen == [
        ("GET", "/sse", ""),
        ("GET", "/sse", "Bearer good"),
        ("POST", "/post", "Bearer good"),
    ]
    guarded.token = "another"
    with pytest.raises(BackendAuthRequired):
        await channel.send(outgoing(2))
    assert [type(fault) for fault in heard.ends] == [LoginNeeded]
    await channel.aclose()
