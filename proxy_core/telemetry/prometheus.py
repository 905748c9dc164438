"""The numbers as Prometheus reads them: one table of metrics, rendered when somebody asks. Pure.

Labels are ids of the configuration and words of ours; nothing that a server or a client said is one.
Spec: Prometheus, "Exposition formats", text 0.0.4.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain, islice
from typing import Final, TypeAlias

from msgspec import Struct

from proxy_core.telemetry.histogram import BUCKETS, top_ms
from proxy_core.telemetry.metrics import Metrics, ReplicaSeries, Series
from proxy_core.telemetry.savings import CacheRow, JoinRow, WireRow
from proxy_core.telemetry.snapshot import (
    AuditStatus,
    BreakerState,
    ReplicaRow,
    ServerRow,
    ServerState,
    Snapshot,
)

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
PREFIX: Final = "only1mcp_"
MAX_LABEL: Final = 128
EDGES: Final = tuple(range(5, BUCKETS - 20, 5))
"""Buckets that are told, each twice as long as the one before: from 0.1 ms to two minutes."""
BLOCK_LINES: Final = 200
LIMITS: Final = {
    "principal": ("rate", "concurrent", "tokens", "listens"),
    "profile": ("rate", "concurrent", "tokens"),
    "server": ("rate", "concurrent"),
    "tool": ("rate", "concurrent"),
}
"""Of `facts.LimitReached`: whose limits there are, and of which kinds."""
_UP: Final = frozenset({ServerState.HEALTHY, ServerState.DEGRADED})

Labels: TypeAlias = Mapping[str, str]
Sample: TypeAlias = tuple[str, Labels, float]
"""What follows the metric's name, the labels, the value."""


class Metric(Struct, frozen=True):
    name: str
    """Without the prefix."""
    type: str
    """counter, gauge or histogram"""
    help: str
    labels: tuple[str, ...]
    samples: Callable[[Snapshot, Metrics], Iterator[Sample]]


def render(snapshot: Snapshot, metrics: Metrics) -> str:
    return "".join(blocks(snapshot, metrics))


def blocks(snapshot: Snapshot, metrics: Metrics) -> Iterator[str]:
    """The same in pieces of about a millisecond, for whoever must not be held up by all of it."""
    every = chain.from_iterable(_lines(metric, metric.samples(snapshot, metrics)) for metric in METRICS)
    while block := "".join(islice(every, BLOCK_LINES)):
        yield block


def _lines(metric: Metric, samples: Iterable[Sample]) -> Iterator[str]:
    name = PREFIX + metric.name
    yield f"# HELP {name} {metric.help}\n"
    yield f"# TYPE {name} {metric.type}\n"
    for suffix, labels, value in samples:
        yield f"{name}{suffix}{_labelled(labels)} {_number(value)}\n"


def _labelled(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


@lru_cache(maxsize=1024)
def _escaped(value: str) -> str:
    # An id holds none of these; whatever else comes here must not end a line or hide in one.
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in value[:MAX_LABEL])
    return shown.replace("\\", "\\\\").replace('"', '\\"')


def _number(value: float) -> str:
    return repr(value).replace("inf", "Inf").replace("nan", "NaN")


# --- what the samples are made of ---------------------------------------------------------------------------


def _whole(value: Callable[[Snapshot, Metrics], float]) -> Callable[[Snapshot, Metrics], Iterator[Sample]]:
    def samples(snapshot: Snapshot, metrics: Metrics) -> Iterator[Sample]:
        yield "", {}, value(snapshot, metrics)

    return samples


def _audited(value: Callable[[AuditStatus], float]) -> Callable[[Snapshot, Metrics], Iterator[Sample]]:
    """None where there is no audit."""

    def samples(snapshot: Snapshot, metrics: Metrics) -> Iterator[Sample]:
        if snapshot.audit is not None:
            yield "", {}, value(snapshot.audit)

    return samples


def _servers(value: Callable[[ServerRow], float]) -> Callable[[Snapshot, Metrics], Iterator[Sample]]:
    def samples(snapshot: Snapshot, metrics: Metrics) -> Iterator[Sample]:
        for row in snapshot.servers:
            yield "", {"server": row.id}, value(row)

    return samples


def _replicas(value: Callable[[ReplicaRow], float | None]) -> Callable[[Snapshot, Metrics], Iterator[Sample]]:
    """None: this replica has no such number."""

    def samples(snapshot: Snapshot, metrics: Metrics) -> Iterator[Sample]:
        for server, row in _rows(snapshot):
            if (number := value(row)) is not None:
                yield "", _place(server, row), number

    return samples


def _counted(value: Callable[[ReplicaSeries], int]) -> Callable[[Snapshot, Metrics], Iterator[Sample]]:
    def samples(snapshot: Snapshot, metrics: Metrics) -> Iterator[Sample]:
        for server, row in _rows(snapshot):
            yield "", _place(server, row), value(metrics.of_replica(server, row.id))

    return samples


def _states(
    words: Iterable[str], state: Callable[[ReplicaRow], str]
) -> Callable[[Snapshot, Metrics], Iterator[Sample]]:
    """1 for the state that it is in, 0 for all others."""
    every = tuple(words)

    def samples(snapshot: Snapshot, metrics: Metrics) -> Iterator[Sample]:
        for server, row in _rows(snapshot):
            for word in every:
                yield "", _place(server, row) | {"state": word}, int(state(row) == word)

    return samples


def _children(
    value: Callable[[ServerRow, str], float],
) -> Callable[[Snapshot, Metrics], Iterator[Sample]]:
    """Of the replicas that have child processes; `value` is given the server and the replica's id."""

    def samples(snapshot: Snapshot, metrics: Metrics) -> Iterator[Sample]:
        for row in snapshot.servers:
            for replica in dict.fromkeys(child.replica for child in row.processes):
                yield "", {"server": row.id, "replica": replica}, value(row, replica)

    return samples


def _rows(snapshot: Snapshot) -> Iterator[tuple[str, ReplicaRow]]:
    """Each once: one that leaves may still bear the id of the one that came in its place."""
    for server in snapshot.servers:
        rows: dict[str, ReplicaRow] = {}
        for row in server.replicas:
            rows.setdefault(row.id, row)
        yield from ((server.id, row) for row in rows.values())


def _place(server: str, row: ReplicaRow) -> dict[str, str]:
    return {"server": server, "replica": row.id}


def _outcomes(series: Series) -> Iterator[tuple[str, int]]:
    failed = series.errors + series.refused + series.cancelled + series.tool_errors
    yield "ok", series.calls - failed
    yield "error", series.errors
    yield "tool_error", series.tool_errors
    yield "refused", series.refused
    yield "cancelled", series.cancelled


def _requests(snapshot: Snapshot, metrics: Metrics) -> Iterator[Sample]:
    for row in snapshot.servers:
        for outcome, count in _outcomes(metrics.of(row.id)):
            yield "", {"server": row.id, "outcome": outcome}, count


def _client_requests(snapshot: Snapshot, metrics: Metrics) -> Iterator[Sample]:
    for outcome, count in _outcomes(metrics.total):
        yield "", {"outcome": outcome}, count


def _durations(snapshot: Snapshot, metrics: Metrics) -> Iterator[Sample]:
    # Of one moment for each server, though calls may end between two lines.
    for row in snapshot.servers:
        latency, calls = metrics.of(row.id).latency, metrics.of(row.id).calls
        sum_ms = latency.sum_ms
        for edge, count in zip(EDGES, latency.up_to(EDGES), strict=True):
            yield "_bucket", {"server": row.id, "le": f"{top_ms(edge) / 1000:.6g}"}, count
        yield "_bucket", {"server": row.id, "le": "+Inf"}, calls
        yield "_sum", {"server": row.id}, sum_ms / 1000
        yield "_count", {"server": row.id}, calls


def _lag(snapshot: Snapshot, metrics: Metrics) -> Iterator[Sample]:
    yield "", {"quantile": "0.99"}, snapshot.totals.loop_lag_p99_ms / 1000


def _cached(value: Callable[[CacheRow], float]) -> Callable[[Snapshot, Metrics], Iterator[Sample]]:
    def samples(snapshot: Snapshot, metrics: Metrics) -> Iterator[Sample]:
        for row in snapshot.savings.caches:
            yield "", {"server": row.server, "method": row.method}, value(row)

    return samples


def _lookups(snapshot: Snapshot, metrics: Metrics) -> Iterator[Sample]:
    for row in snapshot.savings.caches:
        place = {"server": row.server, "method": row.method}
        for outcome, count in (("hit", row.hits), ("miss", row.misses), ("stale", row.stale_hits)):
            yield "", place | {"outcome": outcome}, count


def _evictions(snapshot: Snapshot, metrics: Metrics) -> Iterator[Sample]:
    for row in snapshot.savings.caches:
        for cause, count in row.evictions:
            yield "", {"server": row.server, "method": row.method, "cause": cause}, count


def _joined(value: Callable[[JoinRow], float]) -> Callable[[Snapshot, Metrics], Iterator[Sample]]:
    def samples(snapshot: Snapshot, metrics: Metrics) -> Iterator[Sample]:
        for row in snapshot.savings.joins:
            yield "", {"server": row.server, "method": row.method}, value(row)

    return samples


def _wired(value: Callable[[WireRow], float]) -> Callable[[Snapshot, Metrics], Iterator[Sample]]:
    def samples(snapshot: Snapshot, metrics: Metrics) -> Iterator[Sample]:
        for row in snapshot.savings.wires:
            yield "", {"server": row.server}, value(row)

    return samples


def _limited(snapshot: Snapshot, metrics: Metrics) -> Iterator[Sample]:
    for limit, kinds in LIMITS.items():
        for kind in kinds:
            yield "", {"limit": limit, "kind": kind}, metrics.refusals[limit, kind]


def _build(snapshot: Snapshot, metrics: Metrics) -> Iterator[Sample]:
    yield "", {"version": snapshot.version}, 1


def _probe_s(row: ReplicaRow) -> float | None:
    return None if row.probe is None or row.probe.latency_ms is None else row.probe.latency_ms / 1000


def _rss_bytes(row: ServerRow, replica: str) -> int:
    return sum(child.rss_bytes for child in row.processes if child.replica == replica)


def _cpu(row: ServerRow, replica: str) -> float:
    return sum(child.cpu_percent for child in row.processes if child.replica == replica) / 100


def _descendants(row: ServerRow, replica: str) -> int:
    return sum(len(child.descendants) for child in row.processes if child.replica == replica)


# --- the table ----------------------------------------------------------------------------------------------

_SERVER: Final = ("server",)
_REPLICA: Final = ("server", "replica")
_METHOD: Final = ("server", "method")
METRICS: Final[tuple[Metric, ...]] = (
    Metric(
        "requests_total",
        "counter",
        "Requests that reached a server, by outcome: ok, error (the server's fault, or ours), "
        "tool_error (a result that says so), refused (the client's fault), cancelled.",
        ("server", "outcome"),
        _requests,
    ),
    Metric(
        "client_requests_total",
        "counter",
        "Every request of a client by outcome, those that the gateway answers itself included.",
        ("outcome",),
        _client_requests,
    ),
    Metric(
        "request_duration_seconds",
        "histogram",
        "How long requests that reached a server took.",
        ("server", "le"),
        _durations,
    ),
    Metric(
        "in_flight", "gauge", "Calls that a server is serving now.", _SERVER, _servers(lambda r: r.in_flight)
    ),
    Metric("queued", "gauge", "Calls that wait for a free place.", _SERVER, _servers(lambda r: r.queued)),
    Metric("tools", "gauge", "Tools that a server offers.", _SERVER, _servers(lambda r: r.tools)),
    Metric(
        "tools_changed",
        "gauge",
        "Tools that are not what was approved, or new and withheld, until somebody approves them.",
        _SERVER,
        _servers(lambda r: r.changed),
    ),
    Metric(
        "tools_withheld", "gauge", "Of those, withheld from clients.", _SERVER, _servers(lambda r: r.withheld)
    ),
    Metric(
        "replica_up",
        "gauge",
        "1 if a replica is in service, that is healthy or degraded.",
        _REPLICA,
        _replicas(lambda r: int(r.state in _UP)),
    ),
    Metric(
        "replica_state",
        "gauge",
        "1 for the state that a replica is in, 0 for the others.",
        (*_REPLICA, "state"),
        _states(ServerState, lambda r: r.state),
    ),
    Metric(
        "replica_changes_total",
        "counter",
        "Changes from one state to another.",
        _REPLICA,
        _counted(lambda s: s.changes),
    ),
    Metric(
        "breaker_state",
        "gauge",
        "1 for the state that a circuit breaker is in, 0 for the others.",
        (*_REPLICA, "state"),
        _states(BreakerState, lambda r: r.breaker),
    ),
    Metric(
        "breaker_opened_total",
        "counter",
        "How often a circuit breaker opened.",
        _REPLICA,
        _counted(lambda s: s.breaker_opened),
    ),
    Metric(
        "probe_latency_seconds",
        "gauge",
        "How long the last health probe took, also if it failed.",
        _REPLICA,
        _replicas(_probe_s),
    ),
    Metric("probes_total", "counter", "Health probes.", _REPLICA, _counted(lambda s: s.probes)),
    Metric(
        "probe_failures_total",
        "counter",
        "Health probes that failed.",
        _REPLICA,
        _counted(lambda s: s.probe_failures),
    ),
    Metric("restarts_total", "counter", "Starts after the first.", _REPLICA, _replicas(lambda r: r.restarts)),
    Metric(
        "retries_total",
        "counter",
        "Calls that failed at a replica and were made once more.",
        _REPLICA,
        _counted(lambda s: s.retries),
    ),
    Metric(
        "process_rss_bytes",
        "gauge",
        "Resident memory of a replica's child processes and all that descends from them.",
        _REPLICA,
        _children(_rss_bytes),
    ),
    Metric(
        "process_cpu_cores",
        "gauge",
        "Processor cores that they use, since the sample before.",
        _REPLICA,
        _children(_cpu),
    ),
    Metric("process_descendants", "gauge", "Processes below them.", _REPLICA, _children(_descendants)),
    Metric(
        "config_version",
        "gauge",
        "Grows with every configuration that was put in force.",
        (),
        _whole(lambda s, m: s.config.version),
    ),
    Metric(
        "config_reload_errors_total",
        "counter",
        "Configurations that were refused.",
        (),
        _whole(lambda s, m: m.config_errors),
    ),
    Metric(
        "limit_refusals_total",
        "counter",
        "Requests that a limit refused: of whom it is (principal, profile, server, tool), and its kind (rate, "
        "concurrent, tokens, listens).",
        ("limit", "kind"),
        _limited,
    ),
    Metric(
        "cache_lookups_total",
        "counter",
        "Requests that a kept answer may serve: hit, miss, or stale (past its time, its server down).",
        (*_METHOD, "outcome"),
        _lookups,
    ),
    Metric(
        "cache_evictions_total",
        "counter",
        "Kept answers that went, by cause.",
        (*_METHOD, "cause"),
        _evictions,
    ),
    Metric("cache_entries", "gauge", "Answers that are kept.", _METHOD, _cached(lambda r: r.entries)),
    Metric("cache_bytes", "gauge", "Bytes that they take.", _METHOD, _cached(lambda r: r.bytes)),
    Metric(
        "joinable_requests_total",
        "counter",
        "Requests that no kept answer served and that may be made together.",
        _METHOD,
        _joined(lambda r: r.asked),
    ),
    Metric(
        "joinable_calls_total",
        "counter",
        "Calls of servers that were made for them.",
        _METHOD,
        _joined(lambda r: r.made),
    ),
    Metric(
        "joined_requests_total",
        "counter",
        "Of those requests, answered by a call made for another.",
        _METHOD,
        _joined(lambda r: r.saved),
    ),
    Metric("batch_windows_total", "counter", "Batching windows opened.", _METHOD, _joined(lambda r: r.windows)),
    Metric(
        "batch_window_seconds_total",
        "counter",
        "How long they were open.",
        _METHOD,
        _joined(lambda r: r.window_wait_s),
    ),
    Metric(
        "wire_batches_total",
        "counter",
        "JSON-RPC batches sent to a server of revision 2025-03-26.",
        _SERVER,
        _wired(lambda r: r.batches),
    ),
    Metric(
        "wire_batched_requests_total", "counter", "Requests in them.", _SERVER, _wired(lambda r: r.requests)
    ),
    Metric(
        "tokens_served_total",
        "counter",
        "Tokens of the lists of tools that clients were answered: names, descriptions and input schemas.",
        (),
        _whole(lambda s, m: s.totals.tokens_served),
    ),
    Metric("audit_lines_total", "counter", "Lines of the audit.", (), _audited(lambda a: a.written)),
    Metric("audit_lost_total", "counter", "Lines that could not be written.", (), _audited(lambda a: a.lost)),
    Metric(
        "audit_shut_out_total",
        "counter",
        "Calls that were refused because no line could be written.",
        (),
        _audited(lambda a: a.shut_out),
    ),
    Metric(
        "audit_failing",
        "gauge",
        "1 while no line can be written.",
        (),
        _audited(lambda a: int(bool(a.failing))),
    ),
    Metric("sessions", "gauge", "Legacy sessions that are open.", (), _whole(lambda s, m: s.totals.sessions)),
    Metric(
        "streams", "gauge", "GET streams and listens that are open.", (), _whole(lambda s, m: s.totals.streams)
    ),
    Metric(
        "loop_lag_seconds", "gauge", "How late the event loop ran, over half a minute.", ("quantile",), _lag
    ),
    Metric("build_info", "gauge", "Always 1.", ("version",), _build),
)
