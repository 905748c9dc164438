"""Children of a gateway that is gone, as they can be left behind if its guard was killed with it.

Every child carries the id of its run in its environment. A run is over if its guard has ended and no process of
it has the parent that started it any more. What is ended is looked at again right before, as process ids are
given to others. Waits, so call it from a command, never from the loop.
"""

import os
import re
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Final

from msgspec import Struct

from proxy_core.backends.child_env import PARENT_VARIABLE, RUN_VARIABLE
from proxy_core.backends.process_table import SystemProcesses, variable

PATIENCE_S: Final = 2.0
"""After SIGTERM and again after SIGKILL."""
POLL_S: Final = 0.02
ROUNDS: Final = 3
"""What is told to end may start something else first."""
_RUN_ID: Final = re.compile(r"[0-9a-f]{16}\Z")
_GUARD: Final = re.compile(rf"{RUN_VARIABLE}=([0-9a-f]{{16}})\Z")
_system: Final = SystemProcesses()


class Orphan(Struct, frozen=True):
    pid: int
    name: str
    """As it calls itself: untrusted text."""
    created_at: float
    """Epoch seconds."""
    rss_bytes: int
    run_id: str
    """Of the gateway that started it."""


def find_orphans() -> tuple[Orphan, ...]:
    """All that this person has, the oldest first."""
    parents = _system.parents()
    carried = dict(_carried(parents))
    living = {run for pid, (run, starter) in carried.items() if parents.get(pid) == starter}
    if carried:
        living |= _guarded(parents)
    ourselves = set(_line_of(os.getpid(), parents))
    found = [
        Orphan(pid, measured.name, measured.created_at, measured.rss_bytes, run)
        for pid, (run, _) in carried.items()
        if run not in living
        and pid not in ourselves
        and _system.is_ours(pid)
        and (measured := _system.measured(pid)) is not None
    ]
    return tuple(sorted(found, key=lambda orphan: (orphan.created_at, orphan.pid)))


def end_orphans(orphans: Iterable[Orphan]) -> tuple[Orphan, ...]:
    """SIGTERM, then SIGKILL after `PATIENCE_S`, to what they start meanwhile too. Returns who is left."""
    chosen = tuple(orphans)
    runs = {orphan.run_id for orphan in chosen}
    for _ in range(ROUNDS):
        for number in (signal.SIGTERM, signal.SIGKILL):
            chosen = _still_there(chosen, after=number)
        chosen = tuple(orphan for orphan in find_orphans() if orphan.run_id in runs)
        if not chosen:
            break
    return chosen


def _still_there(orphans: tuple[Orphan, ...], after: signal.Signals) -> tuple[Orphan, ...]:
    """Send it to each that is the one that was found, and wait; who is left."""
    for orphan in orphans:
        if _is_same(orphan):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(orphan.pid, after)
    deadline_at = time.monotonic() + PATIENCE_S
    while (left := tuple(filter(_is_same, orphans))) and time.monotonic() < deadline_at:
        time.sleep(POLL_S)
    return left


def _is_same(orphan: Orphan) -> bool:
    measured = _system.measured(orphan.pid)
    return (
        measured is not None
        and measured.created_at == orphan.created_at
        and variable(_system.environment(orphan.pid), RUN_VARIABLE) == orphan.run_id
    )


def _carried(pids: Iterable[int]) -> Iterator[tuple[int, tuple[str, int]]]:
    """Process id, and which run and which gateway's process id it carries. Without both it proves nothing."""
    for pid in pids:
        environment = _system.environment(pid)
        run, starter = variable(environment, RUN_VARIABLE), variable(environment, PARENT_VARIABLE)
        if _RUN_ID.match(run) and starter.isdecimal():
            yield pid, (run, int(starter))


def _guarded(pids: Iterable[int]) -> set[str]:
    """The runs whose guard lives."""
    lasts = (arguments[-1] for pid in pids if (arguments := _system.arguments(pid)))
    return {match[1] for last in lasts if (match := _GUARD.match(last))}


def _line_of(pid: int, parents: Mapping[int, int]) -> Iterator[int]:
    """The process and its parents."""
    seen: set[int] = set()
    while pid in parents and pid not in seen:
        seen.add(pid)
        yield pid
        pid = parents[pid]
