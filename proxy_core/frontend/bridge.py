"""A thin bridge from our stdin and stdout to a gateway that runs already: what comes is sent on, both ways.

Each request is a POST; the headers that a modern one needs are rebuilt from its body. No servers, no lists, no
configuration: whatever is not about carrying a message is the gateway's matter.
Spec: basic/transports, "stdio" and "Streamable HTTP", in all revisions.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from proxy_core.errors import BackendFault, InvalidRequest, Only1Error, ParseError
from proxy_core.frontend.bridge_modern import ModernRequests
from proxy_core.frontend.bridge_remote import Ids, Remote, advice
from proxy_core.frontend.bridge_session import LegacySession
from proxy_core.frontend.pipe import LineReader, LineWriter, Pipe
from proxy_core.frontend.pipe_calls import PipeCalls, PipeOutlet
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.classify import (
    LegacyPost,
    ModernNotification,
    ModernRequest,
    Refused,
    cancelled_id,
    classify_line,
)
from proxy_core.tasks import Tasks

MAX_LINE_BYTES: Final = 64 << 20
"""Only against a peer gone wild: what is too large for the gateway, the gateway refuses itself."""
DRAIN_S: Final = 30.0
LOOK_S: Final = 0.25
FLUSH_S: Final = 2.0
MAX_TOLD: Final = 1000
"""Notifications that wait to be sent on."""
_CANCELLED: Final = "notifications/cancelled"
_LISTEN: Final = "subscriptions/listen"
Told: TypeAlias = jsonrpc.Notification | jsonrpc.Response
log = logging.getLogger(__name__)


class Bridge:
    def __init__(self, url: str, token: str | None, pipe: Pipe) -> None:
        self._remote = Remote(url, token)
        self._pipe = pipe
        self._reader = LineReader(pipe.stdin, MAX_LINE_BYTES)
        self._writer = LineWriter(pipe.stdout, self._broken)
        self._calls = PipeCalls(self._writer)
        self._modern = ModernRequests(self._remote)
        self._session = LegacySession(self._remote, self._writer.send)
        self._legacy_calls: set[jsonrpc.RequestId] = set()
        self._no_handshake = asyncio.Event()
        """Cleared while an initialize is under way: what follows it belongs to the session that it opens."""
        self._no_handshake.set()
        self._told: asyncio.Queue[tuple[bytes, Told]] = asyncio.Queue(MAX_TOLD)
        self._batches = Tasks("bridge batches")
        self._ended = asyncio.Event()
        self._tasks = Tasks("bridge")

    async def run(self) -> None:
        """Until the client has ended, or `stop`."""
        self._writer.start()
        self._reader.start()
        self._tasks.start(self._serve(), "serve")
        self._tasks.start(self._tell_all(), "tell")
        try:
            await self._ended.wait()
        finally:
            await self._calls.aclose()
            await self._batches.aclose()
            await self._tasks.aclose()
            await self._session.aclose()
            await self._remote.aclose()
            await self._writer.aclose(FLUSH_S)

    def stop(self) -> None:
        """End soon, without waiting for what is in flight."""
        self._ended.set()

    # --- the pipe -------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        while lines := await self._reader.read():
            for line in lines:
                await self._writer.room()
                await self._take(line)
        self._pipe.has_ended = True
        await self._drain()
        self._ended.set()

    async def _drain(self) -> None:
        """Nothing more is asked: wait for what was, as long as anybody is there to read it."""
        try:
            async with asyncio.timeout(DRAIN_S):
                await self._told.join()
                while self._writer.has_reader() and not await self._idle():
                    pass
        except TimeoutError:
            log.info("some requests were not answered in time")

    async def _idle(self) -> bool:
        is_idle = await self._calls.idle(LOOK_S)
        if is_idle and len(self._batches):
            await asyncio.sleep(LOOK_S)
        return is_idle and not len(self._batches)

    def _broken(self, error: Only1Error | None) -> None:
        self._pipe.has_ended = True
        self._pipe.failure = error
        self._ended.set()

    async def _take(self, line: bytes | None) -> None:
        if line is None:
            self._refuse(InvalidRequest(f"A message is larger than {MAX_LINE_BYTES} bytes."), b"null")
            return
        match classify_line(line):
            case ModernRequest() as posted:
                self._begin_modern(line, posted)
            case ModernNotification(notification=notification):
                await self._take_told(line, notification)
            case LegacyPost(message=message):
                if isinstance(message, jsonrpc.Request):
                    self._begin_legacy(line, message)
                else:
                    await self._take_told(line, message)
            case Refused() as refusal:
                if jsonrpc.is_array(line):
                    self._take_batch(line, refusal)
                else:
                    self._refuse(refusal.error, refusal.raw_id)

    def _begin(
        self,
        request: jsonrpc.Request,
        work: Callable[[PipeOutlet], Awaitable[bytes]],
        on_end: Callable[[bytes | None], None],
    ) -> bool:
        """Whether it was begun; else it has been refused."""
        outlet = PipeOutlet(self._writer)

        async def answer() -> bytes:
            try:
                return await work(outlet)
            except BackendFault as fault:
                return self._failure(fault, request.raw_id)

        def ended(line: bytes | None) -> None:
            if line is not None:
                self._writer.send(line)
            on_end(line)

        try:
            self._calls.begin(request, answer, outlet, ended, is_endless=request.method == _LISTEN)
        except InvalidRequest as error:
            self._refuse(error, request.raw_id)
            return False
        return True

    # --- modern ---------------------------------------------------------------------------------------------

    def _begin_modern(self, line: bytes, posted: ModernRequest) -> None:
        request = posted.request

        def ended(response: bytes | None) -> None:
            if request.method == _LISTEN and response is not None and b'"result"' in response:
                # Over HTTP the end of the stream says it once more; on a pipe this does.
                params = jsonrpc.encode({"requestId": request.id})
                self._writer.send(jsonrpc.notification(_CANCELLED, params))

        self._begin(request, lambda outlet: self._modern.ask(line, posted, outlet.notify), ended)

    # --- legacy ---------------------------------------------------------------------------------------------

    def _begin_legacy(self, line: bytes, request: jsonrpc.Request) -> None:
        if request.method == "initialize":
            self._begin_handshake(line, request)
            return

        async def ask(outlet: PipeOutlet) -> bytes:
            await self._in_turn()
            return await self._session.ask(line, request, outlet.notify)

        if self._begin(request, ask, lambda response: self._legacy_calls.discard(request.id)):
            self._legacy_calls.add(request.id)

    def _begin_handshake(self, line: bytes, request: jsonrpc.Request) -> None:
        self._no_handshake.clear()

        def ended(response: bytes | None) -> None:
            self._no_handshake.set()

        if not self._begin(request, lambda outlet: self._session.initialize(line, request), ended):
            self._no_handshake.set()

    async def _in_turn(self) -> None:
        """What comes after a handshake or a notification must not overtake it."""
        await self._no_handshake.wait()
        await self._told.join()

    async def _take_told(self, line: bytes, message: Told) -> None:
        if isinstance(message, jsonrpc.Notification) and message.method == _CANCELLED:
            request_id = cancelled_id(message.params)
            if request_id not in self._legacy_calls:
                # A modern request ends with its connection, and nothing has to be said.
                self._calls.cancel(message.params)
                return
        await self._told.put((line, message))

    async def _tell_all(self) -> None:
        """Notifications and answers, one after the other, in the order they came."""
        while True:
            line, message = await self._told.get()
            try:
                await self._no_handshake.wait()
                await self._session.tell(line, message)
            except BackendFault as fault:
                log.warning("%s", advice(fault, self._remote.url))
            finally:
                self._told.task_done()
            if isinstance(message, jsonrpc.Notification) and message.method == _CANCELLED:
                self._calls.cancel(message.params)

    def _take_batch(self, line: bytes, refusal: Refused) -> None:
        if not self._session.takes_batches:
            self._refuse(refusal.error, refusal.raw_id)
            return
        ids = _ids_in(line)

        async def ask() -> None:
            try:
                await self._in_turn()
                await self._session.ask_all(line, ids, self._writer.send)
            except BackendFault as fault:
                for raw_id in ids.values():
                    self._writer.send(self._failure(fault, raw_id))

        self._batches.start(ask(), "batch")

    # --- what the bridge says itself ------------------------------------------------------------------------

    def _refuse(self, error: Only1Error, raw_id: bytes | None) -> None:
        self._writer.send(jsonrpc.error(raw_id, error.code, error.message, _data_of(error)))

    def _failure(self, fault: BackendFault, raw_id: bytes) -> bytes:
        log.warning("%s", advice(fault, self._remote.url))
        return jsonrpc.error(raw_id, fault.code, advice(fault, self._remote.url), _data_of(fault))


def _data_of(error: Only1Error) -> bytes:
    data = error.data()
    return b"" if data is None else jsonrpc.encode(data)


def _ids_in(batch: bytes) -> Ids:
    """The requests of a batch."""
    ids: Ids = {}
    for item in jsonrpc.array_items(batch):
        try:
            message = jsonrpc.parse(item)
        except (ParseError, jsonrpc.NotOneMessage):
            continue
        if isinstance(message, jsonrpc.Request):
            ids[message.id] = message.raw_id
    return ids
