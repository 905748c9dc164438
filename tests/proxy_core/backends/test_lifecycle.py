"""The table of states, walked."""

import pytest

from proxy_core.backends.lifecycle import IN_SERVICE, SWITCHED_OFF, TRANSITIONS, Event, after
from proxy_core.telemetry.snapshot import ServerState as S


def walk(state: S, *events: Event) -> list[S]:
    states = []
    for event in events:
        state = after(state, event)
        states.append(state)
    return states


def test_every_state_has_a_row() -> None:
    assert set(TRANSITIONS) == set(S)


def test_every_state_can_be_reached() -> None:
    reached = {S.STARTING}
    for _ in S:
        reached |= {following for state in reached for following in TRANSITIONS[state].values()}
    assert reached == set(S)


def test_a_server_starts_crashes_and_comes_back() -> None:
    assert walk(S.STARTING, Event.OPENED, Event.LOST, Event.START, Event.OPENED) == [
        S.HEALTHY,
        S.RESTARTING,
        S.RESTARTING,
        S.HEALTHY,
    ]


def test_a_server_that_is_tried_again_keeps_its_state_until_the_attempt_has_ended() -> None:
    states = walk(S.STARTING, Event.ATTEMPT_FAILED, Event.START, Event.AUTH_MISSING, Event.START, Event.OPENED)
    assert states == [S.UNHEALTHY, S.UNHEALTHY, S.AUTH_REQUIRED, S.AUTH_REQUIRED, S.HEALTHY]


def test_a_server_that_was_given_up_starts_when_asked() -> None:
    assert walk(S.RESTARTING, Event.GAVE_UP, Event.OPENED, Event.START) == [S.FAILED, S.FAILED, S.STARTING]


def test_a_probe_degrades_only_what_is_in_service() -> None:
    assert walk(S.HEALTHY, Event.PROBE_FAILED, Event.PROBE_FAILED, Event.PROBES_ANSWERED) == [
        S.DEGRADED,
        S.DEGRADED,
        S.HEALTHY,
    ]
    for state in set(S) - IN_SERVICE:
        assert after(state, Event.PROBE_FAILED) is state
    for state in set(S) - IN_SERVICE - {S.UNHEALTHY}:
        assert after(state, Event.PROBES_FAILED) is state
        assert after(state, Event.PROBES_ANSWERED) is state


def test_probes_take_a_server_out_and_back() -> None:
    assert walk(S.HEALTHY, Event.PROBE_FAILED, Event.PROBES_FAILED, Event.PROBES_ANSWERED) == [
        S.DEGRADED,
        S.UNHEALTHY,
        S.HEALTHY,
    ]
    assert walk(S.HEALTHY, Event.PROBES_FAILED, Event.LOST) == [S.UNHEALTHY, S.RESTARTING]


@pytest.mark.parametrize("state", sorted(set(S) - SWITCHED_OFF))
def test_anything_that_is_on_can_be_drained_and_disabled(state: S) -> None:
    assert walk(state, Event.DRAIN, Event.DRAINED, Event.DISABLED) == [S.DRAINING, S.DRAINED, S.DISABLED]
    assert after(state, Event.DISABLED) is S.DISABLED


@pytest.mark.parametrize(
    "event", [Event.OPENED, Event.ATTEMPT_FAILED, Event.AUTH_MISSING, Event.LOST, Event.GAVE_UP]
)
@pytest.mark.parametrize("state", sorted(SWITCHED_OFF))
def test_nothing_that_happens_by_itself_switches_a_server_on(state: S, event: Event) -> None:
    assert after(state, event) is state


def test_a_drain_under_way_is_not_undone_by_a_start() -> None:
    assert after(S.DRAINING, Event.START) is S.DRAINING
