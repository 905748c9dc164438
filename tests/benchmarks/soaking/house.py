"""A gateway in front of servers on each transport, and everything that can be done to them during a soak."""

import asyncio
import os
import re
import signal
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psutil

from tests.benchmarks.load import connected, modern_list
from tests.benchmarks.sessions import legacy_list, session_of
from tests.benchmarks.soaking.backend import TOOL
from tests.benchmarks.soaking.load import Asked, Hurt
from tests.benchmarks.soaking.timetable import Event, What
from tests.benchmarks.soaking.verdict import Sample
from tests.support.faults import stdio_server
from tests.support.faults.houses import STDIO
from tests.support.faults.http_server import MODERN, SSE, HttpHost
from tests.support.faults.plain import on_host
from tests.support.faults.rewrites import Rewrites
from tests.support.gateway_process import GatewayProcess
from tests.support.processes import MODULE_ENV, module_command
from tests.support.wire import Json, comes_true

CHILDREN: Final = ("child-a", "child-b")
HOSTED: Final[Mapping[str, str]] = {"web-a": MODERN, "web-b": MODERN, "sse-a": SSE}
SERVERS: Final = (*CHILDREN, *HOSTED)
TARGETS: Final[Mapping[What, Sequence[str]]] = {
    What.KILL_CHILD: CHILDREN,
    What.KILL_BACKEND: tuple(HOSTED),
    What.RELOAD: ("",),
    What.ABANDON: ("",),
    What.HANG_UP: ("",),
}
PROGRAM: Final = "tests.benchmarks.soaking.backend"
SESSION_IDLE_S: Final = 5.0
SECTIONS: Final[Json] = {
    "logging": {"format": "json"},
    "health": {"probe_interval": 1, "timeout": 1, "failure_threshold": 2},
    "circuit_breaker": {"open_s": 1},
    "limits": {"sessions": 500, "session_idle_s": SESSION_IDLE_S},
}
RECOVERY_S: Final = 10.0
"""From the end of a fault until its server has to serve again: a child waits a second or two, then starts."""
SESSIONS_AT_ONCE: Final = 3
MID_CALL_S: Final = 0.1
LONG_CALL_MS: Final = 2000.0
SETTLES_S: Final = 30.0
POOLED_S: Final = 6.0
"""Longer than an idle connection to a server is kept."""


class House:
    def __init__(self, folder: Path, seed: int) -> None:
        configuration = folder / "configuration"
        configuration.mkdir()
        self._folder = folder
        self._hosts = {name: HttpHost(folder, f"host-{name}", PROGRAM) for name in HOSTED}
        servers = [_child(folder, name) for name in CHILDREN]
        servers += [on_host(self._hosts[name], kind, name) for name, kind in HOSTED.items()]
        path = configuration / "only1mcp.yaml"
        self._rewrites = Rewrites(folder, path, servers, SECTIONS, seed)
        self._as_at_first = Rewrites(folder, path, servers, SECTIONS, seed)
        self._arguments = ("--config", str(path), "--port", "0", "--headless")
        self._lost = 0
        self.hurts: list[Hurt] = []
        self.done: dict[What, int] = dict.fromkeys(What, 0)
        """How often each kind of event came to pass."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """All of it runs inside the block, and nothing of it is left after it."""
        self._as_at_first.restore()
        try:
            for host in self._hosts.values():
                host.start()
            for host in self._hosts.values():
                await asyncio.to_thread(host.ready)
            self.gateway = GatewayProcess(self._folder, self._arguments)
            try:
                self.port = urlsplit(await asyncio.to_thread(lambda: self.gateway.url)).port or 0
                await comes_true(self._all_answer, "all servers answer")
                yield
            finally:
                await asyncio.to_thread(self.gateway.close)
        finally:
            for host in self._hosts.values():
                host.close()

    async def _all_answer(self) -> bool:
        async with connected(self.port, 1, modern_list()) as (connection,):
            asked = [Asked(number, name, 0) for number, name in enumerate(SERVERS, start=1)]
            return all(
                [each.text.encode() in (await connection.post(each.headers, each.body()))[1] for each in asked]
            )

    # --- what is done to it -----------------------------------------------------------------------------------

    async def trouble(self, events: Sequence[Event]) -> None:
        """Let each happen at its time; returns when the last is over."""
        begun = time.monotonic()
        acts = {
            What.KILL_CHILD: self._kill_child,
            What.KILL_BACKEND: self._kill_backend,
            What.RELOAD: self._reload,
            What.ABANDON: self._abandon,
            What.HANG_UP: self._hang_up,
        }

        async def one(event: Event) -> None:
            await asyncio.sleep(begun + event.at_s - time.monotonic())
            await acts[event.what](event)
            self.done[event.what] += 1

        async with asyncio.TaskGroup() as group:
            for event in events:
                group.create_task(one(event))

    async def _kill_child(self, event: Event) -> None:
        now = time.monotonic()
        self.hurts.append(Hurt(event.target, now, now))
        os.kill(stdio_server.pid_of(self._folder, event.target), signal.SIGKILL)

    async def _kill_backend(self, event: Event) -> None:
        host, began_at = self._hosts[event.target], time.monotonic()
        host.kill()
        await asyncio.sleep(event.for_s)
        host.start()
        await asyncio.to_thread(host.ready)
        self.hurts.append(Hurt(event.target, began_at, time.monotonic()))

    async def _reload(self, _event: Event) -> None:
        # A file that is torn on purpose is written with a pause in it.
        await asyncio.to_thread(self._rewrites.next)

    async def _abandon(self, _event: Event) -> None:
        """Sessions that list the tools once and are never heard of again."""
        async with connected(self.port, SESSIONS_AT_ONCE, modern_list()) as connections:
            for number, connection in enumerate(connections, start=1):
                session = await session_of(connection)
                _, body = await connection.post(*legacy_list(session)(number))
                assert f"__{TOOL}".encode() in body, body[:500]

    async def _hang_up(self, _event: Event) -> None:
        """One client for each server, gone in the middle of its call."""
        async with connected(self.port, len(SERVERS), modern_list()) as connections:
            calls = []
            for name, connection in zip(SERVERS, connections, strict=True):
                self._lost += 1
                asked = Asked(self._lost, name, 0)
                calls.append(asyncio.create_task(connection.post(asked.headers, asked.body(LONG_CALL_MS))))
            await asyncio.sleep(MID_CALL_S)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)

    async def settle(self) -> None:
        """Put the first configuration in force again, and wait until nothing is under way any more."""
        await asyncio.to_thread(self._as_at_first.restore)
        with suppress(AssertionError):
            # What is left then is told by the sample that follows.
            await comes_true(self._is_idle, "it is idle", SETTLES_S)
        await asyncio.sleep(POOLED_S)

    async def _is_idle(self) -> bool:
        text = await asyncio.to_thread(self._metrics)
        return not gauge(text, "sessions") and not gauge(text, "in_flight") and await self._all_answer()

    # --- what is seen of it -----------------------------------------------------------------------------------

    def _metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            text: str = answer.read().decode()
        return text

    async def sample(self, at_s: float, answered: int, p50_ms: float, p99_ms: float) -> Sample:
        """Raises: psutil.NoSuchProcess if the gateway has ended."""
        text, children = await asyncio.gather(
            asyncio.to_thread(self._metrics), asyncio.to_thread(self.gateway.children)
        )
        process = psutil.Process(self.gateway.pid)
        return Sample(
            at_s=at_s,
            rss_mb=process.memory_info().rss / 1e6,
            files=process.num_fds(),
            threads=process.num_threads(),
            children=len(children),
            sessions=int(gauge(text, "sessions")),
            in_flight=int(gauge(text, "in_flight")),
            answered=answered,
            p50_ms=p50_ms,
            p99_ms=p99_ms,
        )


def gauge(text: str, name: str) -> float:
    """Of numbers in Prometheus' format: the sum over all labels."""
    return sum(
        float(value) for value in re.findall(rf"^only1mcp_{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)
    )


def _child(folder: Path, name: str) -> Json:
    program, *arguments = module_command(PROGRAM, str(folder), f"{STDIO}:{name}:{name}:0")
    return {
        "id": name,
        "transport": {"type": "stdio", "command": program, "args": arguments, "env": MODULE_ENV},
    }
