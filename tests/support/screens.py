"""An app over a `FakeControl` with time at rest, and a gateway with something of everything to show."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import replace
from textual.pilot import Pilot
from textual.scroll_view import ScrollView

from only1mcp_tui.app import Only1App
from proxy_core.control import Action, PlannedReplica, PlannedServer, ReloadPlan
from proxy_core.errors import ConfigError, ConfigProblem
from proxy_core.facts import CatalogChanged, StateChanged, VerbUsed
from proxy_core.telemetry.snapshot import (
    BreakerState,
    ChildRow,
    ClientRow,
    ConfigStatus,
    Latency,
    LogLine,
    NamedItem,
    Notice,
    Probe,
    ServerDetail,
    ServerRow,
    ServerState,
    Totals,
)
from tests.support.fake_control import NOW, WALL, FakeControl, replica_of, row_of, snapshot_of

LAYOUTS = 10
"""Of one picture: more are a screen that finds no rest."""
TOTALS = Totals(
    calls=13_320,
    errors=51,
    calls_per_s=142.3,
    errors_per_s=0.47,
    in_flight=8,
    latency=Latency(4.2, 18, 41),
    sessions=12,
    streams=3,
)
CLIENTS = (
    ClientRow(
        "claude-code", "anon", "modern", "2026-07-28", 812, NOW - 2, (("filesystem", 310), ("github", 402))
    ),
    ClientRow("cursor", "anon", "legacy", "2025-11-25", 94, NOW - 41, (("github", 60),)),
    ClientRow("old agent", "token:ci", "legacy", "2024-11-05", 7, NOW - 600),
)
GITHUB = row_of(
    "github",
    name="GitHub",
    transport="http",
    address="https://api.example.com/mcp",
    era="modern",
    revision="2026-07-28",
    server_info="github-mcp-server 1.4.0",
    tools=2,
    prompts=1,
    in_flight=2,
    calls=8120,
    errors=11,
    calls_per_s=61.2,
    errors_per_s=0.06,
    latency=Latency(4, 18, 41),
    probe=Probe(NOW - 3, 12.0, None),
)
FILES = row_of(
    "filesystem",
    tools=14,
    pid=4121,
    era="legacy",
    revision="2025-11-25",
    calls=4000,
    calls_per_s=40.0,
    latency=Latency(1, 3, 9),
    probe=Probe(NOW - 3, 1.2, None),
)


def mixed_rows() -> tuple[ServerRow, ...]:
    """Every state once."""
    state = ServerState
    return (
        GITHUB,
        FILES,
        row_of("postgres", state.DRAINING, tools=9, in_flight=3, calls_per_s=2.1, reason="asked to drain"),
        row_of(
            "search",
            state.DEGRADED,
            transport="sse",
            address="http://127.0.0.1:9002/sse",
            tools=4,
            in_flight=2,
            calls_per_s=9.9,
            errors_per_s=0.41,
            latency=Latency(80, 410, 800),
            reason="4 of its last 100 calls failed",
        ),
        row_of("jira", state.FAILED, retry_at=NOW + 12, restarts=5, reason="it ended at once with code 1"),
        row_of("mail", state.UNHEALTHY, probe=Probe(NOW - 2, None, "no answer in 5 s"), reason="no answer"),
        row_of("linear", state.AUTH_REQUIRED, transport="http", reason="it wants a login"),
        row_of("browser", state.STARTING),
        row_of("time", state.RESTARTING),
        row_of("notes", state.DRAINED, tools=3),
        row_of("slack", state.DISABLED, tools=8),
    )


def replicated_rows() -> tuple[ServerRow, ...]:
    """Servers with several replicas, well and not, and two drains that are under way."""
    state = ServerState
    return (
        row_of(
            "github",
            state.DEGRADED,
            transport="http",
            address="http://a.example.com/mcp and 2 more",
            era="modern",
            revision="2026-07-28",
            tools=26,
            in_flight=3,
            calls=900,
            calls_per_s=12.0,
            reason="1 of its 3 replicas is not well",
            balance="least_connections",
            differences=("b lists 25 tools, a and c 26: create_gist is on a and c alone.",),
            queued=2,
            retries=4,
            probe=Probe(NOW - 1, 390.0, "HTTP status 500", 500),
            replicas=(
                replica_of(
                    "a",
                    weight=2,
                    era="modern",
                    revision="2026-07-28",
                    in_flight=2,
                    calls=400,
                    probe=Probe(NOW - 3, 12.0, None),
                    tools=26,
                ),
                replica_of(
                    "b",
                    state.UNHEALTHY,
                    reason="the last 3 probes failed: HTTP status 500",
                    calls=300,
                    failures=12,
                    probe=Probe(NOW - 1, 390.0, "HTTP status 500", 500),
                    breaker=BreakerState.OPEN,
                    breaker_retry_at=NOW + 12.4,
                    tools=25,
                ),
                replica_of(
                    "c",
                    state.DRAINING,
                    in_flight=1,
                    calls=200,
                    reason="asked to drain",
                    drain_until=NOW + 26.2,
                    probe=Probe(NOW - 2, 5000.0, "The server did not answer within 5 seconds."),
                    tools=26,
                ),
            ),
        ),
        row_of(
            "files",
            tools=14,
            calls=4000,
            calls_per_s=40.0,
            latency=Latency(1, 3, 9),
            probe=Probe(NOW - 3, 1.2, None),
            balance="round_robin",
            replicas=(
                replica_of("x", transport="stdio", address="npx files", in_flight=1, pid=4121),
                replica_of("y", transport="stdio", address="npx files", pid=4140),
            ),
            processes=(
                ChildRow(4121, "x", "", NOW - 7000, 42_300_000, 3.1, ((4122, "node"), (4130, "sh"))),
                ChildRow(4140, "y", "", NOW - 7000, 38_000_000),
            ),
        ),
        row_of(
            "postgres",
            state.DRAINING,
            tools=9,
            in_flight=2,
            calls_per_s=2.1,
            reason="asked to drain",
            drain_until=NOW + 26.5,
        ),
        row_of(
            "jira",
            tools=31,
            breaker=BreakerState.OPEN,
            breaker_retry_at=NOW + 9,
            reason="5 calls in a row failed",
            is_remembered=True,
        ),
    )


def replicated_control(**fields: Any) -> FakeControl:
    return FakeControl(snapshot_of(replicated_rows(), totals=TOTALS, clients=CLIENTS, **fields))


PLAN = ReloadPlan(
    servers=(
        PlannedServer("newcomer", Action.ADD),
        PlannedServer(
            "github",
            Action.UPDATE,
            ("timeouts.total_s", "tools.deny"),
            (
                PlannedReplica("a", Action.KEEP, 2),
                PlannedReplica("b", Action.REPLACE, 1, 2),
                PlannedReplica("c", Action.DRAIN, 0, 1),
            ),
            in_flight=3,
            sessions=3,
        ),
        PlannedServer("files", Action.REPLACE, ("transport.command", "env.ROOT"), in_flight=3, sessions=1),
        PlannedServer("slack", Action.START, ("enabled",)),
        *(PlannedServer(f"kept-{number}", Action.KEEP) for number in range(14)),
        PlannedServer("old", Action.DRAIN, in_flight=1),
    ),
    settings=("limits.calls", "retry.budget"),
    restart=("proxy.port",),
)
"""Everything that a reload can do."""

FAULTS = ConfigError(
    "/home/ada/.config/only1mcp/only1mcp.yaml",
    (
        ConfigProblem("servers[2].transport.url", "must be an http:// or https:// URL", 12),
        ConfigProblem("servers[3].tols", "is not a known key; did you mean tools?", 18),
        ConfigProblem("servers", "two servers are called github"),
    ),
)


def bad_file_control() -> FakeControl:
    """The file was changed to one that cannot be used."""
    words = f"The configuration was not applied, the last good one stays in force: {FAULTS.message}"
    control = replicated_control(
        notices=(Notice("error", words),), config=ConfigStatus(3, error=FAULTS.message)
    )
    control.fault = FAULTS
    return control


def busy_control() -> FakeControl:
    control = FakeControl(snapshot_of(mixed_rows(), totals=TOTALS, clients=CLIENTS))
    control.tell(
        StateChanged(NOW - 400, "jira", "healthy", "failed", "it ended at once with code 1"),
        CatalogChanged(NOW - 300, "tools", 92),
        VerbUsed(NOW - 12, "postgres", "drain", "asked for"),
    )
    control.details["github"] = ServerDetail(
        GITHUB,
        items=(
            NamedItem(
                "tool",
                "github__create_issue",
                "create_issue",
                "github",
                description="Create an issue in a repository. Needs write access to it.",
                arguments=(("owner", True), ("repo", True), ("body", False)),
            ),
            NamedItem("tool", "github__search", "search", "github", description="Search.\nAll of it."),
            NamedItem("prompt", "github__triage", "triage", "github", description="Sort new issues."),
        ),
        settings=(("transport.url", "https://api.example.com/mcp"), ("transport.headers.Authorization", "***")),
        instructions="Search before you create.",
        hidden=(("x" * 60, "its name is longer than 48 characters"),),
    )
    control.details["filesystem"] = ServerDetail(FILES, stderr=("listening", "\x1b[31mred\x1b[0m [bold]"))
    return control


def log_lines(number: int) -> tuple[LogLine, ...]:
    levels, sources = ("info", "warning", "error", "debug"), ("github", "gateway", "jira")
    return tuple(
        LogLine(WALL + at, levels[at % 4], sources[at % 3], f"line {at}", (("try", str(at)),))
        for at in range(number)
    )


def still_app(control: FakeControl, **options: Any) -> Only1App:
    """An app that pulls only when a test says so, at one fixed instant, with two minutes of history.

    As if it ran the gateway, which most tests of screens leave out.
    """
    options.setdefault("is_remote", False)
    options.setdefault("clock", lambda: 0.0)
    app = Only1App(control, pulls_by_itself=False, **options)
    app.animation_level = "none"
    for second in range(100):
        wave = 0.7 + 0.3 * math.sin(second / 6)
        then = control.current
        rows = tuple(replace(row, calls_per_s=row.calls_per_s * wave) for row in then.servers)
        totals = replace(then.totals, calls_per_s=then.totals.calls_per_s * wave)
        app.history.sample(replace(then, servers=rows, totals=totals), NOW - 100 + second)
    return app


@asynccontextmanager
async def shown(
    control: FakeControl, size: tuple[int, int] = (120, 36), *, may_fail: bool = False, **options: Any
) -> AsyncIterator[tuple[Only1App, Pilot[None]]]:
    """The app on screen, its first picture drawn. It survives bugs; a test does not, unless they may be."""
    app = still_app(control, **options)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pulled(app, pilot)
        yield app, pilot
    assert may_fail or "screen" not in app._alarms, app._alarms["screen"].text


async def pulled(app: Only1App, pilot: Pilot[None]) -> None:
    await pilot.pause()
    app.pull()
    await pilot.pause()
    for _ in range(LAYOUTS):
        if not _has_bar_to_come(app):
            break
        await pilot.pause()


def _has_bar_to_come(app: Only1App) -> bool:
    """Whether a list that is seen has a scrollbar that is not: it gets its place with the next layout."""
    lists = (each for each in app.screen.query(ScrollView) if each.show_vertical_scrollbar)
    return any(each.region and not each.vertical_scrollbar.region for each in lists)


def text_of(app: Only1App) -> str:
    """What is on the screen, without its styles."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in strips)


async def seen(app: Only1App, pilot: Pilot[None], words: str) -> None:
    """Wait until `words` stand on the screen."""
    while words not in text_of(app):
        await pilot.pause()


def svg_of(app: Only1App) -> str:
    return app.export_screenshot(title="only1mcp", simplify=True)
