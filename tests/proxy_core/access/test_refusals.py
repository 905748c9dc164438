import logging

import pytest

from proxy_core.access import refusals
from proxy_core.access.refusals import Refusals
from proxy_core.facts import Fact, LimitReached
from tests.support.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_every_refusal_is_told_and_one_a_minute_is_news(clock: FakeClock, caplog: pytest.LogCaptureFixture):
    facts: list[Fact] = []
    told = Refusals(clock, facts.append)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            told.tell("server", "rate", "box")
        told.tell("server", "concurrent", "box")
        clock.advance(60)
        told.tell("server", "rate", "box")
    assert [fact.is_news for fact in facts if isinstance(fact, LimitReached)] == [
        True,
        False,
        False,
        True,
        True,
    ]
    assert len(caplog.records) == 3


def test_what_is_remembered_and_what_is_said_is_bounded(clock: FakeClock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(refusals, "MAX_TOLD", 5)
    facts: list[LimitReached] = []
    told = Refusals(clock, lambda fact: facts.append(fact) if isinstance(fact, LimitReached) else None)
    for number in range(30):
        told.tell("principal", "rate", f"{number} " + "x" * 1000)
    assert len(told._told_at) <= 5
    assert all(len(fact.name) == 128 for fact in facts)
