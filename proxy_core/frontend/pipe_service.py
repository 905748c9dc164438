"""What each line of a pipe asks, in both eras at once.

A request with the modern envelope is modern, whatever came before; `initialize` opens the pipe's one legacy
session, even after modern requests: so a client whose probe timed out is served too. Knows no descriptors.
Spec: basic/transports, "stdio", in all revisions; basic/versioning; 2025-03-26 basic, "Batching".
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from proxy_core.backends.call import ANYONE
from proxy_core.errors import BackendUnavailable, ErrorCode, InvalidRequest, Only1Error, ParseError
from proxy_core.frontend.listens import Listen
from proxy_core.frontend.pipe import LineWriter
from proxy_core.frontend.pipe_calls import BatchAnswer, Deliver, PipeCalls, PipeOutlet
from proxy_core.frontend.pipe_session import PipeSession
from proxy_core.frontend.responses import Handler, Outcome, failure, refused
from proxy_core.frontend.underway import Underway
from proxy_core.gateway.exchange import Caller, Exchange, Nobody
from proxy_core.protocol import capabilities, jsonrpc
from proxy_core.protocol.classify import LegacyPost, ModernNotification, ModernRequest, Refused, classify_line
from proxy_core.protocol.revisions import LATEST_LEGACY, MODERN, Era

CANCELLED: Final = "notifications/cancelled"
log = logging.getLogger(__name__)


class PipeService:
    """Sole owner of the pipe's session, and of what it says."""

    def __init__(
        self, handler: Handler, writer: LineWriter, on_change: Callable[[], None], profile: str = ""
    ) -> None:
        """`on_change` is told after each change of the number of sessions or listens."""
        self.underway = Underway()
        self._profile = profile
        self._handler = handler
        self._writer = writer
        self._on_change = on_change
        self.calls = PipeCalls(writer)
        self.is_stopping = False
        """Set once, when no new requests are taken."""
        self._session: PipeSession | None = None
        self._sessions_opened = 0
        self._ends_listens = asyncio.Event()
        self._revision: str | None = None
        """What the client spoke last."""

    @property
    def session_count(self) -> int:
        return 0 if self._session is None else 1

    @property
    def listen_count(self) -> int:
        return len(self.calls) - self.calls.in_flight

    def take(self, line: bytes) -> None:
        """Serve one line; what it leads to is written when it is there."""
        match classify_line(line):
            case ModernRequest() as posted:
                self._revision = posted.version
                self._begin_modern(posted)
            case LegacyPost(message=message):
                self._take_legacy(message, self._write)
            case ModernNotification(notification=notification):
                self._notified(notification)
            case Refused(error=error, raw_id=raw_id) as refused:
                session = self._session
                if session is not None and session.takes_batches and jsonrpc.is_array(line):
                    self._take_batch(line)
                else:
                    self._write(self._refusal(error, raw_id, refused.era))

    def refuse(self, error: Only1Error) -> None:
        """Answer something of which not even the id could be read."""
        self._write(self._refusal(error, b"null", Era.LEGACY))

    def ask_no_more(self) -> None:
        """Nobody is there to answer us."""
        if self._session is not None:
            self._session.ask_no_more()

    def end_listens(self) -> None:
        """End the listens with their results."""
        self._ends_listens.set()

    def end_session(self) -> None:
        """End the legacy session, if there is one; its calls are cancelled."""
        session, self._session = self._session, None
        if session is not None:
            self.calls.cancel_these(session.calls)
            session.end()
            self._on_change()

    # --- modern ---------------------------------------------------------------------------------------------

    def _begin_modern(self, posted: ModernRequest) -> None:
        request = posted.request
        caller = Caller(
            Era.MODERN,
            posted.version,
            ANYONE,
            posted.client_name,
            posted.log_level,
            capabilities.read(posted.capabilities, posted.version),
            profile=self._profile,
        )
        outlet = PipeOutlet(self._writer)
        if request.method == "subscriptions/listen":
            self._begin_listen(request, caller, outlet)
        else:
            self._begin(request, caller, outlet, self._write)

    def _begin_listen(self, request: jsonrpc.Request, caller: Caller, outlet: PipeOutlet) -> None:
        async def listen() -> bytes:
            subscription = Listen(self._handler, outlet, request.raw_id)
            try:
                await subscription.open(request.params, caller)
                self._on_change()
                await self._ends_listens.wait()
                return subscription.result()
            except Only1Error as error:
                return failure(error, request.raw_id, Era.MODERN).body
            finally:
                subscription.close()

        def ended(line: bytes | None) -> None:
            self._write(line)
            if line is not None and self._ends_listens.is_set():
                # A server that ends a listen says so twice on a pipe, and the result first: a client that is
                # told of the cancellation alone takes the subscription for lost.
                params = jsonrpc.encode({"requestId": request.id})
                self._writer.send(jsonrpc.notification(CANCELLED, params))
            self._on_change()

        self._start(request, listen, outlet, ended, Era.MODERN, is_endless=True)

    # --- legacy ---------------------------------------------------------------------------------------------

    def _take_legacy(self, message: jsonrpc.Message, deliver: Deliver, arrival: str = "") -> None:
        session = self._session
        if isinstance(message, jsonrpc.Notification):
            self._notified(message)
        elif isinstance(message, jsonrpc.Response):
            if session is not None:
                session.answered(message)
        elif message.method == "initialize":
            deliver(self._initialize(message))
        elif session is not None:
            self._begin_legacy(session, message, deliver, arrival)
        elif message.method == "ping":
            deliver(jsonrpc.result(message.raw_id, b"{}"))
        else:
            error = InvalidRequest("Send initialize first, or the modern envelope in params._meta.")
            deliver(self._refusal(error, message.raw_id, Era.LEGACY))

    def _initialize(self, request: jsonrpc.Request) -> bytes:
        """The handshake is the first interaction of a session, so another one begins another session.

        A client that gave up waiting for the first answer, or that was started anew behind the same pipe,
        would else have none; and the old one could not be told from it.
        """
        self._sessions_opened += 1
        try:
            params = jsonrpc.members(request.params)
            session = PipeSession(self._handler, params, self._sessions_opened, self._writer, self._profile)
        except ParseError as error:
            return self._refusal(error, request.raw_id, Era.LEGACY)
        self.end_session()
        self._session = session
        self._revision = session.caller.revision
        self._on_change()
        caller = session.caller
        shaking = Exchange(request.method, request.params, caller, Nobody())
        result = self._handler.initialize(caller.revision, self._profile, shaking)
        return jsonrpc.result(request.raw_id, result)

    def _begin_legacy(
        self, session: PipeSession, request: jsonrpc.Request, deliver: Deliver, arrival: str
    ) -> None:
        def ended(line: bytes | None) -> None:
            session.calls.discard(request.id)
            deliver(line)

        if self._begin(request, session.caller, session.outlet(), ended, arrival):
            session.calls.add(request.id)

    def _notified(self, message: jsonrpc.Notification) -> None:
        if message.method == CANCELLED:
            self.calls.cancel(message.params)
        elif self._session is not None:
            self._handler.notified(self._session.caller, message.method, message.params)

    def _take_batch(self, line: bytes) -> None:
        items = jsonrpc.array_items(line)
        if not items:
            self.refuse(InvalidRequest("A batch must hold messages."))
        answer = BatchAnswer(len(items), self._write)
        for item in items:
            self._take_item(item, answer)

    def _take_item(self, item: bytes, answer: BatchAnswer) -> None:
        match classify_line(item):
            case LegacyPost(message=jsonrpc.Request(method="initialize", raw_id=raw_id)):
                error: Only1Error = InvalidRequest("initialize must not be part of a batch.")
                answer.deliver(self._refusal(error, raw_id, Era.LEGACY))
            case LegacyPost(message=jsonrpc.Request() as request):
                self._take_legacy(request, answer.deliver, "in a batch")
            case LegacyPost(message=message):
                self._take_legacy(message, answer.deliver)
                answer.deliver(None)
            case ModernRequest(request=request):
                error = InvalidRequest("A modern request cannot be part of a batch.")
                answer.deliver(self._refusal(error, request.raw_id, Era.MODERN))
            case ModernNotification():
                answer.deliver(None)
            case Refused(error=error, raw_id=raw_id):
                answer.deliver(self._refusal(error, raw_id, Era.LEGACY))

    # --- calls and answers ----------------------------------------------------------------------------------

    def _begin(
        self,
        request: jsonrpc.Request,
        caller: Caller,
        outlet: PipeOutlet,
        deliver: Deliver,
        arrival: str = "",
    ) -> bool:
        async def answer() -> bytes:
            exchange = Exchange(request.method, request.params, caller, outlet, arrival=arrival)
            outcome = await self.underway.outcome_of(self._handler, exchange, request.raw_id)
            return _as_line(outcome, request.raw_id)

        return self._start(request, answer, outlet, deliver, caller.era)

    def _start(
        self,
        request: jsonrpc.Request,
        work: Callable[[], Coroutine[Any, Any, bytes]],
        outlet: PipeOutlet,
        deliver: Deliver,
        era: Era,
        *,
        is_endless: bool = False,
    ) -> bool:
        """Whether it was started; else it has been refused."""
        try:
            if self.is_stopping:
                raise BackendUnavailable("*", "The gateway is stopping.")
            self.calls.begin(request, work, outlet, deliver, is_endless=is_endless)
        except Only1Error as error:
            deliver(self._refusal(error, request.raw_id, era))
            return False
        return True

    def _refusal(self, error: Only1Error, raw_id: bytes | None, era: Era) -> bytes:
        # Older revisions say null where the newer ones leave out an id that could not be read.
        is_left_out = raw_id == b"null" and self._revision in (LATEST_LEGACY, MODERN)
        return refused(Refused(error, None if is_left_out else raw_id, era)).body

    def _write(self, response: bytes | None) -> None:
        if response is not None:
            self._writer.send(response)


def _as_line(outcome: Outcome, raw_id: bytes) -> bytes:
    try:
        return jsonrpc.one_line(outcome.body)
    except ParseError:
        log.warning("an answer was not JSON and could not be passed on")
        return jsonrpc.error(raw_id, ErrorCode.INTERNAL_ERROR, "Internal error")
