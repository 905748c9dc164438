"""A `Control` that holds what a test gives it and remembers what was asked of it. No sockets, no time."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from proxy_core.control import DrainOutcome, LoggedOut, LoginBegun, ReloadPlan
from proxy_core.errors import (
    ConfigError,
    InvalidParams,
    Only1Error,
    UnknownChange,
    UnknownExchange,
    UnknownServer,
)
from proxy_core.facts import Fact
from proxy_core.telemetry.context_bill import ContextBill
from proxy_core.telemetry.exchanges import ExchangeDetail, ExchangeRow, ExchangeStatus
from proxy_core.telemetry.snapshot import (
    LogLine,
    NamedItem,
    OrphanRow,
    Probe,
    ReplicaRow,
    ServerDetail,
    ServerRow,
    ServerState,
    Snapshot,
    Totals,
)
from proxy_core.telemetry.tool_changes import ToolChange, ToolDiff
from proxy_core.telemetry.tool_detail import ToolDetail

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
        self.outcome = DrainOutcome(finished=2, abandoned=0)
        """Of every drain."""
        self.graces_s: list[float | None] = []
        """As each drain was given it."""
        self.probed = Probe(NOW, 12.0, None)
        """To every probe."""
        self.plan = ReloadPlan()
        """Of every reload and rollback."""
        self.fault: ConfigError | None = None
        """What is wrong with the configuration file."""
        self.plans = 0
        """How often the plan was asked for."""
        self.reloads = 0
        self.rollbacks = 0
        self.level = "info"
        self.bills: list[ContextBill] = [ContextBill("o200k_base")]
        """As they are asked for one after the other, the last one again and again."""
        self.exchanges: dict[int, ExchangeDetail] = {}
        """Those that may be opened, and replayed."""
        self.replayed: list[tuple[int, str | None]] = []
        self.answers: list[tuple[str, str, dict[str, object] | None]] = []
        """Of questions, as they were given."""
        self.by: list[str] = []
        """In whose name questions were answered and drills turned."""
        self.drills: list[tuple[str, str, float, float, float]] = []
        """Target, kind, delay_ms, share, for_s."""
        self.tools: dict[str, ToolDetail] = {}
        """Those that may be opened and called."""
        self.diffs: list[ToolDiff] = []
        """Of the tools that wait for an approval, until they get one."""
        self.login_page = "https://as.example/in"
        self.logins: list[tuple[str, dict[str, str]]] = []
        """Target, and what its browser came back with."""
        self.approved: list[tuple[str, str | None, str | None]] = []
        """Server, tool and digest of each approval."""
        self.called: list[tuple[str, dict[str, Any]]] = []
        self.result: dict[str, Any] = {"content": [], "isError": False}
        """Of every call."""
        self.left: tuple[OrphanRow, ...] = ()
        """What earlier gateways left behind."""
        self._rows: list[ExchangeRow] = []
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

    def see(self, *rows: ExchangeRow) -> None:
        """These exchanges began or changed."""
        self._rows += rows

    # --- Control --------------------------------------------------------------------------------------------

    def prepare(self) -> bool:
        return False

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

    def exchanges_after(self, seq: int) -> tuple[int, tuple[ExchangeRow, ...]]:
        return len(self._rows), tuple(self._rows[seq:])

    async def exchange(self, id: int) -> ExchangeDetail:
        if id not in self.exchanges:
            raise UnknownExchange(id)
        return self.exchanges[id]

    async def replay(self, id: int, target: str | None = None) -> ExchangeDetail:
        if self.refusal is not None:
            raise self.refusal
        self.replayed.append((id, target))
        return await self.exchange(id)

    async def context_bill(self) -> ContextBill:
        return self.bills.pop(0) if len(self.bills) > 1 else self.bills[0]

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self.called.append((name, arguments))
        await self._ask("call", name)
        return self.result

    async def tool(self, name: str) -> ToolDetail:
        if name not in self.tools:
            raise InvalidParams("There is no tool with this name now.")
        return self.tools[name]

    async def tool_changes(self, server: str | None = None) -> tuple[ToolChange, ...]:
        return tuple(each.change for each in self.diffs if server in (None, each.change.server))

    async def tool_diff(self, server: str, tool: str, digest: str | None = None) -> ToolDiff:
        for each in self.diffs:
            wanted = (server, tool, digest or each.change.digest)
            if wanted == (each.change.server, each.change.tool, each.change.digest):
                return each
        raise UnknownChange(f"Nothing about {tool!r} of {server} waits for an approval.")

    async def login_port(self, target: str) -> int:
        await self._ask("login_port", target)
        return 0

    async def begin_login(self, target: str, redirect_uri: str) -> LoginBegun:
        await self._ask("begin_login", target)
        return LoginBegun(f"{self.login_page}?back={redirect_uri}", "the-state", 60)

    async def finish_login(self, target: str, answer: Mapping[str, str]) -> None:
        await self._ask("finish_login", target)
        self.logins.append((target, dict(answer)))

    async def logout(self, target: str) -> LoggedOut:
        await self._ask("logout", target)
        return LoggedOut(was_in=True)

    async def approve(
        self, server: str, tool: str | None = None, digest: str | None = None, *, by: str = "screen"
    ) -> tuple[str, ...]:
        self.by.append(by)
        await self._ask("approve", server)
        meant = [
            each.change
            for each in self.diffs
            if each.change.server == server
            and tool in (None, each.change.tool)
            and digest in (None, each.change.digest)
        ]
        if not meant:
            raise UnknownChange(f"Nothing about {tool or server} waits for an approval.")
        self.approved.append((server, tool, digest))
        self.diffs = [each for each in self.diffs if each.change not in meant]
        return tuple(each.tool for each in meant)

    async def orphans(self) -> tuple[OrphanRow, ...]:
        if self.refusal is not None:
            raise self.refusal
        return self.left

    async def drain(self, target: str, grace_s: float | None = None) -> DrainOutcome:
        self.graces_s.append(grace_s)
        await self._ask("drain", target)
        return self.outcome

    async def undrain(self, target: str) -> None:
        await self._ask("undrain", target)

    async def enable(self, target: str) -> None:
        await self._ask("enable", target)

    async def disable(self, target: str) -> DrainOutcome:
        await self._ask("disable", target)
        return DrainOutcome(finished=0, abandoned=0)

    async def restart(self, target: str) -> None:
        await self._ask("restart", target)

    async def probe(self, target: str) -> Probe:
        await self._ask("probe", target)
        return self.probed

    async def answer(
        self, id: str, action: str, content: Mapping[str, object] | None = None, *, by: str = "screen"
    ) -> None:
        self.by.append(by)
        await self._ask("answer", id)
        self.answers.append((id, action, None if content is None else dict(content)))

    async def drill(
        self,
        target: str,
        kind: str,
        *,
        delay_ms: float = 0.0,
        share: float = 1.0,
        for_s: float = 60.0,
        by: str = "screen",
    ) -> None:
        self.by.append(by)
        await self._ask("drill", target)
        self.drills.append((target, kind, delay_ms, share, for_s))

    async def end_drill(self, target: str, *, by: str = "screen") -> None:
        self.by.append(by)
        await self._ask("end_drill", target)

    async def clear_cache(self, server: str | None = None) -> int:
        await self._ask("clear_cache", server or "*")
        return 3

    async def reload_plan(self) -> ReloadPlan:
        self.plans += 1
        return self._planned()

    async def apply_reload(self) -> ReloadPlan:
        plan = self._planned()
        self.reloads += 1
        return plan

    async def rollback(self) -> ReloadPlan:
        if self.refusal is not None:
            raise self.refusal
        self.rollbacks += 1
        return self.plan

    async def set_log_level(self, level: str) -> None:
        self.level = level

    def _planned(self) -> ReloadPlan:
        if self.fault is not None:
            raise self.fault
        return self.plan

    async def _ask(self, verb: str, target: str) -> None:
        self.asked.append((verb, target))
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


def replica_of(replica: str, state: ServerState = ServerState.HEALTHY, **fields: Any) -> ReplicaRow:
    """A replica's row, likewise."""
    known: dict[str, Any] = {
        "reason": "",
        "address": f"http://{replica}.example.com/mcp",
        "transport": "http",
        "since_at": NOW - 7080,
    }
    return ReplicaRow(id=replica, state=state, **(known | fields))


def exchange_row(
    id: int, method: str = "tools/call", target: str = "github__search_issues", **fields: Any
) -> ExchangeRow:
    """Of a recorded call, with what a test does not care about filled in."""
    known: dict[str, Any] = {
        "wall": WALL - 8830 + id,
        "client": "claude-code",
        "principal": "anon",
        "era": "modern",
        "revision": "2026-07-28",
        "server": "github",
        "replica": "main",
        "status": ExchangeStatus.OK,
        "code": None,
        "duration_ms": 18.4,
        "server_ms": 16.1,
        "bytes_in": 212,
        "bytes_out": 1890,
        "attempts": 1,
    }
    return ExchangeRow(id=id, method=method, target=target, **(known | fields))


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
