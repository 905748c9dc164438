"""The lines around the table: title, banners, the selected row and events."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from only1mcp_tui.view.elicitation_form import badge
from only1mcp_tui.view.numbers import clock_time, duration, plural, rate
from only1mcp_tui.view.staleness import notices_of
from only1mcp_tui.view.states import BREAKER_LOOKS, LEVEL_ROLES, LOOKS
from only1mcp_tui.view.targets import Target, has_changes, is_well, remarks_of, wants_an_eye
from only1mcp_tui.view.text import Line, Span, cells, clip, fit, safe, spread, wrap
from proxy_core import facts
from proxy_core.config.models import ONLY_REPLICA
from proxy_core.facts import Fact
from proxy_core.telemetry.snapshot import Notice, ServerState, Snapshot

NOTICES_SHOWN = 4
NOTICE_LINES = 3
NOTICE_LIMIT = 200_000
NOTICE_LINE_LIMIT = 2000
GLYPHS = {"info": "i", "warning": "▲", "error": "✖"}


@dataclass(frozen=True, slots=True)
class Pace:
    """How the screen itself does."""

    fps: int
    is_paused: bool = False
    is_remote: bool = False
    """Over a gateway that runs elsewhere and stays when the screen goes."""
    stale_s: float | None = None
    """How long that gateway has not been heard; None: it is."""
    is_readonly: bool = False
    """Nothing may be changed from here."""


def title_line(snapshot: Snapshot, now: float, pace: Pace, width: int) -> Line:
    """Who, where clients connect, for how long, how many are well, how busy, which configuration is in force.

    What matters least gives way first where the terminal is narrow.
    """
    on = [row for row in snapshot.servers if row.state is not ServerState.DISABLED]
    well = sum(is_well(row) for row in on)
    where: Span = (safe(snapshot.url, 200), "link") if snapshot.url else ("not listening yet", "warn")
    left: list[Span] = [(" only1mcp ", "brand"), (f"{safe(snapshot.version, 20)} ", "muted")]
    left += [(" watching from afar: ", "warn") if pace.is_remote else (" ", "text"), where]
    if width < 100:
        left[1:3] = [(" from afar: ", "warn")] if pace.is_remote else [(" ", "text")]
    pace_badge: Span = ("PAUSED", "badge") if pace.is_paused else (f"{pace.fps} fps", "muted")
    stale: Span = ("", "badge") if pace.stale_s is None else (f" STALE {duration(pace.stale_s)} ", "badge")
    health: Span = (f"{well}/{len(on)} healthy", "good" if well == len(on) else "warn")
    config, is_urgent = _config(snapshot)
    # In the order of the screen, each with its rank.
    parts: list[tuple[int, Span]] = [
        (-1, (badge(snapshot), "badge")),
        (1, ("READONLY" if pace.is_readonly else "", "badge")),
        (0, health if on else ("no servers", "muted")),
        (4, (f"{rate(snapshot.totals.calls_per_s)} rps", "text")),
        (5, (f"up {duration(now - snapshot.started_at)}", "muted")),
        (1 if is_urgent else 3, config),
        (2, pace_badge),
        (-1, stale),
    ]
    return spread(tuple(left), _right_end(parts, width - cells(left) - 1), width)


def _right_end(parts: Sequence[tuple[int, Span]], room: int) -> Line:
    """As many of the parts as fit, the lowest ranks first; in the order given."""
    kept: list[tuple[int, Span]] = [part for part in parts if part[1][0]]
    while kept and sum(cells([span]) + 2 for _, span in kept) - 1 > room:
        kept.remove(max(kept, key=lambda part: part[0]))
    line: list[Span] = []
    for _, span in kept:
        line += [("  ", "text"), span] if line else [span]
    return (*line, (" ", "text")) if line else ()


def _config(snapshot: Snapshot) -> tuple[Span, bool]:
    """Which configuration is in force, and whether that wants a person; empty where there is no file."""
    config = snapshot.config
    if config.error is not None:
        return (f"cfg {config.version} FILE BAD", "bad"), True
    if config.is_waiting:
        return (f"cfg {config.version} waits: ctrl+r", "warn"), True
    if snapshot.config_path is None:
        return ("", "muted"), False
    return (f"cfg {config.version} ok", "muted"), False


def banner_lines(snapshot: Snapshot, alarms: Sequence[Notice], width: int) -> list[Line]:
    """Alarms of the screen first, then the gateway's notices, the welcome of the demo among them."""
    notices = (*alarms, *notices_of(snapshot))[:NOTICES_SHOWN]
    hint = " ctrl+r shows them." if snapshot.config.error is not None else ""
    return [line for notice in notices for line in _notice_lines(notice, max(20, width - 4), hint)]


def _notice_lines(notice: Notice, room: int, hint: str) -> Iterator[Line]:
    """Of several lines, as a configuration with several faults has them, the first, and how many follow."""
    role = LEVEL_ROLES.get(notice.level, "info")
    lines = [line for line in notice.text[:NOTICE_LIMIT].splitlines() if line.strip()] or [""]
    parts = wrap(safe(lines[0], NOTICE_LINE_LIMIT), room)
    if len(parts) > NOTICE_LINES:
        parts = [*parts[: NOTICE_LINES - 1], fit(parts[NOTICE_LINES - 1], room - 1).rstrip() + "…"]
    if len(lines) > 1:
        parts.append(f"And {len(lines) - 1} more.{hint}")
    for number, part in enumerate(parts):
        glyph = f" {GLYPHS.get(notice.level, 'i')} " if number == 0 else "   "
        yield (glyph, role), (fit(part, room), "text")


def selected_line(target: Target | None, now: float, width: int, may_change: bool = True) -> Line:
    """The row under the cursor in words: why it is not well, or else where it is."""
    if target is None:
        return ()
    look = target.look
    reason = remarks_of(target.row, now)
    role = "warn" if wants_an_eye(target) else look.role
    words, role = (reason, role) if reason else (safe(target.row.address), "muted")
    name = (f"{target.label}  ", "strong")
    key: Line = (
        ((": ", role), ("A", "key"), (" shows what is different", "muted"))
        if may_change and has_changes(target)
        else ()
    )
    return clip(((f" {look.glyph} ", look.role), name, (words, role), *key), width)


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
        case facts.ReplicaChanged():
            look = next((look for state, look in LOOKS.items() if state == fact.after), None)
            words = f"{fact.after}: {fact.reason}" if fact.reason else f"{fact.before} → {fact.after}"
            subject = f"{fact.server}/{fact.replica}"
            return subject, look.role if look else "info", look.glyph if look else "·", words
        case facts.BreakerTurned():
            look = next(
                (look for state, look in BREAKER_LOOKS.items() if state == fact.state),
                LOOKS[ServerState.HEALTHY],
            )
            words = f"breaker {fact.state.replace('_', ' ')}"
            subject = fact.server if fact.replica == ONLY_REPLICA else f"{fact.server}/{fact.replica}"
            return subject, look.role, look.glyph, f"{words}: {fact.reason}" if fact.reason else words
        case facts.VerbUsed():
            return fact.server, "accent", "›", f"{fact.verb}: {fact.outcome}"
        case facts.OperatorAsked():
            asked = f"asks {', '.join(fact.fields) or 'for a page to be visited'}, in a call of {fact.target}"
            return fact.server, "warn", "?", f"question {fact.question}: {asked}"
        case facts.OperatorAnswered():
            words, by = _ANSWER_WORDS.get(fact.outcome, fact.outcome), f" by {fact.by}" if fact.by else ""
            return (
                fact.server,
                "accent",
                "›",
                f"question {fact.question}: {words}{by}",
            )
        case facts.CatalogChanged():
            return "lists", "info", "·", f"clients now see {plural(fact.count, fact.kind.removesuffix('s'))}"
        case facts.ContextModeChanged():
            words = f"tools are listed in mode {fact.now}; before: {fact.before}"
            return f"profile {fact.profile}" if fact.profile else "lists", "info", "·", words
        case facts.NameHidden():
            return fact.server, "warn", "▲", f"{fact.name} is not listed: {fact.reason}"
        case facts.ToolChanged():
            return fact.server, *_TOOL_LOOKS.get(fact.what, ("info", "·")), _tool_words(fact)
        case facts.OtherToolNamed():
            words = f"{fact.tool} names tools of other servers: {', '.join(fact.named)}"
            return fact.server, "warn", "!", words
        case facts.LimitReached():
            return fact.name or fact.limit, "warn", "▲", _limit_words(fact)
        case facts.ConfigApplied():
            return "config", "good", "●", _applied(fact)
        case facts.ConfigRejected():
            return "config", "bad", "✖", f"kept the old one: {fact.message}"
        case facts.AuditTurned(is_failing=True):
            return "audit", "bad", "✖", f"cannot be written: {fact.reason}"
        case facts.AuditTurned():
            return "audit", "good", "●", f"is written again; {plural(fact.lost, 'line')} lost"
        case _:
            return None


def _limit_words(fact: facts.LimitReached) -> str:
    what = {"rate": "requests a second", "concurrent": "requests at once", "tokens": "tokens of lists a day"}
    may = "may be asked" if fact.limit in ("server", "tool") else "may ask"
    return f"refused: more {what.get(fact.kind, fact.kind)} than the {fact.limit} {may}"


_TOOL_LOOKS = {"changed": ("warn", "≠"), "new": ("info", "+"), "gone": ("info", "-"), "restored": ("good", "●")}
"""Role and glyph of what happened to a tool."""


def _tool_words(fact: facts.ToolChanged) -> str:
    tool = fact.tool or plural(fact.more, "more tool")
    match fact.what:
        case "changed":
            said = f"{tool} changed{': ' + ', '.join(fact.parts) if fact.parts else ''}"
        case "restored":
            return f"{tool}: again as before"
        case _:
            said = f"{tool}: {fact.what}"
    return f"{said}; withheld until approved" if fact.is_withheld else said


_ANSWER_WORDS = {
    "accept": "accepted",
    "decline": "declined",
    "cancel": "cancelled",
    "expired": "nobody answered in time",
    "withdrawn": "its call ended first",
}


def _applied(fact: facts.ConfigApplied) -> str:
    changes = (
        ("added", fact.added),
        ("updated", fact.updated),
        ("replaced", fact.replaced),
        ("removed", fact.removed),
    )
    words = [f"{verb} {', '.join(names)}" for verb, names in changes if names]
    if fact.settings:
        words.append(", ".join(fact.settings))
    return ("rolled back: " if fact.is_rollback else "applied: ") + ("; ".join(words) or "nothing changed")
