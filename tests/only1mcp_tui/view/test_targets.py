"""Servers and replicas as what rows and verbs are about: their reasons, their probes."""

import pytest

from only1mcp_tui.view.targets import (
    Target,
    find,
    has_replicas,
    is_well,
    needs_an_eye,
    probe_words,
    reason_of,
    targets_of,
)
from proxy_core.telemetry.snapshot import BreakerState, Probe, ServerState
from tests.support.fake_control import NOW, replica_of, row_of
from tests.support.screens import replicated_rows

DRAINING = row_of("box", ServerState.DRAINING, in_flight=2, reason="asked to drain", drain_until=NOW + 26.2)


def test_one_replica_needs_no_row_of_its_own() -> None:
    row = row_of("box", replicas=(replica_of("main"),))
    assert not has_replicas(row)
    assert list(targets_of(row)) == []


def test_one_that_is_leaving_does_until_it_is_gone() -> None:
    assert has_replicas(row_of("box", replicas=(replica_of("main", is_leaving=True),)))


@pytest.mark.parametrize(
    ("changes", "needs"),
    [
        ({}, False),
        ({"breaker": BreakerState.HALF_OPEN}, True),
        ({"is_leaving": True}, True),
        ({"state": ServerState.DRAINED}, True),
    ],
)
def test_replicas_need_an_eye_unless_all_are_well(changes: dict[str, object], needs: bool) -> None:
    second = replica_of("b", **changes)  # type: ignore[arg-type]
    assert needs_an_eye(row_of("box", replicas=(replica_of("a"), second))) is needs


def test_a_target_is_found_by_the_name_that_verbs_use() -> None:
    rows = replicated_rows()
    assert find(rows, "github/b") == Target(rows[0], rows[0].replicas[1])
    assert find(rows, "files") == Target(rows[1])
    assert find(rows, "github/none") is None
    assert find(rows, "none/a") is None


def test_those_that_serve_on_are_the_others_in_service() -> None:
    rows = replicated_rows()
    target = find(rows, "github/b")
    assert target is not None
    assert [replica.id for replica in target.siblings] == ["a"]


@pytest.mark.parametrize(
    ("width", "words"),
    [(80, "2 calls in flight, 27 s left"), (20, "2 calls, 27 s left"), (10, "27 s left")],
)
def test_a_drain_counts_down_in_as_many_words_as_fit(width: int, words: str) -> None:
    assert reason_of(DRAINING, NOW, width) == words


def test_a_drain_says_zero_only_when_it_is_over() -> None:
    assert reason_of(DRAINING, NOW + 26.1) == "2 calls in flight, 1 s left"
    assert reason_of(DRAINING, NOW + 30) == "2 calls in flight, 0 s left"


def test_an_open_breaker_says_when_it_is_tried_again() -> None:
    row = row_of("box", breaker=BreakerState.OPEN, breaker_retry_at=NOW + 12.4, reason="5 calls failed")
    assert reason_of(row, NOW) == "breaker open, tried again in 13s: 5 calls failed"
    assert reason_of(row, NOW, 12) == "retry 13s"
    assert not is_well(row)


def test_where_no_reason_is_given_the_failed_probe_is_one() -> None:
    row = row_of("box", ServerState.DEGRADED, probe=Probe(NOW, 390.0, "HTTP status 500", 500))
    assert reason_of(row, NOW) == "probe: HTTP status 500"


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        (Probe(NOW - 3, 12.0, None), "3s 12ms"),
        (Probe(NOW - 3, 5000.0, None), "3s 5.0s"),
        (Probe(NOW - 1, 390.0, "HTTP status 500", 500), "1s HTTP 500 390ms"),
        (Probe(NOW - 1, 4.0, "Internal error", -32603), "1s error -32603 4.0ms"),
        (Probe(NOW - 2, 5000.0, "The server did not answer within 5 seconds."), "2s timeout 5.0s"),
        (Probe(NOW - 2, None, "connection refused"), "2s no answer"),
    ],
)
def test_a_probe_says_when_what_and_how_long(probe: Probe, words: str) -> None:
    assert probe_words(probe, NOW) == words
