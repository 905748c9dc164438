"""The last words: the drain at quit, and the line that is left in the shell."""

from only1mcp_tui.view.numbers import count, duration, plural
from only1mcp_tui.view.text import Line, fit, safe
from proxy_core.telemetry.snapshot import Snapshot

SERVERS_SHOWN = 8


def closing_lines(snapshot: Snapshot) -> list[Line]:
    """How many calls still run, and at which servers."""
    busy = sorted((row for row in snapshot.servers if row.in_flight), key=lambda row: -row.in_flight)
    running = sum(row.in_flight for row in busy)
    doing = f"{plural(running, 'call')} in flight may finish." if running else "Closing the servers."
    lines: list[Line] = [(("Stopping", "strong"),), ((doing, "text"),), ()]
    lines += [
        ((fit(safe(row.id, 80), 24), "text"), (f"{row.in_flight:>4}", "accent")) for row in busy[:SERVERS_SHOWN]
    ]
    return [*lines, *([()] if busy else []), (("ctrl+q", "key"), (" stops without waiting", "muted"))]


def outcome_line(snapshot: Snapshot, now: float) -> str:
    """One line for the shell, after the screen is gone."""
    totals = snapshot.totals
    after = duration(now - snapshot.started_at)
    return f"only1mcp stopped after {after}: {_plain(totals.calls, 'call')}, {_plain(totals.errors, 'error')}."


def left_line(snapshot: Snapshot) -> str:
    """The same where the gateway runs elsewhere."""
    return f"The gateway at {safe(snapshot.url, 200)} goes on." if snapshot.url else "The gateway goes on."


def _plain(number: int, word: str) -> str:
    return f"{count(number)} {word if number == 1 else word + 's'}"
