"""HTTP+SSE of 2024-11-05 towards real small servers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from proxy_core.backends import sse_channel
from proxy_core.backends.channel import Outgoing
from proxy_core.backends.sse_channel import SseChannel
from proxy_core.config.models import SseTransport
from proxy_core.errors import (
    BackendAuthRequired,
    BackendFault,
    BackendHttpError,
    BackendProtocolError,
    BackendStreamLost,
    BackendTimeout,
    BackendUnavailable,
)
from tests.support.backend_server import (
    Handler,
    Holds,
    Seen,
    accepts,
    answers,
    closed_port,
    event,
    event_stream,
    refuses,
    serving,
    streams,
)
from tests.support.scripted_channel import Heard, until

ENDPOINT = b"event: endpoint\ndata: %s\n\n"
POST = Outgoing(b'{"jsonrpc":"2.0","id":1,"method":"tools/call"}', 1, "tools/call", revision="2024-11-05")
NOTE = Outgoing(b'{"jsonrpc":"2.0","method":"notifications/initialized"}', None, "notifications/initialized")


class OldServer:
    """The event stream of a server, written by the test."""

    def __init__(self, endpoint: bytes = b"/messages?session_id=1") -> None:
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self.gone = asyncio.Event()
        self.writes(ENDPOINT % endpoint)

    def writes(self, chunk: bytes) -> None:
        """Empty: the end of the stream."""
        self._chunks.put_nowait(chunk)

    async def __call__(self, seen: Seen) -> Any:
        response = await event_stream(seen)
        try:
            while chunk := await self._chunks.get():
                await response.write(chunk)
        except asyncio.CancelledError:
            self.gone.set()
            raise
        return response


class Wire:
    def __init__(self, url: str, connect_s: float, headers: dict[str, str]) -> None:
        self.heard = Heard(1, 2)
        transport = SseTransport(type="sse", url=url, headers=headers)
        self.channel = SseChannel("box", transport, self.heard, connect_s, lambda note: None)


@pytest.fixture
async def wire() -> AsyncIterator[Callable[..., Wire]]:
    wires: list[Wire] = []

    def to(url: str, connect_s: float = 30, **headers: str) -> Wire:
        wires.append(Wire(url, connect_s, headers))
        return wires[-1]

    yield to
    for each in wires:
        await each.channel.aclose()


async def test_messages_go_to_the_endpoint_and_answers_come_on_the_stream(wire: Any) -> None:
    old = OldServer()
    async with serving({"GET": old, "tools/call": accepts}) as server:
        box = wire(server.url, Authorization="Bearer ours")
        await box.channel.open()
        await box.channel.send(POST)
        old.writes(event(b'{"jsonrpc":"2.0","id":1,"result":{}}'))
        await until(lambda: box.heard.messages)
        assert box.heard.messages == [({"jsonrpc": "2.0", "id": 1, "result": {}}, None)]
    stream, post = server.seen
    assert str(post.request.rel_url) == "/messages?session_id=1"
    assert stream.headers["Accept"] == "text/event-stream"
    for seen in (stream, post):
        assert seen.headers["Authorization"] == "Bearer ours"
        assert "MCP-Protocol-Version" not in seen.headers


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        ("/m", "/m"),
        ("m?x=1", "/m?x=1"),
        ("?x=1", "/mcp?x=1"),
        ("{origin}/other", "/other"),
        ("../../up", "/up"),
    ],
)
async def test_the_endpoint_is_taken_relative_to_the_stream(wire: Any, endpoint: str, path: str) -> None:
    async with serving({"tools/call": accepts}) as server:
        origin = server.url.removesuffix("/mcp")
        server.table["GET"] = OldServer(endpoint.format(origin=origin).encode())
        box = wire(server.url)
        await box.channel.open()
        await box.channel.send(POST)
    assert str(server.of("tools/call")[0].request.rel_url) == path


@pytest.mark.requirement("B11")
@pytest.mark.parametrize(
    "endpoint",
    [
        "http://evil.example/messages",
        "//evil.example/messages",
        "http://127.0.0.1:1/messages",
        "http://localhost:{port}/messages",
        "https://127.0.0.1:{port}/messages",
        "http://127.0.0.1:{port}@evil.example/messages",
    ],
)
async def test_an_endpoint_on_another_origin_is_refused(wire: Any, endpoint: str) -> None:
    async with serving({"tools/call": accepts}) as server:
        port = server.url.rsplit(":", 1)[1].removesuffix("/mcp")
        server.table["GET"] = OldServer(endpoint.format(port=port).encode())
        box = wire(server.url, Authorization="Bearer ours")
        with pytest.raises(BackendProtocolError, match="another origin"):
            await box.channel.open()
    assert server.keys == ["GET"]
    assert box.heard.closes == []


@pytest.mark.parametrize(
    "endpoint", [b"mailto:me", b"http://[bad", b"\xff\xfe", b"http://h:99999/", b"javascript:x", b"data:,"]
)
async def test_an_endpoint_that_is_no_url_is_refused(wire: Any, endpoint: bytes) -> None:
    async with serving({"GET": OldServer(endpoint)}) as server:
        with pytest.raises(BackendProtocolError):
            await wire(server.url).channel.open()


async def test_a_second_endpoint_changes_nothing(wire: Any) -> None:
    old = OldServer(b"/first")
    old.writes(ENDPOINT % b"/second" + event(b'{"jsonrpc":"2.0","method":"notifications/x"}'))
    async with serving({"GET": old, "tools/call": accepts}) as server:
        box = wire(server.url)
        await box.channel.open()
        await until(lambda: box.heard.messages)
        await box.channel.send(POST)
    assert server.of("tools/call")[0].request.path == "/first"


@pytest.mark.requirement("B11")
@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        pytest.param(refuses(307, Location="http://evil.example/sse"), BackendProtocolError, id="redirect"),
        pytest.param(refuses(401), BackendAuthRequired, id="401"),
        pytest.param(refuses(404), BackendHttpError, id="404"),
        pytest.param(refuses(503), BackendUnavailable, id="503"),
        pytest.param(answers({}), BackendProtocolError, id="json"),
        pytest.param(streams(b": nothing\n\n"), BackendStreamLost, id="ends-at-once"),
        pytest.param(streams(b"data: " + b"x" * 3000), BackendProtocolError, id="too-large"),
    ],
)
async def test_a_stream_that_is_none_says_why(
    wire: Any, reply: Handler, fault: type[BackendFault], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse_channel, "MAX_EVENT_BYTES", 2000)
    async with serving({"GET": reply}) as server:
        box = wire(server.url)
        with pytest.raises(fault):
            await box.channel.open()
    assert box.heard.closes == []


@pytest.mark.requirement("B11")
async def test_redirects_within_the_origin_are_followed_for_the_stream_and_for_posts(wire: Any) -> None:
    stream = OldServer(b"messages?session_id=1")
    table: Any = {"tools/call": [refuses(307, Location="/v2/messages"), accepts]}
    async with serving(table | {"GET": [refuses(308, Location="/v2/sse"), stream]}) as server:
        box = wire(server.url)
        await box.channel.open()
        await box.channel.send(POST)
        paths = [seen.request.path for seen in server.seen]
        assert paths == ["/mcp", "/v2/sse", "/v2/messages", "/v2/messages"]
        assert server.seen[-1].message == server.seen[-2].message


async def test_a_server_that_names_no_endpoint_is_not_waited_for(wire: Any) -> None:
    async with serving({"GET": Holds(as_stream=True)}) as server:
        with pytest.raises(BackendTimeout):
            await wire(server.url, connect_s=0.1).channel.open()


async def test_a_server_that_cannot_be_reached_says_so(wire: Any) -> None:
    with pytest.raises(BackendUnavailable, match="cannot be reached"):
        await wire(f"http://127.0.0.1:{await closed_port()}/sse").channel.open()


@pytest.mark.parametrize("last", [b"", b"data: " + b"x" * 3000], ids=["end", "too-large"])
async def test_the_end_of_the_stream_is_the_end_of_the_connection(
    wire: Any, last: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse_channel, "MAX_EVENT_BYTES", 2000)
    old = OldServer()
    async with serving({"GET": old}) as server:
        box = wire(server.url)
        await box.channel.open()
        old.writes(last)
        await until(lambda: box.heard.closes)
        assert len(box.heard.closes) == 1
        with pytest.raises(BackendUnavailable):
            await box.channel.send(POST)


@pytest.mark.parametrize(
    ("status", "fault"),
    [(400, BackendHttpError), (401, BackendAuthRequired), (500, BackendUnavailable)],
)
async def test_a_message_that_is_refused_fails_alone(wire: Any, status: int, fault: type[BackendFault]) -> None:
    async with serving({"GET": OldServer(), "tools/call": refuses(status)}) as server:
        box = wire(server.url)
        await box.channel.open()
        with pytest.raises(fault):
            await box.channel.send(POST)
        assert box.heard.closes == []


async def test_a_server_that_knows_our_session_no_more_is_a_lost_connection(wire: Any) -> None:
    """2024-11-05 has no word for it but 404; the stream may stay open all the same."""
    async with serving({"GET": OldServer(), "tools/call": refuses(404)}) as server:
        box = wire(server.url)
        await box.channel.open()
        with pytest.raises(BackendUnavailable) as failure:
            await box.channel.send(POST)
        assert failure.value.nothing_sent
        assert [fault.detail for fault in box.heard.closes] == ["it answered 404 to a message"]


async def test_closing_ends_the_stream(wire: Any) -> None:
    old = OldServer()
    async with serving({"GET": old}) as server:
        box = wire(server.url)
        await box.channel.open()
        await box.channel.aclose()
        await box.channel.aclose()
        async with asyncio.timeout(30):
            await old.gone.wait()
    assert box.heard.closes == []


async def test_a_post_that_outlives_its_request_is_ended(wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse_channel, "POST_GRACE_S", 0.01)
    hold = Holds()
    async with serving({"GET": OldServer(), "tools/call": hold}) as server:
        box = wire(server.url)
        await box.channel.open()
        post = asyncio.ensure_future(box.channel.send(POST))
        await hold.arrived.wait()
        box.channel.abort(1)
        await post
        async with asyncio.timeout(30):
            await hold.gone.wait()


async def test_an_answer_that_overtakes_its_post_leaves_it_a_moment_to_end(wire: Any) -> None:
    hold = Holds()
    async with serving({"GET": OldServer(), "tools/call": hold}) as server:
        box = wire(server.url)
        await box.channel.open()
        post = asyncio.ensure_future(box.channel.send(POST))
        await hold.arrived.wait()
        box.channel.abort(1)
        hold.release.set()
        await post
        assert not hold.gone.is_set()


async def test_a_notification_that_is_never_accepted_does_not_hold_us(wire: Any) -> None:
    async with serving({"GET": OldServer(), "notifications/initialized": Holds()}) as server:
        box = wire(server.url, connect_s=0.3)
        await box.channel.open()
        with pytest.raises(BackendTimeout):
            await box.channel.send(NOTE)
