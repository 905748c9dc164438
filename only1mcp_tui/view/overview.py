"""The lines around the table: title, banners, cards and events."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from only1mcp_tui.view.history import History, sparkline
from only1mcp_tui.view.numbers import clock_time, count, duration, millis, percent, plural, rate
from only1mcp_tui.view.states import LEVEL_ROLES, LOOKS
from only1mcp_tui.view.text import Line, Span, clip, fit, safe, spread, wrap
from proxy_core import facts
from proxy_core.facts import Fact
from proxy_core.telemetry.snapshot import Notice, ServerRow, ServerState, Snapshot, Totals

NOTICES_SHOWN = 4
NOTICE_LINES = 2
GLYPHS = {"info": "i", "warning": "▲", "error": "✖"}


@dataclass(frozen=True, slots=True)
class Pace:
    """How the screen itself does."""

    fps: int
    is_paused: bool = False


def title_line(snapshot: Snapshot, now: float, pace: Pace, width: int) -> Line:
    """Who, where clients connect, for how long, how many are well, how busy."""
    on = [row for row in snapshot.servers if row.state is not ServerState.DISABLED]
    well = sum(row.state is ServerState.HEALTHY for row in on)
    left: list[Span] = [(" only1mcp ", "brand"), (f"{safe(snapshot.version, 20)} ", "muted")]
    left += [
        (" ", "text"),
        (safe(snapshot.url, 200), "link") if snapshot.url else ("not listening yet", "warn"),
    ]
    badge: Span = (" PAUSED ", "badge") if pace.is_paused else (f"{pace.fps} fps", "muted")
    health: Span = (f"{well}/{len(on)} healthy", "good" if well == len(on) else "warn")
    right: list[Span] = [
        health if on else ("no servers", "muted"),
        (f"  {rate(snapshot.totals.calls_per_s)} rps  ", "text"),
        (f"up {duration(now - snapshot.started_at)}  ", "muted"),
        badge,
        (" ", "text"),
    ]
    if width < 100:
        del right[2]
        del left[1]
    return spread(tuple(left), tuple(right if width >= 60 else right[:1]), width)


def banner_lines(snapshot: Snapshot, alarms: Sequence[Notice], width: int) -> list[Line]:
    """Alarms of the screen first, then the gateway's notices, the welcome of the demo among them."""
    notices = (*alarms, *snapshot.notices)[:NOTICES_SHOWN]
    return [line for notice in notices for line in _notice_lines(notice, width)]


def _notice_lines(notice: Notice, width: int) -> Iterator[Line]:
    role = LEVEL_ROLES.get(notice.level, "info")
    parts = wrap(safe(notice.text), max(20, width - 4))[:NOTICE_LINES]
    for number, part in enumerate(parts):
        yield (
            (f" {GLYPHS.get(notice.level, 'i')} " if number == 0 else "   ", role),
            (fit(part, width - 4), "text"),
        )


def card_lines(totals: Totals, history: History, width: int) -> list[Line]:
    """Four cards side by side; a narrow screen gets their numbers in one line."""
    if width < 100:
        return [_card_summary(totals, width)]
    room, extra = divmod(width - 5, 4)
    cards = (
        ("TRAFFIC", (_strong(f"{rate(totals.calls_per_s)}"), (" rps", "muted")), "calls_per_s", "trend"),
        ("LATENCY ms", _latency(totals), "p95_ms", "trend"),
        ("ERRORS", _errors(totals), "errors_per_s", "bad"),
        ("OPEN", _open(totals), "in_flight", "trend"),
    )
    lines: list[list[Span]] = [[], [], []]
    for number, (title, value, series, role) in enumerate(cards):
        wide = room + (number < extra)
        graph = sparkline(history.series(series), wide - 4)
        for line in lines:
            line.append((" ", "gap"))
        lines[0].append((fit(f"  {title}", wide), "muted"))
        lines[1] += clip((("  ", "text"), *value), wide)
        lines[2].append((fit(f"  {graph}", wide), role))
    return [(*line, (" ", "gap")) for line in lines]


def _strong(text: str) -> Span:
    return text, "strong"


def _latency(totals: Totals) -> Line:
    latency = totals.latency
    named = (("p50", latency.p50_ms), ("p95", latency.p95_ms), ("p99", latency.p99_ms))
    return tuple(
        span for name, value in named for span in ((f"{name} ", "muted"), _strong(f"{millis(value)}  "))
    )


def _errors(totals: Totals) -> Line:
    share = percent(totals.errors_per_s, totals.calls_per_s)
    return _strong(share), (" %", "muted"), (f"  {count(totals.errors)} of {count(totals.calls)}", "muted")


def _open(totals: Totals) -> Line:
    return (
        _strong(f"{totals.in_flight}"),
        (" calls  ", "muted"),
        (plural(totals.sessions, "session"), "muted"),
    )


def _card_summary(totals: Totals, width: int) -> Line:
    named = (
        ("", f"{rate(totals.calls_per_s)}", " rps"),
        ("p95 ", millis(totals.latency.p95_ms), " ms"),
        ("err ", percent(totals.errors_per_s, totals.calls_per_s), " %"),
        ("in flight ", f"{totals.in_flight}", ""),
        ("sessions ", f"{totals.sessions}", ""),
    )
    return tuple(
        span
        for before, value, after in (named if width >= 66 else named[:4])
        for span in ((f"  {before}", "muted"), _strong(value), (after, "muted"))
    )


def selected_line(row: ServerRow | None, width: int) -> Line:
    """The row under the cursor in words: why it is not well, or else where it is."""
    if row is None:
        return ()
    look = LOOKS[row.state]
    words, role = (row.reason, look.role) if row.reason else (row.address, "muted")
    return clip(
        ((f" {look.glyph} ", look.role), (f"{safe(row.id, 80)}  ", "strong"), (safe(words), role)), width
    )


def event_line(fact: Fact, snapshot: Snapshot, width: int) -> Line | None:
    """One event for the list under the table; None for facts that are traffic, not news."""
    told = _told(fact)
    if told is None:
        return None
    subject, role, glyph, words = told
    wall = snapshot.wall - (snapshot.at - fact.at)
    head: Line = (
        (f"  {clock_time(wall)} ", "muted"),
        (f"{glyph} ", role),
        (fit(safe(subject, 40), 16) + " ", "text"),
    )
    return (*head, (fit(safe(words), max(0, width - 30)), "muted"))


def _told(fact: Fact) -> tuple[str, str, str, str] | None:
    """Subject, role, glyph and sentence of a fact."""
    match fact:
        case facts.StateChanged():
            look = next((look for state, look in LOOKS.items() if state == fact.after), None)
            words = f"{fact.after}: {fact.reason}" if fact.reason else f"{fact.before} → {fact.after}"
            return fact.server, look.role if look else "info", look.glyph if look else "·", words
        case facts.VerbUsed():
            return fact.server, "accent", "›", f"{fact.verb}: {fact.outcome}"
        case facts.CatalogChanged():
            return "lists", "info", "·", f"clients now see {plural(fact.count, fact.kind.removesuffix('s'))}"
        case facts.NameHidden():
            return fact.server, "warn", "▲", f"{fact.name} is not listed: {fact.reason}"
        case facts.ConfigApplied():
            return "config", "good", "●", _applied(fact)
        case facts.ConfigRejected():
            return "config", "bad", "✖", f"kept the old one: {fact.message}"
        case _:
            return None


def _applied(fact: facts.ConfigApplied) -> str:
    changes = (("added", fact.added), ("replaced", fact.replaced), ("removed", fact.removed))
    words = [f"{verb} {', '.join(names)}" for verb, names in changes if names]
    return "applied: " + ("; ".join(words) or "nothing changed")
