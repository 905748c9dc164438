"""What the tools cost a model, as lines: modes, servers, biggest tools and descriptions, profiles."""

from collections.abc import Iterator

from only1mcp_tui.view.numbers import plural
from only1mcp_tui.view.text import Line, Span, fit, safe, wrap
from proxy_core.telemetry.context_bill import (
    APPROXIMATE,
    ContextBill,
    Cost,
    ServerCost,
    ToolCost,
    search_words,
)

TOP = 200
"""Tools and descriptions listed; the rest are smaller."""
NUMBER = 10
BLOCKS = " ▏▎▍▌▋▊▉█"


def ledger_lines(bill: ContextBill, width: int, by_visible: bool) -> list[Line]:
    """All of it; sorted and drawn by what a model sees, or by what goes over the wire."""
    return [
        *_head(bill, width),
        (),
        *_modes(bill, width, by_visible),
        (),
        *_servers(bill, width, by_visible),
        (),
        *_tools(bill, width, by_visible),
        (),
        *_descriptions(bill, width),
        *_profiles(bill, width),
    ]


def _head(bill: ContextBill, width: int) -> Iterator[Line]:
    tools = sum(row.tools for row in bill.servers)
    head = f"  {plural(tools, 'tool')} of {plural(len(bill.servers), 'server')}"
    yield (head, "strong"), (f"   mode in force: {bill.mode}", "text")
    yield from _said(f"Tokens of {safe(bill.encoding, 40)}; {APPROXIMATE}.", width)
    yield from _said(
        "WIRE is the exact JSON that a client gets, VISIBLE what hosts show a model as a rule.", width
    )
    if not bill.is_complete:
        words = "The lists have changed and are not counted again yet; these are the figures of before."
        nothing = "Nothing is counted yet; a moment after the lists have come it will be."
        yield from _said(f"▲ {words if bill.profiles or bill.tools else nothing}", width, "warn")


def _said(words: str, width: int, role: str = "muted") -> Iterator[Line]:
    for part in wrap(words, max(20, width - 4)):
        yield ((f"  {part}", role),)


def _modes(bill: ContextBill, width: int, by_visible: bool) -> Iterator[Line]:
    room = max(0, width - 58)
    yield ((f"  {'MODE':<10}{'WIRE':>{NUMBER}}{'SAVES':>9}{'VISIBLE':>{NUMBER}}{'SAVES':>9}", "head"),)
    full = bill.modes.full
    for mode, cost in (("full", full), ("compact", bill.modes.compact), ("search", bill.modes.search)):
        mark, role = ("●", "good") if mode == bill.mode else (" ", "muted")
        name: Line = ((f"  {mark} ", role), (f"{mode:<8}", "text"))
        if cost is None:
            yield *name, (f"{'not known':>{NUMBER}}", "muted")
            continue
        wire = f"{cost.wire:>{NUMBER},}", "text"
        visible = f"{cost.visible:>{NUMBER},}", "text"
        yield (
            *name,
            wire,
            _saved(cost.wire, full.wire),
            visible,
            _saved(cost.visible, full.visible),
            ("   " + bar(_part(cost, by_visible), _part(full, by_visible), room), "trend"),
        )
    if bill.modes.search is not None:
        yield from _said(search_words(bill.searches), width)


def _servers(bill: ContextBill, width: int, by_visible: bool) -> Iterator[Line]:
    room = max(0, width - 64)
    yield (
        (f"  {'SERVER':<20}{'TOOLS':>6}{'WIRE':>{NUMBER}}{'VISIBLE':>{NUMBER}}{'COMPACT':>{NUMBER}}", "head"),
    )
    rows = sorted(bill.servers, key=lambda row: _part(row.full, by_visible), reverse=True)
    most = _part(rows[0].full, by_visible) if rows else 0
    for row in rows:
        graph = bar(_part(row.full, by_visible), most, room)
        yield (
            (fit(f"  {safe(row.id, 60)}", 22), "text"),
            (f"{row.tools:>6}", "muted"),
            *_costs(row, by_visible, graph),
        )


def _tools(bill: ContextBill, width: int, by_visible: bool) -> Iterator[Line]:
    wide = max(28, width - 48)
    yield (
        (
            fit("  TOOLS, the dearest first", wide)
            + f"{'WIRE':>{NUMBER}}{'VISIBLE':>{NUMBER}}{'COMPACT':>{NUMBER}}{'SHARE':>10}",
            "head",
        ),
    )
    total = sum(_part(row.full, by_visible) for row in bill.tools)
    rows = sorted(bill.tools, key=lambda row: _part(row.full, by_visible), reverse=True)
    for row in rows[:TOP]:
        share = f"{_part(row.full, by_visible) / total:>7.1%}" if total else ""
        yield (fit(f"  {safe(row.name, 200)}", wide), "text"), *_costs(row, by_visible, share)
    if len(rows) > TOP:
        yield ((f"  and {len(rows) - TOP} smaller ones", "muted"),)


def _descriptions(bill: ContextBill, width: int) -> Iterator[Line]:
    if not bill.descriptions:
        return
    wide = max(28, width - 48)
    yield ((fit("  BIGGEST DESCRIPTIONS", wide) + f"{'TOKENS':>{NUMBER}}{'OF ITS TOOL':>14}", "head"),)
    for row in bill.descriptions[:TOP]:
        name = (fit(f"  {safe(row.name, 200)}", wide), "text")
        yield name, (f"{row.tokens:>{NUMBER},}", "text"), (f"{row.share:>14.0%}", "muted")
    yield ()


def _profiles(bill: ContextBill, width: int) -> Iterator[Line]:
    if len(bill.profiles) < 2:
        return
    yield ((f"  {'PROFILE':<20}{'MODE':<9}{'TOOLS':>6}{'WIRE':>{NUMBER}}{'VISIBLE':>{NUMBER}}", "head"),)
    for row in bill.profiles:
        name = (fit(f"  {safe(row.profile, 60) or 'without one'}", 22), "text" if row.profile else "muted")
        cost = row.in_force
        yield (
            name,
            (f"{row.mode:<9}{row.tools:>6}", "muted"),
            (f"{cost.wire:>{NUMBER},}{cost.visible:>{NUMBER},}", "text"),
        )


def _costs(row: ServerCost | ToolCost, by_visible: bool, end: str) -> Line:
    compact = _part(row.compact, by_visible)
    numbers = f"{row.full.wire:>{NUMBER},}{row.full.visible:>{NUMBER},}"
    return (numbers, "text"), (f"{compact:>{NUMBER},}", "muted"), (f"   {end}", "trend")


def _part(cost: Cost, by_visible: bool) -> int:
    return cost.visible if by_visible else cost.wire


def _saved(part: int, whole: int) -> Span:
    """Below nothing it costs more than it saves, as searching in a small catalog does."""
    words = f"{1 - part / whole:.1%}" if whole and part != whole else "-"
    return f"{words:>9}", "good" if part <= whole else "warn"


def bar(part: int, whole: int, width: int) -> str:
    """`part` of `whole` as a bar of at most `width` cells, in eighths."""
    if whole <= 0 or width <= 0:
        return ""
    eighths = max(1 if part else 0, min(8 * width, round(8 * width * part / whole)))
    return "█" * (eighths // 8) + BLOCKS[eighths % 8].strip()
