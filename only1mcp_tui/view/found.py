"""Servers found in the configurations of AI clients, as rows to choose from."""

from collections.abc import Collection
from dataclasses import dataclass

from only1mcp_tui.view.text import Span, safe
from proxy_core.config.importers import FoundServer


@dataclass(frozen=True, slots=True)
class FoundColumn:
    key: str
    title: str
    width: int
    right: bool = False
    shown_from: int = 0
    flexible: bool = False


COLUMNS = (
    FoundColumn("mark", "", 3),
    FoundColumn("server", "SERVER", 20),
    FoundColumn("client", "FROM", 14, shown_from=56),
    FoundColumn("address", "RUNS OR CALLS", 20, flexible=True),
)


def can_choose(found: FoundServer) -> bool:
    """A duplicate may be taken over if a person wants it; this gateway itself may not."""
    return found.server is not None and not found.is_ourselves


def found_cells(found: FoundServer, is_chosen: bool, shown: Collection[str]) -> tuple[Span, ...]:
    """The cells of the shown columns."""
    mark = ("[x]", "good") if is_chosen else ("[ ]" if can_choose(found) else " - ", "muted")
    note = _note(found)
    address = safe(f"{note}: {found.address}" if note and found.address else note or found.address)
    cells: dict[str, Span] = {
        "mark": mark,
        "server": (safe(found.server.id if found.server else found.name, 80), "text"),
        "client": (safe(found.client, 40), "muted"),
        "address": (address, "warn" if note else "muted"),
    }
    return tuple(cells[column.key] for column in COLUMNS if column.key in shown)


def _note(found: FoundServer) -> str:
    if found.problem:
        return found.problem
    if found.is_ourselves:
        return "this gateway itself"
    return "the same as one above" if found.is_duplicate else ""
