"""Where the time of an exchange went: every step and message, and how long each side had it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from only1mcp_tui.view.exchanges import byte_count
from only1mcp_tui.view.numbers import plural
from only1mcp_tui.view.text import Line, Span, cells, clip, safe
from proxy_core.telemetry.exchanges import ExchangeDetail, Hop, Message, MessageKind, Step


class Holder(StrEnum):
    """Who has the exchange between one event and the next."""

    GATEWAY = "gateway"
    QUEUE = "queue"
    SERVER = "server"
    CLIENT = "client"
    """Asked for input, it thinks."""
    OPERATOR = "operator"
    """Likewise, in the client's place."""


GLYPHS: Final = {
    Holder.GATEWAY: "▓",
    Holder.QUEUE: "░",
    Holder.SERVER: "█",
    Holder.CLIENT: "▒",
    Holder.OPERATOR: "▒",
}
ROLES: Final = {
    Holder.GATEWAY: "accent",
    Holder.QUEUE: "warn",
    Holder.SERVER: "info",
    Holder.CLIENT: "muted",
    Holder.OPERATOR: "warn",
}
OPERATOR_STEPS: Final = {"operator asked": Holder.OPERATOR, "operator answered": Holder.GATEWAY}
EVENTS_SHOWN: Final = 1000
SHORTEST_MS: Final = 0.05
"""What would be shown as 0.0 is left out."""


@dataclass(frozen=True, slots=True)
class Event:
    at_ms: float
    gap_ms: float
    """Until the next one."""
    holder: Holder
    """Who has it until then."""
    what: Step | Message


def events_of(detail: ExchangeDetail) -> tuple[Event, ...]:
    """Steps and messages in order of time, the first `EVENTS_SHOWN` of them."""
    both: list[Step | Message] = [*detail.steps[:EVENTS_SHOWN], *detail.messages[:EVENTS_SHOWN]]
    both.sort(key=lambda each: each.at_ms)
    end = max((each.at_ms for each in both), default=0.0)
    if detail.row.duration_ms is not None:
        end = max(end, detail.row.duration_ms)
    nexts = [*(each.at_ms for each in both[1:]), end]
    holder, events = Holder.GATEWAY, []
    for at, (each, then) in enumerate(zip(both, nexts, strict=False)):
        holder = _holder_after(each, holder)
        waits = at + 1 < len(both) and _ends_a_wait(both[at + 1])
        gap = max(0.0, then - each.at_ms)
        events.append(Event(each.at_ms, gap, Holder.QUEUE if waits else holder, each))
    return tuple(events[:EVENTS_SHOWN])


def _ends_a_wait(what: Step | Message) -> bool:
    """A call that had to wait its turn is told of when the wait is over."""
    return isinstance(what, Step) and what.name == "queued"


def _holder_after(what: Step | Message, before: Holder) -> Holder:
    if isinstance(what, Step) and what.name in OPERATOR_STEPS:
        return OPERATOR_STEPS[what.name]
    if isinstance(what, Step) or what.kind is MessageKind.NOTIFICATION:
        # That tells of what happens meanwhile; whoever was waited for is still waited for.
        return before
    if what.hop is Hop.SERVER:
        return Holder.SERVER if what.is_outgoing else Holder.GATEWAY
    return Holder.CLIENT if what.is_outgoing else Holder.GATEWAY


def shares_of(events: Sequence[Event]) -> dict[Holder, float]:
    """Milliseconds by holder; those that had none are left out."""
    shares: dict[Holder, float] = {}
    for event in events:
        if event.gap_ms > 0:
            shares[event.holder] = shares.get(event.holder, 0.0) + event.gap_ms
    return shares


def timeline_lines(detail: ExchangeDetail, width: int) -> Iterator[Line]:
    events = events_of(detail)
    if not events:
        yield (("  Nothing was recorded of how it went.", "muted"),)
        return
    shares = shares_of(events)
    total = sum(shares.values())
    yield from _summary(shares, total, width)
    yield ()
    bar = min(40, max(8, (width - 62) // 2))
    title = f"  {'AT ms':>9} {'FOR ms':>9}  "
    yield clip(((title + " " * bar + "  WHAT", "head"),), width)
    for event in events:
        yield _event_line(event, total, bar, width)
    if len(detail.steps) + len(detail.messages) > len(events):
        yield (("  … and more; x exports all of them", "warn"),)


def _summary(shares: dict[Holder, float], total: float, width: int) -> Iterator[Line]:
    """One bar for the whole, and who had how much of it."""
    room = max(10, min(width - 4, 100))
    bar: list[Span] = [("  ", "text")]
    ends, passed = 0, 0.0
    for holder, ms in shares.items():
        passed += ms
        upto = round(passed / total * room) if total else 0
        bar.append((GLYPHS[holder] * (upto - ends), ROLES[holder]))
        ends = upto
    yield tuple(bar)
    named = [_share(holder, shares[holder], total) for holder in Holder if holder in shares]
    at_once = max(1, (width - 2) // max(map(cells, named), default=1))
    for start in range(0, len(named), at_once):
        yield ("  ", "text"), *(span for each in named[start : start + at_once] for span in each)


def _share(holder: Holder, ms: float, total: float) -> Line:
    part = f"{ms / total * 100:.0f} %" if total else ""
    return (
        (f"{GLYPHS[holder]} ", ROLES[holder]),
        (f"{holder:<8}", "text"),
        (f"{ms:>8.1f} ms {part:>5}    ", "text"),
    )


def _event_line(event: Event, total: float, bar: int, width: int) -> Line:
    start = min(bar - 1, int(event.at_ms / total * bar)) if total else 0
    upto = round((event.at_ms + event.gap_ms) / total * bar) if total else 0
    length = min(bar - start, max(1, upto - start)) if event.gap_ms >= SHORTEST_MS else 0
    glyphs = GLYPHS[event.holder] * length if length else "·"
    gap = f"{event.gap_ms:>9.1f}" if length else " " * 9
    head: Line = (
        (f"  {event.at_ms:>9.1f} ", "muted"),
        (f"{gap}  ", "text"),
        (" " * start + glyphs, ROLES[event.holder] if length else "muted"),
        (" " * (bar - start - max(1, length)) + "  ", "text"),
    )
    what = _step_spans(event.what) if isinstance(event.what, Step) else _message_spans(event.what)
    return clip((*head, *what), width)


def _step_spans(step: Step) -> Line:
    return (f"{safe(step.name, 40)} ", "strong"), (safe(step.text, 300), "muted")


def _message_spans(message: Message) -> Line:
    tried = f"  try {message.attempt}" if message.attempt > 1 else ""
    cut = ", cut" if message.is_cut else ""
    said = f"{message.kind} {safe(message.method, 60)}  {byte_count(message.size)}{cut}{tried}"
    return (f"{hop_words(message)}  ", "accent"), (said, "text")


def hop_words(message: Message) -> str:
    """From whom to whom."""
    other = "client" if message.hop is Hop.CLIENT else safe(message.replica, 60) or "server"
    return f"gateway → {other}" if message.is_outgoing else f"{other} → gateway"


def attempts_words(detail: ExchangeDetail) -> str:
    row = detail.row
    words = [plural(row.attempts, "attempt")] if row.attempts > 1 else []
    words += [plural(row.rounds, "input round")] if row.rounds else []
    return ", ".join(words)
