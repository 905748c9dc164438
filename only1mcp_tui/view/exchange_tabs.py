"""One exchange in full: its head, and a list of lines for each tab, made once for each opening and width."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from only1mcp_tui.view import recorded
from only1mcp_tui.view.diff_lines import Compared, diff_lines
from only1mcp_tui.view.exchanges import age, byte_count, server_of, status_words
from only1mcp_tui.view.json_lines import json_lines, text_lines
from only1mcp_tui.view.numbers import clock_time, latency, plural
from only1mcp_tui.view.states import era_badge
from only1mcp_tui.view.text import Line, Span, cells, clip, plain, safe, wrap
from only1mcp_tui.view.timeline import attempts_words, hop_words, timeline_lines
from proxy_core.telemetry.exchanges import ExchangeDetail, Hop, Message, MessageKind

SIDE_BY_SIDE: Final = 100
"""Cells from which on the two eras stand beside each other."""
ROOMY: Final = 100
"""Cells from which on the head has two lines."""
ALIGNED: Final = 300
"""Lines of a side up to which equal ones are brought level; beyond, it would take too long."""
MESSAGES_SHOWN: Final = 60
TEXT_SHOWN: Final = 200_000
"""Characters of all bodies of a tab: about as many as a frame has time for."""
LINES_SHOWN: Final = 8000
HEADERS_SHOWN: Final = 50
"""Of one message."""
HEADER_SHOWN: Final = 1000
"""Characters of one header."""
NO_BODY: Final = "No body was kept (inspect.bodies)."


@dataclass(frozen=True, slots=True)
class Page:
    """What a tab is made from."""

    detail: ExchangeDetail
    width: int
    compared: Compared | None = None
    """With the exchange that it is a replay of."""


@dataclass(frozen=True, slots=True)
class ExchangeTab:
    title: str
    lines: Callable[[Page], Iterable[Line]]
    is_there: Callable[[Page], bool] = lambda page: True


def _timeline(page: Page) -> Iterator[Line]:
    yield ()
    yield from timeline_lines(page.detail, page.width)
    if page.detail.why_not_replayable:
        yield ()
        for text in wrap(f"Cannot be made again: {safe(page.detail.why_not_replayable)}", page.width - 4):
            yield ((f"  {text}", "warn"),)


def _request(page: Page) -> Iterator[Line]:
    return _bodies([recorded.asked(page.detail)], page.width, "Nothing of the request was recorded.")


def _response(page: Page) -> Iterator[Line]:
    none = "There is no answer yet." if page.detail.row.duration_ms is None else "No answer was recorded."
    return _bodies([recorded.answered(page.detail)], page.width, none)


def _notifications(page: Page) -> Iterator[Line]:
    return _bodies(_told(page.detail), page.width, "No notification came with it.")


def _told(detail: ExchangeDetail) -> list[Message]:
    return [message for message in detail.messages if message.kind is MessageKind.NOTIFICATION]


def _bodies(messages: Sequence[Message | None], width: int, none: str) -> Iterator[Line]:
    found = [message for message in messages if message is not None]
    if not found:
        yield ((f"  {none}", "muted"),)
    shown = _as_many_as_fit(found)
    for message in shown:
        yield _message_head(message)
        yield from _indented(_body_lines(message, width - 2))
        yield ()
    yield from _left_out(len(found) - len(shown))


def _as_many_as_fit(messages: Sequence[Message]) -> Sequence[Message]:
    total = 0
    for number, message in enumerate(messages[:MESSAGES_SHOWN]):
        total += len(message.body)
        if total > TEXT_SHOWN and number:
            return messages[:number]
    return messages[:MESSAGES_SHOWN]


def _left_out(number: int) -> Iterator[Line]:
    if number > 0:
        yield ((f"  … and {plural(number, 'more message')}; x exports all of them", "warn"),)


def _body_lines(message: Message, width: int) -> Iterable[Line]:
    if not message.body:
        return [((NO_BODY, "muted"),)]
    lines = json_lines(message.body, width)
    cut = f"… cut: it had {byte_count(message.size)} bytes"
    return [*lines, ((cut, "warn"),)] if message.is_cut else lines


def _indented(lines: Iterable[Line]) -> Iterator[Line]:
    return ((("  ", "text"), *line) for line in lines)


def _message_head(message: Message) -> Line:
    revision, role = era_badge(message.era or None, message.revision or None)
    tried = f"  try {message.attempt}" if message.attempt > 1 else ""
    return (
        (f" {hop_words(message)} ", "strong"),
        (f" {message.kind} {safe(message.method, 80)}", "text"),
        (f"  {message.at_ms:.1f} ms  {byte_count(message.size)}{tried}  ", "muted"),
        (revision, role),
    )


def _headers(page: Page) -> Iterator[Line]:
    found = [message for message in page.detail.messages if message.headers]
    if not found:
        yield (("  No HTTP headers: it came over stdio, or they were not kept.", "muted"),)
    for message in found[:MESSAGES_SHOWN]:
        yield _message_head(message)
        for name, value in message.headers[:HEADERS_SHOWN]:
            whole = f"{safe(name, 100)}: {safe(value, HEADER_SHOWN)}"
            for number, line in enumerate(text_lines(whole, page.width - 6)):
                yield (("      " if number else "  ", "text"), *line)
        yield ()
    yield from _left_out(len(found) - MESSAGES_SHOWN)


def _raw(page: Page) -> Iterator[Line]:
    messages = page.detail.messages
    if not messages:
        yield (("  No message was recorded.", "muted"),)
    shown = _as_many_as_fit(messages)
    for message in shown:
        yield _message_head(message)
        for name, value in message.headers[:HEADERS_SHOWN]:
            yield ((f"  {safe(name, 100)}: {safe(value)}", "muted"),)
        if message.body:
            yield from _indented(text_lines(message.body, page.width - 2))
        else:
            yield ((f"  {NO_BODY}", "muted"),)
        yield ()
    yield from _left_out(len(messages) - len(shown))


# --- both eras ----------------------------------------------------------------------------------------------


def _eras(page: Page) -> Iterator[Line]:
    detail = page.detail
    pairs = (
        ("request", recorded.asked(detail), recorded.forwarded(detail)),
        ("response", recorded.answered(detail), recorded.returned(detail)),
    )
    for what, left, right in pairs:
        if left is None and right is None:
            continue
        if page.width >= SIDE_BY_SIDE:
            yield from _beside(what, left, right, page.width)
        else:
            yield from _below(what, left, right, page.width)
        yield ()


def _side_title(what: str, message: Message | None, whose: str) -> Line:
    if message is None:
        return ((f" {whose}: no {what}", "muted"),)
    badge, role = era_badge(message.era or None, message.revision or None)
    return (f" {whose}: {what}  ", "strong"), (badge, role), (f"  {byte_count(message.size)}", "muted")


def _sides(left: Message | None, right: Message | None, width: int) -> tuple[list[Line], list[Line]]:
    return tuple([] if side is None else list(_body_lines(side, width)) for side in (left, right))  # type: ignore[return-value]


def _beside(what: str, left: Message | None, right: Message | None, width: int) -> Iterator[Line]:
    half = (width - 5) // 2
    titles = (_side_title(what, left, "client"), _side_title(what, right, "server"))
    yield *clip(titles[0], half + 1), ("   ", "text"), *titles[1]
    ours, theirs = _sides(left, right, half - 1)
    for one, other in _level(ours, theirs):
        is_equal = one is not None and other is not None and _text(one) == _text(other)
        mark: Span = (" │ ", "muted") if is_equal else (" ~ ", "warn")
        yield ("  ", "text"), *_padded(one or (), half - 1), mark, *(other or ())


def _padded(line: Line, width: int) -> Line:
    """`line`, which is no wider, in exactly `width` cells."""
    return *line, (" " * max(0, width - cells(line)), "text")


def _text(line: Line) -> str:
    # A comma after it is no difference of the line.
    return plain(line).removesuffix(",")


def _level(ours: list[Line], theirs: list[Line]) -> Iterator[tuple[Line | None, Line | None]]:
    """Lines beside each other, equal ones on one level."""
    if max(len(ours), len(theirs)) > ALIGNED:
        for at in range(max(len(ours), len(theirs))):
            yield ours[at] if at < len(ours) else None, theirs[at] if at < len(theirs) else None
        return
    matcher = SequenceMatcher(None, [*map(_text, ours)], [*map(_text, theirs)], autojunk=False)
    for _, a, b, c, d in matcher.get_opcodes():
        for step in range(max(b - a, d - c)):
            yield ours[a + step] if a + step < b else None, theirs[c + step] if c + step < d else None


def _below(what: str, left: Message | None, right: Message | None, width: int) -> Iterator[Line]:
    ours, theirs = _sides(left, right, width - 3)
    for title, lines, others in (
        (_side_title(what, left, "client"), ours, theirs),
        (_side_title(what, right, "server"), theirs, ours),
    ):
        yield title
        there = Counter(map(_text, others))
        for line in lines:
            is_there = there[_text(line)] > 0
            there[_text(line)] -= is_there
            yield ("   " if is_there else " ~ ", "text" if is_there else "warn"), *line


def _diff(page: Page) -> Iterator[Line]:
    return iter(()) if page.compared is None else diff_lines(page.compared, page.width)


# --- head and tabs ------------------------------------------------------------------------------------------

TABS: Final[tuple[ExchangeTab, ...]] = (
    ExchangeTab("Timeline", _timeline),
    ExchangeTab("Request", _request),
    ExchangeTab("Response", _response),
    ExchangeTab("Notifications", _notifications),
    ExchangeTab("Headers", _headers),
    ExchangeTab("Raw", _raw),
    ExchangeTab("Eras", _eras, lambda page: page.detail.row.is_translated),
    ExchangeTab("Diff", _diff, lambda page: page.compared is not None),
)


def lines_of(tab: ExchangeTab, page: Page) -> list[Line]:
    """The lines of a tab, no more than can be of use."""
    lines: list[Line] = []
    for line in tab.lines(page):
        if len(lines) >= LINES_SHOWN:
            return [*lines, (("  … more than is shown; x exports all of it", "warn"),)]
        lines.append(line)
    return lines


def tabs_of(page: Page) -> list[ExchangeTab]:
    return [tab for tab in TABS if tab.is_there(page)]


def tabs_line(tabs: Sequence[ExchangeTab], detail: ExchangeDetail, active: str, width: int) -> Line:
    """The tabs' titles, clickable; a narrow screen shortens all but the active one."""
    numbers = {"Notifications": len(_told(detail))}
    titles = [f"{tab.title} {number}" if (number := numbers.get(tab.title)) else tab.title for tab in tabs]
    if sum(len(title) + 2 for title in titles) > width:
        titles = [tab.title if tab.title == active else tab.title[:6] for tab in tabs]
    spans: list[Span] = []
    for tab, title in zip(tabs, titles, strict=True):
        role = "tab-on" if tab.title == active else "tab"
        spans += [(" ", "text"), (title, role, f"screen.show_tab('{tab.title}')"), (" ", "text")]
    return tuple(spans)


def head_lines(detail: ExchangeDetail, wall: float, is_marked: bool, width: int) -> tuple[Line, ...]:
    """Two lines; three where the first would be too long."""
    row = detail.row
    words, role = status_words(row)
    took = latency(row.duration_ms) if row.duration_ms is not None else age(wall - row.wall)
    told = [attempts_words(detail)]
    told += [f"from cache: {safe(row.saved, 20)}"] if row.saved else []
    told += [f"replay of {detail.replay_of}"] if detail.replay_of is not None else ["replay"] * row.is_replay
    told += [f"{plural(detail.masked, 'secret')} masked"] if detail.masked else []
    first: Line = (
        (f" {'*' if is_marked else ''}{row.id} ", "accent" if is_marked else "muted"),
        (f" {safe(row.method, 80)} ", "muted"),
        (f" {safe(row.target, 200)}" if row.target else "", "strong"),
        (f"   {words}  ", role),
        (took, "text"),
    )
    when: Span = (f"   {clock_time(row.wall)}", "muted")
    more: Span = ("".join(f"   {each}" for each in told if each), "warn")
    if width >= ROOMY:
        return (*first, when, more), _ends(detail)
    return first, _ends(detail), ((when[0][2:], "muted"), more)


def _ends(detail: ExchangeDetail) -> Line:
    """Who asked whom, each with the era that it speaks."""
    row = detail.row
    spoken = next((m for m in detail.messages[::-1] if m.hop is Hop.SERVER and m.revision), None)
    theirs = era_badge(spoken.era, spoken.revision) if spoken is not None else ("", "muted")
    principal = f" ({safe(row.principal, 60)})" if row.principal and row.principal != row.client else ""
    session = f"   session {safe(detail.session, 16)}" if detail.session else ""
    profile = f"   profile {safe(detail.profile, 40)}" if detail.profile else ""
    return (
        (f" {safe(row.client, 80) or 'a client'}", "text"),
        (f"{principal} ", "muted"),
        era_badge(row.era or None, row.revision or None),
        (" → ", "muted"),
        (safe(server_of(row), 120) or "answered here", "text"),
        (" ", "text"),
        theirs,
        (f"{profile}{session}", "muted"),
    )
