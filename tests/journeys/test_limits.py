"""Limits of a real gateway before a child that is killed under its calls, and another file while it runs."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway_process import serving, stdio, write_config
from tests.support.http_client import Client
from tests.support.limited_house import refused
from tests.support.processes import demo_command
from tests.support.wire import Json, call, comes_true, connected, once_listed

NAP: Json = {"seconds": 50}
TWO: Any = {"concurrent": 2}
SOON: Any = {"proxy": {"grace_s": 0}}
"""At the end nothing is waited for: a legacy client that has gone has not cancelled."""


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_killed_calls_give_their_places_back_and_a_new_file_gives_more(tmp_path: Path, era: str) -> None:
    command = demo_command("flaky")
    with serving(tmp_path, [stdio("flaky", command, limits=TWO)], **SOON) as gateway:
        async with connected(gateway.url, era) as client:
            await once_listed(client, "flaky__delay")
            for _ in range(2):
                running = await in_flight(client, 2)
                for child in gateway.children():
                    if command[-1] in child.cmdline():
                        child.kill()
                assert all("error" in answer for answer in await asyncio.gather(*running))
                await comes_true(lambda: answers(client), "it is back")
            running = await in_flight(client, 2)
            write_config(tmp_path, [stdio("flaky", command, limits={"concurrent": 3})], **SOON)
            await comes_true(lambda: answers(client), "the new file is in force")
            for each in running:
                each.cancel()
            await asyncio.wait(running)


async def in_flight(client: Client, count: int) -> list["asyncio.Task[Json]"]:
    """So many calls that take long, after which one more is refused."""
    running = [asyncio.ensure_future(call(client, "flaky__delay", NAP, id=10 + each)) for each in range(count)]
    await comes_true(lambda: serves(client, count), f"{count} are in flight")
    # Not before: it would take a place itself.
    assert await is_full(client)
    return running


async def serves(client: Client, count: int) -> bool:
    """Whether the server has so many calls, as the gateway's numbers say."""
    numbers = await client.send("GET", url=client.url.replace("/mcp", "/metrics"))
    return f'in_flight{{server="flaky"}} {count}\n' in numbers.body.decode()


async def is_full(client: Client) -> bool:
    answer = await call(client, "flaky__echo", {"text": "a"}, id=2)
    return "error" in answer and refused(answer) is not None


async def answers(client: Client) -> bool:
    return "result" in await call(client, "flaky__echo", {"text": "a"}, id=3)
