"""What the numbers were: one sample a second for ten minutes, one for each ten seconds for an hour.

The screens own it; the core keeps no plots. Counters become rates: a restart of the gateway, or a server that
was configured anew, is a gap and no negative number. What was not seen (nobody was connected, the machine
slept, it was before the screen opened) is a gap too, never zero.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from only1mcp_tui.view.rings import MISSING, Ring
from proxy_core.telemetry.savings import Savings
from proxy_core.telemetry.snapshot import Latency, ServerRow, Snapshot

KEPT_S = 120
"""Of the newest seconds: more than any sparkline has room for."""
BLOCKS = "▁▂▃▄▅▆▇█"
HEADROOM = 1.25
"""Without it a steady series would be a solid wall of colour."""
SECONDS, TENS = 600, 360
CARRIED_S = 3
"""A screen that paints once a second skips one now and then; a longer pause is a gap."""
STALE_S = 3.0
"""The gateway makes a new picture every second; an older one tells of the past."""
FORGETS = 0.98
"""What is left after a second of the score that tells the busiest servers."""

SERVER_FIELDS = (
    *("calls_per_s", "errors_per_s", "retries_per_s", "p50_ms", "p95_ms", "p99_ms", "in_flight"),
    *("hits_per_s", "lookups_per_s", "joined_per_s"),
)
TOTAL_FIELDS = (*SERVER_FIELDS, "asked_per_s", "tokens_per_s", "lag_ms", "server_calls_per_s")
LATENCIES = frozenset({"p50_ms", "p95_ms", "p99_ms"})
HIGHEST = LATENCIES | {"in_flight", "lag_ms"}
"""Of ten seconds the highest is kept of these, the mean of the others."""


class Window(Enum):
    """How far back: samples, seconds from one to the next, a person's words."""

    MINUTE = (60, 1, "1 m")
    TEN_MINUTES = (SECONDS, 1, "10 m")
    HOUR = (TENS, 10, "1 h")

    def __init__(self, samples: int, step_s: int, label: str) -> None:
        self.samples, self.step_s, self.label = samples, step_s, label

    @property
    def seconds(self) -> int:
        return self.samples * self.step_s


@dataclass(frozen=True, slots=True)
class Counts:
    """Counters of one source, as they stand."""

    retries: int = 0
    hits: int = 0
    lookups: int = 0
    joined: int = 0
    asked: int = 0
    tokens: int = 0

    def rates(self, before: "Counts | None", elapsed_s: float) -> tuple[float, ...]:
        """Each of them a second; missing where they do not go on from `before`."""
        now = (self.retries, self.hits, self.lookups, self.joined, self.asked, self.tokens)
        if before is None or elapsed_s <= 0:
            return (MISSING,) * len(now)
        then = (before.retries, before.hits, before.lookups, before.joined, before.asked, before.tokens)
        if any(new < old for new, old in zip(now, then, strict=True)):
            return (MISSING,) * len(now)
        return tuple((new - old) / elapsed_s for new, old in zip(now, then, strict=True))


class Track:
    """The numbers of one source: the whole gateway, or a server."""

    __slots__ = ("began", "counts", "fields", "score", "seconds", "tens")

    def __init__(self, fields: Sequence[str], code: str, began: int) -> None:
        self.fields = fields
        self.began = began
        """The second from which on it is known."""
        self.counts: Counts | None = None
        self.score = 0.0
        """The higher, the busier it was of late."""
        self.seconds = Ring(len(fields), SECONDS, code)
        self.tens = Ring(len(fields), TENS, code)

    def fold(self, ten: int) -> None:
        """Keep the ten seconds from `ten * 10` on as one record, if they said anything."""
        size = len(self.fields)
        flat = self.seconds.read(ten * 10 + 9, 10)
        record = [_folded(name, flat[place::size]) for place, name in enumerate(self.fields)]
        if any(value == value for value in record):
            self.tens.put(ten, record)

    def column(self, name: str, until: int, count: int, step_s: int) -> Sequence[float]:
        ring = self.seconds if step_s == 1 else self.tens
        return ring.read(until, count)[self.fields.index(name) :: len(self.fields)]


class History:
    """The last hour of the gateway and of each server."""

    def __init__(self) -> None:
        self._restart(0)
        self._last: int | None = None

    def _restart(self, turn: int) -> None:
        self._total = Track(TOTAL_FIELDS, "d", turn)
        self._servers: dict[str, Track] = {}
        self._began = turn
        self._gateway = 0.0
        self._counted_at = 0.0
        self._newest: dict[tuple[str, str], Sequence[float]] = {}
        self._trends: dict[tuple[str, int], str] = {}
        self._read_of_all: dict[tuple[str, int, int, int], Sequence[float]] = {}

    @property
    def turn(self) -> int:
        """The second of the newest sample; another number, other numbers."""
        return self._last or 0

    def since_s(self, now: float) -> float:
        """How long ago it began."""
        return max(0.0, now - self._began) if self._last is not None else 0.0

    # --- taking -----------------------------------------------------------------------------------------------

    def sample(self, snapshot: Snapshot, now: float) -> None:
        """Keep a sample of each second; forget servers that are gone."""
        turn = int(now)
        if self._last is None or turn < self._last - 1:
            # A clock that goes back is another machine's: another gateway's.
            self._restart(turn)
        elif turn <= self._last or now - snapshot.at > STALE_S:
            return
        before, self._last = self._last, turn
        is_carried = before is not None and 0 < turn - before <= CARRIED_S
        self._take(snapshot, now, range(before + 1, turn + 1) if before is not None and is_carried else (turn,))
        self._newest.clear()
        self._trends.clear()
        self._read_of_all.clear()
        if before is not None and turn // 10 != before // 10:
            self._fold(before // 10)

    def _take(self, snapshot: Snapshot, now: float, turns: Sequence[int]) -> None:
        if snapshot.started_at != self._gateway:
            # Another run of the gateway counts from zero again.
            self._gateway = snapshot.started_at
            for track in (self._total, *self._servers.values()):
                track.counts = None
        at = snapshot.at if snapshot.at > self._counted_at else now
        elapsed_s, self._counted_at = max(at - self._counted_at, 0.0), at
        by_server = _counts_by_server(snapshot.savings)
        self._servers = {
            row.id: self._servers.get(row.id) or Track(SERVER_FIELDS, "e", turns[-1])
            for row in snapshot.servers
        }
        for row in snapshot.servers:
            hits, lookups, joined = by_server.get(row.id, (0, 0, 0))
            track = self._servers[row.id]
            values = _server_values(row, track, Counts(row.retries, hits, lookups, joined), elapsed_s)
            _put(track, turns, values, is_idle=not any(value for value in values if value == value))
        _put(self._total, turns, self._total_values(snapshot, elapsed_s), is_idle=False)

    def _total_values(self, snapshot: Snapshot, elapsed_s: float) -> Sequence[float]:
        totals, savings = snapshot.totals, snapshot.savings
        counts = Counts(
            sum(row.retries for row in snapshot.servers),
            savings.hits,
            savings.hits + savings.misses,
            sum(row.saved for row in savings.joins),
            sum(row.asked for row in savings.joins),
            totals.tokens_served,
        )
        rates = counts.rates(self._total.counts, elapsed_s)
        self._total.counts = counts
        retries, hits, lookups, joined, asked, tokens = rates
        return (
            totals.calls_per_s,
            totals.errors_per_s,
            retries,
            *_latencies(totals.latency),
            totals.in_flight,
            hits,
            lookups,
            joined,
            asked,
            tokens,
            totals.loop_lag_p99_ms,
            sum(row.calls_per_s for row in snapshot.servers),
        )

    def _fold(self, ten: int) -> None:
        for track in (self._total, *self._servers.values()):
            if not track.seconds.is_empty:
                track.fold(ten)

    # --- reading ----------------------------------------------------------------------------------------------

    def read(self, name: str, window: Window, server: str | None = None) -> Sequence[float]:
        """The samples of a window, oldest first; missing where there is none."""
        until = self.turn if window.step_s == 1 else self.turn // 10 - 1
        return self._read(name, until, window.samples, window.step_s, server)

    def newest(self, name: str, server: str | None = None, count: int = KEPT_S) -> Sequence[float]:
        """The newest seconds, no more than there were."""
        if self._last is None:
            return ()
        began = self._began if server is None else self._track(server).began
        return self._read(name, self.turn, min(count, self.turn - began + 1), 1, server)

    def series(self, name: str) -> Sequence[float]:
        """The newest two minutes of the whole gateway, read once a second."""
        if (name, "") not in self._newest:
            self._newest[name, ""] = self.newest(name)
        return self._newest[name, ""]

    def of_server(self, server: str) -> Sequence[float]:
        """The calls a second of the newest two minutes."""
        return self.newest("calls_per_s", server) if server in self._servers else ()

    def trend(self, server: str, width: int) -> str:
        """The same as a sparkline, made once a second."""
        if (server, width) not in self._trends:
            track = self._servers.get(server)
            is_idle = track is None or track.seconds.is_empty
            values = () if is_idle else self.newest("calls_per_s", server, max(1, width))
            self._trends[server, width] = sparkline(values, width)
        return self._trends[server, width]

    def busiest(self, most: int) -> list[str]:
        """The servers with most calls of late; those without any are not among them.

        In the order of the configuration: two that are about as busy must not change places all the time.
        """
        busy = [(track.score, server) for server, track in self._servers.items() if track.score >= 0.01]
        chosen = {server for _, server in sorted(busy, key=lambda each: (-each[0], each[1]))[:most]}
        return [server for server in self._servers if server in chosen]

    def _track(self, server: str) -> Track:
        return self._servers.get(server) or Track(SERVER_FIELDS, "e", self.turn)

    def _of_all(self, name: str, until: int, count: int, step_s: int) -> Sequence[float]:
        """Of the whole gateway: read once a second for all its servers."""
        key = (name, until, count, step_s)
        if key not in self._read_of_all:
            self._read_of_all[key] = self._total.column(name, until, count, step_s)
        return self._read_of_all[key]

    def _read(self, name: str, until: int, count: int, step_s: int, server: str | None) -> Sequence[float]:
        seen = self._of_all(name if server is None else "in_flight", until, count, step_s)
        if server is None or name in LATENCIES:
            return seen if server is None else self._track(server).column(name, until, count, step_s)
        track = self._track(server)
        first = until - count + 1
        # A server that does nothing keeps no records: while the gateway was seen, that means zero.
        return [
            value if value == value or alive != alive or (first + place) * step_s < track.began else 0.0
            for place, (value, alive) in enumerate(
                zip(track.column(name, until, count, step_s), seen, strict=True)
            )
        ]


def _put(track: Track, turns: Iterable[int], values: Sequence[float], *, is_idle: bool) -> None:
    track.score = track.score * FORGETS + values[0]
    if not is_idle:
        for turn in turns:
            track.seconds.put(turn, values)


def _server_values(row: ServerRow, track: Track, counts: Counts, elapsed_s: float) -> Sequence[float]:
    retries, hits, lookups, joined, *_ = counts.rates(track.counts, elapsed_s)
    track.counts = counts
    latencies = _latencies(row.latency)
    return (row.calls_per_s, row.errors_per_s, retries, *latencies, row.in_flight, hits, lookups, joined)


def _latencies(latency: Latency) -> tuple[float, float, float]:
    p50, p95, p99 = latency.p50_ms, latency.p95_ms, latency.p99_ms
    return (
        MISSING if p50 is None else p50,
        MISSING if p95 is None else p95,
        MISSING if p99 is None else p99,
    )


def _counts_by_server(savings: Savings) -> dict[str, tuple[int, int, int]]:
    """Hits, lookups and joined requests."""
    hits: Counter[str] = Counter()
    lookups: Counter[str] = Counter()
    joined: Counter[str] = Counter()
    for cache in savings.caches:
        hits[cache.server] += cache.hits
        lookups[cache.server] += cache.hits + cache.misses
    for join in savings.joins:
        joined[join.server] += join.saved
    return {server: (hits[server], lookups[server], joined[server]) for server in {*lookups, *joined}}


def _folded(name: str, column: Sequence[float]) -> float:
    known = column if _is_whole(column) else [value for value in column if value == value]
    if not known:
        return MISSING
    return max(known) if name in HIGHEST else sum(known) / len(known)


def _is_whole(column: Sequence[float]) -> bool:
    """Whether nothing in it is missing: a sum with something missing is missing."""
    return (total := sum(column)) == total


def sparkline(values: Iterable[float], width: int) -> str:
    """The newest `width` values, newest at the right, scaled to their highest; blank where all are zero."""
    newest = tuple(values)[-width:] if width > 0 else ()
    known = [value for value in newest if value == value]
    top = max(known, default=0.0)
    if top <= 0:
        return " " * width
    scale = (len(BLOCKS) - 1) / (top * HEADROOM)
    marks = [BLOCKS[round(value * scale)] if value > 0 else _low(value) for value in newest]
    return "".join(marks).rjust(width)


def _low(value: float) -> str:
    return BLOCKS[0] if value == value else " "
