"""Many clients ask the same at once: what reaches the servers, told by the servers themselves."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.only1mcp_tui.test_cli_asking import Person
from tests.support.gateway_process import GatewayProcess, serving, stdio
from tests.support.http_client import Client
from tests.support.processes import ROOT
from tests.support.wire import ask, call_text, connected, tool_names

SERVERS = 10
TALLY = (sys.executable, str(ROOT / "tests" / "support" / "tally_server.py"))


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    with serving(tmp_path, [stdio(f"s{number}", TALLY) for number in range(SERVERS)]) as gateway:
        yield gateway


@pytest.fixture
def person(gateway: GatewayProcess, tmp_path: Path) -> Person:
    return Person(tmp_path, "--config", str(tmp_path / "only1mcp.yaml"))


async def tallies(client: Client) -> list[Counter[str]]:
    return [Counter(json.loads(await call_text(client, f"s{number}__tally"))) for number in range(SERVERS)]


async def _lists_at_once(gateway: GatewayProcess, person: Person, clients: int) -> dict[str, Any]:
    async with connected(gateway.url) as client:
        expected = {f"s{number}__tally" for number in range(SERVERS)}
        while await tool_names(client) != expected:
            await asyncio.sleep(0.05)
        assert (await asyncio.to_thread(person.run, "cache", "clear")).returncode == 0
        before = await tallies(client)
        async with AsyncExitStack() as crowd:
            # A pool has a hundred connections.
            pools = [await crowd.enter_async_context(connected(gateway.url)) for _ in range(clients // 100)]
            lists = await asyncio.gather(
                *(ask(pools[number // 100], "tools/list", id=number) for number in range(clients))
            )
        assert [each["id"] for each in lists] == list(range(clients))
        assert all({tool["name"] for tool in each["result"]["tools"]} == expected for each in lists)
        after = await tallies(client)
    made = [now["tools/list"] - then["tools/list"] for then, now in zip(before, after, strict=True)]
    assert made == [1] * SERVERS, "each server was asked once for all of them"
    told: dict[str, Any] = await asyncio.to_thread(person.json, "cache", "stats")
    return told


async def test_a_hundred_clients_list_ten_cold_servers_with_ten_calls(gateway: GatewayProcess, person: Person):
    told = await _lists_at_once(gateway, person, 100)
    joins = [row for row in told["joins"] if row["method"] == "tools/list"]
    assert [row["made"] for row in joins] == [1] * SERVERS
    # Those that come when the reading has ended are hits; all others shared it.
    assert all(row["saved"] == row["asked"] - 1 for row in joins)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_thousand_clients_list_ten_cold_servers_with_ten_calls(gateway: GatewayProcess, person: Person):
    await _lists_at_once(gateway, person, 1000)


async def test_equal_reads_at_once_are_one_call_and_later_ones_are_not(gateway: GatewayProcess):
    async with connected(gateway.url) as client:
        uri = {"uri": "s3+tally://now"}
        before = await tallies(client)
        for _ in range(2):
            reads = await asyncio.gather(*(ask(client, "resources/read", uri, id=n) for n in range(50)))
            assert len({each["result"]["contents"][0]["text"] for each in reads}) == 1
            assert [each["id"] for each in reads] == list(range(50))
        after = await tallies(client)
    made = [now["resources/read"] - then["resources/read"] for then, now in zip(before, after, strict=True)]
    assert made == [2 if number == 3 else 0 for number in range(SERVERS)]


async def test_what_is_joined_survives_clients_that_hang_up(gateway: GatewayProcess):
    uri = {"uri": "s5+tally://now"}
    async with connected(gateway.url) as client, connected(gateway.url) as impatient:
        before = await tallies(client)
        leaving = [asyncio.create_task(ask(impatient, "resources/read", uri, id=n)) for n in range(10)]
        await asyncio.sleep(0.05)
        staying = [asyncio.create_task(ask(client, "resources/read", uri, id=n)) for n in range(10)]
        await asyncio.sleep(0.05)
        for task in leaving:
            task.cancel()
        answers = await asyncio.gather(*staying)
        assert all("result" in each for each in answers)
        after = await tallies(client)
    assert after[5]["resources/read"] - before[5]["resources/read"] == 1
