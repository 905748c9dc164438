"""One server in full: a line for each thing to say, tab by tab."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from only1mcp_tui.view.history import History, sparkline
from only1mcp_tui.view.numbers import clock_time, count, duration, latency, millis, percent, plural, rate, size
from only1mcp_tui.view.probes import probe_lines
from only1mcp_tui.view.processes import orphan_lines, process_lines
from only1mcp_tui.view.states import LOOKS, era_badge, look_of
from only1mcp_tui.view.targets import (
    Target,
    code_words,
    has_replicas,
    probe_words,
    reason_of,
    suspect_words,
    targets_of,
)
from only1mcp_tui.view.text import Line, Span, first_line, fit, safe, safe_lines, wrap
from proxy_core.telemetry.savings import CacheRow
from proxy_core.telemetry.snapshot import (
    BreakerState,
    Change,
    ChildRow,
    ClientRow,
    OrphanRow,
    Probe,
    ReplicaRow,
    ServerDetail,
    ServerRow,
    ServerState,
)

LABEL = 13
DESCRIPTION_LIMIT = 2000
CHANGES_SHOWN = 8
DIFFERENCES_SHOWN = 5
PROCESSES_SHOWN = 12
DESCENDANTS_SHOWN = 6
ERA_WORDS = {"legacy": "legacy era", "modern": "modern era"}


@dataclass(frozen=True, slots=True)
class Scene:
    """What a tab may need beside the detail itself."""

    now: float
    history: History
    width: int
    clients: tuple[ClientRow, ...] = ()
    replica: str = ""
    """The one under the cursor, if it is a replica's row."""
    wall_offset_s: float = 0.0
    """Added to a time of the picture it gives the time of day."""
    caches: tuple[CacheRow, ...] = ()
    """Of this server."""
    orphans: Sequence[OrphanRow] | str | None = None
    """What earlier gateways left behind, or why nobody knows; None: nobody has looked."""
    may_change: bool = True
    """False: one may only look."""


def summary(detail: ServerDetail, scene: Scene) -> Iterator[Line]:
    row = detail.row
    look = LOOKS[row.state]
    since = f" for {duration(scene.now - row.since_at)}"
    yield _labelled("state", (f"{look.glyph} {look.word}", look.role), (since, "muted"))
    if row.state is ServerState.DRAINING and row.drain_until is not None:
        yield _labelled("drain", (reason_of(row, scene.now), "warn"))
    if row.reason:
        yield from _paragraph("why", row.reason, look.role, scene.width)
    yield from _suspects(row, scene.may_change)
    if row.retry_at is not None:
        yield _labelled("next try", (f"in {duration(row.retry_at - scene.now)}", "info"))
    if row.breaker is not BreakerState.CLOSED:
        yield _labelled("breaker", _breaker(row, scene.now))
    if not has_replicas(row):
        yield _labelled("address", (safe(row.address), "text"))
    yield _labelled("speaks", (_speaks(row), "text"))
    if row.server_info:
        yield _labelled("says it is", (safe(row.server_info, 120), "text"))
    if row.is_remembered:
        yield _labelled("lists", ("those of an earlier run, until it answers", "warn"))
    yield from _processes(row, scene.now)
    yield _labelled("probe", _probe(row.probe, scene.now))
    yield from _history(detail, scene)
    yield ()
    yield from _traffic(row, scene)
    yield from _costs(row, scene)
    if has_replicas(row):
        yield ()
        yield from _replicas(row, scene)
    if row.last_error:
        yield ()
        yield from _paragraph("last error", row.last_error, "bad", scene.width)
    if detail.hidden:
        yield ()
        yield from _hidden(detail.hidden)
    if detail.instructions:
        yield ()
        yield from _paragraph("instructions", detail.instructions, "text", scene.width)


def _suspects(row: ServerRow, may_change: bool) -> Iterator[Line]:
    """Which of its tools want an eye."""
    if row.changed:
        key: Line = (("  A", "key"), (" shows what is different", "muted")) if may_change else ()
        yield _labelled("tools", (f"≠ {suspect_words(row.changed, row.withheld)}", "warn"), *key)
    if row.naming:
        named = plural(row.naming, "tool")
        yield _labelled(
            "", (f"! {named} {'names' if row.naming == 1 else 'name'} tools of other servers", "warn")
        )


def _history(detail: ServerDetail, scene: Scene) -> Iterator[Line]:
    """How it came to be in this state, the newest first."""
    newest = detail.changes[: -CHANGES_SHOWN - 1 : -1]
    for number, change in enumerate(newest):
        where = f"{safe(change.replica, 40)} " if change.replica and has_replicas(detail.row) else ""
        yield _labelled(
            "how it came" if number == 0 else "",
            (f"{clock_time(change.at + scene.wall_offset_s)}  ", "muted"),
            (where, "info"),
            _change(change),
        )
        if change.reason:
            for part in wrap(first_line(change.reason, 200), max(20, scene.width - LABEL - 12)):
                yield _labelled("", (" " * 10 + part, "muted"))


def _change(change: Change) -> Span:
    if change.what == "breaker":
        role = {"closed": "good", "open": "bad"}.get(change.now, "warn")
        return f"⊘ breaker {safe(change.now, 20).replace('_', ' ')}", role
    look = LOOKS.get(change.now)  # type: ignore[call-overload]
    return (f"{look.glyph} {look.word}", look.role) if look else (safe(change.now, 20), "muted")


def _costs(row: ServerRow, scene: Scene) -> Iterator[Line]:
    """What is saved at it, and what its tools cost a model."""
    hits, looked = sum(one.hits for one in scene.caches), sum(one.hits + one.misses for one in scene.caches)
    if looked:
        held = sum(one.bytes for one in scene.caches)
        words = f"{percent(hits, looked)} % of {count(looked)} from the cache"
        yield _labelled("cache", (words, "text"), (f"  {size(held)} held", "muted"))
    if row.tokens is not None:
        before = f"{count(row.tokens.visible)} before the model"
        yield _labelled("tokens", (before, "text"), (f"  {count(row.tokens.wire)} on the wire", "muted"))


def _replicas(row: ServerRow, scene: Scene) -> Iterator[Line]:
    """How calls are spread, then two or three lines for each replica."""
    yield _labelled("balance", (safe(row.balance, 40).replace("_", " ") or "-", "text"))
    for sentence in row.differences[:DIFFERENCES_SHOWN]:
        yield from _paragraph("they differ", sentence, "warn", scene.width)
    for target in targets_of(row):
        if (replica := target.replica) is not None:
            yield from _replica(replica, target, scene)


def _replica(replica: ReplicaRow, target: Target, scene: Scene) -> Iterator[Line]:
    is_chosen = replica.id == scene.replica
    mark = "›" if is_chosen else ("└" if target.is_last else "├")
    look, idle = LOOKS[replica.state], replica.in_flight == 0
    yield (
        (fit(f" {mark} {safe(replica.id, 40)}", LABEL + 1), "strong" if is_chosen else "muted"),
        (f"{look.glyph} {look.word}", look.role),
        ("  ", "text"),
        era_badge(replica.era, replica.revision),
        (f"  weight {replica.weight}", "muted"),
        (f"  {replica.in_flight} in flight", "muted" if idle else "accent"),
    )
    failed = f", {plural(replica.failures, 'failure')}" if replica.failures else ""
    yield _labelled(
        "",
        (plural(replica.calls, "call"), "text"),
        (failed, "bad"),
        ("  probe ", "muted"),
        (probe_words(replica.probe, scene.now) if replica.probe else "none yet", _probe(replica.probe, 0)[1]),
    )
    if reason := reason_of(replica, scene.now):
        yield from _paragraph("", reason, target.look.role, scene.width)
    if replica.retry_at is not None:
        yield _labelled("", (f"next try in {duration(replica.retry_at - scene.now)}", "info"))
    yield _labelled("", (safe(replica.address), "muted"))


def _processes(row: ServerRow, now: float) -> Iterator[Line]:
    """Every child of ours with what it costs, as last sampled; the process id alone until then."""
    restarts = f"  {plural(row.restarts, 'restart')}"
    if not row.processes and row.pid is not None and not has_replicas(row):
        yield _labelled("process", (f"pid {row.pid}", "text"), (restarts, "muted"))
    for number, child in enumerate(row.processes[:PROCESSES_SHOWN]):
        whose = [safe(child.replica, 40)] if has_replicas(row) else []
        whose += [f"for {safe(child.client, 40)}"] if child.client else []
        yield _labelled(
            "process" if number == 0 else "",
            (f"pid {child.pid}  ", "text"),
            (f"{size(child.rss_bytes)}  {child.cpu_percent:.1f} % CPU", "text"),
            (f"  up {duration(now - child.started_at)}", "muted"),
            (f"  {' '.join(whose)}" if whose else "", "info"),
            (restarts if number == 0 and not has_replicas(row) else "", "muted"),
        )
        if child.descendants:
            yield _labelled("", (f"  with {_descendants(child)}", "muted"))
    if (more := len(row.processes) - PROCESSES_SHOWN) > 0:
        yield _labelled("", (f"and {more} more", "muted"))


def _descendants(child: ChildRow) -> str:
    named = [f"{safe(name, 30)} {pid}" for pid, name in child.descendants[:DESCENDANTS_SHOWN]]
    more = len(child.descendants) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


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


def _probe(probe: Probe | None, now: float) -> Span:
    if probe is None:
        return "none yet", "muted"
    ago = f"{duration(now - probe.at)} ago"
    if probe.error is None:
        return f"answered in {latency(probe.latency_ms)}, {ago}", "text"
    took = f" after {latency(probe.latency_ms)}" if probe.latency_ms is not None else ""
    return f"{ago}: {code_words(probe)}{took}: {first_line(probe.error, 200)}", "bad"


def _traffic(row: ServerRow, scene: Scene) -> Iterator[Line]:
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
    queued = f"  {plural(row.queued, 'call')} wait for a free place" if row.queued else ""
    yield _labelled("in flight", (f"{row.in_flight}", "accent" if row.in_flight else "muted"), (queued, "warn"))
    if row.retries:
        yield _labelled("retries", (f"{count(row.retries)}", "warn"))
    times = row.latency
    words = f"p50 {millis(times.p50_ms)}  p95 {millis(times.p95_ms)}  p99 {millis(times.p99_ms)}"
    yield _labelled("latency ms", (words, "text"))


def _hidden(hidden: Iterable[tuple[str, str]]) -> Iterator[Line]:
    for number, (name, reason) in enumerate(hidden):
        label = "not listed" if number == 0 else ""
        yield _labelled(label, (f"{safe(name, 40)}  ", "warn"), (safe(reason, 200), "muted"))


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
    """What the file says first, then what it leaves as it is."""
    wide = min(30, max((len(key) for key, _ in (*detail.settings, *detail.defaults)), default=0)) + 3
    for key, value in detail.settings:
        yield (fit(f" {safe(key, 60)}", wide), "muted"), (safe(value), "text")
    if detail.defaults:
        yield ()
        yield ((" AS IT IS UNLESS TOLD", "head"),)
    for key, value in detail.defaults:
        yield (fit(f" {safe(key, 60)}", wide), "off"), (safe(value), "muted")


def processes(detail: ServerDetail, scene: Scene) -> Iterator[Line]:
    yield from process_lines(detail.row, scene.now)
    yield from orphan_lines(scene.orphans)


def probes(detail: ServerDetail, scene: Scene) -> Iterator[Line]:
    yield from probe_lines(detail, scene.wall_offset_s, scene.width, scene.replica)


def nothing_on_stderr(row: ServerRow) -> Line:
    is_child = "stdio" in row.transport
    return _nothing("Nothing on its stderr yet." if is_child else "It is not a child process of ours.")


def _nothing(words: str) -> Line:
    return ((f" {words}", "muted"),)


def _no_lines(detail: ServerDetail, scene: Scene) -> Iterator[Line]:
    """Of tabs that are no mere lines."""
    return iter(())


@dataclass(frozen=True, slots=True)
class Tab:
    id: str
    title: str
    lines: Callable[[ServerDetail, Scene], Iterator[Line]] = _no_lines
    number: Callable[[ServerRow], int | None] = lambda row: None
    """How many things are in it, where that says something."""
    kinds: tuple[str, ...] = ()
    """Of the items in it, if it is a list of them."""


TABS: tuple[Tab, ...] = (
    Tab("summary", "Summary", summary),
    Tab("tools", "Tools", number=lambda row: row.tools, kinds=("tool",)),
    Tab(
        "resources",
        "Resources",
        number=lambda row: row.resources + row.templates,
        kinds=("resource", "template"),
    ),
    Tab("prompts", "Prompts", number=lambda row: row.prompts, kinds=("prompt",)),
    Tab("clients", "Clients", clients),
    Tab("config", "Config", config),
    Tab("stderr", "Stderr"),
    Tab("process", "Process", processes),
    Tab("probes", "Probes", probes),
)
NUMBER_OF = {tab.id: number for number, tab in enumerate(TABS)}


def head_line(row: ServerRow, crumbs: Sequence[str] = (), is_alone: bool = False, replica: str = "") -> Line:
    """Which server, and where in it one is; `is_alone`: the list that it was opened from is not in sight."""
    look = look_of(row.state, row.breaker)
    name = f"  {safe(row.name, 80)}" if row.name != row.id and not crumbs else ""
    path = "".join(f" › {safe(crumb, 80)}" for crumb in crumbs)
    return (
        (" Servers ›" if is_alone else "", "muted"),
        (f" {safe(f'{row.id}/{replica}' if replica else row.id, 80)}", "strong"),
        (name, "muted"),
        (path, "accent"),
        (f"  {look.glyph} {look.word}", look.role),
    )


def tabs_lines(row: ServerRow, active: int, width: int) -> list[Line]:
    """The tabs' titles, clickable, on as many lines as they need; a narrow pane leaves the numbers out."""
    titles = [_tab_title(tab, row) for tab in TABS]
    if sum(len(title) + 2 for title in titles) > width:
        titles = [tab.title for tab in TABS]
    lines: list[list[Span]] = [[]]
    used = 0
    for number, title in enumerate(titles):
        if used and used + len(title) + 1 > width:
            lines.append([])
            used = 0
        used += len(title) + 2
        role = "tab-on" if number == active else "tab"
        lines[-1] += [(" ", "text"), (title, role, f"screen.show_tab({number})"), (" ", "text")]
    return [tuple(line) for line in lines]


def _tab_title(tab: Tab, row: ServerRow) -> str:
    number = tab.number(row)
    return f"{tab.title} {number}" if number else tab.title
