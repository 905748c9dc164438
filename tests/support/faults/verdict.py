"""Whether a gateway kept its promises while one instance of a server was broken. Pure: lists in, sentences out.

A failed call that is not safe to repeat is excused if it was in flight on the broken instance: its journal or
the proxy before it saw it, or it was under way at the moment of the break and no healthy instance had it.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.support.faults.load import Asked, Kind

AT_THE_BREAK_S = 1.0
"""A call that begins so soon after the break may have been given to an instance that seemed alive, also over a
connection that was reset before anybody read from it."""


@dataclass(frozen=True)
class Bounds:
    """What a case may take, in seconds."""

    unsafe_s: float
    safe_s: float
    """Repeats included."""
    recovery_s: float


@dataclass(frozen=True)
class Case:
    """Everything that was observed. Instants are monotonic seconds."""

    asked: Sequence[Asked]
    is_right: Callable[[Asked], bool]
    broken: str
    """The instance that was."""
    executed: Mapping[str, Counter[str]]
    """Instance -> key -> how often it was executed there."""
    seen: frozenset[str]
    """Keys that the proxy before the broken instance was given."""
    broken_at: float
    mended_at: float
    has_others: bool
    """Whether other replicas were well all the time."""


def problems(case: Case, bounds: Bounds) -> list[str]:
    """A sentence for each promise that was not kept."""
    found = [
        *_always(case, bounds),
        *(_with_others(case, bounds) if case.has_others else _alone(case, bounds)),
    ]
    return [f"{len(found)} problems, of {len(case.asked)} calls", *found[:12]] if found else []


def summary(case: Case) -> str:
    """One line of what happened, for whoever reads the output of a test."""
    failed = [asked for asked in case.asked if not asked.is_answered]
    outcomes = Counter(asked.outcome for asked in failed)
    recovered_s = used_again_after_s(case) if case.has_others else recovered_after_s(case)
    came_back = "never came back" if recovered_s is None else f"back after {recovered_s:.2f} s"
    return f"{len(case.asked)} calls, {len(failed)} failed, {came_back}: {dict(outcomes)}"


def _always(case: Case, bounds: Bounds) -> list[str]:
    found = []
    times = sum(case.executed.values(), Counter[str]())
    for asked in case.asked:
        when = f"{asked.kind} {asked.key} at {asked.began_at - case.broken_at:+.2f} s"
        if asked.broken or not asked.ended_at:
            found.append(f"{when} got no definite answer: {asked.outcome}")
        elif asked.took_s > (limit := bounds.safe_s if asked.is_safe else bounds.unsafe_s):
            found.append(f"{when} took {asked.took_s:.1f} s, allowed are {limit:g}: {asked.outcome}")
        if asked.is_answered and not case.is_right(asked):
            found.append(f"{when} got a wrong answer: {asked.text!r}")
        if not asked.is_safe and times[asked.key] > 1:
            found.append(f"{when} was executed {times[asked.key]} times: {asked.outcome}")
        if asked.is_answered and asked.kind is not Kind.READ and not times[asked.key]:
            found.append(f"{when} was answered and never executed")
        if not asked.is_answered and asked.ended_at and asked.ended_at < case.broken_at:
            found.append(f"{when} failed before anything was broken: {asked.outcome}")
    return found


def _with_others(case: Case, bounds: Bounds) -> list[str]:
    """No call fails that was not in flight on the broken one and unsafe to repeat; that one is used again."""
    failed = [
        f"{asked.kind} {asked.key} at {asked.began_at - case.broken_at:+.2f} s failed after "
        f"{asked.took_s:.2f} s: {asked.outcome}"
        for asked in case.asked
        if not asked.is_answered and not is_excused(case, asked)
    ]
    used_s = used_again_after_s(case)
    if used_s is None or used_s > bounds.recovery_s:
        when = "not used again" if used_s is None else f"used again after {used_s:.1f} s"
        failed.append(f"{case.broken} was {when}, allowed are {bounds.recovery_s:.1f} s")
    return failed


def used_again_after_s(case: Case) -> float | None:
    """From the end of the fault to the beginning of the first call that the broken one executed since."""
    ran = case.executed.get(case.broken, Counter())
    began = [a.began_at for a in case.asked if a.key in ran and a.began_at > case.mended_at]
    return min(began) - case.mended_at if began else None


def is_excused(case: Case, asked: Asked) -> bool:
    """Whether this failure was in nobody's power."""
    if asked.is_safe:
        return False
    if asked.key in case.seen or asked.key in case.executed.get(case.broken, ()):
        return True
    was_under_way = asked.began_at < case.broken_at + AT_THE_BREAK_S and asked.ended_at >= case.broken_at
    return was_under_way and not any(asked.key in keys for keys in case.executed.values())


def _alone(case: Case, bounds: Bounds) -> list[str]:
    """It fails while it is broken, and recovers by itself, in time."""
    if all(asked.is_answered for asked in case.asked):
        return ["no call failed: what was done to it did not break it"]
    late = recovered_after_s(case)
    if late is None:
        return ["no call succeeded any more after the fault had ended"]
    if late > bounds.recovery_s:
        return [f"it took {late:.1f} s to recover, allowed are {bounds.recovery_s:.1f}"]
    return []


def recovered_after_s(case: Case) -> float | None:
    """From the end of the fault to the beginning of the first call after which all succeed; None if none does.

    A call that began before the end of the fault says nothing.
    """
    failed = [asked.began_at for asked in case.asked if not asked.is_answered]
    last = max([case.mended_at, *failed])
    after = [asked.began_at for asked in case.asked if asked.is_answered and asked.began_at > last]
    return min(after) - case.mended_at if after else None
