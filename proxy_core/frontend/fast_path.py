"""POST to the MCP endpoint over llhttp, and in no task where none is needed; all else is aiohttp's.

A request is taken here if it is a plain one: its target is MCP's own, and a Content-Length says how long it is.
At the first other request (GET, DELETE, a chunked body, a long head, HTTP/1.0, another path) the connection is
handed over with the bytes that were not used, for good. The same `Endpoint` judges what either serves.

llhttp has no limits of its own: sizes and times are bounded here. Knows HTTP and neither MCP nor aiohttp.
Spec: RFC 9112, sections 2.2, 3, 6, 9.3 and 11.2.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from functools import lru_cache
from typing import Any, Final, cast

import httptools
from msgspec import Struct
from msgspec.structs import replace

from proxy_core import known_heads
from proxy_core.errors import HttpRefusal
from proxy_core.frontend.http_heads import json_head, reply_head, stream_head
from proxy_core.frontend.responses import JSON_HEADERS, http_refusal
from proxy_core.frontend.wire import (
    STREAMED,
    Begun,
    DirectEndpoint,
    HeaderList,
    Ready,
    WireAnswer,
    WireHead,
    WireReply,
    WireRequest,
    WireStream,
)
from proxy_core.known_heads import HeadKey
from proxy_core.outbox import Outbox

MAX_HEAD_BYTES: Final = 8192
"""A longer one is aiohttp's to judge, line by line."""
MAX_HELD_BYTES: Final = 131_072
"""Of requests that arrive while the one before them is served; beyond it the client is not read from."""
BODY_S: Final = 30.0
"""How long a client may take to send a body that did not arrive with its head."""
IDLE_S: Final = 75.0
"""How long a connection may stay open without a request, with half a head of one, or with a client that does
not read its answer."""
LINGER_S: Final = 2.0
"""How long the rest of a refused body is read and thrown away, so that the client sees the answer."""
MAX_KNOWN: Final = 512
_CLOSE: Final = ("Connection", "close")
_POST: Final = b"POST "
_VERSION: Final = b" HTTP/1.1"
_NOT_PLAIN: Final = frozenset({"transfer-encoding", "expect", "upgrade"})
_FOREVER: Final = float("inf")
_ENDLESS: Final = sys.maxsize
_SIZED: Final = b"%b%d\r\n\r\n"
_LEAD: Final = b'{"jsonrpc":"2.0","id":%b,"result":'
_RESULT: Final = _LEAD + b"%b}"
_BEGINNING: Final = _SIZED + _LEAD
_WHOLE: Final = _SIZED + _RESULT
_RESULT_BYTES: Final = len(_RESULT % (b"", b""))
_JOINED_BYTES: Final = 65_536
"""Up to here copying costs less than a second piece."""
log = logging.getLogger(__name__)


class KnownHead(Struct, frozen=True, eq=False):
    """A head that llhttp has read, that was admitted, and that comes again but for its Content-Length."""

    head: WireHead
    is_last: bool
    """Whether the connection ends with it."""
    raw: bytes
    """All of it as it came, the empty line too."""
    size: int
    """Bytes of the whole request."""


class FastPath:
    """One listener's: makes its connections and ends them."""

    def __init__(
        self, endpoint: DirectEndpoint, is_mcp: Callable[[str], bool], other: Callable[[], asyncio.Protocol]
    ) -> None:
        """`is_mcp`: whether a path, which may not change its mind, is MCP's. `other`: serves what is not."""
        self.endpoint = endpoint
        self.other = other
        self._is_mcp = is_mcp
        self.connections: set[FastConnection] = set()
        self._none_left: asyncio.Future[None] | None = None
        self.now = 0.0
        """The loop's seconds at the last sweep: near enough for times that are many seconds long."""
        self.json_head = b""
        """As `http_heads.json_head`, of the last sweep: its Date is a second old at most, or two."""
        self.known: dict[tuple[str, HeadKey], KnownHead] = {}
        """By peer. Clients send few different heads, and each of them often."""
        self.outbox = Outbox()
        # Asked for each request, and every client asks for one path.
        self.path_of = lru_cache(maxsize=256)(self._path_of)

    def __call__(self) -> "FastConnection":
        if not self.now:
            self.sweep()
        return FastConnection(self)

    def _path_of(self, line: bytes) -> str | None:
        """The path of MCP's in a request line without its method; None: not one to be served here."""
        target, version = line[: -len(_VERSION)], line[-len(_VERSION) :]
        if version != _VERSION or not target.startswith(b"/") or b"?" in target or not target.isascii():
            return None
        path = target.decode()
        return path if self._is_mcp(path) else None

    def left(self, connection: "FastConnection") -> None:
        """It has ended, or is another's."""
        self.connections.discard(connection)
        if not self.connections and self._none_left is not None and not self._none_left.done():
            self._none_left.set_result(None)

    def remember(self, key: tuple[str, HeadKey], known: KnownHead) -> None:
        if len(self.known) >= MAX_KNOWN:
            self.known.clear()
        self.known[key] = known

    def sweep(self) -> None:
        """End the connections whose time is over. To be called now and then."""
        self.now = now = asyncio.get_running_loop().time()
        self.json_head = json_head()
        for connection in [each for each in self.connections if each.due_at <= now]:
            connection.expire()

    async def aclose(self, grace_s: float) -> None:
        """End every connection; what is being served has `grace_s` to finish, then is cancelled."""
        for connection in list(self.connections):
            connection.end_soon()
        if self.connections:
            self._none_left = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._none_left], timeout=grace_s)
        late = [work for each in list(self.connections) if (work := each.abandon()) is not None]
        if late:
            await asyncio.wait(late, timeout=grace_s)


class FastConnection(asyncio.Protocol):
    """One client's connection: requests one after the other, each answered before the next is looked at."""

    __slots__ = (
        "_body",
        "_drained",
        "_fast",
        "_head",
        "_headers",
        "_held",
        "_is_gone",
        "_is_last",
        "_is_looking",
        "_is_paused",
        "_last",
        "_missing",
        "_peer",
        "_serving",
        "_stream",
        "_transport",
        "_unsent",
        "due_at",
    )

    def __init__(self, fast: FastPath) -> None:
        self._fast = fast
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # until connection_made
        self._peer = ""
        self._held = bytearray()
        """What has arrived and is no one's yet: half a head, or requests behind the one that is served."""
        self._headers: HeaderList = []
        self._head: WireHead | None = None
        """Of the request whose body is still coming."""
        self._last: KnownHead | None = None
        """Of the last request that was known: the next one has the same, mostly."""
        self._body: list[bytes] = []
        self._missing = 0
        """Bytes of that body, or of one that was refused."""
        self._is_last = False
        """Whether the connection ends with this request's answer."""
        self._is_gone = False
        self._is_looking = False
        """Whether requests are being begun, so that one that ends at once need not begin the next."""
        self._is_paused = False
        self._drained: asyncio.Future[None] | None = None
        """Set while the client does not read what was written."""
        self._unsent = b""
        """An answer that is written with the end of this turn of the loop."""
        self._serving: Begun | asyncio.Task[None] | None = None
        """What serves the present request."""
        self._stream: FastStream | None = None
        """What its answer has become."""
        self.due_at = _FOREVER
        """When its time is over, in the loop's seconds, if nothing happens before."""

    # --- asyncio.Protocol -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are no subclasses.
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if isinstance(peer, tuple) else ""
        self._fast.connections.add(self)
        self._due_in(IDLE_S)

    def data_received(self, data: bytes) -> None:
        if self._serving is not None:
            self._hold(data)
        elif self._missing:
            self._body_came(data)
        elif self._held:
            seen = len(self._held)
            self._held += data
            self._head_came(seen)
        else:
            self._begin(data)

    def eof_received(self) -> bool:
        # A client that has sent its last byte has hung up: in the modern era that is how it cancels.
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_gone = True
        self._fast.left(self)
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(ConnectionResetError("The client has gone."))
        if self._serving is not None:
            self._serving.cancel()
            if not isinstance(self._serving, asyncio.Task):
                self._serving = None

    def pause_writing(self) -> None:
        self._drained = asyncio.get_running_loop().create_future()
        self._due_in(IDLE_S)

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)
        if self._serving is not None:
            self.due_at = _FOREVER

    # --- httptools --------------------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((_name(name), value.decode("utf-8", "surrogateescape")))

    # --- what comes in ----------------------------------------------------------------------------------------

    def _begin(self, data: bytes) -> None:
        """`data` begins with the first byte of a request."""
        last = self._last
        if last is not None and len(data) == last.size and data.startswith(last.raw):
            self._is_last = last.is_last
            refusal = self._fast.endpoint.admit(last.head)
            if refusal is None:
                self._start(last.head, data[len(last.raw) :])
            else:
                self._refused(refusal, 0, b"")
            return
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._held += data
            self._head_came(0)
            return
        found = known_heads.read(data, end)
        if found is not None:
            length, key = found[0], (self._peer, found[1])
            known = self._fast.known.get(key)
            if known is not None and int(length) <= self._fast.endpoint.max_body_bytes:
                self._is_last = known.is_last
                if known.head.values["content-length"] != (value := length.decode()):
                    head, raw = _with_length(known.head, value), data[: end + 4]
                    known = KnownHead(head, known.is_last, raw, len(raw) + int(length))
                    self._fast.known[key] = known
                self._last = known
                self._go_on(known.head, int(length), data, end + 4)
                return
        path = self._fast.path_of(data[5 : data.find(b"\r\n")]) if data.startswith(_POST) else None
        if path is None or end > MAX_HEAD_BYTES:
            self._hand_over(data)
            return
        headers: HeaderList = []
        self._headers = headers
        parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(memoryview(data)[: end + 4])
        except httptools.HttpParserUpgrade:
            self._hand_over(data)
            return
        except httptools.HttpParserError:
            # Two lengths, a length and chunks, a name with a space in it: whoever stands in front of us may
            # have read it otherwise, so nothing after it can be trusted either.
            self._refuse(400, "The request is not framed as HTTP says.")
            return
        values = dict(headers)
        declared = values.get("content-length")
        if declared is None or not _NOT_PLAIN.isdisjoint(values):
            self._hand_over(data)
            return
        self._is_last = not parser.should_keep_alive()
        head = WireHead("POST", path, headers, self._peer, values)
        if self._go_on(head, int(declared), data, end + 4) and found is not None:
            known = KnownHead(head, self._is_last, data[: end + 4], end + 4 + int(declared))
            self._fast.remember((self._peer, found[1]), known)

    def _head_came(self, seen: int) -> None:
        """More of a head: all of it, or enough to tell that it is not for here. `seen` bytes were looked at."""
        held = self._held
        if held.find(b"\r\n\r\n", max(0, seen - 3)) >= 0:
            data = bytes(held)
            held.clear()
            self._begin(data)
            return
        is_post = held.startswith(_POST) or _POST.startswith(held)
        line_end = held.find(b"\r\n", 0, MAX_HEAD_BYTES)
        is_elsewhere = line_end >= 0 and self._fast.path_of(bytes(held[5:line_end])) is None
        if not is_post or is_elsewhere or len(held) > MAX_HEAD_BYTES:
            self._hand_over(bytes(held))

    def _go_on(self, head: WireHead, length: int, data: bytes, body_at: int) -> bool:
        """A head is whole: go on with its body, or answer that it is refused. Whether it is admitted."""
        refusal = self._fast.endpoint.admit(head)
        missing = length - (len(data) - body_at)
        if refusal is not None:
            self._refused(refusal, missing, data[body_at + length :])
            return False
        if missing > 0:
            self._head = head
            self._body = [data[body_at:]]
            self._missing = missing
            self._due_in(BODY_S)
            return True
        if missing < 0:
            self._held += data[body_at + length :]
        self._start(head, data[body_at : body_at + length])
        return True

    def _body_came(self, data: bytes) -> None:
        rest = b""
        if len(data) > self._missing:
            data, rest = data[: self._missing], data[self._missing :]
        self._missing -= len(data)
        head = self._head
        if head is not None:
            self._body.append(data)
            if not self._missing:
                body = b"".join(self._body)
                self._head, self._body = None, []
                self._held += rest
                self._start(head, body)
        elif not self._missing:
            # That was the last of a refused one, which is thrown away.
            self._next(rest)

    def _hold(self, data: bytes) -> None:
        """Requests behind the one that is served wait for their turn, and their client for us."""
        self._held += data
        if len(self._held) > MAX_HELD_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    # --- what goes out ----------------------------------------------------------------------------------------

    def _start(self, head: WireHead, body: bytes) -> None:
        self.due_at = _FOREVER
        self._stream = None
        endpoint = self._fast.endpoint
        begun = endpoint.begin(head, body, self)
        if begun is None:
            self.go_on(endpoint.answer(WireRequest(head, body, self.open_stream)))
        # Not `isinstance`, which takes three times as long where it is none of that struct.
        elif type(begun) is Ready:
            self.result(*begun)
        elif type(begun) is WireReply:
            self.reply(begun)
        else:
            self._serving = begun

    async def open_stream(self, status: int, headers: HeaderList) -> WireStream:
        if self._is_gone:
            raise ConnectionResetError("The client has gone.")
        self._stream = stream = FastStream(self)
        await self.send(stream_head(status, headers, is_last=self._is_last))
        return stream

    def reply(self, reply: WireReply) -> None:
        """The answer of what was begun, or was ready."""
        self._write(reply)
        self._answered()

    def _answered(self) -> None:
        if self._drained is not None:
            # Until its client has read the answer, the next one waits.
            self.go_on(_nothing_more())
            return
        self._serving = None
        self._next(b"")

    def result(self, raw_id: bytes, result: bytes) -> None:
        """Likewise, of most of them."""
        if (
            self._unsent
            or self._held
            or self._is_last
            or self._is_paused
            or self._is_gone
            or self._drained is not None
        ):
            self.reply(WireReply(200, JSON_HEADERS, _RESULT % (raw_id, result)))
            return
        fast, size = self._fast, _RESULT_BYTES + len(raw_id) + len(result)
        if size >= _JOINED_BYTES:
            self._transport.writelines((_BEGINNING % (fast.json_head, size, raw_id), result, b"}"))
            self._answered()
            return
        self._unsent = _WHOLE % (fast.json_head, size, raw_id, result)
        fast.outbox.put(self)
        self._serving = None
        self.due_at = fast.now + IDLE_S

    def go_on(self, work: Coroutine[Any, Any, WireAnswer | None]) -> "asyncio.Task[None]":
        """The answer comes from a task."""
        self._serving = task = asyncio.get_running_loop().create_task(self._serve(work))
        # One that is cancelled before its first step leaves it unbegun.
        task.add_done_callback(lambda _: work.close())
        return task

    async def _serve(self, work: Coroutine[Any, Any, WireAnswer | None]) -> None:
        try:
            answer = await work
            if isinstance(answer, WireReply):
                self._write(answer)
            elif answer is STREAMED and (self._stream is None or not self._stream.is_ended):
                # Its client left before the first byte, or was left: what came is no whole answer.
                self.abort()
            if self._drained is not None:
                await self._drained
        except ConnectionError:
            self.abort()
        except Exception:
            log.exception("serving a request failed")
            self._is_last = True
            if self._stream is None:
                self._write(WireReply(500, []))
        finally:
            self._serving = None
        self._next(b"")

    def _next(self, rest: bytes) -> None:
        """The present request is done with; `rest` came behind it. Look at the next one, or wait for it."""
        if self._is_gone or self._transport.is_closing():
            return
        if self._is_last:
            self._close()
            return
        self._due_in(IDLE_S)
        if rest:
            self._held[:0] = rest
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        # Not from within itself: a client may send a thousand requests at once that all end at once.
        if self._held and not self._is_looking:
            self._is_looking = True
            while self._held and not self._is_busy:
                size, data = len(self._held), bytes(self._held)
                self._held.clear()
                self._begin(data)
                if len(self._held) == size:
                    # Half a head.
                    break
            self._is_looking = False

    @property
    def _is_busy(self) -> bool:
        """Whether what has arrived must wait, or is nobody's."""
        return self._serving is not None or bool(self._missing) or self._is_gone or self._transport.is_closing()

    def _write(self, reply: WireReply) -> None:
        if self._is_gone:
            return
        if reply.headers is not JSON_HEADERS:
            self._is_last |= _CLOSE in reply.headers
        head = reply_head(reply, is_last=self._is_last)
        if len(reply.body) >= _JOINED_BYTES:
            self.flush()
            self._transport.writelines((head, reply.body))
        elif self._unsent or self._held or self._is_last:
            # Of a client that asks many things at once, it must show at once whether he reads the answers.
            self.flush()
            self._transport.write(head + reply.body)
        else:
            self._unsent = head + reply.body
            self._fast.outbox.put(self)

    def flush(self) -> None:
        """Write what is to be sent (`outbox.Sender`). Goes before all that is written otherwise."""
        unsent, self._unsent = self._unsent, b""
        if unsent and not self._is_gone:
            self._transport.write(unsent)

    async def send(self, data: bytes) -> None:
        """Raises: ConnectionError, once the client has gone."""
        if self._is_gone or self._transport.is_closing():
            raise ConnectionResetError("The client has gone.")
        self.flush()
        self._transport.write(data)
        if self._drained is not None:
            await asyncio.shield(self._drained)

    def _refused(self, refusal: WireReply, missing: int, rest: bytes) -> None:
        """Answer before the body is there, which is thrown away, or takes the connection with it."""
        self._write(refusal)
        if self._is_last:
            self._linger()
        elif missing > 0:
            self._missing = missing
            self._due_in(BODY_S)
        else:
            self._next(rest)

    def _refuse(self, status: int, message: str) -> None:
        """Of what is no request, or none to go on from."""
        self._is_last = True
        self._write(http_refusal(HttpRefusal(status, message, {"Connection": "close"})))
        self._linger()

    def _linger(self) -> None:
        """A close with bytes unread would be a reset, which may overtake the answer."""
        self._held.clear()
        self._missing = _ENDLESS
        self._due_in(LINGER_S)

    def _hand_over(self, data: bytes) -> None:
        """The connection is not ours any more."""
        self.flush()
        self._fast.left(self)
        other = self._fast.other()
        self._transport.set_protocol(other)
        other.connection_made(self._transport)
        if data:
            self._held.clear()
            other.data_received(data)

    # --- its end ----------------------------------------------------------------------------------------------

    def _due_in(self, seconds: float) -> None:
        self.due_at = self._fast.now + seconds

    def _close(self) -> None:
        self.flush()
        self._transport.close()

    def expire(self) -> None:
        """Its time is over: a client that was sending is told so."""
        self.due_at = _FOREVER
        if (head := self._head) is not None:
            self._head, self._body = None, []
            late = HttpRefusal(408, "The body took too long.", {"Connection": "close"})
            self._refused(self._fast.endpoint.refuse(head, late), self._missing, b"")
        elif self._drained is not None:
            self.abort()
        else:
            self._close()

    def end_soon(self) -> None:
        """With the answer that is under way, or at once if there is none."""
        self._is_last = True
        if self._serving is None:
            self._close()

    def abandon(self) -> "asyncio.Task[None] | None":
        """Give up what is being served, and the connection; the task that is to end, if there is one."""
        serving = self._serving
        if serving is not None:
            serving.cancel()
            if not isinstance(serving, asyncio.Task):
                self._serving = None
        self.abort()
        return serving if isinstance(serving, asyncio.Task) else None

    def abort(self) -> None:
        self._transport.abort()


class FastStream:
    """A WireStream: chunks, and one of none at the end."""

    __slots__ = ("_connection", "is_ended")

    def __init__(self, connection: FastConnection) -> None:
        self._connection = connection
        self.is_ended = False

    async def write(self, data: bytes) -> None:
        await self._connection.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def close(self) -> None:
        self.is_ended = True
        await self._connection.send(b"0\r\n\r\n")

    def abort(self) -> None:
        self._connection.abort()


@lru_cache(maxsize=512)
def _name(name: bytes) -> str:
    # Names are few, and a client's own do not outlive 511 others.
    return name.decode("utf-8", "surrogateescape").lower()


def _with_length(head: WireHead, value: str) -> WireHead:
    """The same head with another Content-Length."""
    headers = [line if line[0] != "content-length" else ("content-length", value) for line in head.headers]
    values = head.values | {"content-length": value}
    return replace(head, headers=headers, values=values)


async def _nothing_more() -> None:
    """Of an answer that was sent, and is still to be read."""
