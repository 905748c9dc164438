"""Every name that clients see, measured as clients measure it; and what was shortened or left out.

A client adds its own words before it counts. Which, depends on what the gateway is called in the client's file:
`only1mcp`, as `only1mcp connect` writes it. That is the one assumption here, and the screen says so.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from only1mcp_tui.view.filters import Filter
from only1mcp_tui.view.numbers import plural
from only1mcp_tui.view.text import Line, Span, safe
from proxy_core.config.connect import ENTRY
from proxy_core.telemetry.snapshot import NamedItem

FILTER_KEYS = frozenset({"kind", "server", "why"})
PLAIN = re.compile(r"[A-Za-z0-9_-]+")
"""What the model APIs behind most clients take; MCP itself also allows a dot."""
MCP_CHARACTERS = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Limit:
    """How one client counts."""

    key: str
    client: str
    most: int
    added: str
    """What it puts before the name; counted too."""
    characters: re.Pattern[str] = PLAIN

    def length(self, name: str) -> int:
        return len(self.added) + len(name)

    def refuses(self, name: str) -> bool:
        return self.length(name) > self.most or not self.characters.fullmatch(name)


LIMITS = (
    Limit("cursor", "Cursor", 60, ENTRY),
    Limit("claude", "Claude Code", 64, f"mcp__{ENTRY}__"),
    Limit("mcp", "MCP", 128, "", MCP_CHARACTERS),
)
"""Cursor: its name of the server and the tool's together. 64: the APIs of most models. 128: MCP, SEP-986."""
ASSUMED = (
    f"Counted as clients do that call this gateway {ENTRY}: Cursor {ENTRY} + name within 60, "
    f"Claude Code mcp__{ENTRY}__ + name within 64, MCP itself the name within 128."
)


@dataclass(frozen=True, slots=True)
class NameRow:
    kind: str
    """tool, prompt, or hidden"""
    server: str
    name: str
    """As clients see it; of a hidden one, the server's own."""
    origin: str = ""
    """The server's own name, where the exposed one does not hold it whole."""
    reason: str = ""
    """Why it is left out of the lists."""

    @property
    def refused_by(self) -> tuple[Limit, ...]:
        return tuple(limit for limit in LIMITS if self.kind == "tool" and limit.refuses(self.name))

    @property
    def why(self) -> str:
        if self.reason:
            return f"hidden: {self.reason}"
        refusing = ", ".join(limit.client for limit in self.refused_by)
        parts = [f"refused: {refusing}"] if refusing else []
        return "; ".join([*parts, f"was {self.origin}"] if self.origin else parts)


def name_rows(items: Iterable[NamedItem], hidden: Iterable[tuple[str, str, str]]) -> list[NameRow]:
    """Of tools and prompts, which alone have names that clients limit; `hidden`: server, name and reason."""
    rows = [
        NameRow(item.kind, item.server, item.name, "" if _is_whole(item) else item.origin)
        for item in items
        if item.kind in ("tool", "prompt")
    ]
    return rows + [NameRow("hidden", server, name, reason=reason) for server, name, reason in hidden]


def _is_whole(item: NamedItem) -> bool:
    return item.name in (item.origin, f"{item.server}__{item.origin}")


def summary(rows: Sequence[NameRow]) -> str:
    """412 names, 3 over 60 (Cursor), 0 over 64 (Claude Code), 0 over 128 (MCP), 7 shortened, 2 hidden."""
    shown = [row for row in rows if row.kind != "hidden"]
    parts = [plural(len(shown), "name")]
    for limit in LIMITS:
        over = sum(limit.length(row.name) > limit.most for row in shown if row.kind == "tool")
        parts.append(f"{over} over {limit.most} ({limit.client})")
    odd = sum(row.kind == "tool" and not PLAIN.fullmatch(row.name) for row in shown)
    parts += [f"{odd} with refused characters"] if odd else []
    parts += [f"{sum(bool(row.origin) for row in shown)} changed", f"{len(rows) - len(shown)} hidden"]
    return ", ".join(parts)


# --- as a table ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NameColumn:
    key: str
    title: str
    width: int
    cell: Callable[[NameRow], Span]
    sort: Callable[[NameRow], str | int]
    right: bool = False
    shown_from: int = 0
    flexible: bool = False


def _counted(limit: Limit) -> Callable[[NameRow], Span]:
    def cell(row: NameRow) -> Span:
        if row.kind != "tool":
            return "-", "muted"
        number = limit.length(row.name)
        return (f"✖ {number}", "bad") if limit.refuses(row.name) else (str(number), "muted")

    return cell


def _why(row: NameRow) -> Span:
    return safe(row.why, 300), "warn" if row.reason else "bad" if row.refused_by else "muted"


COLUMNS: tuple[NameColumn, ...] = (
    NameColumn(
        "name", "NAME", 24, lambda row: (safe(row.name, 300), "text"), lambda row: row.name, flexible=True
    ),
    NameColumn("kind", "KIND", 6, lambda row: (row.kind, "muted"), lambda row: row.kind, shown_from=96),
    NameColumn(
        "length", "LEN", 4, lambda row: (str(len(row.name)), "text"), lambda row: len(row.name), right=True
    ),
    NameColumn(
        "cursor", "CURSOR", 6, _counted(LIMITS[0]), lambda row: len(row.name), right=True, shown_from=60
    ),
    NameColumn(
        "claude", "CLAUDE", 6, _counted(LIMITS[1]), lambda row: len(row.name), right=True, shown_from=60
    ),
    NameColumn("mcp", "MCP", 5, _counted(LIMITS[2]), lambda row: len(row.name), right=True, shown_from=110),
    NameColumn("why", "WHY", 34, _why, lambda row: row.why, shown_from=118),
)


def arranged(rows: Iterable[NameRow], wanted: Filter, column: str, is_reversed: bool) -> list[NameRow]:
    """Those that pass; in list order where no column is chosen."""
    kept = [row for row in rows if wanted.matches(_fields(row))]
    chosen = next((each for each in COLUMNS if each.key == column), None)
    if chosen is None:
        return kept[::-1] if is_reversed else kept
    # The longest first: they are the ones to look at.
    return sorted(kept, key=chosen.sort, reverse=chosen.right is not is_reversed)


def _fields(row: NameRow) -> dict[str, str]:
    why = row.why.lower()
    whole = f"{row.kind} {row.server} {row.name} {why}".lower()
    return {"kind": row.kind, "server": row.server.lower(), "why": why, "text": whole}


def selected_lines(row: NameRow | None, width: int) -> list[Line]:
    """The row under the cursor in words."""
    if row is None:
        return [(), ()]
    head: Line = ((f" {safe(row.server, 40)}  ", "accent"), (safe(row.name, 300), "strong"))
    if row.reason:
        return [head, ((f" hidden: {safe(row.reason, 300)}", "warn"),)]
    words = f" the server calls it {safe(row.origin, 300)}" if row.origin else " the server's own name, whole"
    refused = ", ".join(
        f"{limit.client} ({limit.length(row.name)} of {limit.most})" for limit in row.refused_by
    )
    ends: Line = ((f"  refused by {refused}", "bad"),) if refused else ()
    return [head, ((words, "muted"), *ends)]
