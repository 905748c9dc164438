"""The table of servers: its columns, its order, its filter, and each row's cells."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from only1mcp_tui.view.filters import Filter
from only1mcp_tui.view.history import History, sparkline
from only1mcp_tui.view.numbers import ABSENT, duration, millis, percent, rate
from only1mcp_tui.view.states import LOOKS, era_badge
from only1mcp_tui.view.text import Span, safe
from proxy_core.telemetry.snapshot import ServerRow, ServerState

FILTER_KEYS = frozenset({"id", "name", "state", "transport", "address", "why", "era"})
NAME_LIMIT = 80


@dataclass(frozen=True, slots=True)
class Scene:
    """What a cell may need beside its row."""

    now: float
    history: History
    flexible_width: int


@dataclass(frozen=True, slots=True)
class ServerColumn:
    key: str
    title: str
    width: int
    cell: Callable[[ServerRow, Scene], Span]
    order: Callable[[ServerRow], Any]
    right: bool = False
    shown_from: int = 0
    """The narrowest table that shows this column."""
    flexible: bool = False
    """Takes the room that the others leave."""


@dataclass(frozen=True, slots=True)
class Order:
    """How the rows are sorted; None is the order of the configuration."""

    column: str | None = None
    is_reversed: bool = False


def _name(row: ServerRow, scene: Scene) -> Span:
    return safe(row.id, NAME_LIMIT), "muted" if row.state is ServerState.DISABLED else "text"


def _state(row: ServerRow, scene: Scene) -> Span:
    look = LOOKS[row.state]
    return f"{look.glyph} {look.word}", look.role


def _transport(row: ServerRow, scene: Scene) -> Span:
    return safe(row.transport, 8), "muted"


def _era(row: ServerRow, scene: Scene) -> Span:
    return era_badge(row.era, row.revision)


def _era_in_short(row: ServerRow, scene: Scene) -> Span:
    badge, role = era_badge(row.era, row.revision)
    # Month and year tell all revisions apart.
    return badge[:2] + badge[4:9] if row.revision else badge, role


def _tools(row: ServerRow, scene: Scene) -> Span:
    return str(row.tools), "text" if row.tools else "muted"


def _calls_per_s(row: ServerRow, scene: Scene) -> Span:
    return rate(row.calls_per_s), "text" if row.calls_per_s >= 0.05 else "muted"


def _p95(row: ServerRow, scene: Scene) -> Span:
    return millis(row.latency.p95_ms), "muted" if row.latency.p95_ms is None else "text"


def _error_share(row: ServerRow, scene: Scene) -> Span:
    share = percent(row.errors_per_s, row.calls_per_s)
    return share, "muted" if share in (ABSENT, "0") else "bad"


def _in_flight(row: ServerRow, scene: Scene) -> Span:
    return str(row.in_flight), "accent" if row.in_flight else "muted"


def _probe(row: ServerRow, scene: Scene) -> Span:
    if row.retry_at is not None:
        return f"retry {duration(row.retry_at - scene.now)}", "info"
    if row.probe is None:
        return ABSENT, "muted"
    age = duration(scene.now - row.probe.at)
    if row.probe.error is not None:
        return f"{age} no answer", "bad"
    return f"{age} {millis(row.probe.latency_ms):>5}ms", "muted"


def _trend(row: ServerRow, scene: Scene) -> Span:
    """The traffic; or, where the server is not well, the reason, which matters more."""
    if row.reason:
        return safe(row.reason, 200), "muted" if row.state is ServerState.DISABLED else LOOKS[row.state].role
    return sparkline(scene.history.of_server(row.id), min(24, scene.flexible_width)).lstrip(), "trend"


OVERVIEW_COLUMNS: tuple[ServerColumn, ...] = (
    ServerColumn("server", "SERVER", 18, _name, lambda row: row.id),
    ServerColumn("state", "STATE", 15, _state, lambda row: LOOKS[row.state].rank),
    ServerColumn("via", "VIA", 5, _transport, lambda row: row.transport, shown_from=96),
    ServerColumn("mcp", "MCP", 12, _era, lambda row: row.revision or "", shown_from=132),
    ServerColumn("tools", "TOOLS", 5, _tools, lambda row: row.tools, right=True, shown_from=90),
    ServerColumn("rps", "RPS", 6, _calls_per_s, lambda row: row.calls_per_s, right=True),
    ServerColumn("p95", "P95 ms", 6, _p95, lambda row: row.latency.p95_ms or -1.0, right=True, shown_from=60),
    ServerColumn("err", "ERR %", 5, _error_share, lambda row: row.errors_per_s, right=True, shown_from=60),
    ServerColumn("infl", "INFL", 4, _in_flight, lambda row: row.in_flight, right=True, shown_from=60),
    ServerColumn(
        "probe", "PROBE", 12, _probe, lambda row: row.probe.at if row.probe else 0.0, right=True, shown_from=104
    ),
    ServerColumn("trend", "TREND", 10, _trend, lambda row: row.calls_per_s, shown_from=76, flexible=True),
)

LIST_COLUMNS: tuple[ServerColumn, ...] = (
    ServerColumn("server", "SERVER", 12, _name, lambda row: row.id, flexible=True),
    ServerColumn("state", "STATE", 15, _state, lambda row: LOOKS[row.state].rank),
    ServerColumn("rps", "RPS", 6, _calls_per_s, lambda row: row.calls_per_s, right=True),
    ServerColumn("infl", "INFL", 4, _in_flight, lambda row: row.in_flight, right=True, shown_from=52),
    ServerColumn("mcp", "MCP", 7, _era_in_short, lambda row: row.revision or "", shown_from=46),
    ServerColumn("tools", "TOOLS", 5, _tools, lambda row: row.tools, right=True, shown_from=62),
)


def arranged(
    rows: Iterable[ServerRow], columns: Sequence[ServerColumn], chosen: Filter, order: Order
) -> list[ServerRow]:
    """The rows that pass the filter, sorted. Numbers show their highest first."""
    kept = [row for row in rows if chosen.matches(_fields(row))] if chosen.terms else list(rows)
    column = next((column for column in columns if column.key == order.column), None)
    if column is not None:
        kept.sort(key=column.order, reverse=column.right is not order.is_reversed)
    return kept


def _fields(row: ServerRow) -> dict[str, str]:
    fields = {
        "id": row.id,
        "name": row.name.lower(),
        "state": LOOKS[row.state].word,
        "transport": row.transport,
        "address": row.address.lower(),
        "why": row.reason.lower(),
        "era": f"{row.era or ''} {row.revision or ''}",
    }
    return fields | {"text": "\n".join(fields.values())}


def row_cells(row: ServerRow, columns: Iterable[ServerColumn], scene: Scene) -> tuple[Span, ...]:
    return tuple(column.cell(row, scene) for column in columns)


def next_order(order: Order, columns: Sequence[ServerColumn]) -> Order:
    """The order after `order`: each column in turn, then the configuration's own."""
    keys: list[str | None] = [None, *(column.key for column in columns)]
    position = keys.index(order.column) if order.column in keys else 0
    return Order(keys[(position + 1) % len(keys)])


def copy_text(row: ServerRow) -> str:
    """A row for the clipboard."""
    look = LOOKS[row.state]
    words = (row.id, look.word, row.transport, row.address, row.reason)
    return "  ".join(safe(word) for word in words if word)
