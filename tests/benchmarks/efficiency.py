"""What equal requests cost the servers: how many calls were made for how many requests, from counters.

Run as `python -m tests.benchmarks.efficiency`. A gateway over HTTP in front of servers that take 20 ms for each
answer. The servers count what reaches them, the gateway counts what it joined; both are shown.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import uvloop

from proxy_core.admin_client import AdminClient
from proxy_core.admin_wire import Cleared
from proxy_core.backends.offer import REREAD_PAUSE_S
from proxy_core.telemetry.savings import Savings
from proxy_core.telemetry.snapshot import Snapshot
from tests.benchmarks.load import META, Ask, connected, modern_call, modern_headers, modern_list
from tests.benchmarks.processes import gateway, http_backend, tools_ready

SERVERS: Final = 10
SLOW_MS: Final = 20
CLIENTS: Final = 1000
EQUALS: Final = 64
WINDOW_MS: Final = 100
"""The default."""
_URI: Final = "bench:///a"


@dataclass(frozen=True)
class Scenario:
    name: str
    method: str
    ask: Ask
    clients: int
    servers: int = 1
    """How many have a part in each answer."""
    pause_s: float = 0.0
    """Between one client's request and the next one's."""
    is_cold: bool = True
    sections: tuple[tuple[str, Any], ...] = ()
    """Of the configuration, where they are not the defaults."""


def read_ask(request_id: int) -> tuple[bytes, bytes]:
    body = f'{{"jsonrpc":"2.0","id":{request_id},"method":"resources/read","params":{{"uri":"{_URI}",{META}}}}}'
    return modern_headers("resources/read", _URI), body.encode()


def equal_call(tool: str) -> Ask:
    """The same arguments each time, whatever the id."""
    ask = modern_call(tool)
    _, body = ask(0)
    return lambda request_id: (ask(0)[0], body.replace(b'"id":0', b'"id":%d' % request_id))


def _window(window_ms: int) -> tuple[str, Any]:
    return "batching", {"window_ms": window_ms, "methods": ["tools/list", "resources/read"]}


_NO_CACHE: Final = ("cache", {"enabled": False})
_READS_KEPT: Final = ("cache", {"methods": {"resources/read": {"ttl_seconds": 60}}})
_LIST, _READ, _CALL = "tools/list", "resources/read", "tools/call"
SCENARIOS: Final = (
    Scenario(
        f"{CLIENTS:,} clients list {SERVERS} cold servers at once",
        _LIST, modern_list(), CLIENTS, SERVERS,
    ),
    Scenario(
        "the same once more, all servers listed", _LIST, modern_list(), CLIENTS, SERVERS, is_cold=False
    ),
    Scenario(
        "5 lists, one each 20 ms, cache off, with the window",
        _LIST, modern_list(), 5, pause_s=0.02, sections=(_NO_CACHE, _window(WINDOW_MS)),
    ),
    Scenario(
        "the same without the window",
        _LIST, modern_list(), 5, pause_s=0.02, sections=(_NO_CACHE, _window(0)),
    ),
    Scenario(
        "5 equal reads, one each 25 ms, with a window for reads",
        _READ, read_ask, 5, pause_s=0.025, sections=(_window(WINDOW_MS),),
    ),
    Scenario(
        "the same without the window",
        _READ, read_ask, 5, pause_s=0.025, sections=(_window(0),),
    ),
    Scenario(f"{EQUALS} equal reads at once", _READ, read_ask, EQUALS),
    Scenario(
        f"{EQUALS} equal reads, one after the other, reads kept",
        _READ, read_ask, EQUALS, pause_s=0.03, sections=(_READS_KEPT,),
    ),
    Scenario(f"{EQUALS} equal calls of a tool at once", _CALL, equal_call("s0__echo"), EQUALS),
    Scenario(
        f"{EQUALS} equal calls at once of a tool that `batching.tools` names",
        _CALL, equal_call("s0__echo"), EQUALS, sections=(("batching", {"tools": ["s0__echo"]}),),
    ),
)  # fmt: skip


async def efficiency_table() -> list[str]:
    rows = [
        "| scenario | answers needed of servers | calls that reached them | saved | joined to another's call "
        "| kept answers given | wall ms |",
        "|---|---|---|---|---|---|---|",
    ]
    return rows + [await _run(scenario) for scenario in SCENARIOS]


async def _run(scenario: Scenario) -> str:
    async with _house(scenario) as house, connected(house.port, scenario.clients, scenario.ask) as clients:
        # A gateway that has just started has other work still, and does not read a list twice at once.
        await asyncio.sleep(REREAD_PAUSE_S)
        if scenario.is_cold:
            await house.admin.post("cache/clear", Cleared)
        reached, before = await house.reached(), await house.savings()
        begun = time.perf_counter()

        async def ask(number: int) -> None:
            await asyncio.sleep(number * scenario.pause_s)
            await clients[number](number + 1)

        await asyncio.gather(*(ask(number) for number in range(scenario.clients)))
        wall_ms = (time.perf_counter() - begun) * 1000
        calls = (await house.reached())[scenario.method] - reached[scenario.method]
        after = await house.savings()
    needed = scenario.clients * scenario.servers
    joined, kept = (
        count(after, scenario.method) - count(before, scenario.method) for count in (_joined, _kept)
    )
    return (
        f"| {scenario.name} | {needed:,} | {calls:,} | {1 - calls / needed:.1%} | {joined:,} | {kept:,} "
        f"| {wall_ms:,.0f} |"
    )


def _joined(savings: Savings, method: str) -> int:
    return sum(row.saved for row in savings.joins if row.method == method)


def _kept(savings: Savings, method: str) -> int:
    return sum(row.hits for row in savings.caches if row.method == method)


@dataclass
class _House:
    port: int
    admin: AdminClient
    asked: Callable[[], Any]

    async def savings(self) -> Savings:
        return (await self.admin.get("snapshot", Snapshot)).savings

    async def reached(self) -> dict[str, int]:
        """By method, as the servers count."""
        counts: dict[str, int] = await self.asked()
        return {method: counts.get(method, 0) for method in (_LIST, _READ, _CALL)}


@asynccontextmanager
async def _house(scenario: Scenario) -> AsyncIterator[_House]:
    """All servers are one process, which counts for all of them together."""
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "admin.sock"
        sections = {"admin": {"socket": str(socket)}} | dict(scenario.sections)
        async with (
            http_backend("--slow-ms", str(SLOW_MS)) as (backend_port, _),
            aiohttp.ClientSession() as session,
        ):
            base = f"http://127.0.0.1:{backend_port}"
            transport = {"type": "http", "url": f"{base}/mcp"}
            servers = [{"id": f"s{number}", "transport": transport} for number in range(scenario.servers)]

            async def asked() -> Any:
                async with session.get(f"{base}/asked") as response:
                    return await response.json()

            async with gateway(servers, **sections) as (port, _, _), AdminClient(socket) as admin:
                await tools_ready(port, scenario.servers)
                yield _House(port, admin, asked)


if __name__ == "__main__":
    print("\n".join(uvloop.run(efficiency_table())))
