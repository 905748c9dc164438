"""What our child processes use, each with all that descends from it: memory, processor, names.

Sampled every few seconds in a thread, so no call waits for it; screens read the last sample. Knows process ids
and whose they are, starts and ends nothing.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple

from msgspec import Struct

from proxy_core.backends.child_env import CHILD_VARIABLE, RUN_VARIABLE
from proxy_core.backends.process_table import IS_LINUX, Measured, Processes, SystemProcesses, variable
from proxy_core.clock import Clock
from proxy_core.telemetry.snapshot import ChildRow, DescendantRow

PAUSE_S: Final = 5.0
FIRST_PAUSE_S: Final = 0.5
"""While there is no child yet, which costs nothing to see."""
LONGEST_PAUSE_S: Final = 120.0
SHARE: Final = 0.005
"""Of one core that sampling may use: where a sample is expensive, the next one comes later."""
MARKS_EVERY: Final = 6
"""Samples from one search for marks to the next: it reads the environment of every process we may read."""
MAX_DESCENDANTS: Final = 200
"""Named in a row; memory and processor are those of all of them."""
log = logging.getLogger(__name__)


class Child(Struct, frozen=True):
    """A process that we have started."""

    server: str
    replica: str
    client: str
    """Whose it is alone; empty: everybody's."""
    pid: int
    started_at: float
    """Monotonic seconds."""


class _Member(NamedTuple):
    """One process of a family."""

    pid: int
    measured: Measured
    parent: int = 0
    """Process id of its parent, if that one is of the family too; else of the child."""


_Measuring = Callable[[int], Measured | None]
_Families = Mapping[int, Sequence[_Member]]
"""Process id of a child -> the processes of its family, itself first."""


class ProcessSampler:
    def __init__(
        self,
        children: Callable[[], Sequence[Child]],
        clock: Clock,
        *,
        run_id: str | None = None,
        processes: Processes | None = None,
        pause_s: float = PAUSE_S,
    ) -> None:
        """`run_id`: the mark that our children carry; with it, one that has left its parents is found too."""
        self._children = children
        self._clock = clock
        self._run_id = run_id
        self._pause_s = pause_s
        self._first_pause_s = min(pause_s, FIRST_PAUSE_S)
        self._processes = processes or SystemProcesses()
        self._samples = 0
        self._at = 0.0
        self._families: _Families = {}
        self._existed: frozenset[int] = frozenset()
        """Every process of the machine at the last sample."""
        self._rows: dict[str, tuple[ChildRow, ...]] = {}
        self.cost_s = 0.0
        """Processor time of the last sample."""

    def rows(self, server: str) -> tuple[ChildRow, ...]:
        """The children of this server as of the last sample."""
        return self._rows.get(server, ())

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            await self.sample()
            pause_s = self._pause_s if self._rows else self._first_pause_s
            await asyncio.sleep(min(LONGEST_PAUSE_S, max(pause_s, self.cost_s / SHARE)))

    async def sample(self) -> None:
        """Look once. What cannot be looked at is left out; if nothing can, the last sample stays."""
        children = tuple(self._children())
        if not children:
            self._families, self._rows, self._existed = {}, {}, frozenset()
            self.cost_s = 0.0
            return
        try:
            existing, families, self.cost_s = await asyncio.to_thread(self._look, children)
        except OSError as error:
            log.debug("the processes of this machine cannot be listed: %s", error)
            return
        now = self._clock.monotonic()
        rows: dict[str, list[ChildRow]] = {}
        for child in children:
            if family := families.get(child.pid):
                rows.setdefault(child.server, []).append(self._row(child, family, now - self._at))
        self._rows = {server: tuple(each) for server, each in rows.items()}
        self._families, self._existed, self._at = families, existing, now
        self._samples += 1

    # --- in the thread ----------------------------------------------------------------------------------------

    def _look(self, children: Sequence[Child]) -> tuple[frozenset[int], _Families, float]:
        """One pass over the processes of the machine, then a closer look at ours alone."""
        began = time.thread_time()
        measured = cache(self._processes.measured)
        parents = self._processes.parents()
        offspring: dict[int, list[int]] = {}
        for pid, parent in parents.items():
            offspring.setdefault(parent, []).append(pid)
        detached = self._marked(parents) if self._samples % MARKS_EVERY == 0 else {}
        families = {
            # The id of one that has ended may be given to another, which is no child of ours then.
            child.pid: self._family(child.pid, detached.get(child.pid, ()), offspring, parents, measured)
            for child in children
            if parents.get(child.pid) == os.getpid()
        }
        return frozenset(parents), families, time.thread_time() - began

    def _marked(self, pids: Iterable[int]) -> Mapping[int, list[int]]:
        """Process id of a child -> the processes that say they descend from it."""
        found: dict[int, list[int]] = {}
        if self._run_id is None or not IS_LINUX:
            return found
        for pid in pids:
            environment = self._processes.environment(pid)
            if variable(environment, RUN_VARIABLE) == self._run_id:
                child = variable(environment, CHILD_VARIABLE)
                if child.isdecimal():
                    found.setdefault(int(child), []).append(pid)
        return found

    def _family(
        self,
        child: int,
        detached: Sequence[int],
        offspring: Mapping[int, list[int]],
        parents: Mapping[int, int],
        measured: _Measuring,
    ) -> Sequence[_Member]:
        """The child, what descends from it, and what did so when it was last seen and has left its parents."""
        members: dict[int, Measured] = {}
        waiting = [*self._still_alive(child, measured), *detached, child]
        while waiting:
            pid = waiting.pop()
            if pid in members or pid == os.getpid() or (seen := measured(pid)) is None:
                continue
            members[pid] = seen
            waiting += reversed(offspring.get(pid, []))
        if child not in members:
            return ()
        return tuple(
            _Member(pid, seen, parent if (parent := parents.get(pid, child)) in members else child)
            for pid, seen in members.items()
        )

    def _still_alive(self, child: int, measured: _Measuring) -> list[int]:
        """Members as last seen; those whose id another has been given since are left out."""
        pids = []
        for pid, before, _ in self._families.get(child, ()):
            now = measured(pid)
            if now is not None and now.created_at == before.created_at:
                pids.append(pid)
            elif pid == child:
                # The child itself is another one, and so is its family.
                return []
        return pids

    # --- rows -------------------------------------------------------------------------------------------------

    def _row(self, child: Child, family: Sequence[_Member], elapsed_s: float) -> ChildRow:
        itself = next(member.measured for member in family if member.pid == child.pid)
        others = [member for member in family if member.pid != child.pid][:MAX_DESCENDANTS]
        return ChildRow(
            pid=child.pid,
            replica=child.replica,
            client=child.client,
            started_at=child.started_at,
            rss_bytes=sum(member.measured.rss_bytes for member in family),
            cpu_percent=self._cpu_percent(child, family, elapsed_s),
            descendants=tuple((member.pid, member.measured.name) for member in others),
            own_rss_bytes=itself.rss_bytes,
            threads=itself.threads,
            files=itself.files,
            family=tuple(
                DescendantRow(each.pid, each.parent, each.measured.name, each.measured.rss_bytes)
                for each in others
            ),
        )

    def _cpu_percent(self, child: Child, family: Sequence[_Member], elapsed_s: float) -> float:
        before = {member.pid: member.measured for member in self._families.get(child.pid, ())}
        if child.pid not in before or elapsed_s <= 0:
            return 0.0
        used_s = 0.0
        for pid, measured, _ in family:
            last = before.get(pid)
            if last is not None and last.created_at == measured.created_at:
                used_s += measured.cpu_s - last.cpu_s
            elif pid not in self._existed:
                # All that it has used, it has used since.
                used_s += measured.cpu_s
        return round(100 * max(0.0, used_s) / elapsed_s, 1)
