"""What a server is like, as a table over what its replicas are like."""

from typing import NamedTuple

import pytest

from proxy_core.backends import server_state
from proxy_core.backends.server_state import MAX_NAMED
from proxy_core.telemetry.snapshot import ServerState as S


class Place(NamedTuple):
    id: str
    state: S
    reason: str = ""


def places(*states: S) -> list[Place]:
    return [Place("abcdefgh"[number], state) for number, state in enumerate(states)]


@pytest.mark.parametrize("state", list(S))
def test_one_replica_speaks_for_the_whole(state: S) -> None:
    assert server_state.of([Place("main", state, "why")]) == (state, "why")


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([S.HEALTHY, S.HEALTHY], S.HEALTHY),
        ([S.HEALTHY, S.DEGRADED], S.DEGRADED),
        ([S.HEALTHY, S.UNHEALTHY], S.DEGRADED),
        ([S.HEALTHY, S.STARTING], S.HEALTHY),
        ([S.DEGRADED, S.STARTING], S.DEGRADED),
        ([S.DEGRADED, S.FAILED], S.DEGRADED),
        ([S.UNHEALTHY, S.STARTING], S.STARTING),
        ([S.UNHEALTHY, S.RESTARTING], S.RESTARTING),
        ([S.FAILED, S.UNHEALTHY], S.UNHEALTHY),
        ([S.FAILED, S.AUTH_REQUIRED], S.AUTH_REQUIRED),
        ([S.FAILED, S.FAILED], S.FAILED),
        ([S.HEALTHY, S.DRAINED], S.HEALTHY),
        ([S.HEALTHY, S.DISABLED], S.HEALTHY),
        ([S.UNHEALTHY, S.DRAINED], S.UNHEALTHY),
        ([S.DRAINED, S.DRAINING], S.DRAINING),
        ([S.DISABLED, S.DRAINED], S.DRAINED),
        ([S.DISABLED, S.DISABLED], S.DISABLED),
    ],
)
def test_many_replicas_are_together_what_they_can_do(states: list[S], expected: S) -> None:
    assert server_state.of(places(*states))[0] is expected
    assert server_state.of(places(*reversed(states)))[0] is expected, "their order does not matter"


def test_the_row_says_who_is_ill_and_why() -> None:
    replicas = [
        Place("a", S.HEALTHY),
        Place("b", S.DEGRADED, "the last probe failed: no"),
        Place("c", S.FAILED),
        Place("d", S.DRAINED),
    ]
    assert server_state.of(replicas) == (
        S.DEGRADED,
        "1 of 3 replicas are well; b: the last probe failed: no; c: failed",
    )


def test_all_are_well_is_nothing_to_explain() -> None:
    assert server_state.of([*places(S.HEALTHY, S.HEALTHY), Place("z", S.DRAINED, "1 call cut off")]) == (
        S.HEALTHY,
        "",
    )


def test_without_any_in_service_the_row_says_what_each_has() -> None:
    replicas = [Place("a", S.UNHEALTHY, "no route"), Place("b", S.FAILED, "crashed")]
    assert server_state.of(replicas) == (S.UNHEALTHY, "a: no route; b: crashed")


def test_switched_off_the_row_says_what_was_cut_off() -> None:
    replicas = [Place("a", S.DRAINED, "1 call in flight cut off"), Place("b", S.DRAINED)]
    assert server_state.of(replicas) == (S.DRAINED, "a: 1 call in flight cut off")


def test_of_many_only_some_are_named() -> None:
    replicas = [Place(f"r{number}", S.UNHEALTHY, "no") for number in range(MAX_NAMED + 3)]
    _, reason = server_state.of(replicas)
    assert reason.count("no") == MAX_NAMED
    assert reason.endswith("; 3 more")


# --- one that is replaced stands in -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (
            S.STARTING,
            S.HEALTHY,
            (S.HEALTHY, "a new one is being started in place of the old one, which serves on"),
        ),
        (S.UNHEALTHY, S.HEALTHY, (S.DEGRADED, "the old one serves on, as the new one does not: no route")),
        (S.STARTING, S.UNHEALTHY, (S.STARTING, "no route")),
        (S.HEALTHY, S.HEALTHY, (S.HEALTHY, "")),
    ],
)
def test_the_old_one_stands_in_until_the_new_one_serves(new: S, old: S, expected: tuple[S, str]) -> None:
    reason = "" if new is S.HEALTHY else "no route"
    assert server_state.of([Place("main", new, reason)], [Place("main", old)]) == expected
