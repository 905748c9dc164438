"""Calls that a server runs as tasks, seen through to their ends for clients that know of no tasks.

To its client such a call is like any other: it takes long, its server asks in the middle, it can be cancelled.
A task is begun once. Whatever goes wrong afterwards ends the call, and the server is told to end the task.
Spec: the extension io.modelcontextprotocol/tasks (SEP-2663); 2025-11-25 basic/utilities/tasks.
"""

import asyncio
from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, Protocol

from msgspec import Raw

from proxy_core.backends.call import Call
from proxy_core.backends.correlation import Correlation, Pending
from proxy_core.backends.peer import Peer
from proxy_core.clock import Clock
from proxy_core.errors import (
    BackendError,
    BackendFault,
    BackendProtocolError,
    BackendSessionLost,
    BackendStreamLost,
    ErrorCode,
    Only1Error,
    TooManyRounds,
)
from proxy_core.protocol import input_requests, jsonrpc, tasks
from proxy_core.protocol.input_answers import CANCELLED
from proxy_core.protocol.input_requests import MAX_QUESTIONS, Question, Unaskable
from proxy_core.protocol.jsonrpc import Request, RpcError
from proxy_core.protocol.results import UnusableResult
from proxy_core.protocol.revisions import Era
from proxy_core.protocol.tasks import Status, Task
from proxy_core.tasks import Tasks

MAX_ROUNDS: Final = 10
ANSWER_S: Final = 30.0
"""How long a server may take to say how a task fares."""
_ENDED: Final = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})


class Line(Protocol):
    """What a task needs of its connection."""

    id: str
    peer: Peer

    async def ask_of_task(self, request: Call, call: Call | None, wait_s: float) -> Raw:
        """`call`: whose questions and logs come with the answer. Raises: BackendError, BackendFault."""
        ...

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
        run = _Run(self._line, self._clock, pending, call, task)
        work = self._tasks.start(_outcome(run.end()), "task")
        try:
            # The call's own deadlines, and the loss of the connection, end the waiter.
            waiter: asyncio.Future[Raw] = pending.waiter
            await asyncio.wait((work, waiter), return_when=asyncio.FIRST_COMPLETED)
            return waiter.result() if waiter.done() else _unwrapped(work.result())
        finally:
            work.cancel()
            self._over(pending, run.has_ended)

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
            await _ask(self._line, pending.call, tasks.CANCEL, pending.task, {})


class _Run:
    """One task, from its first word to its last."""

    def __init__(self, line: Line, clock: Clock, pending: Pending[Any], call: Call, task: Task) -> None:
        self._line = line
        self._clock = clock
        self._pending = pending
        self._call = call
        self._task = task
        self._answered: set[str] = set()
        """A key is used once, but may still be shown for a while."""
        self._rounds = 0
        self.has_ended = False

    async def end(self) -> Raw:
        if self._line.peer.era is Era.LEGACY:
            return await self._legacy_end()
        # What begins a task does not say what it needs or has come to, so it is looked at once at least.
        await self._next_look()
        while (status := self._task.status) not in _ENDED:
            if status is Status.INPUT_REQUIRED:
                await self._give_input()
            await self._next_look()
        self.has_ended = True
        if status is Status.COMPLETED:
            return self._result(self._task.members.get("result", jsonrpc.NO_JSON))
        if status is Status.FAILED:
            raise self._error(jsonrpc.rpc_error(self._task.members.get("error", jsonrpc.NO_JSON)))
        raise self._was_cancelled()

    async def _legacy_end(self) -> Raw:
        while self._task.status is Status.WORKING:
            await self._next_look()
        if self._task.status is Status.CANCELLED:
            self.has_ended = True
            raise self._was_cancelled()
        # Answered when the task has ended. Until then its stream carries what the server asks meanwhile.
        now = self._clock.monotonic()
        timeout_s = self._pending.cap_at - now
        self._pending.heard(now, timeout_s)
        try:
            result = await _ask(self._line, self._call, tasks.RESULT, self._task.id, {}, timeout_s)
        except BackendError:
            # As the call itself would have been answered.
            self.has_ended = True
            raise
        self.has_ended = True
        return tasks.without_relation(self._result(result))

    def _result(self, result: Raw) -> Raw:
        try:
            return tasks.final(result)
        except UnusableResult as error:
            raise self._nonsense(error.message) from error

    async def _next_look(self) -> None:
        await asyncio.sleep(0 if self._task.status in _ENDED else self._task.pause_s)
        try:
            self._task = tasks.state(await self._known(tasks.GET, {}))
        except UnusableResult as error:
            raise self._nonsense(error.message) from error
        self._pending.heard(self._clock.monotonic(), self._task.pause_s)

    async def _known(self, method: str, more: dict[str, bytes]) -> Raw:
        """An answer about the task. Raises: BackendFault; an error is no word of the tool's."""
        try:
            try:
                return await self._ask(method, more)
            except BackendStreamLost:
                if method != tasks.GET:
                    raise
                return await self._ask(method, more)
        except BackendError as error:
            raise self._nonsense(f"it answered {method} with error {error.code}: {error.message}") from error

    async def _ask(self, method: str, more: dict[str, bytes]) -> Raw:
        return await _ask(self._line, self._call, method, self._task.id, more)

    # --- input, which the extension's server cannot ask for by itself ---------------------------------------

    async def _give_input(self) -> None:
        try:
            asked = jsonrpc.members(self._task.members.get("inputRequests", jsonrpc.NO_JSON))
            questions = {key: input_requests.read_entry(asked[key]) for key in asked.keys() - self._answered}
        except (Unaskable, Only1Error) as error:
            raise self._nonsense(error.message) from error
        if not questions:
            return
        self._rounds += 1
        if self._rounds > MAX_ROUNDS or len(questions) > MAX_QUESTIONS:
            raise TooManyRounds(self._line.id, "The server keeps asking for input.")
        answers = await self._answers(questions)
        self._answered |= answers.keys()
        await self._known(tasks.UPDATE, {"inputResponses": jsonrpc.encode(answers)})

    async def _answers(self, questions: dict[str, Question]) -> dict[str, Raw]:
        sink = self._call.sink
        requests = {key: _request(question) for key, question in questions.items()}
        if sink is None or not all(sink.may_ask(each.method, each.params) for each in requests.values()):
            # What the server said at first holds: such a client has to see to the task itself.
            needed = jsonrpc.encode({"requiredCapabilities": tasks.NEEDED})
            words = "The task needs input that the client cannot be asked for."
            raise BackendError(self._line.id, ErrorCode.MISSING_CLIENT_CAPABILITY, words, needed)
        self._pending.hold(self._clock.monotonic())
        try:
            given = await asyncio.gather(*(sink.server_request(each) for each in requests.values()))
        finally:
            self._pending.release(self._clock.monotonic())
        return {key: self._answer(questions[key], said) for key, said in zip(requests, given, strict=True)}

    def _answer(self, question: Question, said: bytes | RpcError) -> Raw:
        if not isinstance(said, RpcError):
            return Raw(said)
        if question.is_elicitation:
            return Raw(CANCELLED)
        # There is no place for an error among the answers.
        raise self._error(said)

    # --- what can go wrong ----------------------------------------------------------------------------------

    def _error(self, error: RpcError) -> BackendError:
        return BackendError(self._line.id, error.code, error.message[:4096], bytes(error.data))

    def _was_cancelled(self) -> BackendFault:
        return BackendProtocolError(self._line.id, "The server cancelled the call.")

    def _nonsense(self, detail: str) -> BackendFault:
        return BackendProtocolError(self._line.id, "The server lost the call, which it runs as a task.", detail)


async def _ask(
    line: Line,
    call: Call,
    method: str,
    task_id: str,
    more: dict[str, bytes],
    wait_s: float = ANSWER_S,
) -> Raw:
    own = {"taskId": jsonrpc.encode(task_id)} | more
    request = replace(
        call,
        method=method,
        params=jsonrpc.EMPTY_OBJECT,
        replace=own,
        name=task_id,
        # Its progress comes under the token of the call.
        sink=None,
        header_params=(),
    )
    # Only what is told with the result is told to the client.
    return await line.ask_of_task(request, call if method == tasks.RESULT else None, wait_s)


def _created(line: Line, result: Raw) -> Task | None:
    try:
        return tasks.created(result, line.peer.era)
    except UnusableResult as error:
        raise BackendProtocolError(
            line.id, "The server's answer is not a valid result.", error.message
        ) from error


def _request(question: Question) -> Request:
    return Request("", b'""', question.method, Raw(jsonrpc.encode(question.params)))


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
