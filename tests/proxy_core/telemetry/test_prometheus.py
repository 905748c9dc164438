"""The numbers as text: what a strict reader makes of them, and that nothing in a label can break out of it."""

import re

import pytest

from proxy_core.facts import (
    BreakerTurned,
    CallRetried,
    ConfigRejected,
    LimitReached,
    ProbeFinished,
    ReplicaChanged,
)
from proxy_core.telemetry.metrics import Metrics
from proxy_core.telemetry.prometheus import BLOCK_LINES, METRICS, PREFIX, blocks, render
from proxy_core.telemetry.savings import CacheRow, JoinRow, Savings, WireRow
from proxy_core.telemetry.snapshot import (
    AuditStatus,
    BreakerState,
    ChildRow,
    ConfigStatus,
    Probe,
    ServerState,
    Totals,
)
from tests.support.fake_control import replica_of, row_of, snapshot_of
from tests.support.finished_requests import finished

Key = tuple[str, frozenset[tuple[str, str]]]
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
_SAMPLE = re.compile(rf"({_NAME})(?:\{{({_LABEL}(?:,{_LABEL})*)\}})? (-?[0-9.e+-]+|[+-]?Inf|NaN)")
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def parsed(text: str) -> tuple[dict[Key, float], dict[str, str]]:
    """Samples and types. Strict: a line is one of three kinds, a metric one block, no sample comes twice."""
    samples: dict[Key, float] = {}
    types: dict[str, str] = {}
    current = ""
    assert text.endswith("\n")
    for line in text.removesuffix("\n").split("\n"):
        if line.startswith("# HELP "):
            current = line.split(" ")[2]
            assert current not in types
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current
            types[name] = kind
        else:
            found = _SAMPLE.fullmatch(line)
            assert found, line
            is_histogram = types[current] == "histogram"
            base = re.sub("_(bucket|sum|count)$", "", found[1]) if is_histogram else found[1]
            assert base == current
            labels = re.findall(r'([a-zA-Z0-9_]+)="((?:[^"\\]|\\.)*)"', found[2] or "")
            key = found[1], frozenset((name, _unescaped(value)) for name, value in labels)
            assert len(dict(labels)) == len(labels)
            assert key not in samples
            samples[key] = float(found[3])
    return samples, types


def _unescaped(value: str) -> str:
    return re.sub(r"\\.", lambda escape: _ESCAPES[escape[0]], value)


def key(name: str, **labels: str) -> Key:
    return PREFIX + name, frozenset(labels.items())


SNAPSHOT = snapshot_of(
    [
        row_of(
            "search",
            in_flight=2,
            queued=3,
            tools=4,
            replicas=(
                replica_of("a", probe=Probe(1.0, 250.0, None), restarts=5),
                replica_of("b", ServerState.FAILED, breaker=BreakerState.OPEN),
            ),
            processes=(
                ChildRow(1, "a", "", 0.0, 100, 50.0, ((2, "x"), (3, "y"))),
                ChildRow(4, "a", "token:ci", 0.0, 10, 25.0),
            ),
        ),
        row_of("notes", ServerState.DISABLED),
    ],
    totals=Totals(sessions=6, streams=7, loop_lag_p99_ms=1.5),
    config=ConfigStatus(version=8),
    audit=AuditStatus(written=9, lost=2, shut_out=1, failing="no space"),
    savings=Savings(
        caches=(CacheRow("tools/list", "search", 9, 3, 1, 2, 812, evictions=(("cleared", 4),)),),
        joins=(JoinRow("tools/list", "search", asked=5, made=1, saved=4, windows=1, window_wait_s=0.1),),
        wires=(WireRow("search", 6, 30),),
    ),
)


def test_every_metric_of_the_table_is_there_once_with_its_type_and_its_labels():
    samples, types = parsed(render(SNAPSHOT, Metrics()))
    assert types == {PREFIX + metric.name: metric.type for metric in METRICS}
    labels_of = {PREFIX + metric.name: frozenset(metric.labels) for metric in METRICS}
    for name, labels in samples:
        base = name if name in types else name.rpartition("_")[0]
        names = frozenset(label for label, _ in labels)
        assert names == labels_of[base] or names | {"le"} == labels_of[base]
    assert {name for name, _ in samples} >= {name for name, kind in types.items() if kind != "histogram"}
    for metric in METRICS:
        assert metric.name.endswith("_total") == (metric.type == "counter")
        assert re.fullmatch(r"[^\n\\]+\.", metric.help)


def test_a_picture_is_told_as_it_is():
    samples, _ = parsed(render(SNAPSHOT, Metrics()))
    here = {"server": "search", "replica": "a"}
    assert samples[key("in_flight", server="search")] == 2
    assert samples[key("queued", server="search")] == 3
    assert samples[key("tools", server="search")] == 4
    assert samples[key("replica_up", **here)] == 1
    assert samples[key("replica_up", server="search", replica="b")] == 0
    assert samples[key("replica_state", state="healthy", **here)] == 1
    assert samples[key("replica_state", state="failed", **here)] == 0
    assert samples[key("breaker_state", server="search", replica="b", state="open")] == 1
    assert samples[key("probe_latency_seconds", **here)] == 0.25
    assert key("probe_latency_seconds", server="search", replica="b") not in samples
    assert samples[key("restarts_total", **here)] == 5
    assert samples[key("process_rss_bytes", **here)] == 110
    assert samples[key("process_cpu_cores", **here)] == 0.75
    assert samples[key("process_descendants", **here)] == 2
    listed = {"server": "search", "method": "tools/list"}
    lookups = [samples[key("cache_lookups_total", outcome=each, **listed)] for each in ("hit", "miss", "stale")]
    assert lookups == [9, 3, 1]
    assert samples[key("cache_evictions_total", cause="cleared", **listed)] == 4
    assert (samples[key("cache_entries", **listed)], samples[key("cache_bytes", **listed)]) == (2, 812)
    assert samples[key("joinable_requests_total", **listed)] == 5
    assert samples[key("joinable_calls_total", **listed)] == 1
    assert samples[key("joined_requests_total", **listed)] == 4
    assert samples[key("batch_windows_total", **listed)] == 1
    assert samples[key("batch_window_seconds_total", **listed)] == 0.1
    assert samples[key("wire_batches_total", server="search")] == 6
    assert samples[key("wire_batched_requests_total", server="search")] == 30
    assert samples[key("sessions")] == 6
    assert samples[key("streams")] == 7
    assert samples[key("loop_lag_seconds", quantile="0.99")] == 0.0015
    assert samples[key("config_version")] == 8
    assert samples[key("build_info", version="0.1.0")] == 1


def test_facts_are_counted_where_they_happened():
    metrics = Metrics()
    for fact in (
        ReplicaChanged(1.0, "search", "a", "starting", "healthy", ""),
        BreakerTurned(1.0, "search", "a", "open", ""),
        BreakerTurned(2.0, "search", "a", "half_open", ""),
        BreakerTurned(3.0, "search", "a", "open", ""),
        BreakerTurned(4.0, "search", "a", "closed", ""),
        CallRetried(1.0, "search", "b", "backend_timeout"),
        ProbeFinished(1.0, "search", "a", 1.0, None),
        ProbeFinished(2.0, "search", "a", 1.0, "refused"),
        LimitReached(1.0, "server", "rate", "search"),
        LimitReached(2.0, "server", "rate", "notes", is_news=False),
        ConfigRejected(1.0, "/x", "bad"),
    ):
        metrics.fold(fact)
    samples, _ = parsed(render(SNAPSHOT, metrics))
    here, there = {"server": "search", "replica": "a"}, {"server": "search", "replica": "b"}
    assert samples[key("replica_changes_total", **here)] == 1
    assert samples[key("breaker_opened_total", **here)] == 2
    assert samples[key("limit_refusals_total", limit="server", kind="rate")] == 2
    assert samples[key("limit_refusals_total", limit="principal", kind="listens")] == 0
    assert (samples[key("retries_total", **here)], samples[key("retries_total", **there)]) == (0, 1)
    assert (samples[key("probes_total", **here)], samples[key("probe_failures_total", **here)]) == (2, 1)
    assert samples[key("config_reload_errors_total")] == 1


def test_requests_are_told_by_outcome_and_add_up():
    metrics = Metrics()
    for more in (
        {},
        {},
        {"is_tool_error": True},
        {"error_code": -32603},
        {"error_code": -32602},
        {"error_code": -1},
        {"server": None},
    ):
        metrics.fold(finished(**{"server": "search"} | more))
    samples, _ = parsed(render(SNAPSHOT, metrics))
    outcomes = {"ok": 2, "tool_error": 1, "error": 1, "refused": 1, "cancelled": 1}
    for outcome, count in outcomes.items():
        assert samples[key("requests_total", server="search", outcome=outcome)] == count
        assert samples[key("client_requests_total", outcome=outcome)] == count + (outcome == "ok")
    assert samples[key("request_duration_seconds_count", server="search")] == sum(outcomes.values())


def test_durations_are_a_histogram_that_rises_to_the_count():
    metrics = Metrics()
    durations_ms = (0.01, 0.3, 20.0, 20.0, 900.0, 1e7)
    for ms in durations_ms:
        metrics.fold(finished("search", duration_ms=ms))
    samples, _ = parsed(render(SNAPSHOT, metrics))
    buckets = sorted(
        (float(dict(labels)["le"].replace("+Inf", "inf")), count)
        for (name, labels), count in samples.items()
        if name == PREFIX + "request_duration_seconds_bucket" and ("server", "search") in labels
    )
    assert [count for _, count in buckets] == sorted(count for _, count in buckets)
    for edge_s, count in buckets:
        assert count == sum(ms / 1000 <= edge_s for ms in durations_ms)
    assert buckets[-1] == (float("inf"), len(durations_ms))
    total = samples[key("request_duration_seconds_sum", server="search")]
    assert total == pytest.approx(sum(durations_ms) / 1000)


@pytest.mark.parametrize(
    "hostile",
    ['a"} 1\nx{y="', "back\\slash", "line\r\nend", "\x00\x1b[31m", "\u2028\u202e", "é" * 10_000, "\ud800"],
)
def test_whatever_stands_where_an_id_should_stays_in_its_label(hostile: str):
    row = row_of(
        hostile,
        name=hostile,
        reason=hostile,
        replicas=(replica_of(hostile, reason=hostile),),
        processes=(ChildRow(1, hostile, hostile, 0.0),),
    )
    text = render(snapshot_of([row], version=hostile), Metrics())
    samples, types = parsed(text)
    assert set(types) == {PREFIX + metric.name for metric in METRICS}
    assert max(len(line) for line in text.split("\n")) < 1000
    servers = {dict(labels).get("server") for _, labels in samples} - {None}
    assert len(servers) == 1
    assert "\r" not in text and "\x1b" not in text and "\u2028" not in text


def test_nothing_a_server_or_a_client_says_is_a_label():
    metrics = Metrics()
    metrics.fold(finished("search", client="canary", principal="canary", target="canary"))
    row = row_of("search", name="canary", reason="canary", address="canary", last_error="canary")
    assert "canary" not in render(snapshot_of([row]), metrics)


def test_of_two_replicas_with_one_id_the_one_that_leaves_is_left_out():
    leaving = replica_of("a", ServerState.DRAINING, is_leaving=True)
    snapshot = snapshot_of([row_of("search", replicas=(replica_of("a"), leaving))])
    samples, _ = parsed(render(snapshot, Metrics()))
    assert samples[key("replica_up", server="search", replica="a")] == 1


def test_a_server_that_left_is_forgotten_with_its_replicas():
    metrics = Metrics()
    metrics.fold(CallRetried(1.0, "search", "a", "x"))
    metrics.fold(CallRetried(1.0, "notes", "a", "x"))
    metrics.keep({"notes"})
    assert (metrics.of_replica("search", "a").retries, metrics.of_replica("notes", "a").retries) == (0, 1)


def test_it_comes_in_pieces_that_are_the_whole_and_a_histogram_is_of_one_moment():
    metrics = Metrics()
    rows = [row_of(f"s{number}", replicas=(replica_of("a"), replica_of("b"))) for number in range(20)]
    snapshot = snapshot_of(rows)
    pieces = []
    for piece in blocks(snapshot, metrics):
        pieces.append(piece)
        # Time goes on between two of them.
        for row in rows:
            metrics.fold(finished(row.id, duration_ms=1e8))
    assert max(piece.count("\n") for piece in pieces) <= BLOCK_LINES < len(pieces) * BLOCK_LINES / 2
    samples, _ = parsed("".join(pieces))
    for row in rows:
        count = samples[key("request_duration_seconds_count", server=row.id)]
        assert samples[key("request_duration_seconds_bucket", server=row.id, le="+Inf")] == count
        assert samples[key("request_duration_seconds_sum", server=row.id)] == count * 1e5
    assert "".join(blocks(snapshot, metrics)) == render(snapshot, metrics)
