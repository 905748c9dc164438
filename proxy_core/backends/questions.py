"""What a legacy backend asks of clients over one connection: put to the call that caused it, answered once.

Sole owner of the backend's requests that wait for an answer. Knows calls by their sinks alone.
Spec: 2025-11-25 basic, "Requests"; client/elicitation, client/sampling, client/roots;
basic/utilities/cancellation.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from msgspec import Raw, Struct

from proxy_core.backends.attribution import Unattributed, attribute
from proxy_core.backends.correlation import Correlation, Pending
from proxy_core.backends.owner import ConnectionOwner
from proxy_core.backends.recording import error_object
from proxy_core.clock import Clock
from proxy_core.errors import BackendFault, ErrorCode, ParseError
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.capabilities import needed
from proxy_core.protocol.jsonrpc import Request, RequestId, RpcError
from proxy_core.protocol.tasks import related_task
from proxy_core.tasks import Tasks

MAX_OPEN: Final = 32
"""Requests of one backend on one connection that wait for an answer."""
MAX_OF_CALL: Final = 10
"""Those of them that one call has caused."""
MAX_REPLIES: Final = 64
"""Answers on their way at once; a backend that asks faster than it reads gets none."""

Reply: TypeAlias = bytes | RpcError
_CANCELLED: Final = b'{"action":"cancel"}'
_ENDED: Final = RpcError(ErrorCode.INTERNAL_ERROR, "The call that this request belongs to has ended.")
_FAILED: Final = RpcError(ErrorCode.INTERNAL_ERROR, "The request could not be answered.")
_TOO_MANY: Final = RpcError(ErrorCode.INTERNAL_ERROR, "Too many requests wait for an answer.")
_AMBIGUOUS: Final = RpcError(
    ErrorCode.INTERNAL_ERROR, "The request is ambiguous: calls of several clients are in flight."
)


class _Question(Struct, eq=False):
    request: Request
    pending: Pending[Any] | None
    """The call that caused it; None where none has."""
    task: "asyncio.Task[None] | None" = None


class Questions:
    def __init__(
        self,
        correlation: Correlation[Any],
        owner: ConnectionOwner,
        clock: Clock,
        send: Callable[[bytes], Awaitable[None]],
        on_uncorrelated: Callable[[], None],
        come_back: Callable[[], Awaitable[None]],
    ) -> None:
        """`send` writes one message, or raises BackendFault. `on_uncorrelated`: the backend asks during calls
        without saying for which. `come_back` takes a place for a call that was parked."""
        self._correlation = correlation
        self._owner = owner
        self._clock = clock
        self._send = send
        self._on_uncorrelated = on_uncorrelated
        self._come_back = come_back
        self._tasks = Tasks("questions")
        self._replies = Tasks("replies")
        self._open: dict[RequestId, _Question] = {}

    def __len__(self) -> int:
        return len(self._open)

    def asked(self, request: Request, origin: int | None, sharing: list[Pending[Any]] | None = None) -> None:
        """`origin`: the id of our request whose own stream carried it, None on a stream that all share.

        `sharing`: those whose stream carried it, if it was a batch's.
        """
        if request.method == "ping":
            self._reply(request, b"{}")
            return
        refusal = self._not_acceptable(request) or self._put_to_whom_it_concerns(request, origin, sharing)
        if refusal is not None:
            self._reply(request, refusal)

    def _not_acceptable(self, request: Request) -> RpcError | None:
        if request.id in self._open:
            return RpcError(ErrorCode.INVALID_REQUEST, "A request with this id is waiting for an answer.")
        if len(self._open) >= MAX_OPEN:
            return _TOO_MANY
        return None if needed(request.method, {}) else method_not_found(request.method)

    def _put_to_whom_it_concerns(
        self, request: Request, origin: int | None, sharing: list[Pending[Any]] | None
    ) -> RpcError | None:
        """None if it was put to somebody, else how it is refused."""
        if sharing is not None:
            found = attribute(request, None, sharing)
        else:
            if origin is None and self._says_nothing_of_its_call(request):
                self._on_uncorrelated()
            found = attribute(request, origin, self._correlation)
        if found is Unattributed.NO_CALL:
            self._put(request, None, self._owner.server_request)
            return None
        if found is Unattributed.AMBIGUOUS:
            self._owner.said("warning", f"refused its {request.method}: calls of several clients are open")
            return _AMBIGUOUS
        if found is Unattributed.UNDECLARED:
            return method_not_found(request.method)
        pending, sink = found
        if pending.questions >= MAX_OF_CALL:
            return _TOO_MANY
        self._put(request, pending, sink.server_request)
        return None

    def _says_nothing_of_its_call(self, request: Request) -> bool:
        """Whether there are calls that may have caused it, and it names the task of none."""
        calls = [each for each in self._correlation if each.sink is not None]
        task = related_task(request.params)
        return bool(calls) and (task is None or all(each.task != task for each in calls))

    def _put(
        self,
        request: Request,
        pending: Pending[Any] | None,
        ask: Callable[[Request], Awaitable[Reply]],
    ) -> None:
        question = self._open[request.id] = _Question(request, pending)
        if pending is not None:
            pending.hold(self._clock.monotonic())
            if pending.call is not None:
                pending.call.has_asked = True
                if pending.call.trace is not None:
                    pending.call.trace.asked(request.method, request.params)
        question.task = self._tasks.start(self._ask(question, ask), request.method)

    async def _ask(self, question: _Question, ask: Callable[[Request], Awaitable[Reply]]) -> None:
        answer: Reply = _FAILED
        try:
            answer = await ask(question.request)
            await self._let_go_on(question.pending)
        finally:
            # Whoever withdraws a question answers it, or has been told that nobody waits.
            if self._close(question):
                _record_reply(question, answer)
                self._reply(question.request, answer)

    async def _let_go_on(self, pending: Pending[Any] | None) -> None:
        """With its last answer the backend goes on with a call that was parked, so that has its turn first.

        Where calls go one at a time, no other is under way then that its next question could be taken for.
        """
        if pending is not None and pending.call is not None and pending.is_parked and pending.questions == 1:
            await self._come_back()
            pending.call.is_parked = False

    def _close(self, question: _Question) -> bool:
        """Whether it was still open."""
        if self._open.get(question.request.id) is not question:
            return False
        del self._open[question.request.id]
        if question.pending is not None:
            question.pending.release(self._clock.monotonic())
        return True

    # --- questions that nobody waits for any more -----------------------------------------------------------

    def ended(self, pending: Pending[Any]) -> None:
        """The call is over: its client is asked nothing more, and the backend is not left waiting."""
        for question in [each for each in self._open.values() if each.pending is pending]:
            self._withdraw(question)
            is_elicitation = question.request.method == "elicitation/create"
            answer = _CANCELLED if is_elicitation else _ENDED
            _record_reply(question, answer)
            self._reply(question.request, answer)

    def cancelled(self, params: Raw) -> None:
        """The backend takes its request back, and expects no answer."""
        try:
            raw_id = jsonrpc.members(params).get("requestId", jsonrpc.NO_JSON)
        except ParseError:
            return
        for question in self._open.values():
            if question.request.raw_id == bytes(raw_id):
                self._withdraw(question)
                return

    def _withdraw(self, question: _Question) -> None:
        self._close(question)
        if question.task is not None:
            question.task.cancel()

    # --- answers --------------------------------------------------------------------------------------------

    def _reply(self, request: Request, answer: Reply) -> None:
        if len(self._replies) >= MAX_REPLIES:
            self._owner.said("warning", "left a request unanswered: it asks faster than it reads")
            return
        self._replies.start(self._send_reply(request, answer), request.method)

    async def _send_reply(self, request: Request, answer: Reply) -> None:
        try:
            await self._send(_message(request, answer))
        except BackendFault as fault:
            self._owner.said("debug", f"could not answer its {request.method[:80]}: {fault.detail}")

    def drop(self) -> None:
        """Withdraw everything: there is no line to answer on."""
        for question in list(self._open.values()):
            self._withdraw(question)

    async def aclose(self) -> None:
        self.drop()
        await self._tasks.aclose()
        await self._replies.aclose()


def _record_reply(question: _Question, answer: Reply) -> None:
    pending = question.pending
    if pending is None or pending.call is None or pending.call.trace is None:
        return
    if isinstance(answer, RpcError):
        body = error_object(answer.code, answer.message, bytes(answer.data))
        pending.call.trace.replied(question.request.method, body, is_error=True)
    else:
        pending.call.trace.replied(question.request.method, answer)


def method_not_found(method: str) -> RpcError:
    return RpcError(ErrorCode.METHOD_NOT_FOUND, f"Method not found: {method[:128]}")


def _message(request: Request, answer: Reply) -> bytes:
    if isinstance(answer, RpcError):
        return jsonrpc.one_line(jsonrpc.error(request.raw_id, answer.code, answer.message, bytes(answer.data)))
    try:
        # It may be a client's own JSON, and must stay one line.
        return jsonrpc.one_line(jsonrpc.result(request.raw_id, answer))
    except ParseError:
        return jsonrpc.error(request.raw_id, _FAILED.code, _FAILED.message)
