"""One server in full: a line for each thing to say, tab by tab."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from only1mcp_tui.view.history import History, sparkline
from only1mcp_tui.view.numbers import count, duration, millis, percent, plural, rate
from only1mcp_tui.view.states import LOOKS, era_badge
from only1mcp_tui.view.text import Line, Span, fit, safe, safe_lines, wrap
from proxy_core.telemetry.snapshot import BreakerState, ClientRow, NamedItem, ServerDetail, ServerRow

LABEL = 13
DESCRIPTION_LIMIT = 2000
ERA_WORDS = {"legacy": "legacy era", "modern": "modern era"}


@dataclass(frozen=True, slots=True)
class Scene:
    """What a tab may need beside the detail itself."""

    now: float
    history: History
    width: int
    clients: tuple[ClientRow, ...] = ()


def summary(detail: ServerDetail, scene: Scene) -> Iterator[Line]:
    row = detail.row
    look = LOOKS[row.state]
    since = f" for {duration(scene.now - row.since_at)}"
    yield _labelled("state", (f"{look.glyph} {look.word}", look.role), (since, "muted"))
    if row.reason:
        yield from _paragraph("why", row.reason, look.role, scene.width)
    if row.retry_at is not None:
        yield _labelled("next try", (f"in {duration(row.retry_at - scene.now)}", "info"))
    if row.breaker is not BreakerState.CLOSED:
        yield _labelled("breaker", _breaker(row, scene.now))
    yield _labelled("address", (safe(row.address), "text"))
    yield _labelled("speaks", (_speaks(row), "text"))
    if row.server_info:
        yield _labelled("says it is", (safe(row.server_info, 120), "text"))
    if row.pid is not None:
        restarts = f"  {plural(row.restarts, 'restart')}"
        yield _labelled("process", (f"pid {row.pid}", "text"), (restarts, "muted"))
    yield _labelled("probe", _probe(row, scene.now))
    yield ()
    yield from _traffic(row, scene)
    if row.last_error:
        yield ()
        yield from _paragraph("last error", row.last_error, "bad", scene.width)
    if detail.hidden:
        yield ()
        yield from _hidden(detail.hidden)
    if detail.instructions:
        yield ()
        yield from _paragraph("instructions", detail.instructions, "text", scene.width)


def _labelled(label: str, *spans: Span) -> Line:
    return (fit(f" {label}", LABEL + 1), "muted"), *spans


def _paragraph(label: str, text: str, role: str, width: int) -> Iterator[Line]:
    room = max(10, width - LABEL - 2)
    lines = [part for line in safe_lines(text, DESCRIPTION_LIMIT, most=12) for part in wrap(line, room)]
    for number, line in enumerate(lines[:12]):
        yield _labelled(label if number == 0 else "", (line, role))


def _speaks(row: ServerRow) -> str:
    if row.era is None:
        return f"{safe(row.transport, 8)}, era not known yet"
    revision = f" {safe(row.revision, 20)}" if row.revision else ""
    return f"MCP{revision} over {safe(row.transport, 8)} ({ERA_WORDS.get(row.era, 'era unknown')})"


def _breaker(row: ServerRow, now: float) -> Span:
    if row.breaker is BreakerState.OPEN and row.breaker_retry_at is not None:
        return f"open, tried again in {duration(row.breaker_retry_at - now)}", "bad"
    return "half open, a few calls try it", "warn"


def _probe(row: ServerRow, now: float) -> Span:
    if row.probe is None:
        return "none yet", "muted"
    ago = f"{duration(now - row.probe.at)} ago"
    if row.probe.error is not None:
        return f"{ago}: {safe(row.probe.error, 200)}", "bad"
    return f"answered in {millis(row.probe.latency_ms)} ms, {ago}", "text"


def _traffic(row: ServerRow, scene: Scene) -> Iterator[Line]:
    latency = row.latency
    graph = sparkline(scene.history.of_server(row.id), max(0, min(60, scene.width - LABEL - 22))).lstrip()
    yield _labelled("calls", (f"{rate(row.calls_per_s)} rps  ", "strong"), (graph, "trend"))
    yield _labelled(
        "so far",
        (f"{count(row.calls)}", "text"),
        (
            f"  errors {count(row.errors)} ({percent(row.errors, row.calls)} %)",
            "bad" if row.errors else "muted",
        ),
    )
    yield _labelled("in flight", (f"{row.in_flight}", "accent" if row.in_flight else "muted"))
    words = f"p50 {millis(latency.p50_ms)}  p95 {millis(latency.p95_ms)}  p99 {millis(latency.p99_ms)}"
    yield _labelled("latency ms", (words, "text"))


def _hidden(hidden: Iterable[tuple[str, str]]) -> Iterator[Line]:
    for number, (name, reason) in enumerate(hidden):
        label = "not listed" if number == 0 else ""
        yield _labelled(label, (f"{safe(name, 40)}  ", "warn"), (safe(reason, 200), "muted"))


def items(*kinds: str) -> Callable[[ServerDetail, Scene], Iterator[Line]]:
    """A tab that lists the server's items of these kinds, each with its arguments and what it says it does."""

    def lines(detail: ServerDetail, scene: Scene) -> Iterator[Line]:
        found = [item for item in detail.items if item.kind in kinds]
        if not found:
            yield _nothing(f"It offers no {kinds[0]}s.")
        for item in found:
            yield from _item(item, scene.width)

    return lines


def _item(item: NamedItem, width: int) -> Iterator[Line]:
    arguments = " ".join(f"{name}{'' if required else '?'}" for name, required in item.arguments[:40])
    yield (f" {safe(item.name, 200)}", "accent"), (f"  {safe(arguments, 200)}", "info")
    if item.origin != item.name:
        yield ((f"   the server's own name: {safe(item.origin, 200)}", "muted"),)
    for line in safe_lines(item.description, DESCRIPTION_LIMIT, most=4):
        for part in wrap(line, max(10, width - 4))[:4]:
            yield ((f"   {part}", "muted"),)


def clients(detail: ServerDetail, scene: Scene) -> Iterator[Line]:
    """Whoever has asked the gateway something, those that called this server first."""
    if not scene.clients:
        yield _nothing("No client has asked anything yet.")
        return
    here = [(row, dict(row.calls).get(detail.row.id, 0)) for row in scene.clients]
    for row, calls in sorted(here, key=lambda each: not each[1]):
        name = safe(row.name, 60) or "(no name)"
        who = f"  {safe(row.principal, 40)}" if row.principal != "anon" else ""
        yield (
            (" ", "text"),
            era_badge(row.era, row.revision),
            (f"  {name}", "text" if calls else "muted"),
            (who, "info"),
            (f"  {plural(calls, 'call')} here", "accent" if calls else "muted"),
            (f", {plural(row.requests, 'request')}, {duration(scene.now - row.last_at)} ago", "muted"),
        )


def config(detail: ServerDetail, scene: Scene) -> Iterator[Line]:
    wide = max((len(key) for key, _ in detail.settings), default=0)
    for key, value in detail.settings:
        yield (fit(f" {safe(key, 60)}", min(wide, 30) + 3), "muted"), (safe(value), "text")


def stderr(detail: ServerDetail, scene: Scene) -> Iterator[Line]:
    if not detail.stderr:
        is_child = detail.row.transport == "stdio"
        yield _nothing("Nothing on its stderr yet." if is_child else "It is not a child process of ours.")
    for line in detail.stderr:
        yield ((f" {safe(line)}", "text"),)


def _nothing(words: str) -> Line:
    return ((f" {words}", "muted"),)


@dataclass(frozen=True, slots=True)
class Tab:
    title: str
    lines: Callable[[ServerDetail, Scene], Iterator[Line]]
    number: Callable[[ServerRow], int | None] = lambda row: None
    """How many things are in it, where that says something."""


TABS: tuple[Tab, ...] = (
    Tab("Summary", summary),
    Tab("Tools", items("tool"), lambda row: row.tools),
    Tab("Resources", items("resource", "template"), lambda row: row.resources + row.templates),
    Tab("Prompts", items("prompt"), lambda row: row.prompts),
    Tab("Clients", clients),
    Tab("Config", config),
    Tab("Stderr", stderr),
)


def head_line(row: ServerRow) -> Line:
    look = LOOKS[row.state]
    name = f"  {safe(row.name, 80)}" if row.name != row.id else ""
    return (f" {safe(row.id, 80)}", "strong"), (name, "muted"), (f"  {look.glyph} {look.word}", look.role)


def tabs_line(row: ServerRow, active: int, width: int) -> Line:
    """The tabs' titles, clickable; a narrow pane leaves the numbers out."""
    titles = [_tab_title(tab, row) for tab in TABS]
    if sum(len(title) + 2 for title in titles) > width:
        titles = [tab.title for tab in TABS]
    spans: list[Span] = []
    for number, title in enumerate(titles):
        spans += [(" ", "text"), (title, "tab-on" if number == active else "tab", f"screen.show_tab({number})")]
        spans.append((" ", "text"))
    return tuple(spans)


def _tab_title(tab: Tab, row: ServerRow) -> str:
    number = tab.number(row)
    return f"{tab.title} {number}" if number else tab.title
