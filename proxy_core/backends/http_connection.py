"""One connection to an HTTP/1.1 server, and the response that is being read from it.

llhttp parses and has no limits of its own, so every size is bounded here. Knows one backend's faults, no MCP
and no pool: whoever opened it hears when it is free again, and when it is gone.
Spec: RFC 9110; RFC 9112, sections 6 (message body), 9.3 (persistence) and 11.2 (request smuggling).
"""

import asyncio
import select
import time
import zlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from typing import Any, Final, Protocol, Self, cast

import httptools
from msgspec import Struct

from proxy_core import known_heads
from proxy_core.backends.http_url import Origin, Url
from proxy_core.errors import BackendFault, BackendProtocolError, BackendStreamLost
from proxy_core.known_heads import HeadKey
from proxy_core.outbox import Outbox

MAX_HEAD_BYTES: Final = 65_536
"""Of a response's status line and headers, and of what frames its body, between two pieces of it."""
MAX_INTERIM: Final = 8
"""1xx responses before the one that counts."""
HIGH_WATER_BYTES: Final = 262_144
"""How much of a body may wait to be read before the server is asked to pause."""
LEAVE_S: Final = 0.25
"""How long a server may take to end a response of which nothing more is wanted."""
MAX_LEAVING: Final = 32
"""Such responses of one server at once; others end with their connection."""
DOUBTFUL_AFTER_S: Final = 0.05
"""How long a connection lies idle before the kernel is asked whether its server has closed it."""
NOWHERE: Final = Url("", Origin("", "", 0), "")
MAX_KNOWN: Final = 64
_INFLATED_PIECE_BYTES: Final = 65_536
_AUTO_HEADER: Final = zlib.MAX_WBITS | 32
_LOST: Final = "The connection to the server was lost."
_BROKEN_OFF: Final = "The server broke off its answer."


class Listener(Protocol):
    """Whoever hears of the response to a request; a future does."""

    def done(self) -> bool:
        """Whether it does not want to hear of it any more."""
        ...

    def set_result(self, response: "HttpResponse", /) -> None:
        """Its head is there. Must not raise."""
        ...

    def set_exception(self, fault: BackendFault, /) -> None:
        """There will be none. Must not raise."""
        ...


class Told(Listener, Protocol):
    """Whoever hears of a response, and awaits nothing."""

    def whole(self, body: bytes) -> None:
        """In place of `set_result`, of an ordinary one, JSON with status 200: all of it. Must not raise."""
        ...


class KnownHead(Struct, frozen=True, eq=False):
    """The head of a response that may come again but for its Content-Length: 200, and the connection stays."""

    headers: dict[bytes, bytes]
    length: bytes
    """The Content-Length among them."""
    raw: bytes
    """All of it as it came, the empty line too."""
    size: int
    """Bytes of the whole response."""
    is_json: bool
    """Whether it is the head of a small body of plain JSON."""
    keep_s: float | None
    """As `HttpConnection.keep_s`."""

    @classmethod
    def of(cls, headers: dict[bytes, bytes], length: bytes, data: bytes) -> Self:
        """`data`: the whole response."""
        media_type = _media_type(headers.get(b"content-type", b""))
        is_small = int(length) <= HIGH_WATER_BYTES and b"content-encoding" not in headers
        raw = data[: len(data) - int(length)]
        is_json = is_small and media_type == b"application/json"
        return cls(headers, length, raw, len(data), is_json, _kept_s(headers.get(b"keep-alive", b"")))


class ConnectionOwner(Protocol):
    known: dict[HeadKey, KnownHead]
    """Servers send few different heads, and each of them often, for as long as their Date stays the same."""
    outbox: Outbox
    leaving: int
    """Connections that wait for the end of a response of which nothing more is wanted."""

    def made(self, connection: "HttpConnection") -> None:
        """It is open. Once, and before anything else."""
        ...

    def freed(self, connection: "HttpConnection") -> None:
        """It may carry another request."""
        ...

    def gone(self, connection: "HttpConnection") -> None:
        """It is closed, for whatever reason. Once."""
        ...


class HttpResponse:
    """A response whose head is there. Whoever has it reads it to its end, or closes it."""

    __slots__ = (
        "_connection",
        "_fault",
        "_is_left",
        "_pieces",
        "_waiter",
        "_waiting_bytes",
        "content_type",
        "headers",
        "is_complete",
        "on_end",
        "on_piece",
        "status",
        "url",
    )

    def __init__(self, connection: "HttpConnection", status: int, headers: dict[bytes, bytes]) -> None:
        self.status = status
        self.headers = headers
        """By lower-case name; of a repeated one the first."""
        self.content_type = _media_type(headers.get(b"content-type", b""))
        self.url = NOWHERE
        """Where it comes from, after redirects."""
        self.is_complete = False
        """Whether the whole body has arrived."""
        self.on_end: Callable[[BackendFault | None], None] | None = None
        """Called once all of the body is there, or why it will not be; for those who do not await it."""
        self.on_piece: Callable[[bytes], None] | None = None
        """Gets the body as it comes, in place of its being kept; likewise."""
        self._is_left = False
        self._connection = connection
        self._fault: BackendFault | None = None
        self._pieces: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._waiter: asyncio.Future[None] | None = None

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("utf-8", "surrogateescape")

    @property
    def is_small(self) -> bool:
        """Whether all of the body is sure to be held while nobody reads it."""
        length = self.headers.get(b"content-length", b"")
        is_plain = b"content-encoding" not in self.headers
        return is_plain and length.isdigit() and len(length) < 7 and int(length) <= HIGH_WATER_BYTES

    def take(self) -> bytes:
        """The body of a small response that is complete."""
        pieces = self._pieces
        return pieces.popleft() if len(pieces) == 1 else b"".join(pieces)

    async def read(self, max_bytes: int) -> bytes:
        """The whole body. Raises: BackendProtocolError if it is larger, BackendStreamLost if it breaks off."""
        pieces = self._pieces
        if self.is_complete and len(pieces) == 1 and b"content-encoding" not in self.headers:
            # Nearly every answer: it came with its head, in one piece.
            if len(pieces[0]) > max_bytes:
                raise self._too_large(max_bytes)
            return pieces.popleft()
        parts: list[bytes] = []
        size = 0
        async for part in self.parts():
            size += len(part)
            if size > max_bytes:
                raise self._too_large(max_bytes)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _too_large(self, max_bytes: int) -> BackendProtocolError:
        self.close()
        return BackendProtocolError(self._connection.backend, f"its answer is larger than {max_bytes} bytes")

    async def parts(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises: BackendStreamLost, BackendProtocolError."""
        encoding = self.headers.get(b"content-encoding", b"identity").strip().lower()
        if encoding == b"identity":
            async for piece in self._raw_parts():
                yield piece
        elif encoding in (b"gzip", b"x-gzip", b"deflate"):
            async for piece in self._inflated():
                yield piece
        else:
            self.close()
            raise self._connection.invalid(f"its Content-Encoding is {encoding[:40]!r}, which nobody asked for")

    async def _raw_parts(self) -> AsyncIterator[bytes]:
        while True:
            while self._pieces:
                piece = self._pieces.popleft()
                self._waiting_bytes -= len(piece)
                if self._waiting_bytes <= HIGH_WATER_BYTES // 2 and not self.is_complete:
                    # Once it is complete, the connection may carry another's.
                    self._connection.go_on_reading()
                yield piece
            if self._fault is not None:
                raise self._fault
            if self.is_complete:
                return
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    async def _inflated(self) -> AsyncIterator[bytes]:
        """Piece by piece: what is small and inflates to gigabytes stops where its reader does."""
        inflate = zlib.decompressobj(_AUTO_HEADER)
        try:
            async for piece in self._raw_parts():
                while piece:
                    if inflated := inflate.decompress(piece, _INFLATED_PIECE_BYTES):
                        yield inflated
                    piece = inflate.unconsumed_tail
        except zlib.error as error:
            self.close()
            raise self._connection.invalid(f"its compressed body is none: {error}") from error
        if not inflate.eof:
            raise BackendStreamLost(self._connection.backend, _BROKEN_OFF, "its compressed body ends too early")

    def close(self) -> None:
        """Nothing more is read: unless all of it is there, the connection ends with it, or was left to end.

        Safe to call twice.
        """
        if not (self.is_complete or self._is_left):
            self._connection.close()

    def leave(self) -> None:
        """Nothing more is wanted. If its server ends it within a moment, its connection carries another."""
        if not (self.is_complete or self._is_left):
            self._is_left = True
            self.on_piece = _unread
            self._pieces.clear()
            self._connection.leave(self)

    # --- for its connection -----------------------------------------------------------------------------------

    def feed(self, piece: bytes) -> bool:
        """Whether there is room for more."""
        if self.on_piece is not None:
            self.on_piece(piece)
            return True
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)
        self._wake()
        return self._waiting_bytes <= HIGH_WATER_BYTES

    def complete(self) -> None:
        self.is_complete = True
        self._wake()
        self._end(None)

    def fail(self, fault: BackendFault) -> None:
        self._fault = fault
        self._wake()
        self._end(fault)

    def _end(self, fault: BackendFault | None) -> None:
        if (on_end := self.on_end) is not None:
            # Whoever hears of it has the response: a ring that only the garbage collector would undo.
            self.on_end = self.on_piece = None
            on_end(fault)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _unread(_: bytes) -> None:
    """What comes after all that was wanted."""


class HttpConnection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, backend: str, owner: ConnectionOwner) -> None:
        self.backend = backend
        self.freed_at = 0.0
        """When its last response ended, in monotonic seconds."""
        self.uses = 0
        """Requests that it has carried."""
        self.keep_s: float | None = None
        """How long its server says that it keeps it open without a request; None: it does not say."""
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._parser: Any = None
        self._fault: BackendFault | None = None
        self._is_gone = False
        self._poll: select.poll | None = None
        self._unsent = b""
        """A request that is written with the end of this turn of the loop."""
        self._waiter: Listener | None = None
        self._told: Told | None = None
        """The same, if it is one of those."""
        self._last: KnownHead | None = None
        """Of the last response that was known: the next one has the same, mostly."""
        self._response: HttpResponse | None = None
        self._headers: dict[bytes, bytes] = {}
        self._interim = 0
        self._framing_bytes = 0
        self._is_paused = False
        self._whole: HttpResponse | None = None
        """The response to the last request, once it has ended and the connection stays."""

    # --- for the pool -----------------------------------------------------------------------------------------

    def ask(self, request: bytes) -> "asyncio.Future[HttpResponse]":
        """Send a whole request; the response once its head is there. Raises, awaited: BackendFault."""
        waiter: asyncio.Future[HttpResponse] = asyncio.get_running_loop().create_future()
        self._send(request, waiter)
        return waiter

    def tell(self, request: bytes, listener: Told) -> None:
        """Send a whole request; `listener` hears what comes of it."""
        self._send(request, listener)
        self._told = listener

    def _send(self, request: bytes, listener: Listener) -> None:
        assert self._transport is not None and self._waiter is None and self._response is None
        self.uses += 1
        self._interim = 0
        self._whole = None
        self._told = None
        self._waiter = listener
        self._unsent = request
        self._owner.outbox.put(self)

    def flush(self) -> None:
        """Write what is to be sent (`outbox.Sender`)."""
        request, self._unsent = self._unsent, b""
        if request and self._transport is not None and not self._is_gone:
            self._transport.write(request)

    def is_usable(self, now: float) -> bool:
        """Whether, as far as anyone can know here, its server still listens. `now`: monotonic seconds."""
        if self._is_gone or self._transport is None or self._transport.is_closing():
            return False
        if now - self.freed_at < DOUBTFUL_AFTER_S:
            return True
        # The end of a connection may lie in the kernel, unread: what is sent after it is lost, and whether the
        # server has acted on it nobody can tell. Anything to read here, between two requests, is such an end.
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not self._poll.poll(0)

    def close(self) -> None:
        """At once, whatever is under way. Safe to call twice."""
        if self._transport is not None:
            self._transport.abort()

    # --- for its response -------------------------------------------------------------------------------------

    def leave(self, response: HttpResponse) -> None:
        """Close in a moment, unless the response has ended by then; at once, where too many wait for that."""
        if self._owner.leaving >= MAX_LEAVING:
            self.close()
            return
        self._owner.leaving += 1
        closing = asyncio.get_running_loop().call_later(LEAVE_S, self.close)

        def ended(_: BackendFault | None) -> None:
            closing.cancel()
            self._owner.leaving -= 1

        response.on_end = ended
        self.go_on_reading()

    def go_on_reading(self) -> None:
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            if not self._is_gone:
                self._transport.resume_reading()

    def invalid(self, detail: str) -> BackendProtocolError:
        return BackendProtocolError(self.backend, "The server answered with invalid HTTP.", detail)

    # --- asyncio.Protocol -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are no subclasses.
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpResponseParser(self)
        self._owner.made(self)

    def data_received(self, data: bytes) -> None:
        last = self._last
        if (
            last is not None
            and len(data) == last.size
            and self._waiter is not None
            and not (self._unsent or self._framing_bytes or self._interim)
            and data.startswith(last.raw)
        ):
            self._whole_came(last, data)
            return
        if self._waiter is None and self._response is None:
            # Nothing was asked: it is either an error that precedes the end, or somebody else's answer.
            self.close()
            return
        if self._unsent:
            # The same, and a request that can go elsewhere.
            self._break(BackendStreamLost(self.backend, _LOST, "it answered before it was asked"))
            return
        found = None
        if not self._framing_bytes and not self._interim and self._waiter is not None:
            found = self._read_known(data)
            if found is not None and (known := self._owner.known.get(found[1])) is not None:
                if len(data) != known.size:
                    length, key = found
                    headers = known.headers | {b"content-length": length}
                    known = self._owner.known[key] = KnownHead.of(headers, length, data)
                self._last = known
                self._whole_came(known, data)
                return
        self._framing_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._break(self._fault or self.invalid(str(error.__context__ or error)[:200]))
        else:
            if found is not None and self._whole is not None:
                self._remember(self._whole, *found, data)
            self._whole = None
            if self._framing_bytes > MAX_HEAD_BYTES:
                self._break(self.invalid(f"its headers are longer than {MAX_HEAD_BYTES} bytes"))

    @staticmethod
    def _read_known(data: bytes) -> tuple[bytes, HeadKey] | None:
        """As `known_heads.read`, of a response that is all there and nothing behind it."""
        end = data.find(b"\r\n\r\n", 0, known_heads.MAX_BYTES)
        found = known_heads.read(data, end)
        return found if found is not None and len(data) == end + 4 + int(found[0]) else None

    def _remember(self, response: HttpResponse, length: bytes, key: HeadKey, data: bytes) -> None:
        headers, known = response.headers, self._owner.known
        if response.status != 200 or headers.get(b"content-length") != length:
            return
        if len(known) >= MAX_KNOWN:
            known.clear()
        known[key] = KnownHead.of(headers, length, data)

    def _whole_came(self, known: KnownHead, data: bytes) -> None:
        """What llhttp would say of this response it has said before: of the very same head."""
        waiter, self._waiter = self._waiter, None
        told, self._told = self._told, None
        assert waiter is not None
        if waiter.done():
            self.close()
            return
        if known.keep_s is not None:
            self.keep_s = known.keep_s
        if told is not None and known.is_json:
            self._settle(is_kept=True)
            told.whole(data[len(known.raw) :])
            return
        response = HttpResponse(self, 200, known.headers)
        waiter.set_result(response)
        if len(data) > len(known.raw):
            response.feed(data[len(known.raw) :])
        response.complete()
        self._settle(is_kept=True)

    def eof_received(self) -> bool:
        response = self._response
        if response is not None and self._is_until_close:
            self._response = None
            response.complete()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_gone = True
        detail = str(exc) if exc else "it closed the connection"
        self._fail(self._fault or BackendStreamLost(self.backend, self._lost_words, detail))
        self._owner.gone(self)

    @property
    def _lost_words(self) -> str:
        return _LOST if self._response is None else _BROKEN_OFF

    def _break(self, fault: BackendFault) -> None:
        self._fault = fault
        self._fail(fault)
        self.close()

    def _fail(self, fault: BackendFault) -> None:
        waiter, self._waiter, self._told = self._waiter, None, None
        unsent, self._unsent = self._unsent, b""
        if waiter is not None and not waiter.done():
            waiter.set_exception(fault.unsent() if unsent else fault)
        response, self._response = self._response, None
        if response is not None:
            response.fail(fault)

    # --- httptools --------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.setdefault(name.lower(), value)

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._interim += 1
            if self._interim > MAX_INTERIM or status == 101:
                raise ValueError(f"too many interim responses, or one that is none: {status}")
            return
        waiter, self._waiter, self._told = self._waiter, None, None
        if waiter is None:
            raise ValueError("a second response to one request")
        self._response = response = HttpResponse(self, status, self._headers)
        # Trailers are no headers.
        self._headers = {}
        if waiter.done():
            # Nobody waits for it any more.
            self.close()
        else:
            waiter.set_result(response)

    def on_body(self, piece: bytes) -> None:
        self._framing_bytes = 0
        response = self._response
        if response is not None and not response.feed(piece) and not self._is_paused:
            assert self._transport is not None
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        self._framing_bytes = 0
        response, self._response = self._response, None
        if response is None:
            return
        # First: whoever hears of it may ask again at once, and bytes behind this response must answer nobody.
        response.complete()
        if (said := response.headers.get(b"keep-alive")) is not None:
            self.keep_s = _kept_s(said)
        self._whole = response
        self._settle(is_kept=self._parser.should_keep_alive())

    def _settle(self, *, is_kept: bool) -> None:
        """Whether another request may follow the response. `is_kept`: whether HTTP says so."""
        transport = self._transport
        assert transport is not None
        if not is_kept or transport.get_write_buffer_size():
            # An answer that came before the whole request was sent leaves a rest that nobody will read.
            self._whole = None
            transport.close()
            return
        if self._is_paused:
            self.go_on_reading()
        self.freed_at = time.monotonic()
        self._owner.freed(self)

    @property
    def _is_until_close(self) -> bool:
        """Whether the end of the connection is the end of the body (RFC 9112 6.3, rule 8)."""
        response = self._response
        if response is None:
            return False
        return b"content-length" not in response.headers and b"transfer-encoding" not in response.headers


@lru_cache(maxsize=64)
def _media_type(content_type: bytes) -> bytes:
    return content_type.split(b";", 1)[0].strip().lower()


def _kept_s(keep_alive: bytes) -> float | None:
    """What such a header says of how long; None: nothing."""
    kept_s = None
    for part in keep_alive.split(b","):
        name, _, seconds = part.strip().partition(b"=")
        if name.lower() == b"timeout" and seconds.isdigit() and len(seconds) < 9:
            kept_s = float(seconds)
    return kept_s
