"""What the Metrics screen plots: eight charts, each made of the history as curves with their figures. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from only1mcp_tui.view.history import History, Window
from only1mcp_tui.view.numbers import ABSENT, count, millis, rate
from only1mcp_tui.view.rings import MISSING
from only1mcp_tui.view.text import safe
from proxy_core.telemetry.snapshot import Snapshot

TOP_SERVERS = 5
LETTERS = "abcdef"
SMOOTHED = 10
"""Samples that a share is taken of: of one second alone it would be all or nothing."""
NO_TRAFFIC = "No traffic yet."
NO_CALLS = "No calls in this window."
NAME_LIMIT = 60


@dataclass(frozen=True, slots=True)
class Scope:
    """Of what the charts are."""

    window: Window = Window.TEN_MINUTES
    server: str | None = None
    """None: the whole gateway."""


@dataclass(frozen=True, slots=True)
class Curve:
    letter: str
    """Stands at the end of its line, so that colour need not tell."""
    label: str
    values: tuple[float, ...]
    """As many as there is room for; missing ones are gaps."""
    last: str
    """The newest value, in words."""

    @property
    def role(self) -> str:
        return f"plot-{LETTERS.index(self.letter) + 1}"


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    curves: tuple[Curve, ...]
    figures: tuple[tuple[str, str], ...]
    """Of its main curve, or of the sum: last, min and max."""
    top: float
    """Where its scale ends."""
    show: Callable[[float], str]
    """A value of its scale in words."""
    note: str = ""
    """Said in place of curves that have nothing to show."""


@dataclass(frozen=True, slots=True)
class Kind:
    key: str
    title: str
    short: str
    """For a line with its sparkline."""
    make: Callable[[History, Scope], Iterator[tuple[str, Sequence[float]]]]
    """Labels and samples."""
    show: Callable[[float], str]
    empty: str = ""
    """Said where every value is zero; empty: zeros are drawn."""
    is_shared: bool = False
    """Not counted by server."""
    is_highest: bool = False
    """Several samples become their highest, not their mean."""
    top: float | None = None
    """Of its scale; None: as the values need it."""
    main: tuple[int, str] = (0, "last")
    """The curve whose figures are told, and what its last value is called."""


def _per_s(*named: tuple[str, str]) -> Callable[[History, Scope], Iterator[tuple[str, Sequence[float]]]]:
    """Curves that are fields of the history as they are."""

    def make(history: History, scope: Scope) -> Iterator[tuple[str, Sequence[float]]]:
        for label, name in named:
            yield label, history.read(name, scope.window, scope.server)

    return make


def _calls(history: History, scope: Scope) -> Iterator[tuple[str, Sequence[float]]]:
    """The busiest servers, and all others together."""
    if scope.server is not None:
        yield scope.server, history.read("calls_per_s", scope.window, scope.server)
        return
    rest = history.read("server_calls_per_s", scope.window)
    for server in history.busiest(TOP_SERVERS):
        values = history.read("calls_per_s", scope.window, server)
        # What is missing of one server, because it came later, is none of its calls.
        # In this order, for `max` keeps its first argument where one is missing.
        rest = [max(some - (own if own == own else 0.0), 0.0) for some, own in zip(rest, values, strict=True)]
        yield server, values
    # Of half precision, which is kept of servers, a little is always left.
    if any(value >= 0.05 for value in rest):
        yield "others", rest


def _shares(history: History, scope: Scope) -> Iterator[tuple[str, Sequence[float]]]:
    hits = history.read("hits_per_s", scope.window, scope.server)
    yield "cache hits", _share(hits, history.read("lookups_per_s", scope.window, scope.server))
    if scope.server is None:
        joined, asked = (history.read(name, scope.window) for name in ("joined_per_s", "asked_per_s"))
        saved = [hit + join for hit, join in zip(hits, joined, strict=True)]
        needed = [hit + ask for hit, ask in zip(hits, asked, strict=True)]
        yield "answers without a call", _share(saved, needed)


def _share(parts: Sequence[float], wholes: Sequence[float]) -> Sequence[float]:
    """Percent, of the samples up to each; missing where there was nothing to take a share of."""
    part, whole = _running(parts), _running(wholes)
    return [
        100 * some / most if most > 0 and now == now else MISSING
        for some, most, now in zip(part, whole, wholes, strict=True)
    ]


def _running(values: Sequence[float]) -> list[float]:
    sums = [0.0, *accumulate(value if value == value else 0.0 for value in values)]
    return [sums[at + 1] - sums[max(0, at + 1 - SMOOTHED)] for at in range(len(values))]


def _percent(value: float) -> str:
    return f"{value:.0f}"


def _whole(value: float) -> str:
    return count(round(value))


KINDS: tuple[Kind, ...] = (
    Kind("calls", "Calls by server, /s", "calls /s", _calls, rate, NO_CALLS, main=(0, "all")),
    Kind(
        "latency",
        "Latency, ms",
        "p95 ms",
        _per_s(("p50", "p50_ms"), ("p95", "p95_ms"), ("p99", "p99_ms")),
        millis,
        NO_CALLS,
        is_highest=True,
        main=(1, "p95"),
    ),
    Kind(
        "errors",
        "Errors and retries, /s",
        "errors /s",
        _per_s(("errors", "errors_per_s"), ("retries", "retries_per_s")),
        rate,
        is_highest=True,
        main=(0, "errors"),
    ),
    Kind(
        "cache",
        "Cache and sharing, %",
        "cache hit %",
        _shares,
        _percent,
        "Nothing was looked up in the cache.",
        top=100.0,
        main=(0, "hits"),
    ),
    Kind(
        "saved",
        "Calls saved, /s",
        "saved /s",
        _per_s(("kept answers", "hits_per_s"), ("equal requests joined", "joined_per_s")),
        rate,
        main=(0, "kept"),
    ),
    Kind(
        "tokens",
        "Tokens of lists served, /s",
        "tokens /s",
        _per_s(("tokens", "tokens_per_s")),
        rate,
        "No list of tools was served in this window.",
        is_shared=True,
        is_highest=True,
    ),
    Kind("flight", "Calls in flight", "in flight", _per_s(("calls", "in_flight")), _whole, is_highest=True),
    Kind(
        "lag",
        "Event loop delay p99, ms",
        "loop p99 ms",
        _per_s(("delay", "lag_ms")),
        millis,
        is_shared=True,
        is_highest=True,
    ),
)


def chart_of(kind: Kind, history: History, scope: Scope, snapshot: Snapshot, points: int) -> Chart:
    """The chart as it is now, with at most `points` points to a curve."""
    if kind.is_shared and scope.server is not None:
        return Chart(kind.title, (), (), 1.0, kind.show, "Counted for all servers together.")
    named = list(kind.make(history, scope))
    every = [value for _, values in named for value in values if value == value]
    note = _note(kind, every, scope, snapshot)
    if note:
        return Chart(kind.title, (), (), 1.0, kind.show, note)
    curves = tuple(
        Curve(letter, safe(label, NAME_LIMIT), _fewer(values, points, kind.is_highest), _last(kind, values))
        for letter, (label, values) in zip(LETTERS, named, strict=False)
    )
    highest = max((value for curve in curves for value in curve.values if value == value), default=0.0)
    return Chart(kind.title, curves, _figures(kind, named), kind.top or nice_top(highest), kind.show)


def _note(kind: Kind, every: Sequence[float], scope: Scope, snapshot: Snapshot) -> str:
    if every and (kind.key == "lag" or any(every)):
        return ""
    calls = snapshot.totals.calls
    if scope.server is not None:
        calls = sum(row.calls for row in snapshot.servers if row.id == scope.server)
    if not calls:
        return NO_TRAFFIC
    return kind.empty or ("" if every else "Nothing was seen in this window.")


def _figures(kind: Kind, named: Sequence[tuple[str, Sequence[float]]]) -> tuple[tuple[str, str], ...]:
    """Of the main curve; of calls, of all servers together."""
    at, what = kind.main
    values: Sequence[float] = named[at][1]
    if kind.key == "calls" and len(named) > 1:
        columns = zip(*(values for _, values in named), strict=True)
        values = [_sum(column) for column in columns]
    known = [value for value in values if value == value]
    if not known:
        return ()
    last = _last(kind, values)
    return ((what, last), ("min", kind.show(min(known))), ("max", kind.show(max(known))))


def _sum(column: Sequence[float]) -> float:
    known = [value for value in column if value == value]
    return sum(known) if known else MISSING


def _last(kind: Kind, values: Sequence[float]) -> str:
    return kind.show(values[-1]) if values and values[-1] == values[-1] else ABSENT


def spark_of(kind: Kind, history: History, scope: Scope, width: int) -> tuple[Sequence[float], str]:
    """The newest seconds of a kind's main curve, for a line of its own, and its last value."""
    if kind.is_shared and scope.server is not None:
        return (), ABSENT
    name = FIELDS[kind.key]
    if kind.key == "calls" and scope.server is None:
        name = "server_calls_per_s"
    if kind.key == "cache":
        hits, lookups = (history.newest(each, scope.server, width) for each in ("hits_per_s", "lookups_per_s"))
        values = _share(hits, lookups)
    else:
        values = history.newest(name, scope.server, width)
    return values, _last(kind, values)


FIELDS = {
    "calls": "calls_per_s",
    "latency": "p95_ms",
    "errors": "errors_per_s",
    "cache": "hits_per_s",
    "saved": "hits_per_s",
    "tokens": "tokens_per_s",
    "flight": "in_flight",
    "lag": "lag_ms",
}
"""The field that a kind's sparkline is of."""


def _fewer(values: Sequence[float], points: int, is_highest: bool) -> tuple[float, ...]:
    """At most `points` of them: each the highest or the mean of its neighbours."""
    step = -(-len(values) // max(1, points))
    if step <= 1:
        return tuple(values)
    # From the end, so that the newest point is of as many samples as the others.
    starts = range(len(values) % step, len(values), step)
    return tuple(_one_of(values[at : at + step], is_highest) for at in starts)


def _one_of(values: Sequence[float], is_highest: bool) -> float:
    known = [value for value in values if value == value]
    if not known:
        return MISSING
    return max(known) if is_highest else sum(known) / len(known)


def nice_top(highest: float) -> float:
    """The first of 1, 2, 4, 5 and 10, at some power of ten, that leaves the highest value a little air."""
    if highest <= 0:
        return 1.0
    power = 1.0
    while power * 10 < highest:
        power *= 10
    while power > highest:
        power /= 10
    return next(factor * power for factor in (1, 2, 4, 5, 10, 20) if factor * power >= highest * 1.02)
