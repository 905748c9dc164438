"""A `Control` that holds what a test gives it and remembers what was asked of it. No sockets, no time."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from proxy_core.control import DrainOutcome, ReloadOutcome
from proxy_core.errors import Only1Error, UnknownServer
from proxy_core.facts import Fact
from proxy_core.telemetry.snapshot import (
    LogLine,
    NamedItem,
    Probe,
    ServerDetail,
    ServerRow,
    ServerState,
    Snapshot,
    Totals,
)

NOW = 10_000.0
WALL = 1_767_225_600.0
"""2026-01-01 00:00:00 UTC"""


class FakeControl:
    """Frozen snapshots, recorded verbs. `held` keeps every verb waiting until it is set."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self.current = snapshot or snapshot_of()
        self.asked: list[tuple[str, str]] = []
        self.held: asyncio.Event | None = None
        self.refusal: Only1Error | None = None
        self.items: tuple[NamedItem, ...] = ()
        self.details: dict[str, ServerDetail] = {}
        self.reloads = 0
        self.level = "info"
        self._facts: list[Fact] = []
        self._logs: list[LogLine] = []

    # --- what a test sets -----------------------------------------------------------------------------------

    def use(self, *rows: ServerRow, **changes: Any) -> None:
        """The next snapshot: these rows, and these other fields."""
        servers = {"servers": rows} if rows else {}
        self.current = replace(self.current, seq=self.current.seq + 1, **servers, **changes)

    def tell(self, *facts: Fact) -> None:
        self._facts += facts

    def log(self, *lines: LogLine) -> None:
        self._logs += lines

    # --- Control --------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        return self.current

    def detail(self, server: str) -> ServerDetail:
        for row in self.current.servers:
            if row.id == server:
                return replace(self.details.get(server, ServerDetail(row)), row=row)
        raise UnknownServer(server)

    def events_after(self, seq: int) -> tuple[int, tuple[Fact, ...]]:
        return len(self._facts), tuple(self._facts[seq:])

    def logs_after(self, seq: int) -> tuple[int, tuple[LogLine, ...]]:
        return len(self._logs), tuple(self._logs[seq:])

    def names(self) -> tuple[NamedItem, ...]:
        return self.items

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        await self._ask("call", name)
        return {"content": [], "isError": False}

    async def drain(self, server: str) -> DrainOutcome:
        await self._ask("drain", server)
        return DrainOutcome(finished=2, abandoned=0)

    async def undrain(self, server: str) -> None:
        await self._ask("undrain", server)

    async def enable(self, server: str) -> None:
        await self._ask("enable", server)

    async def disable(self, server: str) -> DrainOutcome:
        await self._ask("disable", server)
        return DrainOutcome(finished=0, abandoned=0)

    async def restart(self, server: str) -> None:
        await self._ask("restart", server)

    async def probe(self, server: str) -> Probe:
        await self._ask("probe", server)
        return Probe(NOW, 12.0, None)

    async def apply_reload(self) -> ReloadOutcome:
        self.reloads += 1
        return ReloadOutcome()

    def set_log_level(self, level: str) -> None:
        self.level = level

    async def _ask(self, verb: str, server: str) -> None:
        self.asked.append((verb, server))
        if self.held is not None:
            await self.held.wait()
        if self.refusal is not None:
            raise self.refusal


def row_of(server: str, state: ServerState = ServerState.HEALTHY, **fields: Any) -> ServerRow:
    """A row with what a test does not care about filled in."""
    known: dict[str, Any] = {
        "name": server,
        "reason": "",
        "transport": "stdio",
        "address": f"npx -y @example/{server}",
        "since_at": NOW - 7080,
    }
    return ServerRow(id=server, state=state, **(known | fields))


def snapshot_of(rows: Iterable[ServerRow] = (), **fields: Any) -> Snapshot:
    known: dict[str, Any] = {
        "seq": 1,
        "at": NOW,
        "wall": WALL,
        "started_at": NOW - 8040,
        "version": "0.1.0",
        "url": "http://127.0.0.1:8080/mcp",
        "config_path": "/home/ada/only1mcp.yaml",
        "demo": False,
        "servers": tuple(rows),
        "totals": Totals(),
    }
    return Snapshot(**(known | fields))
