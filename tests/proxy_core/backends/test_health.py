"""Probes in a row and what they say of a replica."""

import pytest

from proxy_core.backends.health import Health
from proxy_core.backends.lifecycle import Event
from proxy_core.config.models import HealthConfig

E = Event


def health(failures: int = 3, successes: int = 2) -> Health:
    rules = HealthConfig(failure_threshold=failures, success_threshold=successes)
    return Health(lambda: rules)


@pytest.mark.parametrize(
    ("threshold", "events"),
    [
        (3, [E.PROBE_FAILED, E.PROBE_FAILED, E.PROBES_FAILED, E.PROBES_FAILED]),
        (1, [E.PROBES_FAILED, E.PROBES_FAILED]),
    ],
)
def test_so_many_failures_in_a_row_are_more_than_one(threshold: int, events: list[Event]) -> None:
    ailing = health(failures=threshold)
    assert [ailing.failed() for _ in events] == events
    assert ailing.failures == len(events)


@pytest.mark.parametrize(
    ("threshold", "events"),
    [(2, [None, E.PROBES_ANSWERED, E.PROBES_ANSWERED]), (1, [E.PROBES_ANSWERED])],
)
def test_so_many_answers_in_a_row_make_it_well(threshold: int, events: list[Event | None]) -> None:
    mending = health(successes=threshold)
    mending.failed()
    assert [mending.answered() for _ in events] == events


def test_an_answer_in_between_has_failures_counted_anew() -> None:
    ailing = health()
    assert [ailing.failed(), ailing.failed()] == [E.PROBE_FAILED] * 2
    ailing.answered()
    assert [ailing.failed(), ailing.failed(), ailing.failed()] == [E.PROBE_FAILED] * 2 + [E.PROBES_FAILED]


def test_a_failure_in_between_has_answers_counted_anew() -> None:
    mending = health()
    assert [mending.answered(), mending.failed(), mending.answered()] == [None, E.PROBE_FAILED, None]
    assert mending.answered() is E.PROBES_ANSWERED


def test_another_connection_begins_without_what_was_counted() -> None:
    fresh = health(failures=2)
    fresh.failed()
    fresh.renew()
    assert (fresh.failures, fresh.failed()) == (0, E.PROBE_FAILED)
    fresh.answered()
    fresh.renew()
    assert (fresh.successes, fresh.answered()) == (0, None)


def test_it_goes_by_the_rules_in_force() -> None:
    rules = HealthConfig(failure_threshold=3)
    ailing = Health(lambda: rules)
    assert ailing.failed() is E.PROBE_FAILED
    rules = HealthConfig(failure_threshold=2)
    assert ailing.failed() is E.PROBES_FAILED
