"""The last words: the drain at quit, and the line that is left in the shell."""

from collections.abc import Sequence

from only1mcp_tui.view.numbers import count, countdown, duration, plural
from only1mcp_tui.view.text import Line, fit, safe
from proxy_core.telemetry.snapshot import ServerRow, ServerState, Snapshot

SERVERS_SHOWN = 8
NAME_CELLS = 24


def closing_lines(snapshot: Snapshot, now: float, is_forced: bool = False) -> list[Line]:
    """What still drains: the calls of each server, and how long they may still take."""
    going = [row for row in snapshot.servers if row.in_flight or row.state is ServerState.DRAINING]
    going.sort(key=lambda row: (-row.in_flight, row.id))
    lines: list[Line] = [(("Stopping", "strong"),), ((_doing(going, now, is_forced), "text"),), ()]
    lines += [_row(row, now, is_forced) for row in going[:SERVERS_SHOWN]]
    if len(going) > SERVERS_SHOWN:
        lines.append(((f"and {plural(len(going) - SERVERS_SHOWN, 'more server')}", "muted"),))
    if going:
        lines.append(())
    return lines if is_forced else [*lines, (("ctrl+q", "key"), (" stops without waiting", "muted"))]


def _doing(going: Sequence[ServerRow], now: float, is_forced: bool) -> str:
    running = sum(row.in_flight for row in going)
    if is_forced:
        return f"Not waiting for {plural(running, 'call')} any more." if running else "Ending the servers."
    if not running:
        return "Closing the servers."
    until = max((row.drain_until for row in going if row.drain_until is not None), default=None)
    at_most = f", within {countdown(until - now)}" if until is not None else ""
    return f"{plural(running, 'call')} in flight may finish{at_most}."


def _row(row: ServerRow, now: float, is_forced: bool) -> Line:
    name = (fit(safe(row.id, 80), NAME_CELLS), "text")
    if is_forced or not row.in_flight:
        return name, (f"{'closing':>10}", "muted")
    left = f"{countdown(row.drain_until - now) + ' left':>14}" if row.drain_until is not None else ""
    return name, (f"{plural(row.in_flight, 'call'):>10}", "accent"), (left, "muted")


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
