"""Who is under a fault drill: begun by a verb, told to everybody, and over by itself.

Never on by accident: only where the configuration allows it, never for longer than an hour, and at the latest
when the configuration takes it back.
"""

import asyncio
from collections.abc import Callable
from math import isfinite
from typing import Final

from msgspec import Struct

from proxy_core.backends.backend import Backend
from proxy_core.backends.drill import Drill
from proxy_core.backends.member import Member
from proxy_core.backends.registry import BackendRegistry
from proxy_core.clock import Clock
from proxy_core.errors import InvalidParams, NotAllowed
from proxy_core.tasks import Tasks
from proxy_core.telemetry.snapshot import Notice

KINDS: Final = ("delay", "error", "kill")
MAX_S: Final = 3600.0
MAX_DELAY_MS: Final = 600_000.0
_FORBIDDEN: Final = "Fault drills are not allowed here: the configuration must say tui.fault_drills: true."


class _Running(Struct, eq=False):
    target: str
    drill: Drill
    members: tuple[Member, ...]
    timer: "asyncio.Task[None] | None" = None


class Drills:
    """Sole writer of every replica's `drilling`."""

    def __init__(
        self,
        registry: Callable[[], BackendRegistry],
        is_allowed: Callable[[], bool],
        clock: Clock,
        tell: Callable[[str, str, str], None],
    ) -> None:
        """`tell`: the target, the verb and how it went, for the log and the events."""
        self._registry = registry
        self._is_allowed = is_allowed
        self._clock = clock
        self._tell = tell
        self._tasks = Tasks("drills")
        self._running: list[_Running] = []

    # --- verbs ----------------------------------------------------------------------------------------------

    def begin(self, target: str, kind: str, delay_ms: float, share: float, for_s: float, by: str) -> None:
        """Raises: NotAllowed, UnknownServer, InvalidParams."""
        if not self._is_allowed():
            raise NotAllowed(_FORBIDDEN)
        members = self._members(target)
        _check(kind, delay_ms, share, for_s)
        if kind == "kill":
            self._tell(target, "drill", f"killed by {by}")
            for member in members:
                member.replica.kill()
            return
        self._free(members)
        until = self._clock.monotonic() + for_s
        is_delay = kind == "delay"
        drill = Drill(until, delay_s=delay_ms / 1000) if is_delay else Drill(until, share=share)
        running = _Running(target, drill, members)
        for member in members:
            member.replica.drilling.drill = drill
        self._running.append(running)
        running.timer = self._tasks.start(self._end_after(running, for_s), target)
        self._tell(target, "drill", f"{drill.what} for {for_s:g} s, begun by {by}")

    def end(self, target: str, by: str) -> None:
        """Nothing if there is none. Raises: UnknownServer."""
        members = self._members(target)
        if any(member.replica.drilling.drill is not None for member in members):
            self._free(members)
            self._tell(target, "drill", f"ended by {by}")

    def reloaded(self) -> None:
        """The configuration may forbid it now, or have let replicas go."""
        present = {member for backend in self._registry() for member in backend.members}
        for running in list(self._running):
            gone = tuple(member for member in running.members if member not in present)
            if not self._is_allowed():
                self._over(running, "ended: the configuration does not allow it any more")
            elif len(gone) == len(running.members):
                self._over(running, "ended: it is no longer configured")

    async def aclose(self) -> None:
        await self._tasks.aclose()
        for running in list(self._running):
            self._stop(running)

    # --- what is seen ---------------------------------------------------------------------------------------

    @property
    def notices(self) -> tuple[Notice, ...]:
        """A standing warning while there is any."""
        if not self._running:
            return ()
        named = ", ".join(f"{each.target} ({each.drill.what})" for each in self._running)
        ends = f"F on its row or `only1mcp drill {self._running[0].target} end` ends it."
        words = f"FAULT DRILL at {named}: what fails there is made to fail. It ends by itself; {ends}"
        return (Notice("warning", words),)

    # --- inside ---------------------------------------------------------------------------------------------

    def _members(self, target: str) -> tuple[Member, ...]:
        server, slash, replica = target.partition("/")
        backend: Backend = self._registry().get(server)
        return backend.named(replica if slash else None)

    async def _end_after(self, running: _Running, for_s: float) -> None:
        await asyncio.sleep(for_s)
        running.timer = None
        self._over(running, "ended: its time was over")

    def _over(self, running: _Running, why: str) -> None:
        self._stop(running)
        self._tell(running.target, "drill", why)

    def _stop(self, running: _Running) -> None:
        _release(running, running.members)
        self._running.remove(running)
        if running.timer is not None:
            running.timer.cancel()

    def _free(self, members: tuple[Member, ...]) -> None:
        """End whatever is under way at these; a drill of a whole server goes on at its other replicas."""
        for running in list(self._running):
            rest = tuple(member for member in running.members if member not in members)
            if not rest:
                self._stop(running)
            else:
                _release(running, members)
                running.members = rest


def _release(running: _Running, members: tuple[Member, ...]) -> None:
    for member in members:
        if member.replica.drilling.drill is running.drill:
            member.replica.drilling.drill = None


def _check(kind: str, delay_ms: float, share: float, for_s: float) -> None:
    """Raises: InvalidParams."""
    if kind not in KINDS:
        raise InvalidParams(f"A fault drill is one of {', '.join(KINDS)}.")
    if kind == "delay" and not (isfinite(delay_ms) and 0 < delay_ms <= MAX_DELAY_MS):
        raise InvalidParams(f"delay_ms must be more than 0 and at most {MAX_DELAY_MS:g}.")
    if kind == "error" and not (isfinite(share) and 0 < share <= 1):
        raise InvalidParams("share must be more than 0 and at most 1.")
    if kind != "kill" and not (isfinite(for_s) and 0 < for_s <= MAX_S):
        raise InvalidParams(f"for_s must be more than 0 and at most {MAX_S:g} seconds.")
