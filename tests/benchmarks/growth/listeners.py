"""What open `subscriptions/listen` streams cost: a call beside them, and a change that all of them are told."""

import asyncio
import json
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import cycle
from pathlib import Path
from typing import Final

from tests.benchmarks.growth.meter import CALLERS, allow_files, at, cheapest, figure, fill_rings
from tests.benchmarks.growth.series import Curve, Effort, Figure, Series
from tests.benchmarks.load import META, connected, modern_call, modern_headers
from tests.benchmarks.processes import cpu_of, gateway, http_backend, rss_mb, tools_ready

LISTENERS: Final = (1, 100, 1000, 5000)
OPENING: Final = 100
"""Streams that are opened at the same time."""
CHANGES: Final = 5
"""Of the list, in each turn."""
TOLD_S: Final = 20.0
CHANGED: Final = b'"notifications/tools/list_changed"'
ACKNOWLEDGED: Final = b'"notifications/subscriptions/acknowledged"'


class Listener(asyncio.Protocol):
    """One open stream, which counts what it is told."""

    def __init__(self) -> None:
        self._received = b""
        self._is_told = asyncio.Event()
        self.is_acknowledged = False
        self.changes = 0

    async def open(self, port: int, request_id: int) -> None:
        """Until it is acknowledged."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_connection(lambda: self, "127.0.0.1", port)
        params = f'{{"notifications":{{"toolsListChanged":true}},{META}}}'
        body = f'{{"jsonrpc":"2.0","id":{request_id},"method":"subscriptions/listen","params":{params}}}'
        self._transport.write(
            b"POST /mcp HTTP/1.1\r\nHost: localhost:%d\r\nContent-Type: application/json\r\n"
            b"Accept: application/json, text/event-stream\r\n%sContent-Length: %d\r\n\r\n%s"
            % (port, modern_headers("subscriptions/listen"), len(body), body.encode())
        )
        while not self.is_acknowledged:
            await self._more()

    async def told(self, changes: int) -> None:
        """Until it has been told of so many changes."""
        while self.changes < changes:
            await self._more()

    async def _more(self) -> None:
        self._is_told.clear()
        await self._is_told.wait()

    def data_received(self, data: bytes) -> None:
        # The head of the response and every event end so, whatever the pieces.
        *events, self._received = (self._received + data).split(b"\r\n\r\n")
        for event in events:
            self.is_acknowledged |= ACKNOWLEDGED in event
            self.changes += CHANGED in event
        self._is_told.set()

    def close(self) -> None:
        self._transport.close()


async def listeners(effort: Effort) -> Series:
    """All of them on one gateway, which is asked again each time there are more."""
    counts = effort.of(LISTENERS)
    allow_files(2 * max(counts))
    call = modern_call("web__echo")
    calls, changes, memory = [], [], []
    async with AsyncExitStack() as stack:
        config = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "only1mcp.json"
        backend_port, _ = await stack.enter_async_context(http_backend("--tools", "2"))
        servers = [{"id": "web", "transport": at(backend_port)}]
        port, pid, _ = await stack.enter_async_context(gateway(servers, config))
        await tools_ready(port, 2)
        await fill_rings(port, call)
        streams: list[Listener] = []
        stack.callback(_close, streams)
        changing = Changing(config, pid, streams)
        await _open(port, streams, 1)
        # The first reload loads what every later one needs.
        await changing.cpu_us()
        for count in counts:
            await _open(port, streams, count)
            memory.append(Figure(count, rss_mb(pid)))
            changes.append(Figure(count, min([await changing.cpu_us() for _ in range(effort.turns)])))
            async with connected(port, CALLERS, call) as callers:
                calls.append(figure(count, await cheapest(callers, pid, effort)))
    curves = [
        Curve("tools/call", "CPU µs", calls),
        Curve("a change told to all", "CPU µs", changes),
        Curve("memory", "MB", memory),
    ]
    return Series("By open listens of the modern era", "listener", "listeners", curves)


def _close(streams: Sequence[Listener]) -> None:
    for stream in streams:
        stream.close()


async def _open(port: int, streams: list[Listener], count: int) -> None:
    """As many more as are missing."""
    while missing := count - len(streams):
        more = [Listener() for _ in range(min(missing, OPENING))]
        await asyncio.gather(*(each.open(port, len(streams) + number) for number, each in enumerate(more, 1)))
        streams += more


class Changing:
    """Changes of the list of tools, each by a new configuration that hides a tool or shows it again."""

    def __init__(self, config: Path, pid: int, streams: Sequence[Listener]) -> None:
        self._config = config
        self._pid = pid
        self._streams = streams
        self._settings = json.loads(config.read_text())
        self._denied = cycle((["tool_1"], []))

    async def cpu_us(self) -> float:
        """What one change costs the gateway, all told included: the mean of a few."""
        began_s = cpu_of(self._pid, children=False)
        for _ in range(CHANGES):
            seen = [stream.changes + 1 for stream in self._streams]
            self._settings["servers"][0]["tools"] = {"deny": next(self._denied)}
            self._config.write_text(json.dumps(self._settings))
            async with asyncio.timeout(TOLD_S):
                for stream, changes in zip(self._streams, seen, strict=True):
                    await stream.told(changes)
        return (cpu_of(self._pid, children=False) - began_s) / CHANGES * 1e6
