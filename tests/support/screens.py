"""An app over a `FakeControl` with time at rest, and a gateway with something of everything to show."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from textual.pilot import Pilot

from only1mcp_tui.app import Only1App
from proxy_core.facts import CatalogChanged, StateChanged, VerbUsed
from proxy_core.telemetry.snapshot import (
    ClientRow,
    Latency,
    LogLine,
    NamedItem,
    Probe,
    ServerDetail,
    ServerRow,
    ServerState,
    Totals,
)
from tests.support.fake_control import NOW, WALL, FakeControl, row_of, snapshot_of

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
    """An app that pulls only when a test says so, at one fixed instant, with two minutes of history."""
    app = Only1App(control, clock=lambda: 0.0, pulls_by_itself=False, **options)
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
    control: FakeControl, size: tuple[int, int] = (120, 36), **options: Any
) -> AsyncIterator[tuple[Only1App, Pilot[None]]]:
    """The app on screen, with its first picture drawn."""
    app = still_app(control, **options)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pulled(app, pilot)
        yield app, pilot


async def pulled(app: Only1App, pilot: Pilot[None]) -> None:
    await pilot.pause()
    app.pull()
    await pilot.pause()


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
