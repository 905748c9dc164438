"""What the fast path alone has: its clocks, and how its connections end with the listener."""

import asyncio
from typing import Any, cast

import pytest

from proxy_core.config.models import AuthConfig, Config
from proxy_core.config.tokens import new_token
from proxy_core.frontend import fast_path
from proxy_core.frontend.fast_path import FastConnection, FastPath
from proxy_core.frontend.responses import JSON_HEADERS
from proxy_core.frontend.wire import WireReply
from tests.support.http_client import SOON_S
from tests.support.scripted_gateway import MODERN_RESULT, ScriptedGateway
from tests.wire.test_http_wire import connected


@pytest.fixture(name="fast_path")
def always() -> bool:
    """Also where a run has it switched off."""
    return True


@pytest.mark.parametrize("said", [b"", b"POST /mcp HT", b"POST /mcp HTTP/1.1\r\nHost:"])
async def test_a_request_that_does_not_come_is_not_waited_for(
    frontend: Any, monkeypatch: pytest.MonkeyPatch, said: bytes
):
    monkeypatch.setattr(fast_path, "IDLE_S", 0.05)
    async with connected(frontend) as wire:
        wire.send(wire.post(1))
        assert await wire.answered() == 1
        wire.send(said)
        assert await wire.ended()


async def test_a_client_that_does_not_read_its_answer_is_let_go(
    frontend: Any, gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fast_path, "IDLE_S", 0.05)
    gateway.scripts["tools/list"] = b'{"x":"' + b"y" * 30_000_000 + b'"}'
    async with connected(frontend) as wire:
        # A reader takes in no more than its bound by itself.
        wire.send(wire.post(1))
        await asyncio.sleep(2.5)
        # What the kernel held is still there to be read; the rest is not.
        assert 0 < len(await wire.rest()) < 30_000_000


async def test_what_is_being_served_ends_before_the_listener_does(serving: Any, gateway: ScriptedGateway):
    gateway.held = {"tools/list"}
    async with serving() as frontend, connected(frontend) as wire:
        wire.send(wire.post(1))
        call = await gateway.next_call()
        closing = asyncio.ensure_future(frontend.aclose())
        await asyncio.sleep(0.05)
        assert not closing.done()
        call.answer(MODERN_RESULT)
        status, headers, _ = await wire.response()
        assert (status, headers["connection"]) == (200, "close")
        assert await wire.ended()
        await closing


async def test_what_does_not_end_is_cancelled_with_the_listener(serving: Any, gateway: ScriptedGateway):
    gateway.held = {"tools/list"}
    async with serving() as frontend, connected(frontend) as wire, connected(frontend) as idle:
        wire.send(wire.post(1))
        call = await gateway.next_call()
        await asyncio.wait_for(frontend.aclose(), SOON_S)
        assert call.cancelled.is_set()
        assert await idle.ended()


# --- heads that come again ------------------------------------------------------------------------------------


async def test_a_head_that_comes_again_is_read_once_and_each_length_is_its_own(
    frontend: Any, gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
):
    read: list[object] = []
    parser = fast_path.httptools.HttpRequestParser

    def parsing(connection: object) -> object:
        read.append(connection)
        return parser(connection)

    monkeypatch.setattr(fast_path.httptools, "HttpRequestParser", parsing)
    async with connected(frontend) as wire:
        for number in (1, 22, 333, 4):
            wire.send(wire.post(number))
            assert await wire.answered() == number
    assert len(read) == 1
    said = [dict(each.headers)["content-length"] for each in gateway.exchanges]
    assert len(set(said)) == 3 and said[0] == said[3]


async def test_a_head_that_comes_again_is_let_in_only_as_long_as_the_first_would_be(serving: Any):
    token, entry = new_token("ann")
    line = f"Authorization: Bearer {token}"
    async with serving(tokens=(entry,)) as frontend, connected(frontend) as wire:
        for number in (1, 2):
            wire.send(wire.post(number, line))
            assert await wire.answered() == number
        _, other = new_token("ann")
        frontend.use(Config(auth=AuthConfig(tokens=(other,))))
        wire.send(wire.post(3, line))
        assert (await wire.response())[0] == 401


async def test_a_head_that_comes_again_is_held_to_the_size_of_its_own_body(serving: Any):
    async with serving(max_body_bytes=4096) as frontend, connected(frontend) as wire:
        wire.send(wire.post(1))
        assert await wire.answered() == 1
        head = wire.post(2, framed="Content-Length: 4097").partition(b"\r\n\r\n")[0]
        wire.send(head + b"\r\n\r\n")
        assert (await wire.response())[0] == 413


@pytest.mark.usefixtures("hurried")
async def test_a_length_that_goes_on_in_the_next_line_is_never_taken_for_a_head_that_is_known(
    frontend: Any, gateway: ScriptedGateway
):
    async with connected(frontend) as wire, connected(frontend) as other:
        # The same bytes without their length, which stands elsewhere: behind the line that goes on, or before.
        wire.send(wire.post(1, "X: y\r\n 0"))
        await wire.response()
        before = len(gateway.exchanges)
        other.send(other.post(1, "X: y", framed="Content-Length: 10\r\n 0") + other.post(2))
        assert (await other.response())[0] == 400
        assert await other.ended()
        assert len(gateway.exchanges) == before


async def test_a_thousand_requests_at_once_may_all_be_refused(frontend: Any):
    async with connected(frontend) as wire:
        refused = wire.post(1).replace(b"application/json\r\n", b"text/plain\r\n")
        wire.send(refused * 1000 + wire.post(2))
        for _ in range(1000):
            assert (await wire.response())[0] == 415
        assert await wire.answered() == 2


class Written:
    """A transport that notes what is done with it."""

    def __init__(self) -> None:
        self.log: list[bytes | str] = []

    def get_extra_info(self, name: str) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else None

    def write(self, data: bytes) -> None:
        self.log.append(data)

    def close(self) -> None:
        self.log.append("closed")


async def test_an_answer_of_this_turn_goes_out_before_the_connection_is_closed() -> None:
    transport = Written()
    connection = FastConnection(FastPath(cast(Any, None), lambda path: True, cast(Any, None)))
    connection.connection_made(cast(Any, transport))
    connection._write(WireReply(200, JSON_HEADERS, b"{}"))
    assert transport.log == []
    connection.end_soon()
    whole, closed = transport.log
    assert isinstance(whole, bytes) and whole.endswith(b"\r\n\r\n{}")
    assert closed == "closed"
