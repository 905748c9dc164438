"""A load as long as it lasts: keeps its connections open, and says on each what is asked next.

Closed loop: each connection asks again as soon as it is answered. Open loop: requests are due at a steady pace,
whatever the answers take, and a request is timed from when it was due, so that a server that stops for a while
is not let off.
"""

import asyncio
import gc
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from proxy_core.load.asking import FIRST_ID, Ask
from proxy_core.load.connection import LoadConnection
from proxy_core.load.judging import Fault, fault_in
from proxy_core.load.line import connect
from proxy_core.load.tally import LoadResult, Tally
from proxy_core.load.target import Target
from proxy_core.tasks import Tasks

SWEEP_S: Final = 0.1
RETRY_S: Final = 0.1
"""After a connection could not be opened."""
_NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much, and for how long."""

    connections: int
    seconds: float
    """That count; the warming up comes before them."""
    warm_up_s: float
    timeout_s: float
    """How long a request may take, from when it is due."""
    per_s: float | None = None
    """Requests a second of an open loop; None: a closed loop."""


class Loader:
    """One load; `run` once."""

    def __init__(self, target: Target, ask: Ask, plan: Plan, is_list: bool = False) -> None:
        """`is_list`: what is asked is a list or a ping, which cannot fail in its result."""
        self._is_list = is_list
        self._target = target
        self._ask = ask
        self._plan = plan
        self._tally = Tally()
        self._ids = itertools.count(FIRST_ID)
        self._tasks = Tasks("load")
        self._open: set[LoadConnection] = set()
        self._idle: deque[LoadConnection] = deque()
        """In an open loop, those that wait for the next request to be due."""
        self._waiting: deque[float] = deque()
        """When the requests were due for which no connection is free."""
        self._received_bytes = 0
        self._counts_from = self._until = _NEVER
        self._next_number = 0
        self._begun_at = 0.0

    async def run(self, progress: Callable[[float], None] = lambda share: None) -> LoadResult:
        """`progress`: told now and then which share of the time is over."""
        plan = self._plan
        # A full collection stops this process, and that would be timed as the server's: what exists by now is
        # not looked at again until the load is over.
        gc.collect()
        gc.freeze()
        try:
            opened = await asyncio.gather(*(self._connect() for _ in range(plan.connections)))
            self._begun_at = begun = perf_counter()
            self._counts_from = begun + plan.warm_up_s
            self._until = self._counts_from + plan.seconds
            for connection in list(self._open):
                self._next(connection)
            if plan.per_s is not None:
                self._pace(plan.per_s)
            for _ in range(opened.count(False)):
                self._tasks.start(self._reopen(), "reopen")
            while (now := perf_counter()) < self._until or self._is_busy:
                self._sweep(now)
                progress(min(1.0, (now - begun) / (self._until - begun)))
                await asyncio.sleep(max(0.001, min(SWEEP_S, self._until - now)))
            self._give_up_waiting(_NEVER)
        finally:
            self._until = 0.0
            for connection in self._open:
                connection.close()
            await self._tasks.aclose()
            gc.unfreeze()
        received = self._received_bytes + sum(connection.received_bytes for connection in self._open)
        return self._tally.result(plan.seconds, received)

    @property
    def _is_busy(self) -> bool:
        return any(connection.is_asked for connection in self._open)

    # --- what is asked next -----------------------------------------------------------------------------------

    def _next(self, connection: LoadConnection) -> None:
        """This connection is free."""
        now = perf_counter()
        if self._plan.per_s is None:
            if now < self._until:
                self._send(connection, now, now)
        elif self._waiting and now < self._until:
            self._send(connection, self._waiting.popleft(), now)
        else:
            self._idle.append(connection)

    def _send(self, connection: LoadConnection, due_at: float, now: float) -> None:
        request_id = next(self._ids)
        connection.ask(self._ask(request_id), request_id, due_at, now)

    def _pace(self, per_s: float) -> None:
        """Ask what is due by now, and come again when the next one is."""
        now = perf_counter()
        while (due_at := self._begun_at + self._next_number / per_s) <= now:
            self._next_number += 1
            if due_at >= self._until:
                break
            if self._idle:
                if due_at >= self._counts_from:
                    self._tally.late_ms.append((now - due_at) * 1000)
                self._send(self._idle.popleft(), due_at, now)
            else:
                self._waiting.append(due_at)
        if due_at < self._until:
            asyncio.get_running_loop().call_later(due_at - now, self._pace, per_s)

    # --- for its connections ----------------------------------------------------------------------------------

    def finished(self, connection: LoadConnection) -> None:
        fault = connection.fault or fault_in(
            connection.status, connection.body, connection.request_id, self._is_list
        )
        if connection.due_at >= self._counts_from:
            tally = self._tally
            if fault is not None:
                tally.note_fault(fault)
            else:
                tally.took_ms.append((connection.answered_at - connection.due_at) * 1000)
                tally.in_time += connection.answered_at <= self._until
        if connection.is_open:
            self._next(connection)

    def gone(self, connection: LoadConnection) -> None:
        self._open.discard(connection)
        self._received_bytes += connection.received_bytes
        if connection in self._idle:
            self._idle.remove(connection)
        if perf_counter() < self._until:
            self._tally.replaced += 1
            self._tasks.start(self._reopen(), "reopen")

    async def _connect(self) -> bool:
        connection = LoadConnection(self)
        try:
            await connect(self._target, connection)
        except (OSError, TimeoutError) as error:
            if perf_counter() >= self._counts_from:
                self._tally.note_fault(Fault("no connection", getattr(error, "strerror", None) or str(error)))
            return False
        self._open.add(connection)
        if self._begun_at and connection.is_open:
            self._next(connection)
        return True

    async def _reopen(self) -> None:
        while perf_counter() < self._until:
            if await self._connect():
                return
            await asyncio.sleep(RETRY_S)

    # --- what takes too long ----------------------------------------------------------------------------------

    def _sweep(self, now: float) -> None:
        oldest = now - self._plan.timeout_s
        for connection in list(self._open):
            if connection.is_asked and connection.due_at < oldest:
                connection.abort(Fault("no answer in time", f"none within {self._plan.timeout_s:g} s"))
        self._give_up_waiting(oldest)

    def _give_up_waiting(self, before: float) -> None:
        while self._waiting and self._waiting[0] < before:
            if self._waiting.popleft() >= self._counts_from:
                self._tally.note_fault(Fault("never asked", "all connections were busy for too long"))
