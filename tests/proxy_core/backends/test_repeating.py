"""Whether a call that failed is made once more."""

from typing import Any

import pytest
from msgspec import Raw

from proxy_core.backends import repeating
from proxy_core.backends.call import Call
from proxy_core.backends.repeating import FIRST_PAUSE_S, MAX_PAUSE_S, Repeating
from proxy_core.backends.retry_budget import RESERVE
from proxy_core.config.models import RetryConfig, ToolRules
from proxy_core.errors import BackendExited, BackendFault, BackendHttpError, BackendStreamLost, BackendTimeout

LOST = BackendStreamLost("box", "broke off")
EXITED = BackendExited("box", "exited")
SAFE = ToolRules(retry=("add",))


def call(method: str = "tools/call", **more: Any) -> Call:
    return Call(method, Raw(b"{}"), **{"name": "add"} | more)


class Repeats:
    """Of one server, with rules that can be changed as by a reload."""

    def __init__(self, **rules: Any) -> None:
        self.rules = RetryConfig(**rules)
        self.repeating = Repeating(lambda: self.rules)

    def may(self, failure: BackendFault = LOST, repeats: int = 0, tools: ToolRules = SAFE, **more: Any) -> bool:
        return self.repeating.may(failure, call(**more), repeats, tools)


@pytest.mark.parametrize(("attempts", "made"), [(0, 0), (1, 1), (2, 2), (10, 10)])
def test_so_many_further_tries_and_no_more(attempts: int, made: int) -> None:
    repeats = Repeats(attempts=attempts)
    assert [repeats.may(repeats=number) for number in range(made + 2)] == [True] * made + [False] * 2


def test_what_ended_a_process_is_tried_once_more_alone() -> None:
    repeats = Repeats(attempts=5)
    assert [repeats.may(EXITED, number) for number in range(3)] == [True, False, False]
    assert not Repeats(attempts=0).may(EXITED)


@pytest.mark.parametrize(
    ("more", "may"),
    [
        ({}, True),
        ({"tools": ToolRules()}, False),
        ({"tools": ToolRules(retry=("other",))}, False),
        ({"tools": ToolRules(retry=("*",))}, True),
        ({"has_asked": True}, False),
        ({"is_task": True}, False),
        ({"method": "resources/read", "tools": ToolRules()}, True),
        ({"method": "prompts/get", "tools": ToolRules()}, True),
        ({"method": "completion/complete", "tools": ToolRules()}, True),
        ({"method": "tasks/update"}, False),
        ({"failure": BackendTimeout("box", "too long")}, True),
        ({"failure": BackendHttpError("box", 400)}, False),
    ],
)
def test_only_what_is_safe_is_repeated(more: Any, may: bool) -> None:
    assert Repeats().may(**more) is may


def test_the_budget_of_the_server_is_for_all_its_calls() -> None:
    repeats = Repeats(budget_ratio=0.5)
    assert sum(repeats.may() for _ in range(100)) == RESERVE
    for _ in range(10):
        repeats.repeating.begun()
    assert sum(repeats.may() for _ in range(100)) == 5


def test_what_may_not_be_repeated_costs_nothing() -> None:
    repeats = Repeats(attempts=1)
    for _ in range(100):
        repeats.may(has_asked=True)
        repeats.may(repeats=1)
    assert sum(repeats.may() for _ in range(100)) == RESERVE


def test_it_goes_by_the_rules_in_force() -> None:
    repeats = Repeats(attempts=0)
    assert not repeats.may()
    repeats.rules = RetryConfig(attempts=1)
    assert repeats.may()
    repeats.rules = RetryConfig(budget_ratio=0)
    assert not repeats.may()


async def test_the_pauses_grow_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[float, float]] = []

    def uniform(least: float, most: float) -> float:
        drawn.append((least, most))
        return 0.0

    monkeypatch.setattr(repeating.random, "uniform", uniform)
    for number in range(12):
        await Repeats().repeating.pause(number)
    assert {least for least, _ in drawn} == {0}, "full jitter"
    longest = [most for _, most in drawn]
    assert longest[:3] == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    assert longest == sorted(longest) and longest[-1] == MAX_PAUSE_S
