"""A keep-alive connection of a load: asked one thing at a time, tells in callbacks, without a task or a future.

llhttp parses and has no limits of its own, so the size of a reply is bounded here. Spec: RFC 9112; a reply may
be an event stream, of which the answer counts (2025-11-25 basic/transports, "Sending Messages to the Server").
"""

import asyncio
from time import perf_counter
from typing import Any, Final, Protocol, cast

import httptools

from proxy_core.load.judging import Fault, is_answer
from proxy_core.protocol.lines import FrameTooLarge
from proxy_core.protocol.sse import SseParser

MAX_REPLY_BYTES: Final = 64 << 20
TOO_LARGE: Final = Fault("a reply that is too large", f"more than {MAX_REPLY_BYTES >> 20} MiB")
LOST: Final = "connection lost"


class ConnectionOwner(Protocol):
    def finished(self, connection: "LoadConnection") -> None:
        """The reply to what was asked is there whole, or `fault` says why there is none. Once a request."""
        ...

    def gone(self, connection: "LoadConnection") -> None:
        """It is closed, for whatever reason. Once, and after `finished`."""
        ...


class LoadConnection(asyncio.Protocol):
    """`ask`, then read `status`, `body`, `fault` and `answered_at` when its owner is told."""

    def __init__(self, owner: ConnectionOwner) -> None:
        self.request_id = 0
        self.due_at = 0.0
        """Seconds of `perf_counter`: from when the request that is under way is timed."""
        self.asked_at = 0.0
        self.answered_at = 0.0
        """When the answer was there; of a stream it may go on after that."""
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        """Of the last reply, by lower-case name."""
        self.body = b""
        """One message; of a stream the one that answers."""
        self.fault: Fault | None = None
        self.received_bytes = 0
        """All that ever came."""
        self.is_asked = False
        """Whether a reply is awaited."""
        self.is_open = False
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._parser: Any = None
        self._reply_bytes = 0
        self._events: SseParser | None = None
        self._pieces: list[bytes] = []

    def ask(self, request: bytes, request_id: int, due_at: float, asked_at: float) -> None:
        """Send a whole request; its owner is told of the end."""
        self.request_id, self.due_at, self.asked_at = request_id, due_at, asked_at
        self.is_asked = True
        self.status = 0
        self.fault = None
        self.answered_at = 0.0
        self._reply_bytes = 0
        assert self._transport is not None  # connected
        self._transport.write(request)

    def abort(self, fault: Fault) -> None:
        """At once; what is under way ends with this fault, unless its answer has come."""
        if self.is_asked and not self.answered_at:
            self.fault = fault
        self.close()

    def close(self) -> None:
        """At once. Safe to call twice."""
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.Protocol -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are no subclasses.
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpResponseParser(self)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        self.received_bytes += len(data)
        self._reply_bytes += len(data)
        if not self.is_asked:
            # Nothing was asked: nobody can say what it answers.
            self.close()
            return
        if self._reply_bytes > MAX_REPLY_BYTES:
            self.abort(TOO_LARGE)
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.abort(Fault("invalid HTTP", str(error.__context__ or error)[:200]))

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self.is_asked:
            is_cut_off = exc is not None or not self._is_until_close
            if self.fault is None and is_cut_off and not self.answered_at:
                self.fault = Fault(LOST, str(exc or "the server closed it"))
            self._finish()
        self._owner.gone(self)

    @property
    def _is_until_close(self) -> bool:
        """Whether the end of the connection is the end of the reply, as in HTTP/1.0."""
        framing = (b"content-length", b"transfer-encoding")
        return self.status >= 200 and not any(name in self.headers for name in framing)

    # --- httptools --------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self.headers = {}
        self.status = 0
        self._events = None
        self._pieces.clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.headers.get(b"content-type", b"").startswith(b"text/event-stream"):
            self._events = SseParser(MAX_REPLY_BYTES)

    def on_body(self, piece: bytes) -> None:
        if self._events is None:
            self._pieces.append(piece)
            return
        try:
            events = self._events.feed(piece)
        except FrameTooLarge:
            self.abort(TOO_LARGE)
            return
        for event in events:
            if not self.answered_at and event.data and is_answer(event.data, self.request_id):
                self.answered_at = perf_counter()
                self._pieces.append(event.data)

    def on_message_complete(self) -> None:
        if self.status < 200:
            # An interim response; the one that counts follows.
            return
        if self._events is not None and not self.answered_at and self.fault is None:
            self.fault = Fault("a stream without an answer")
        # The owner may ask at once again, and must not if the server is about to close.
        if self.is_open and not self._parser.should_keep_alive():
            self.is_open = False
            self.close()
        self._finish()

    def _finish(self) -> None:
        self.answered_at = self.answered_at or perf_counter()
        pieces = self._pieces
        self.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.is_asked = False
        self._owner.finished(self)
