"""A response that may become an SSE stream: a bounded queue and, once something is sent, one task that writes.

Nothing is started and no header is sent before the first event, so an answer that needs no stream stays JSON.
Messages are bytes here; what they say is not its matter.
Spec: basic/transports/streamable-http, "Sending Messages to the Server"; WHATWG HTML, "Server-sent events".
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from msgspec import Raw

from proxy_core.clock import Clock
from proxy_core.errors import ClientSilent, ParseError
from proxy_core.frontend.guards import EVENT_STREAM
from proxy_core.frontend.lasting import Lasting
from proxy_core.frontend.wire import HeaderList, OpenStream, WireStream
from proxy_core.protocol.jsonrpc import one_line
from proxy_core.protocol.sse import KEEPALIVE, encode_event, has_event_with
from proxy_core.tasks import Tasks
from proxy_core.turns import in_turns

KEEP_ALIVE_S: Final = 15.0
MAX_QUEUED_EVENTS: Final = 256
MAX_QUEUED_BYTES: Final = 16 << 20
SLICE: Final = 64
"""Streams that are kept alive in one turn of the loop."""
STREAM_HEADERS: Final[HeaderList] = [
    ("Content-Type", EVENT_STREAM),
    ("Cache-Control", "no-cache, no-transform"),
    # nginx holds a response back until its buffer is full, unless told.
    ("X-Accel-Buffering", "no"),
]
log = logging.getLogger(__name__)


class EventStream:
    """Events to one client, in order. Uncommitted until the first one; nothing follows `end` or `abort`."""

    __slots__ = (
        "_clock",
        "_is_blocked",
        "_is_over",
        "_open_stream",
        "_opening",
        "_pump",
        "_queue",
        "_queued_bytes",
        "_tasks",
        "_wake",
        "_wire",
        "quiet_since",
    )

    def __init__(
        self, open_stream: OpenStream, tasks: Tasks, clock: Clock, opening: Callable[[], bytes] | None = None
    ) -> None:
        """`opening` is asked once, when the response becomes a stream: the bytes that go before all others."""
        self._open_stream = open_stream
        self._opening = opening
        self._tasks = tasks
        self._clock = clock
        self._queue: list[bytes] = []
        self._queued_bytes = 0
        self._pump: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._wire: WireStream | None = None
        self._is_over = False
        self._is_blocked = False
        self.quiet_since = clock.monotonic()
        """When the client last heard of us, in monotonic seconds."""

    @property
    def is_committed(self) -> bool:
        """Whether the response is a stream for good."""
        return self._pump is not None

    @property
    def is_over(self) -> bool:
        """Whether nothing more is taken."""
        return self._is_over

    @property
    def is_behind(self) -> bool:
        """Whether something still waits for the client to read it."""
        return bool(self._queue) or self._is_blocked

    @property
    def is_finished(self) -> bool:
        """Whether nothing more is taken and nothing is left to write."""
        return self._is_over and (self._pump is None or self._pump.done())

    def commit(self) -> None:
        """Send the headers now, whether or not an event follows soon."""
        self._start_or_wake()

    def notify(self, message: bytes) -> None:
        """Queue one JSON-RPC message. A client that lets too many pile up loses its stream."""
        try:
            self.put(encode_event(one_line(message)))
        except ParseError:
            log.warning("a notification with a raw line end in a string was dropped")

    def put(self, event: bytes) -> None:
        """The same for an event that is encoded already."""
        if not self._is_over:
            self._put(event)

    def let_go(self) -> None:
        """Its connection is its only one."""

    async def request(self, method: str, params: bytes, *, timeout_s: float) -> Raw:
        """A stream by itself has nobody to take the answer. Raises: ClientSilent."""
        raise ClientSilent("This client cannot be asked.")

    def notify_once(self, message: bytes) -> None:
        """The same as `notify`, unless an equal message still waits to be written."""
        if not self.is_waiting(message):
            self.notify(message)

    def is_waiting(self, line: bytes) -> bool:
        """Whether an event with this data, whatever its id, still waits to be written."""
        return bool(self._queue) and has_event_with(self._queue, line)

    def keep_alive(self) -> None:
        """Show that the connection lives, unless something waits to be sent anyway."""
        if not self._is_over and not self._queue:
            self._put(KEEPALIVE)

    def end_soon(self, last: bytes | None = None) -> None:
        """Take nothing more; write what is queued, then `last` (one line of JSON), then close."""
        self.close_soon(None if last is None else encode_event(last))

    def close_soon(self, last_event: bytes | None = None) -> None:
        """The same with a last event that is encoded already."""
        if self._is_over:
            return
        self._is_over = True
        if last_event is not None:
            # Not counted: the answer is what the client came for.
            self._queue.append(last_event)
        self._start_or_wake()

    async def end(self, last: bytes | None = None) -> None:
        """`end_soon`, and wait until it is done or the client has gone."""
        self.end_soon(last)
        await self.finished()

    def withhold(self) -> None:
        """Stay uncommitted for good: the answer goes out as a plain response."""
        self._is_over = True

    def abort(self) -> None:
        """Drop the stream with what is queued; for a client that has gone or does not read."""
        self._is_over = True
        self._queue.clear()
        if self._wire is not None:
            self._wire.abort()
        self._wake_up()

    async def finished(self) -> None:
        """Wait until all is written, or the client has gone."""
        # Not `await self._pump`: several may wait, and one that is cancelled must not end it for the others.
        if self._pump is not None and not self._pump.done():
            await asyncio.wait([self._pump])

    def _put(self, event: bytes) -> None:
        if self._is_full(event):
            log.warning("a client does not read its event stream; the stream was ended")
            self.abort()
            return
        self._queued_bytes += len(event)
        self._queue.append(event)
        self._start_or_wake()

    def _is_full(self, event: bytes) -> bool:
        # A burst that arrives before the writer's turn says nothing about the client; only its size is bounded.
        is_slow = self._is_blocked and len(self._queue) >= MAX_QUEUED_EVENTS
        return is_slow or self._queued_bytes + len(event) > MAX_QUEUED_BYTES

    def _start_or_wake(self) -> None:
        if self._pump is not None:
            self._wake_up()
            return
        if self._opening is not None and (first := self._opening()):
            self._queue.insert(0, first)
            self._queued_bytes += len(first)
        self._opening = None
        self._pump = self._tasks.start(self._write_all(), "event-stream")

    def _wake_up(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _write_all(self) -> None:
        try:
            self._wire = await self._open_stream(200, STREAM_HEADERS)
            while self._queue or not self._is_over:
                await self._write_queued(self._wire)
            await self._wire.close()
        except ConnectionError:
            # The client has gone; whether that cancels anything is for its era to say.
            log.debug("a client left its event stream")
        finally:
            self._is_over = True
            self._queue.clear()

    async def _write_queued(self, wire: WireStream) -> None:
        if self._queue:
            data = b"".join(self._queue)
            self._queue.clear()
            self._queued_bytes = 0
            self._is_blocked = True
            await wire.write(data)
            self._is_blocked = False
            self.quiet_since = self._clock.monotonic()
        else:
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake


class Quiet(Protocol):
    """A request that has no stream, and needs one if it takes long."""

    quiet_since: float
    """In monotonic seconds."""

    def keep_alive(self) -> None:
        """Become one, and show that the connection lives."""
        ...


class EventStreams:
    """Every unfinished response of a listener. One sweep keeps them all alive, so no call needs a timer."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks = Tasks("event streams")
        self._open: set[EventStream | Quiet] = set()
        self.lasting = Lasting()
        """Those that end when what they were opened with does."""

    def __len__(self) -> int:
        return len(self._open)

    def open(self, open_stream: OpenStream, opening: Callable[[], bytes] | None = None) -> EventStream:
        stream = EventStream(open_stream, self._tasks, self._clock, opening)
        self._open.add(stream)
        return stream

    def watch(self, quiet: Quiet) -> None:
        """Until `unwatch`: have it become a stream if it takes long, which `quiet_since` says."""
        self._open.add(quiet)

    def unwatch(self, quiet: Quiet) -> None:
        self._open.discard(quiet)

    def quiet(self) -> "Iterator[Quiet]":
        """Those that are watched."""
        return (each for each in self._open if not isinstance(each, EventStream))

    def release(self, stream: EventStream) -> None:
        """The response is finished, or else given up: nothing more is sent on it."""
        self._open.discard(stream)
        if not stream.is_finished:
            stream.abort()

    async def sweep(self) -> None:
        """Break the silence of those that said nothing for `KEEP_ALIVE_S`; that commits them to a stream.

        And end what lasted longer than it may.
        """
        due = self._clock.monotonic() - KEEP_ALIVE_S

        def keep_alive(stream: EventStream | Quiet) -> None:
            if stream in self._open and stream.quiet_since <= due:
                stream.keep_alive()

        await in_turns([stream for stream in self._open if stream.quiet_since <= due], SLICE, keep_alive)
        self.lasting.sweep()

    async def aclose(self) -> None:
        await self._tasks.aclose()
