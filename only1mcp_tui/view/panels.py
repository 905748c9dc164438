"""What stands beside the events of the Overview on a large terminal: who asks, what the lists cost. Pure."""

from collections.abc import Sequence

from only1mcp_tui.view.numbers import count, duration, plural
from only1mcp_tui.view.states import era_badge
from only1mcp_tui.view.text import Line, clip, fit, safe
from proxy_core.telemetry.snapshot import ClientRow, ServerRow

CLIENTS_FROM, CONTEXT_FROM = 150, 190
"""Cells of a screen that has room for these panels beside the events."""
CLIENTS_WIDTH, CONTEXT_WIDTH = 56, 46


def beside(events: Sequence[Line], panels: Sequence[tuple[int, Sequence[Line]]], width: int) -> list[Line]:
    """The events at the left, and the panels, each with its width, at the right of them."""
    room = width - sum(wide + 2 for wide, _ in panels)
    lines: list[Line] = []
    for number, event in enumerate(events):
        line = clip(event, room)
        for wide, panel in panels:
            line = (*line, ("  ", "text"), *clip(panel[number] if number < len(panel) else (), wide))
        lines.append(line)
    return lines


def client_lines(clients: Sequence[ClientRow], now: float, most: int) -> list[Line]:
    """Those that asked most, with what they speak and when they asked last."""
    busiest = sorted(clients, key=lambda row: -row.requests)[:most]
    more = f", {len(clients) - most} more" if len(clients) > most else ""
    lines: list[Line] = [((f"CLIENTS by requests{more}", "head"),)]
    for row in busiest:
        badge, role = era_badge(row.era, row.revision)
        ago = f"{duration(now - row.last_at)} ago"
        lines.append(
            (
                (fit(safe(row.name, 40) or "(no name)", 20) + "  ", "text"),
                (fit(badge, 12) + "  ", role),
                (fit(count(row.requests), 7, right=True), "text"),
                (fit(ago, 13, right=True), "muted"),
            )
        )
    return lines if busiest else [*lines, (("Nobody has asked yet.", "muted"),)]


def context_lines(servers: Sequence[ServerRow], most: int) -> list[Line]:
    """The servers whose listed tools cost a model most."""
    costs = [(row.tokens.visible, row) for row in servers if row.tokens is not None]
    lines: list[Line] = [(("CONTEXT by server", "head"),)]
    if not costs:
        return [*lines, (("Not counted yet.", "muted"),)]
    for tokens, row in sorted(costs, key=lambda each: -each[0])[:most]:
        lines.append(
            (
                (fit(safe(row.id, 40), 18) + "  ", "text"),
                (fit(plural(row.tools, "tool"), 10, right=True), "muted"),
                (fit(count(tokens), 7, right=True), "text"),
                (" tokens", "muted"),
            )
        )
    return lines
