"""What a gateway may look like, for pictures of every screen."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from msgspec.structs import replace
from textual.pilot import Pilot

from only1mcp_tui.app import Only1App
from proxy_core.facts import BreakerTurned, CatalogChanged, ConfigApplied, StateChanged, VerbUsed
from proxy_core.telemetry.context_bill import (
    ContextBill,
    Cost,
    DescriptionCost,
    ModeCosts,
    ProfileCost,
    SearchEstimate,
    ServerCost,
    ToolCost,
)
from proxy_core.telemetry.snapshot import (
    BreakerState,
    ChildRow,
    ClientRow,
    Latency,
    LogLine,
    NamedItem,
    Notice,
    Probe,
    ServerDetail,
    ServerRow,
    ServerState,
    Snapshot,
    Totals,
)
from tests.support.exchanges import hostile_detail, many_rows, sample_details
from tests.support.fake_control import NOW, WALL, FakeControl, replica_of, row_of, snapshot_of
from tests.support.plots import BILL, moving_control
from tests.support.screens import FILES, GITHUB, pulled

LONG = "a-server-with-a-name-24c"
"""As long as an id can be."""
WIDE = "検索サーバー ― すべての文書をさがす"
MANY = 300
_WORDS = ("search", "create issue", "list pull requests", "read file", "write file", "query", "now", "fetch")


@dataclass(frozen=True, slots=True)
class Scene:
    control: Callable[[], FakeControl]
    then: Callable[[FakeControl, Only1App, Pilot[None]], Awaitable[None]] | None = None
    """What happens once it is on screen."""


def healthy_rows() -> tuple[ServerRow, ...]:
    return (
        replace(GITHUB, tools=26, prompts=2, resources=3, tokens=Cost(4210, 3105)),
        replace(
            FILES,
            name="Files",
            tokens=Cost(1830, 1340),
            processes=(
                ChildRow(4121, "main", "", NOW - 7080, 84_000_000, 1.4, ((4130, "node"), (4131, "esbuild"))),
            ),
        ),
        row_of(
            "postgres",
            tools=9,
            pid=4160,
            era="legacy",
            revision="2025-06-18",
            calls=310,
            calls_per_s=2.1,
            in_flight=1,
            latency=Latency(9, 22, 60),
            probe=Probe(NOW - 9, 2.4, None),
            tokens=Cost(1100, 820),
        ),
        row_of(
            "search",
            transport="sse",
            address="http://127.0.0.1:9002/sse",
            era="legacy",
            revision="2024-11-05",
            tools=4,
            calls=990,
            calls_per_s=9.9,
            latency=Latency(80, 210, 300),
            probe=Probe(NOW - 1, 39.0, None),
            tokens=Cost(610, 480),
        ),
    )


def _bill() -> ContextBill:
    def tool(server: str, name: str, full: int) -> ToolCost:
        return ToolCost(server, f"{server}__{name}", Cost(full, full * 3 // 4), Cost(full // 2, full // 2))

    return ContextBill(
        "o200k_base",
        is_complete=True,
        mode="full",
        modes=ModeCosts(Cost(7750, 5745), Cost(4010, 3560), Cost(980, 760)),
        searches=SearchEstimate(2, 5, 1.6, 540),
        servers=(
            ServerCost("github", 26, Cost(4210, 3105), Cost(2200, 1980)),
            ServerCost("filesystem", 14, Cost(1830, 1340), Cost(990, 870)),
            ServerCost("postgres", 9, Cost(1100, 820), Cost(540, 470)),
            ServerCost("search", 4, Cost(610, 480), Cost(280, 240)),
        ),
        tools=(
            tool("github", "create_pull_request", 512),
            tool("github", "search_issues", 431),
            tool("postgres", "query", 305),
        ),
        descriptions=(DescriptionCost("github", "github__create_pull_request", 344, 0.67),),
        profiles=(ProfileCost("", "full", 53, ModeCosts(Cost(7750, 5745), Cost(4010, 3560), Cost(980, 760))),),
    )


CLIENTS = (
    ClientRow(
        "claude-code", "anon", "modern", "2026-07-28", 8120, NOW - 2, (("filesystem", 3100), ("github", 4020))
    ),
    ClientRow("cursor", "anon", "legacy", "2025-11-25", 940, NOW - 41, (("github", 600),)),
    ClientRow("old agent", "token:ci", "legacy", "2024-11-05", 7, NOW - 600),
)


def _items(server: str, number: int) -> tuple[NamedItem, ...]:
    return tuple(
        NamedItem(
            "tool",
            f"{server}__{_WORDS[at % len(_WORDS)].replace(' ', '_')}_{at}",
            f"{_WORDS[at % len(_WORDS)].replace(' ', '_')}_{at}",
            server,
            description=f"{_WORDS[at % len(_WORDS)].capitalize()}. Says what it found, and where.",
            arguments=(("owner", True), ("repo", True), ("limit", False)),
        )
        for at in range(number)
    )


def _logs(number: int) -> tuple[LogLine, ...]:
    said = (
        ("info", "gateway", "serving http://127.0.0.1:8080/mcp"),
        ("info", "github", "healthy"),
        ("debug", "filesystem", "watching /home/ada/projects"),
        ("warning", "postgres", "a query took 2.4 s"),
        ("error", "search", "index of /var/lib/search is locked; trying again in 5 s"),
    )
    return tuple(
        LogLine(WALL - number + at, *said[at % len(said)], (("try", str(at)),) if at % 7 == 0 else ())
        for at in range(number)
    )


def _control(snapshot: Snapshot, number: int = 200) -> FakeControl:
    """With so many log lines and exchanges."""
    control = moving_control(FakeControl(snapshot))
    details = sample_details()
    control.exchanges = {detail.row.id: detail for detail in details}
    control.see(*many_rows(number), *(detail.row for detail in details))
    control.bills = [_bill()]
    control.log(*_logs(number))
    items = tuple(item for row in snapshot.servers[:30] for item in _items(row.id, row.tools))
    control.items = items
    for row in snapshot.servers[:30]:
        control.details[row.id] = ServerDetail(
            row,
            items=tuple(item for item in items if item.server == row.id),
            stderr=("listening on stdin", "read 14 files"),
            settings=(("transport.type", row.transport), ("timeouts.call_idle_s", "300")),
            instructions="Search before you create.",
        )
    return control


def empty() -> FakeControl:
    return FakeControl(snapshot_of(()))


def healthy() -> FakeControl:
    totals = Totals(13_420, 11, 113.2, 0.06, 3, Latency(4.2, 18, 41), 12, 3, 1.8)
    control = _control(snapshot_of(healthy_rows(), totals=totals, clients=CLIENTS))
    control.tell(
        StateChanged(NOW - 900, "github", "starting", "healthy", ""),
        CatalogChanged(NOW - 890, "tools", 53),
        ConfigApplied(NOW - 300, "/home/ada/only1mcp.yaml", ("search",), (), ()),
        VerbUsed(NOW - 12, "postgres", "probe", "answered in 2.4 ms"),
    )
    return control


def degraded() -> FakeControl:
    """Something of everything that can be wrong, under names as long and as wide as they come."""
    state = ServerState
    github, files, postgres, search = healthy_rows()
    rows = (
        github,
        replace(files, name=WIDE),
        replace(postgres, state=state.DRAINING, reason="asked to drain", in_flight=3, drain_until=NOW + 18.4),
        replace(
            search,
            state=state.DEGRADED,
            errors_per_s=0.41,
            latency=Latency(80, 2410, 9800),
            reason="4 of its last 100 calls failed",
        ),
        row_of(
            LONG,
            state.DEGRADED,
            name=WIDE,
            transport="http",
            address="http://a.example.com/mcp and 1 more",
            era="modern",
            revision="2026-07-28",
            tools=126,
            calls_per_s=1200.4,
            reason=f"1 of its 2 replicas is not well: {WIDE} {'and so on ' * 30}",
            balance="least_connections",
            replicas=(
                replica_of(
                    "a", weight=2, era="modern", revision="2026-07-28", in_flight=2, calls=400, tools=126
                ),
                replica_of(
                    "a-replica-with-a-name-24",
                    state.UNHEALTHY,
                    reason="the last 3 probes failed: HTTP status 500",
                    calls=300,
                    failures=12,
                    probe=Probe(NOW - 1, 390.0, "HTTP status 500", 500),
                    breaker=BreakerState.OPEN,
                    breaker_retry_at=NOW + 12.4,
                ),
            ),
        ),
        row_of("jira", state.FAILED, retry_at=NOW + 12, restarts=5, reason="it ended at once with code 1"),
        row_of("mail", state.UNHEALTHY, probe=Probe(NOW - 2, None, "no answer in 5 s"), reason="no answer"),
        row_of("linear", state.AUTH_REQUIRED, transport="http", reason="it wants a login"),
        row_of("browser", state.STARTING),
        row_of("time", state.RESTARTING),
        row_of("notes", state.DRAINED, tools=3),
        row_of("slack", state.DISABLED, tools=8),
    )
    totals = Totals(1_233_420, 5_110, 1312.4, 51.2, 38, Latency(9.2, 1204.0, 9800.0), 1000, 64, 24.0)
    words = "The configuration was not applied, the last good one stays: servers[2].tols is not a known key."
    control = _control(
        snapshot_of(
            rows,
            totals=totals,
            clients=(replace(CLIENTS[0], name=WIDE), *CLIENTS[1:]),
            notices=(Notice("error", words),),
        )
    )
    control.use(context=replace(BILL, is_complete=False))
    hostile = hostile_detail()
    control.exchanges[hostile.row.id] = hostile
    control.see(hostile.row)
    control.tell(
        StateChanged(NOW - 400, "jira", "healthy", "failed", "it ended at once with code 1"),
        BreakerTurned(NOW - 200, LONG, "a-replica-with-a-name-24", "open", "5 failures in a row"),
        StateChanged(NOW - 100, "mail", "healthy", "unhealthy", f"no answer: {WIDE}"),
        VerbUsed(NOW - 12, "postgres", "drain", "asked for"),
    )
    return control


def many() -> FakeControl:
    """Three hundred servers."""
    rows = tuple(
        row_of(
            f"server-{at:03}",
            ServerState.DEGRADED if at % 41 == 7 else ServerState.HEALTHY,
            reason="3 of its last 100 calls failed" if at % 41 == 7 else "",
            era="modern" if at % 3 else "legacy",
            revision="2026-07-28" if at % 3 else "2025-11-25",
            tools=at % 40,
            calls=at * 17,
            calls_per_s=round(20 + 20 * math.sin(at), 1),
            latency=Latency(at % 9 + 1.0, at % 60 + 5.0, at % 200 + 20.0),
            probe=Probe(NOW - at % 30, at % 12 + 1.0, None),
        )
        for at in range(MANY)
    )
    totals = Totals(762_450, 120, 6012.0, 2.1, 212, Latency(3.0, 31.0, 140.0), 480, 120, 3.1)
    return _control(snapshot_of(rows, totals=totals, clients=CLIENTS), 5000)


async def _hold(control: FakeControl, app: Only1App, pilot: Pilot[None]) -> None:
    """Held by a key, and then things go on."""
    await pilot.press("space")
    control.log(*_logs(123))
    control.see(*many_rows(25, first=9000))
    await pulled(app, pilot)


async def _lose(control: FakeControl, app: Only1App, pilot: Pilot[None]) -> None:
    """A gateway elsewhere that has not been heard for 23 seconds."""
    words = "No gateway at http://build.example.com:8080: nothing answers there. Trying again."
    control.use(stale_since=NOW - 23, notices=(Notice("error", words),))
    await pulled(app, pilot)


SCENES: dict[str, Scene] = {
    "empty": Scene(empty),
    "healthy": Scene(healthy),
    "degraded": Scene(degraded),
    "many": Scene(many),
    "paused": Scene(healthy, _hold),
    "stale": Scene(healthy, _lose),
}
