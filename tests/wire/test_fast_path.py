"""What the fast path alone has: its clocks, and how its connections end with the listener."""

import asyncio
from typing import Any

import pytest

from proxy_core.frontend import fast_path
from tests.support.http_client import SOON_S
from tests.support.scripted_gateway import MODERN_RESULT, ScriptedGateway
from tests.wire.test_http_wire import connected


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
