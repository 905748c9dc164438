"""The judge of the fault journeys: each promise, once kept and once not."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.faults.load import Asked, Kind
from tests.support.faults.verdict import Bounds, Case, problems, recovered_after_s

BROKEN_AT, MENDED_AT = 10.0, 12.0
BOUNDS = Bounds(unsafe_s=5, safe_s=10, recovery_s=3)
FAILED = {"code": -32603, "message": "no"}


def asked(
    key: str = "k", kind: Kind = Kind.ADD, began_at: float = 11, took_s: float = 0.1, **more: Any
) -> Asked:
    return Asked(key, kind, began_at, began_at + took_s, **({"text": "right"} | more))


def failed(key: str = "k", kind: Kind = Kind.ADD, **more: Any) -> Asked:
    return asked(key, kind, text=None, error=FAILED, **more)


def case(
    *calls: Asked,
    has_others: bool = True,
    is_used_again: bool = True,
    seen: Sequence[str] = (),
    **executed: list[str],
) -> Case:
    """`well` executed every call that was answered, if nothing else is said."""
    ran = {name: Counter(keys) for name, keys in executed.items()}
    ran.setdefault("well", Counter(one.key for one in calls if one.is_answered))
    if has_others and is_used_again:
        calls = (*calls, asked("last", began_at=MENDED_AT + 1))
        ran["broken"] = ran.get("broken", Counter()) + Counter(["last"])
    return Case(
        calls,
        lambda one: one.text == "right",
        "broken",
        ran,
        frozenset(seen),
        BROKEN_AT,
        MENDED_AT,
        has_others,
    )


def test_answers_that_are_right_are_no_problem() -> None:
    assert problems(case(asked("a"), asked("b", Kind.READ), asked("c", Kind.WHO)), BOUNDS) == []


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (asked(text="another's"), "wrong answer"),
        (asked(text=None, broken="hangs"), "no definite answer: hangs"),
        (asked(took_s=6), "took 6.0 s"),
        (asked(kind=Kind.WHO, took_s=11), "took 11.0 s"),
        (failed(began_at=5), "before anything was broken"),
        (failed(kind=Kind.WHO), "failed after"),
        (failed(), "failed after"),
    ],
)
def test_each_broken_promise_is_told(call: Asked, word: str) -> None:
    assert any(word in line for line in problems(case(call), BOUNDS))


def test_a_call_that_is_under_way_for_ever_is_told() -> None:
    assert "no definite answer" in problems(case(Asked("k", Kind.ADD, 11)), BOUNDS)[1]


def test_a_call_executed_twice_is_told_wherever_it_was() -> None:
    (_, line) = problems(case(asked(), broken=["k"], well=["k"]), BOUNDS)
    assert "executed 2 times" in line
    assert problems(case(asked(kind=Kind.WHO), broken=["k"], well=["k"]), BOUNDS) == []


def test_an_answer_that_nobody_gave_is_told() -> None:
    assert "never executed" in problems(case(asked(), well=[]), BOUNDS)[1]


def test_what_was_in_flight_on_the_broken_one_is_excused() -> None:
    assert problems(case(failed(), broken=["k"]), BOUNDS) == []
    assert problems(case(failed(), seen=["k"]), BOUNDS) == []
    assert problems(case(failed(began_at=BROKEN_AT - 0.05)), BOUNDS) == []


def test_what_a_healthy_one_had_is_not_excused_nor_what_is_safe() -> None:
    assert problems(case(failed(began_at=BROKEN_AT - 0.05), well=["k"]), BOUNDS)
    assert problems(case(failed(kind=Kind.READ), seen=["k"]), BOUNDS)


def test_one_alone_may_fail_and_has_to_come_back_in_time() -> None:
    back = asked("z", began_at=14)
    assert problems(case(failed(), back, has_others=False), BOUNDS) == []
    assert "did not break it" in problems(case(back, has_others=False), BOUNDS)[1]
    late = (failed(began_at=15.5), asked("z", began_at=15.6))
    assert "took 3.6 s to recover" in problems(case(*late, has_others=False), BOUNDS)[1]
    assert "no call succeeded" in problems(case(back, failed(began_at=15), has_others=False), BOUNDS)[1]


def test_the_broken_one_has_to_be_used_again() -> None:
    assert "not used again" in problems(case(asked(began_at=14), is_used_again=False), BOUNDS)[1]
    late = case(asked("k", began_at=15.5), is_used_again=False, broken=["k"], well=[])
    assert "used again after 3.5 s" in problems(late, BOUNDS)[1]


def test_recovery_counts_from_the_end_of_the_fault_to_the_first_of_only_successes() -> None:
    calls = [
        failed(began_at=12.5),
        asked("a", began_at=13),
        failed("b", began_at=13.5),
        asked("c", began_at=14),
    ]
    assert recovered_after_s(case(*calls)) == 2
