"""The table of servers and their replicas: its columns, its order, its filter, and each row's cells."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from only1mcp_tui.view.filters import Filter
from only1mcp_tui.view.history import History
from only1mcp_tui.view.numbers import ABSENT, duration, millis, percent, rate
from only1mcp_tui.view.states import era_badge, look_of
from only1mcp_tui.view.targets import (
    Target,
    has_replicas,
    probe_words,
    reason_of,
    targets_of,
    wants_an_eye,
    wants_login,
)
from only1mcp_tui.view.text import Span, safe
from proxy_core.telemetry.snapshot import ServerRow, ServerState

FILTER_KEYS = frozenset({"id", "name", "state", "transport", "address", "why", "era", "breaker"})
NAME_LIMIT = 80


@dataclass(frozen=True, slots=True)
class Scene:
    """What a cell may need beside its row."""

    now: float
    history: History
    flexible_width: int
    slowest: str | None = None
    """The server with the highest p95, to be marked."""


@dataclass(frozen=True, slots=True)
class ServerColumn:
    key: str
    title: str
    width: int
    cell: Callable[[Target, Scene], Span]
    order: Callable[[ServerRow], Any]
    right: bool = False
    shown_from: int = 0
    """The narrowest table that shows this column."""
    flexible: bool = False
    """Takes the room that the others leave."""
    ages: bool = False
    """Its words depend on the time as well: the same row may say something else a second later."""


@dataclass(frozen=True, slots=True)
class Order:
    """How the rows are sorted; None is the order of the configuration."""

    column: str | None = None
    is_reversed: bool = False


def _name(target: Target, scene: Scene) -> Span:
    if target.replica is not None:
        return f"{'└' if target.is_last else '├'} {safe(target.replica.id, NAME_LIMIT)}", "muted"
    row = target.server
    return safe(row.id, NAME_LIMIT), "muted" if row.state is ServerState.DISABLED else "text"


def _state(target: Target, scene: Scene) -> Span:
    look = target.look
    return f"{look.glyph} {_state_words(target)}", _role(target)


def _state_words(target: Target) -> str:
    if target.row.drill:
        return f"DRILL {target.look.word}"
    if target.look.role == "good" and wants_login(target):
        return "log in"
    if target.look.role == "good" and wants_an_eye(target):
        return f"{target.server.changed} changed"
    return target.look.word


def _role(target: Target) -> str:
    return "warn" if wants_an_eye(target) and target.look.role == "good" else target.look.role


def _state_in_short(target: Target, scene: Scene) -> Span:
    """With the seconds that a drain has left, for a table that shows no reason."""
    until = target.row.drain_until
    if until is None or target.state is not ServerState.DRAINING:
        return _state(target, scene)
    look = target.look
    return f"{look.glyph} {look.word} {min(999, max(0, ceil(until - scene.now)))}s", look.role


def _transport(target: Target, scene: Scene) -> Span:
    return safe(target.row.transport, 8), "muted"


def _era(target: Target, scene: Scene) -> Span:
    return era_badge(target.row.era, target.row.revision)


def _era_in_short(target: Target, scene: Scene) -> Span:
    badge, role = era_badge(target.row.era, target.row.revision)
    # Month and year tell all revisions apart.
    return badge[:2] + badge[4:9] if target.row.revision else badge, role


def _tools(target: Target, scene: Scene) -> Span:
    return str(target.row.tools), "text" if target.row.tools else "muted"


def _of_server(cell: Callable[[ServerRow], Span]) -> Callable[[Target, Scene], Span]:
    """A number that is counted for servers alone."""

    def of(target: Target, scene: Scene) -> Span:
        return ("", "muted") if target.replica is not None else cell(target.server)

    return of


@_of_server
def _calls_per_s(row: ServerRow) -> Span:
    return rate(row.calls_per_s), "text" if row.calls_per_s >= 0.05 else "muted"


def _p95(target: Target, scene: Scene) -> Span:
    if target.replica is not None:
        return "", "muted"
    row = target.server
    if row.id == scene.slowest:
        return f"! {millis(row.latency.p95_ms)}", "warn"
    return millis(row.latency.p95_ms), "muted" if row.latency.p95_ms is None else "text"


@_of_server
def _error_share(row: ServerRow) -> Span:
    share = percent(row.errors_per_s, row.calls_per_s)
    return share, "muted" if share in (ABSENT, "0") else "bad"


def _in_flight(target: Target, scene: Scene) -> Span:
    return str(target.row.in_flight), "accent" if target.row.in_flight else "muted"


def _probe(target: Target, scene: Scene) -> Span:
    row = target.row
    if row.retry_at is not None:
        return f"retry {duration(row.retry_at - scene.now)}", "info"
    if row.probe is None:
        return ABSENT, "muted"
    return probe_words(row.probe, scene.now), "muted" if row.probe.error is None else "bad"


def _trend(target: Target, scene: Scene) -> Span:
    """The traffic; or, where the server is not well, the reason, which matters more."""
    if reason := reason_of(target.row, scene.now, scene.flexible_width):
        return reason, "muted" if target.state is ServerState.DISABLED else _role(target)
    if target.replica is not None:
        return safe(target.replica.address, 200), "muted"
    return scene.history.trend(target.id, min(24, scene.flexible_width)).lstrip(), "trend"


def _rank(row: ServerRow) -> int:
    return look_of(row.state, row.breaker).rank


OVERVIEW_COLUMNS: tuple[ServerColumn, ...] = (
    ServerColumn("server", "SERVER", 18, _name, lambda row: row.id),
    ServerColumn("state", "STATE", 15, _state, _rank),
    ServerColumn("via", "VIA", 5, _transport, lambda row: row.transport, shown_from=96),
    ServerColumn("mcp", "MCP", 12, _era, lambda row: row.revision or "", shown_from=132),
    ServerColumn("tools", "TOOLS", 5, _tools, lambda row: row.tools, right=True, shown_from=90),
    ServerColumn("rps", "RPS", 6, _calls_per_s, lambda row: row.calls_per_s, right=True),
    ServerColumn("p95", "P95 ms", 6, _p95, lambda row: row.latency.p95_ms or -1.0, right=True, shown_from=66),
    ServerColumn("err", "ERR %", 5, _error_share, lambda row: row.errors_per_s, right=True, shown_from=60),
    ServerColumn("infl", "INFL", 4, _in_flight, lambda row: row.in_flight, right=True, shown_from=60),
    ServerColumn(
        *("probe", "PROBE", 17, _probe, lambda row: row.probe.at if row.probe else 0.0),
        right=True,
        shown_from=114,
        ages=True,
    ),
    ServerColumn(
        *("trend", "TREND", 10, _trend, lambda row: row.calls_per_s),
        shown_from=78,
        flexible=True,
        ages=True,
    ),
)

LIST_COLUMNS: tuple[ServerColumn, ...] = (
    ServerColumn("server", "SERVER", 11, _name, lambda row: row.id, flexible=True),
    ServerColumn("state", "STATE", 15, _state_in_short, _rank, ages=True),
    ServerColumn("rps", "RPS", 6, _calls_per_s, lambda row: row.calls_per_s, right=True),
    ServerColumn("infl", "INFL", 4, _in_flight, lambda row: row.in_flight, right=True, shown_from=53),
    ServerColumn("mcp", "MCP", 7, _era_in_short, lambda row: row.revision or "", shown_from=47),
    ServerColumn("tools", "TOOLS", 5, _tools, lambda row: row.tools, right=True, shown_from=62),
)


def arranged(
    rows: Iterable[ServerRow],
    columns: Sequence[ServerColumn],
    chosen: Filter,
    order: Order,
    opens: Callable[[ServerRow], bool] = has_replicas,
) -> list[Target]:
    """The servers that pass the filter, sorted, each with its replicas below it where `opens` says so.

    Numbers show their highest first. A server also passes by one of its replicas, and is then shown with those
    that pass alone.
    """
    kept = [(row, shown) for row in rows if (shown := _passing(row, chosen, opens)) is not None]
    column = next((column for column in columns if column.key == order.column), None)
    if column is not None:
        by = column.order
        kept.sort(key=lambda each: by(each[0]), reverse=column.right is not order.is_reversed)
    return [target for row, shown in kept for target in (Target(row), *shown)]


def _passing(row: ServerRow, chosen: Filter, opens: Callable[[ServerRow], bool]) -> tuple[Target, ...] | None:
    """The replicas to show below a server; None if the server is not to be shown at all."""
    if not chosen.terms or chosen.matches(_fields(Target(row))):
        return tuple(targets_of(row)) if opens(row) else ()
    found = [target for target in targets_of(row) if chosen.matches(_fields(target))]
    return (*found[:-1], replace(found[-1], is_last=True)) if found else None


def _fields(target: Target) -> dict[str, str]:
    row = target.row
    fields = {
        "id": target.id,
        "name": target.server.name.lower(),
        "state": target.look.word,
        "transport": row.transport,
        "address": row.address.lower(),
        "why": row.reason.lower(),
        "era": f"{row.era or ''} {row.revision or ''}",
        "breaker": row.breaker.replace("_", " "),
    }
    text = "\n".join(value for key, value in fields.items() if key != "breaker")
    return fields | {"text": text}


def row_cells(target: Target, columns: Iterable[ServerColumn], scene: Scene) -> tuple[Span, ...]:
    return tuple([column.cell(target, scene) for column in columns])


class Cells:
    """The cells of rows as they were made last: where a row is the same object still, only those that age are
    made anew."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[Target, Sequence[ServerColumn], bool, tuple[Span, ...]]] = {}

    def of(self, target: Target, columns: Sequence[ServerColumn], scene: Scene) -> tuple[Span, ...]:
        id, is_slowest = target.id, target.server.id == scene.slowest
        before, shown, was_slowest, made = self._made.get(id, (None, (), False, ()))
        if before is not None and _is_same(before, target) and (shown, was_slowest) == (columns, is_slowest):
            pairs = zip(columns, made, strict=True)
            made = tuple([column.cell(target, scene) if column.ages else cell for column, cell in pairs])
        else:
            made = row_cells(target, columns, scene)
        self._made[id] = target, columns, is_slowest, made
        return made

    def keep(self, targets: Sequence[Target]) -> None:
        """Forget the rows that are gone."""
        if len(self._made) > len(targets):
            for gone in self._made.keys() - {target.id for target in targets}:
                del self._made[gone]


def _is_same(before: Target, now: Target) -> bool:
    """A replica's name in its server stands in the row's key."""
    return before.server is now.server and before.is_last == now.is_last


def next_order(order: Order, columns: Sequence[ServerColumn]) -> Order:
    """The order after `order`: each column in turn, then the configuration's own."""
    keys: list[str | None] = [None, *(column.key for column in columns)]
    position = keys.index(order.column) if order.column in keys else 0
    return Order(keys[(position + 1) % len(keys)])


def copy_text(target: Target) -> str:
    """A row for the clipboard."""
    row = target.row
    words = (target.label, target.look.word, row.transport, row.address, row.reason)
    return "  ".join(safe(word) for word in words if word)
