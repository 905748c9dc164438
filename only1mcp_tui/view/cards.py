"""The cards of the Overview: traffic, latency, cache, clients and the context bill, each at a glance. Pure."""

from collections.abc import Sequence

from only1mcp_tui.view.history import History, sparkline
from only1mcp_tui.view.numbers import count, millis, percent, plural, rate
from only1mcp_tui.view.text import Line, Span, cells, clip, fit, safe
from proxy_core.telemetry.context_bill import ContextTotals
from proxy_core.telemetry.savings import Savings
from proxy_core.telemetry.snapshot import ServerRow, Snapshot, Totals

WIDE = 100
"""Cells from which on the cards stand side by side."""
SHARES = (20, 25, 17, 16, 16)
"""How the width is shared among the cards."""
NOT_COUNTED = "not counted yet"
SLOW_MS = 50.0
"""Nobody waits for less: it is no reason to mark a row."""
WORTH_SAYING = 0.99
"""A mode that saves less than the rest is no cheaper."""


def card_lines(snapshot: Snapshot, history: History, width: int) -> list[Line]:
    """Five cards side by side; a narrow screen gets their numbers in two lines."""
    if width < WIDE:
        return _summary(snapshot, width)
    room = width - len(SHARES) - 1
    wide = [room * share // sum(SHARES) for share in SHARES]
    wide[1] += room - sum(wide)
    cards = (
        _traffic(snapshot.totals, history, wide[0]),
        _latency(snapshot, history, wide[1]),
        _cache(snapshot.savings, wide[2]),
        _clients(snapshot, wide[3]),
        _context(snapshot.context, wide[4]),
    )
    lines: list[Line] = []
    for row in zip(*cards, strict=True):
        line: list[Span] = [(" ", "gap")]
        for part, cell in zip(row, wide, strict=True):
            line += [*clip(part, cell), (" ", "gap")]
        lines.append(tuple(line))
    return lines


def _traffic(totals: Totals, history: History, width: int) -> Sequence[Line]:
    share = percent(totals.errors_per_s, totals.calls_per_s)
    failed = f"  {count(totals.errors)} of {count(totals.calls)}"
    role = "muted" if share in ("-", "0") else "bad"
    return (
        (("  TRAFFIC", "muted"),),
        (("  ", "text"), _strong(rate(totals.calls_per_s)), (" rps", "muted")),
        (("  err ", "muted"), (share, role), (" %", "muted"), _if_fits(failed, width - 9 - len(share))),
        (("  ", "text"), (sparkline(history.series("calls_per_s"), width - 3), "trend")),
    )


def _latency(snapshot: Snapshot, history: History, width: int) -> Sequence[Line]:
    latency = snapshot.totals.latency
    named = (("p50", latency.p50_ms), ("p95", latency.p95_ms), ("p99", latency.p99_ms))
    gap = " " if width < 27 else "  "
    figures = tuple(
        span for name, value in named for span in ((f"{name} ", "muted"), _strong(f"{millis(value)}{gap}"))
    )
    slow = slowest(snapshot.servers)
    words: Line = (("  ", "text"),)
    if slow is not None:
        took = f" {millis(slow.latency.p95_ms)}"
        name = fit(safe(slow.id, 40), max(1, width - 12 - len(took))).rstrip()
        words = (("  slowest ", "muted"), (name, "text"), (took, "warn"))
    return (
        (("  LATENCY ms", "muted"),),
        (("  ", "text"), *figures),
        words,
        (("  ", "text"), (sparkline(history.series("p95_ms"), width - 3), "trend")),
    )


def slowest(servers: Sequence[ServerRow], least_ms: float = 0.0) -> ServerRow | None:
    """The server with the highest p95 of the last minute, where there are several to compare."""
    measured = [(row.latency.p95_ms, row) for row in servers if row.latency.p95_ms is not None]
    if len(measured) < 2:
        return None
    p95_ms, row = max(measured, key=lambda each: each[0])
    return row if p95_ms >= least_ms else None


def _cache(savings: Savings, width: int) -> Sequence[Line]:
    saved = savings.hits + sum(row.saved for row in savings.joins)
    hits: Line = (("  ", "text"), _strong(_percent_of(savings.hit_share)), (" % hits", "muted"))
    return (
        (("  CACHE", "muted"),),
        (("  no lookups yet", "muted"),) if savings.hit_share is None else hits,
        (("  ", "text"), (count(savings.entries), "text"), (" kept", "muted")),
        (("  ", "text"), (count(saved), "text"), (_saved_words(saved, width), "muted")),
    )


def _saved_words(saved: int, width: int) -> str:
    return f" {_word(saved, 'call')} saved" if width > 18 else " saved"


def _percent_of(share: float | None) -> str:
    return percent(share or 0.0, 1.0)


def _clients(snapshot: Snapshot, width: int) -> Sequence[Line]:
    totals, seen = snapshot.totals, len(snapshot.clients)
    return (
        (("  CLIENTS", "muted"), _if_fits(f" {seen} seen", width - 9)),
        (("  ", "text"), _strong(str(totals.in_flight)), (" in flight", "muted")),
        (("  ", "text"), (str(totals.sessions), "text"), (f" {_word(totals.sessions, 'session')}", "muted")),
        (("  ", "text"), (str(totals.streams), "text"), (f" {_word(totals.streams, 'stream')}", "muted")),
    )


def _word(number: int, one: str) -> str:
    return plural(number, one).split()[1]


def _context(context: ContextTotals | None, width: int) -> Sequence[Line]:
    head: Line = (("  CONTEXT", "muted"),)
    if context is None:
        return head, ((f"  {_first_that_fits(width - 3, NOT_COUNTED, 'not counted')}", "muted"),), (), ()
    mode = f"mode {context.mode}" if context.is_complete else f"{context.mode}, counting"
    return (
        head,
        (("  ", "text"), _strong(count(context.in_force.visible)), (" tokens", "muted")),
        ((f"  {safe(mode, 40)}", "muted"),),
        ((f"  {_first_that_fits(width - 3, *saving_words(context))}", "muted"),),
    )


def saving_words(context: ContextTotals) -> tuple[str, ...]:
    """What the cheapest mode saves, or would save; the shortest words last."""
    costs = {"full": context.full.visible, "compact": context.compact.visible}
    if context.search is not None:
        costs["search"] = context.search.visible
    now, full = context.in_force.visible, context.full.visible
    best = min(costs, key=lambda mode: costs[mode])
    if costs[best] <= now * WORTH_SAYING and best != context.mode:
        share = percent(now - costs[best], now)
        return f"{best} would save {share} %", f"{best} saves {share} %", f"{best} -{_short(share)} %"
    if now <= full * WORTH_SAYING:
        share = percent(full - now, full)
        return f"saves {share} % of full", f"saves {_short(share)} %"
    return ("the cheapest mode", "cheapest mode")


def _short(share: str) -> str:
    return share.partition(".")[0]


def _strong(text: str) -> Span:
    return text, "strong"


def _if_fits(words: str, room: int) -> Span:
    return (words, "muted") if len(words) <= room else ("", "muted")


def _first_that_fits(width: int, *wordings: str) -> str:
    return next((words for words in wordings if len(words) <= width), wordings[-1])


# --- narrow -------------------------------------------------------------------------------------------------


def _summary(snapshot: Snapshot, width: int) -> list[Line]:
    totals, savings, context = snapshot.totals, snapshot.savings, snapshot.context
    saved = savings.hits + sum(row.saved for row in savings.joins)
    first = (
        ("", rate(totals.calls_per_s), " rps"),
        ("p95 ", millis(totals.latency.p95_ms), " ms"),
        ("err ", percent(totals.errors_per_s, totals.calls_per_s), " %"),
        ("in flight ", str(totals.in_flight), ""),
        ("", str(totals.sessions), f" {_word(totals.sessions, 'session')}"),
        ("", str(len(snapshot.clients)), f" {_word(len(snapshot.clients), 'client')}"),
    )
    slow = slowest(snapshot.servers)
    second = [
        ("cache ", "-" if savings.hit_share is None else _percent_of(savings.hit_share), " %"),
        ("saved ", count(saved), ""),
    ]
    if slow is not None:
        second.insert(
            0, ("slowest ", f"{fit(safe(slow.id, 40), 14).rstrip()} {millis(slow.latency.p95_ms)}", " ms")
        )
    if context is None:
        second.append(("tokens ", NOT_COUNTED, ""))
    else:
        second.append(("tokens ", count(context.in_force.visible), f" {safe(context.mode, 20)}"))
        second.append(("", _first_that_fits(22, *saving_words(context)), ""))
    return [_fitting(first, width), _fitting(second, width)]


def _fitting(parts: Sequence[tuple[str, str, str]], width: int) -> Line:
    """As many of the parts, which stand in the order of their weight, as there is room for."""
    line: list[Span] = []
    for before, value, after in parts:
        part: Line = ((f"  {before}", "muted"), _strong(value), (after, "muted"))
        if cells(line) + cells(part) > width:
            break
        line += part
    return tuple(line)
