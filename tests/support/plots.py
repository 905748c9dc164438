"""A gateway whose numbers moved for some minutes, and an app that has drawn its plots."""

import math

from msgspec.structs import replace
from textual.pilot import Pilot

from only1mcp_tui.app import Only1App
from only1mcp_tui.screens.metrics import MetricsScreen
from proxy_core.telemetry.context_bill import ContextTotals, Cost
from proxy_core.telemetry.savings import CacheRow, JoinRow, Savings
from proxy_core.telemetry.snapshot import Snapshot
from tests.support.fake_control import NOW, FakeControl
from tests.support.screens import busy_control, text_of

MOVED_S = 640
PAUSE = range(300, 330)
"""Seconds that nobody saw."""
BILL = ContextTotals(
    "o200k_base",
    is_complete=True,
    mode="full",
    in_force=Cost(15_000, 12_400),
    full=Cost(15_000, 12_400),
    compact=Cost(9_000, 7_900),
    search=Cost(1_400, 1_200),
)


def moving_control(control: FakeControl | None = None) -> FakeControl:
    """Its picture with savings and a bill."""
    control = control or busy_control()
    rows = tuple(
        replace(row, tokens=Cost(row.tools * 200, row.tools * 140)) if row.tools else row
        for row in control.current.servers
    )
    control.use(
        *rows,
        context=BILL,
        savings=_savings(MOVED_S),
        totals=replace(control.current.totals, tokens_served=12_400 * 9),
    )
    return control


def moving_app(control: FakeControl, seconds: int = MOVED_S) -> Only1App:
    """An app at rest whose history moved in waves until now."""
    app = Only1App(control, clock=lambda: 0.0, pulls_by_itself=False, is_remote=False)
    app.animation_level = "none"
    for second in range(MOVED_S - seconds, MOVED_S):
        if second not in PAUSE:
            app.history.sample(_then(control.current, second), NOW - MOVED_S + second)
    return app


def _then(now: Snapshot, second: int) -> Snapshot:
    totals, latency = now.totals, now.totals.latency
    wave = 0.7 + 0.3 * math.sin(second / 20)
    rows = tuple(
        replace(row, calls_per_s=row.calls_per_s * (0.7 + 0.3 * math.sin(second / (20 + 7 * place))))
        for place, row in enumerate(now.servers)
    )
    moved = replace(
        totals,
        errors_per_s=totals.errors_per_s * max(0.0, math.sin(second / 15)),
        in_flight=round(totals.in_flight * wave),
        latency=replace(latency, p95_ms=18 * wave, p99_ms=41 * wave),
        tokens_served=12_400 * (second // 70),
        loop_lag_p99_ms=1.2 * wave,
    )
    return replace(now, at=NOW - MOVED_S + second, servers=rows, totals=moved, savings=_savings(second))


def _savings(second: int) -> Savings:
    hits, misses = 20 * second + round(60 * math.sin(second / 30)), 9 * second
    caches = (CacheRow("resources/read", "github", hits, misses, entries=120),)
    return Savings(
        caches, (JoinRow("resources/read", "github", asked=misses, made=6 * second, saved=3 * second),)
    )


async def plotted(app: Only1App, pilot: Pilot[None]) -> str:
    """The screen's text, with every plot that it shows built."""
    screen = app.screen
    assert isinstance(screen, MetricsScreen)
    while screen.is_behind:
        app.pull()
        await app.workers.wait_for_complete()
        await pilot.pause()
    await pilot.pause()
    return text_of(app)
