"""One call that a server runs as a task, from the task's first word to its last.

The server cannot wake us, so it is asked: how the task fares, what it needs, what it has come to.
Knows no clients but the call's sink. Spec: the extension io.modelcontextprotocol/tasks (SEP-2663);
2025-11-25 basic/utilities/tasks.
"""

import asyncio
from typing import Any, Final, Protocol

from msgspec import Raw
from msgspec.structs import replace

from proxy_core.backends.call import Call
from proxy_core.backends.correlation import Pending
from proxy_core.backends.peer import Peer
from proxy_core.clock import Clock
from proxy_core.errors import (
    BackendError,
    BackendFault,
    BackendProtocolError,
    BackendStreamLost,
    ErrorCode,
    ParseError,
    TooManyRounds,
)
from proxy_core.protocol import input_requests, jsonrpc, tasks
from proxy_core.protocol.input_answers import CANCELLED
from proxy_core.protocol.input_requests import MAX_QUESTIONS, Question, Unaskable
from proxy_core.protocol.jsonrpc import Request, RpcError
from proxy_core.protocol.results import UnusableResult
from proxy_core.protocol.revisions import Era
from proxy_core.protocol.tasks import Status, Task

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


class TaskWork:
    """One task, from its first word to its last."""

    def __init__(self, line: Line, clock: Clock, pending: Pending[Any], call: Call, task: Task) -> None:
        self._line = line
        self._clock = clock
        self._pending = pending
        self._call = call
        self._task = task
        self._id = task.id
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
            result = await ask_of_task(self._line, self._call, tasks.RESULT, self._id, {}, timeout_s)
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
        return await ask_of_task(self._line, self._call, method, self._id, more)

    # --- input, which the extension's server cannot ask for by itself ---------------------------------------

    async def _give_input(self) -> None:
        try:
            asked = jsonrpc.members(self._task.members.get("inputRequests", jsonrpc.NO_JSON))
            fresh = {key: entry for key, entry in asked.items() if key not in self._answered}
            questions = {key: input_requests.read_entry(entry) for key, entry in fresh.items()}
        except (Unaskable, ParseError) as error:
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


async def ask_of_task(
    line: Line,
    call: Call,
    method: str,
    task_id: str,
    more: dict[str, bytes],
    wait_s: float = ANSWER_S,
) -> Raw:
    """A request about the task that `call` has become. Raises: BackendError, BackendFault."""
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


def _request(question: Question) -> Request:
    return Request("", b'""', question.method, Raw(jsonrpc.encode(question.params)))
