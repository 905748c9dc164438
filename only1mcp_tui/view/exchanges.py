"""Exchanges as rows: how each looks, what a filter sees of it, and what it is sorted by."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from only1mcp_tui.view.filters import Filter, parse_filter
from only1mcp_tui.view.numbers import ABSENT, clock_time, millis
from only1mcp_tui.view.states import ERA_GLYPHS, Look
from only1mcp_tui.view.text import Span, safe
from proxy_core.telemetry.exchanges import ExchangeRow, ExchangeStatus

FLAGS: Final = ("cached", "marked", "replay", "retried", "rounds", "translated")
"""What `is:` may ask for."""
FILTER_KEYS: Final = frozenset({"client", "era", "is", "method", "server", "status", "target"})
FILTER_NUMBERS: Final = frozenset({"bytes", "code", "ms"})
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "status": tuple(ExchangeStatus),
    "is": FLAGS,
    "era": ("legacy", "modern"),
}
LOOKS: Final[dict[ExchangeStatus, Look]] = {
    ExchangeStatus.OPEN: Look("◌", "open", "info", 0),
    ExchangeStatus.ERROR: Look("✖", "error", "bad", 1),
    ExchangeStatus.TOOL_ERROR: Look("▲", "tool error", "warn", 2),
    ExchangeStatus.CANCELLED: Look("⊘", "cancelled", "muted", 3),
    ExchangeStatus.OK: Look("●", "ok", "good", 4),
}
NAME_LIMIT: Final = 200
ONLY_REPLICA: Final = "main"
"""What the replica of a server without `replicas` is called."""


def parse_exchange_filter(expression: str) -> Filter:
    return parse_filter(expression, FILTER_KEYS, FILTER_NUMBERS, CHOICES)


def fields_of(row: ExchangeRow, is_marked: bool) -> dict[str, str]:
    """What a filter looks at; a bare word is looked for in what names the exchange."""
    fields = {
        "client": f"{row.client} {row.principal}".lower(),
        "method": row.method.lower(),
        "target": row.target.lower(),
        "server": f"{row.server}/{row.replica}".lower(),
    }
    # A line end parts them, so that no word is found across two.
    text = "\n".join(fields.values())
    return {**fields, "status": row.status, "era": row.era, "is": _flags(row, is_marked), "text": text}


def numbers_of(row: ExchangeRow) -> dict[str, float | None]:
    return {"ms": row.duration_ms, "bytes": row.bytes_in + row.bytes_out, "code": row.code}


def _flags(row: ExchangeRow, is_marked: bool) -> str:
    held = {
        "cached": bool(row.saved),
        "marked": is_marked,
        "replay": row.is_replay,
        "retried": row.attempts > 1,
        "rounds": row.rounds > 0,
        "translated": row.is_translated,
    }
    return " ".join(flag for flag, is_so in held.items() if is_so)


# --- cells --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """What a cell may need beside its row."""

    wall: float
    """Epoch seconds now."""
    is_marked: bool = False
    names_method: bool = False
    """No column shows the method, so the target's does where there is no target."""


@dataclass(frozen=True, slots=True)
class ExchangeColumn:
    key: str
    title: str
    width: int
    cell: Callable[[ExchangeRow, Seen], Span]
    order: Callable[[ExchangeRow], str | float]
    right: bool = False
    shown_from: int = 0
    flexible: bool = False


def status_words(row: ExchangeRow) -> tuple[str, str]:
    """Glyph and word; of an error its code, which says more."""
    look = LOOKS[row.status]
    word = str(row.code) if row.status is ExchangeStatus.ERROR and row.code is not None else look.word
    return f"{look.glyph} {word}", look.role


def server_of(row: ExchangeRow) -> str:
    """The server that was asked, with its replica where it has a name of its own."""
    return f"{row.server}/{row.replica}" if row.replica not in ("", ONLY_REPLICA) else row.server


def age(seconds: float) -> str:
    """In four cells at most, for what is still open: 7s, 999s, 17m, 12h."""
    whole = max(0, int(seconds))
    if whole < 1000:
        return f"{whole}s"
    return f"{whole // 60}m" if whole < 60_000 else f"{min(whole // 3600, 999)}h"


def byte_count(value: int) -> str:
    """In five cells at most: 180, 14.0k, 2.1M."""
    if value < 1000:
        return str(value)
    for scale, unit in ((1e3, "k"), (1e6, "M"), (1e9, "G")):
        if (part := value / scale) < 999.5:
            return f"{part:.1f}{unit}" if part < 99.95 else f"{part:.0f}{unit}"
    return f"{value / 1e12:.0f}T"


def _number(row: ExchangeRow, seen: Seen) -> Span:
    mark = "*" if seen.is_marked else ""
    return f"{mark}{row.id}", "accent" if seen.is_marked else "muted"


def _time(row: ExchangeRow, seen: Seen) -> Span:
    return clock_time(row.wall), "muted"


def _client(row: ExchangeRow, seen: Seen) -> Span:
    return f"{ERA_GLYPHS.get(row.era, '?')} {safe(row.client or row.principal, NAME_LIMIT) or ABSENT}", "text"


def _method(row: ExchangeRow, seen: Seen) -> Span:
    return safe(row.method, NAME_LIMIT), "muted"


def _target(row: ExchangeRow, seen: Seen) -> Span:
    if row.target:
        return safe(row.target, NAME_LIMIT), "text"
    return (safe(row.method, NAME_LIMIT), "muted") if seen.names_method else (ABSENT, "muted")


def _server(row: ExchangeRow, seen: Seen) -> Span:
    return safe(server_of(row), NAME_LIMIT) or ABSENT, "accent" if row.server else "muted"


def _status(row: ExchangeRow, seen: Seen) -> Span:
    words, role = status_words(row)
    retried = f" x{row.attempts}" if row.attempts > 1 else ""
    asked = f" ?{row.rounds}" if row.rounds else ""
    return f"{words}{retried}{asked}{' R' if row.is_replay else ''}", role


def _ms(row: ExchangeRow, seen: Seen) -> Span:
    if row.duration_ms is None:
        return age(seen.wall - row.wall), "info"
    return millis(row.duration_ms), "text"


def _bytes(row: ExchangeRow, seen: Seen) -> Span:
    return byte_count(row.bytes_in + row.bytes_out), "muted"


def _cache(row: ExchangeRow, seen: Seen) -> Span:
    return (safe(row.saved, 20), "good") if row.saved else (ABSENT, "muted")


COLUMNS: Final[tuple[ExchangeColumn, ...]] = (
    ExchangeColumn("id", "#", 6, _number, lambda row: row.id, right=True),
    ExchangeColumn("time", "TIME", 8, _time, lambda row: row.wall, shown_from=76),
    ExchangeColumn("client", "CLIENT", 11, _client, lambda row: row.client.lower(), shown_from=94),
    ExchangeColumn("method", "METHOD", 11, _method, lambda row: row.method, shown_from=72),
    ExchangeColumn("target", "TARGET", 12, _target, lambda row: row.target.lower(), flexible=True),
    ExchangeColumn("server", "SERVER", 10, _server, lambda row: server_of(row).lower(), shown_from=112),
    ExchangeColumn("status", "STATUS", 15, _status, lambda row: LOOKS[row.status].rank),
    ExchangeColumn("ms", "MS", 5, _ms, lambda row: -1.0 if row.duration_ms is None else row.duration_ms, True),
    ExchangeColumn("bytes", "BYTES", 5, _bytes, lambda row: row.bytes_in + row.bytes_out, True, 102),
    ExchangeColumn("cache", "CACHE", 6, _cache, lambda row: row.saved, shown_from=120),
)


def cells_of(row: ExchangeRow, columns: Sequence[ExchangeColumn], seen: Seen) -> tuple[Span, ...]:
    return tuple(column.cell(row, seen) for column in columns)


def label_of(row: ExchangeRow) -> str:
    """An exchange for a crumb and a toast: its number, and what was asked."""
    return f"{row.id} {safe(row.target or row.method, 80)}"
