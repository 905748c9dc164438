"""Calls that a server runs as tasks, seen through to their ends for clients that know of no tasks.

To its client such a call is like any other: it takes long, its server asks in the middle, it can be cancelled.
A task is begun once. Whatever goes wrong afterwards ends the call, and the server is told to end the task.
Spec: the extension io.modelcontextprotocol/tasks (SEP-2663); 2025-11-25 basic/utilities/tasks.
"""

import asyncio
from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from typing import Any, Protocol

from msgspec import Raw

from proxy_core.backends import task_work
from proxy_core.backends.call import Call
from proxy_core.backends.correlation import Correlation, Pending
from proxy_core.backends.task_work import TaskWork, ask_of_task
from proxy_core.clock import Clock
from proxy_core.errors import (
    BackendError,
    BackendFault,
    BackendProtocolError,
    BackendSessionLost,
    BackendStreamLost,
)
from proxy_core.protocol import tasks
from proxy_core.protocol.results import UnusableResult
from proxy_core.protocol.tasks import Task
from proxy_core.tasks import Tasks


class Line(task_work.Line, Protocol):
    """What these calls need of their connection."""

    def give_up(self, pending: Pending[Any]) -> None:
        """Forget the call, and have its server end it."""
        ...


class TaskRuns:
    def __init__(self, line: Line, correlation: Correlation[Any], clock: Clock, owned: Tasks) -> None:
        """`owned`: the connection's, so that nothing outlives it."""
        self._line = line
        self._correlation = correlation
        self._clock = clock
        self._tasks = owned
        self._begun: dict[int, Pending[Any]] = {}
        """By the id of the request that began it, until whoever made the call takes over."""

    def answered(self, pending: Pending[Any], result: Raw) -> None:
        """Keep the call in flight if this answer is a task: its server may ask and tell in the same breath."""
        if pending.call is None or not pending.call.is_task or pending.method != tasks.CALL:
            return
        with suppress(UnusableResult):
            task = tasks.created(result, self._line.peer.era)
            if task is not None:
                waiter: asyncio.Future[Raw] = asyncio.get_running_loop().create_future()
                self._begun[pending.id] = self._correlation.go_on(pending, waiter, task.id)

    async def to_end(self, request: int, call: Call, answer: Awaitable[Raw]) -> Raw:
        """What the call comes to; `answer` is the first to it, that of our request of this id.

        Cancels the task unless it has ended. Raises: BackendError, BackendFault.
        """
        try:
            result = await answer
        except asyncio.CancelledError:
            if (begun := self._begun.pop(request, None)) is not None:
                self._over(begun, has_ended=False)
            raise
        task = _created(self._line, result)
        begun = self._begun.pop(request, None)
        return result if task is None or begun is None else await self._seen_through(begun, call, task)

    async def _seen_through(self, pending: Pending[Any], call: Call, task: Task) -> Raw:
        work = TaskWork(self._line, self._clock, pending, call, task)
        end = self._tasks.start(_outcome(work.end()), "task")
        try:
            # The call's own deadlines, and the loss of the connection, end the waiter.
            waiter: asyncio.Future[Raw] = pending.waiter
            await asyncio.wait((end, waiter), return_when=asyncio.FIRST_COMPLETED)
            return waiter.result() if waiter.done() else _unwrapped(end.result())
        finally:
            end.cancel()
            self._over(pending, work.has_ended)

    def _over(self, pending: Pending[Any], has_ended: bool) -> None:
        if self._correlation.get(pending.id) is not pending:
            # It has failed, with all that belongs to it.
            _read(pending.waiter)
        elif has_ended:
            self._correlation.close(pending.id)
        else:
            self._line.give_up(pending)

    async def cancel(self, pending: Pending[Any]) -> None:
        """Have the server end the task of a call that nobody waits for."""
        assert pending.call is not None and pending.task is not None
        # It may have ended just now, and the connection may have gone: there is nothing more to do about it.
        with suppress(BackendError, BackendFault):
            await ask_of_task(self._line, pending.call, tasks.CANCEL, pending.task, {})


def _created(line: Line, result: Raw) -> Task | None:
    try:
        return tasks.created(result, line.peer.era)
    except UnusableResult as error:
        raise BackendProtocolError(
            line.id, "The server's answer is not a valid result.", error.message
        ) from error


async def _outcome(work: Coroutine[Any, Any, Raw]) -> Raw | BackendError | BackendFault:
    """A failure as a value: whoever made the call may have gone."""
    try:
        return await work
    except BackendSessionLost as fault:
        # Its task has gone with the session; made again on another one, the call would be run twice.
        return BackendStreamLost(fault.backend, fault.message, fault.detail)
    except (BackendError, BackendFault) as error:
        return error


def _read(waiter: "asyncio.Future[Raw]") -> None:
    """Take note of a failure that nobody waits for, as asyncio wants it."""
    if waiter.done() and not waiter.cancelled():
        waiter.exception()


def _unwrapped(outcome: Raw | BackendError | BackendFault) -> Raw:
    if isinstance(outcome, Raw):
        return outcome
    raise outcome
