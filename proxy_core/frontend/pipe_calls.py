"""The requests of one pipe that are being served, of both eras: the client's ids are one space.

Knows nothing of what a request asks: it is given the work, and tells when it is over.
Spec: basic, "Requests"; basic/utilities/cancellation.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any, Final, NamedTuple, TypeAlias

from msgspec import Raw

from proxy_core.errors import ClientSilent, InvalidRequest, ParseError
from proxy_core.frontend.pipe import LineWriter
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.classify import cancelled_id
from proxy_core.tasks import Tasks

MAX_TASK_NAME: Final = 40
log = logging.getLogger(__name__)

Deliver: TypeAlias = Callable[[bytes | None], None]
"""Gets the response, or None if the request was cancelled and has none."""


Ask: TypeAlias = Callable[[str, bytes, float], Awaitable[Raw]]
"""Puts a question to the client: method, params, seconds. Raises: ClientError, ClientSilent."""


class PipeOutlet:
    """What one request or session may say on the pipe. Silent once it is closed."""

    __slots__ = ("_ask", "_is_closed", "_writer")

    def __init__(self, writer: LineWriter, ask: Ask | None = None) -> None:
        """`ask` None: this client cannot be asked anything."""
        self._writer = writer
        self._ask = ask
        self._is_closed = False

    def notify(self, message: bytes) -> None:
        if self._is_closed:
            return
        try:
            self._writer.send(jsonrpc.one_line(message))
        except ParseError:
            log.warning("a notification with a raw line end in a string was dropped")

    def notify_once(self, message: bytes) -> None:
        """The same, unless an equal message still waits to be written."""
        if not self._writer.is_waiting(message):
            self.notify(message)

    def let_go(self) -> None:
        """Its connection is its only one."""

    async def request(self, method: str, params: bytes, *, timeout_s: float) -> Raw:
        if self._ask is None or self._is_closed:
            raise ClientSilent("This client cannot be asked.")
        return await self._ask(method, params, timeout_s)

    def close(self) -> None:
        self._is_closed = True


class _Call(NamedTuple):
    task: asyncio.Task[None]
    outlet: PipeOutlet
    is_endless: bool

    def cancel(self) -> None:
        # What is cancelled must not be heard of again, and a task only learns of it at its next turn.
        self.outlet.close()
        self.task.cancel()


class PipeCalls:
    """Sole owner of the open requests."""

    def __init__(self, writer: LineWriter) -> None:
        self._writer = writer
        self._tasks = Tasks("pipe calls")
        self._open: dict[jsonrpc.RequestId, _Call] = {}

    def __len__(self) -> int:
        return len(self._open)

    @property
    def in_flight(self) -> int:
        """Requests that will end by themselves."""
        return sum(not call.is_endless for call in self._open.values())

    def begin(
        self,
        request: jsonrpc.Request,
        work: Callable[[], Coroutine[Any, Any, bytes]],
        outlet: PipeOutlet,
        deliver: Deliver,
        *,
        is_endless: bool = False,
    ) -> None:
        """Serve a request in a task of its own; from `deliver`, or a cancellation, on its outlet is silent.

        `is_endless`: it ends when it is told to, as a listen does. Raises: InvalidRequest if its id is in use.
        """
        if request.id in self._open:
            raise InvalidRequest("A request with this id is still in flight.")

        async def serve() -> None:
            response = await work()
            # Answers wait for a client that reads slowly, rather than to be taken for too much unread output.
            await self._writer.room()
            if self._close(request.id):
                deliver(response)

        # Not a `finally` of the task: one that is cancelled before its first step would skip it.
        def end(task: asyncio.Task[None]) -> None:
            if self._close(request.id):
                deliver(None)

        task = self._tasks.start(serve(), request.method[:MAX_TASK_NAME])
        self._open[request.id] = _Call(task, outlet, is_endless)
        task.add_done_callback(end)

    def _close(self, request_id: jsonrpc.RequestId) -> bool:
        call = self._open.pop(request_id, None)
        if call is not None:
            call.outlet.close()
        return call is not None

    def cancel(self, params: Raw) -> None:
        """What a notifications/cancelled asks for; what it cannot name is ignored."""
        request_id = cancelled_id(params)
        call = None if request_id is None else self._open.get(request_id)
        if call is not None:
            call.cancel()

    def cancel_these(self, ids: Collection[jsonrpc.RequestId]) -> None:
        for call in [self._open[request_id] for request_id in ids]:
            call.cancel()

    def cancel_all(self) -> None:
        """Cancel everything that was to end by itself."""
        for call in [call for call in self._open.values() if not call.is_endless]:
            call.cancel()

    async def listens_ended(self, within_s: float) -> None:
        """Wait until the endless ones, which were told to end, have."""
        await _wait([call.task for call in self._open.values() if call.is_endless], within_s)

    async def idle(self, within_s: float) -> bool:
        """Wait until nothing is in flight; False if something still is after `within_s`."""
        await _wait([call.task for call in self._open.values() if not call.is_endless], within_s)
        return self.in_flight == 0

    async def aclose(self) -> None:
        await self._tasks.aclose()


async def _wait(tasks: list[asyncio.Task[None]], within_s: float) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=within_s)


class BatchAnswer:
    """The responses to the messages of one batch, sent as one array once the last is there."""

    def __init__(self, count: int, send: Deliver) -> None:
        """`count`: how often `deliver` will be called."""
        self._missing = count
        self._send = send
        self._responses: list[bytes] = []

    def deliver(self, response: bytes | None) -> None:
        """None: this message has no response."""
        self._missing -= 1
        if response is not None:
            self._responses.append(response)
        if not self._missing and self._responses:
            self._send(b"[" + b",".join(self._responses) + b"]")
