"""What is streamed to a legacy client for one request, or for none, over one connection after another.

A stream becomes one when there is something to send; from then on it outlives its connections, as far as the
session's ring of events reaches. Knows no HTTP and no sessions.
Spec: 2025-11-25 basic/transports, "Resumability and Redelivery", "Listening for Messages from the Server".
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from msgspec import Raw

from proxy_core.clock import Clock
from proxy_core.errors import ClientSilent, ErrorCode, ParseError
from proxy_core.frontend.client_requests import ClientRequests
from proxy_core.frontend.event_stream import EventStream
from proxy_core.frontend.resumption import KEEP_S, MAX_BYTES, EventRing
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.sse import encode_event, has_event_with

READER_S: Final = 1.5
"""How long a question that belongs to no request waits for the client to open its stream."""
_MAX_KEPT_BYTES: Final = MAX_BYTES - 256
log = logging.getLogger(__name__)


class ClientStream:
    """An Outlet. It has a carrier, the connection of the moment; without one, what is sent is only kept."""

    __slots__ = (
        "_carrier",
        "_clock",
        "_is_ended",
        "_is_of_request",
        "_left_at",
        "_number",
        "_read_to",
        "_requests",
        "_ring",
        "was_let_go",
    )

    def __init__(
        self,
        ring: "EventRing[ClientStream] | None",
        requests: ClientRequests,
        clock: Clock,
        *,
        is_of_request: bool = True,
    ) -> None:
        """`ring` None: the client's revision knows no resumption."""
        self._ring = ring
        self._requests = requests
        self._clock = clock
        self._is_of_request = is_of_request
        self._carrier: EventStream | None = None
        self._number: int | None = None
        """In the ring, once something was sent."""
        self._read_to = 0
        """The last event when the last carrier left."""
        self._left_at = 0.0
        self._is_ended = False
        self.was_let_go: Callable[[], None] = _nothing
        """Called when the client is sent away to come back for the answer."""

    @property
    def is_streaming(self) -> bool:
        """Whether it has begun, so that answers are events of it."""
        return self._number is not None or (self._carrier is not None and self._carrier.is_committed)

    @property
    def is_ended(self) -> bool:
        return self._is_ended

    # --- carriers ---------------------------------------------------------------------------------------------

    def opening(self) -> bytes:
        """What goes first when the first carrier becomes a stream."""
        if self._ring is None:
            return b""
        self._number = self._ring.open(self)
        return self._ring.primer(self._number) if self._is_of_request else b""

    def missed(self, event_number: int) -> bytes:
        """What goes first when a client resumes after that event."""
        if self._ring is None or self._number is None:
            return b""
        return b"".join(self._ring.after(self._number, event_number))

    def carry(self, carrier: EventStream) -> None:
        """Send over `carrier` from now on. The client has left the older one, or is about to."""
        if self._carrier is not None:
            self._carrier.abort()
        self._carrier = carrier

    def leave(self, carrier: EventStream) -> None:
        """`carrier` has gone. Nothing happens if another has taken its place."""
        if self._carrier is not carrier:
            return
        self._carrier = None
        self._left_at = self._clock.monotonic()
        if self._ring is None or self._number is None:
            # No id was ever told, so nobody can come back to this stream.
            self._requests.lose(self)
        elif not self._is_ended:
            self._read_to = self._ring.count(self._number)

    def give_up_late_readers(self) -> None:
        """Nobody came back for as long as events are kept: whoever asked something here waits in vain."""
        if self._carrier is None and self._clock.monotonic() - self._left_at >= KEEP_S:
            self._requests.lose(self)

    # --- what is sent -----------------------------------------------------------------------------------------

    def notify(self, message: bytes) -> None:
        try:
            self._send(jsonrpc.one_line(message))
        except ParseError:
            log.warning("a notification with a raw line end in a string was dropped")

    def notify_once(self, message: bytes) -> None:
        """The same, unless an equal message still waits to be read."""
        if not self._is_waiting(message):
            self.notify(message)

    def let_go(self) -> None:
        """End the connection; the client comes back with the id of the event that the stream began with."""
        if self._ring is None or not self._ring.is_primed or self._carrier is None or self._is_ended:
            return
        self._carrier.commit()
        self._carrier.close_soon()
        self.was_let_go()

    async def request(self, method: str, params: bytes, *, timeout_s: float) -> Raw:
        if self._is_ended or (self._carrier is None and self._number is None):
            raise ClientSilent("The client has left, and cannot be asked.")
        return await self._requests.ask(self, method, params, timeout_s=timeout_s)

    def finish(self, line: bytes = b"", raw_id: bytes = b"null") -> None:
        """Take nothing more. A stream that has begun ends with `line`, the answer to the request `raw_id`."""
        if self._is_ended:
            return
        self._is_ended = True
        last = self._last_frame(line, raw_id) if line and self.is_streaming else None
        if self._carrier is not None:
            if self._carrier.is_committed:
                self._carrier.close_soon(last)
            else:
                self._carrier.withhold()
        if self._ring is not None and self._number is not None:
            self._ring.close(self._number)

    def _send(self, line: bytes) -> None:
        if self._is_ended:
            return
        if self._carrier is not None and not self._carrier.is_over:
            self._carrier.commit()
            self._carrier.put(self._frame(line))
        elif self._number is not None:
            self._frame(line)

    def _frame(self, line: bytes, instead: bytes | None = None) -> bytes:
        if self._ring is None or self._number is None:
            return encode_event(line)
        return self._ring.put(self._number, line, instead)

    def _last_frame(self, line: bytes, raw_id: bytes) -> bytes:
        if len(line) <= _MAX_KEPT_BYTES:
            return self._frame(line)
        # So that a client that resumes does not wait for ever.
        message = "The answer was too long to be kept until the client came back."
        return self._frame(line, jsonrpc.error(raw_id, ErrorCode.INTERNAL_ERROR, message))

    def _is_waiting(self, line: bytes) -> bool:
        if self._carrier is not None:
            return self._carrier.is_waiting(line)
        if self._ring is None or self._number is None:
            return False
        return has_event_with(self._ring.after(self._number, self._read_to), line)


def _nothing() -> None:
    return


class OwnStream:
    """An Outlet as long as its session: what belongs to no request goes to the newest stream that was opened.

    Before there was one, and after one that cannot be resumed, it is dropped.
    """

    def __init__(self) -> None:
        self.newest: ClientStream | None = None
        self.has_reader = asyncio.Event()
        """Whether a connection of the client waits for messages."""

    def notify(self, message: bytes) -> None:
        if self.newest is not None:
            self.newest.notify(message)

    def notify_once(self, message: bytes) -> None:
        if self.newest is not None:
            self.newest.notify_once(message)

    def let_go(self) -> None:
        """It belongs to no request that could be waited for elsewhere."""

    async def request(self, method: str, params: bytes, *, timeout_s: float) -> Raw:
        try:
            async with asyncio.timeout(READER_S):
                await self.has_reader.wait()
        except TimeoutError as error:
            raise ClientSilent("The client listens to no stream of its session.") from error
        assert self.newest is not None
        return await self.newest.request(method, params, timeout_s=timeout_s)
