"""Server-sent events: a parser that takes any chunks, and the frames that we send.

Knows bytes only; what an event's data means is the channel's matter.
Spec: WHATWG HTML, "Server-sent events"; 2025-11-25 basic/transports, "Resumability and Redelivery".
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from proxy_core.protocol.lines import FrameTooLarge

KEEPALIVE: Final = b": ping\r\n\r\n"
_BOM: Final = b"\xef\xbb\xbf"
_MAX_RETRY_DIGITS: Final = 9
"""Eleven days in milliseconds; a longer number is no time to reconnect after."""


class SseEvent(Struct, frozen=True, gc=False):
    event: str
    """The event's type; `message` if it names none."""
    data: bytes
    """The data lines, joined by line feeds. Empty for a priming event, which only tells its id."""
    id: str | None
    """The last id seen so far, on this event or before it."""
    retry_ms: int | None
    """The last reconnection time seen so far."""


class SseParser:
    """Bytes in, events out. Of no use after it has raised."""

    def __init__(self, max_event_bytes: int, last_event_id: str | None = None) -> None:
        """`last_event_id`: of the stream that this one resumes."""
        self._max_event_bytes = max_event_bytes
        self._line = bytearray()
        self._data = bytearray()
        self._has_data = False
        self._event = "message"
        self._is_first_line = True
        self._after_cr = False
        self._id = last_event_id
        self.last_event_id = last_event_id
        """Of the last whole event; one that was cut off is still to come."""
        self.retry_ms: int | None = None

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events that `data` completes. Raises: FrameTooLarge."""
        head, *rest = self._unified(data).split(b"\n")
        self._grow(head)
        events: list[SseEvent] = []
        for following in rest:
            line = bytes(self._line)
            self._line.clear()
            if (event := self._end_of_line(line)) is not None:
                events.append(event)
            self._grow(following)
        return events

    def _unified(self, data: bytes) -> bytes:
        """`data` with line feeds as its only line ends. A CR ends a line at once; an LF after it adds none."""
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if b"\r" not in data:
            return data
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _grow(self, data: bytes) -> None:
        if len(self._line) + len(self._data) + len(data) > self._max_event_bytes:
            raise FrameTooLarge(self._max_event_bytes)
        self._line += data

    def _end_of_line(self, line: bytes) -> SseEvent | None:
        if self._is_first_line:
            self._is_first_line = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        self._field(name, value.removeprefix(b" "))
        return None

    def _field(self, name: bytes, value: bytes) -> None:
        # A comment has an empty name; it and unknown fields change nothing.
        if name == b"data":
            self._data += value + b"\n"
            self._has_data = True
        elif name == b"event":
            self._event = value.decode(errors="replace") or "message"
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode(errors="replace")
        elif name == b"retry" and value.isdigit() and len(value) <= _MAX_RETRY_DIGITS:
            self.retry_ms = int(value)

    def _dispatch(self) -> SseEvent | None:
        event = None
        self.last_event_id = self._id
        if self._has_data:
            event = SseEvent(self._event, bytes(self._data[:-1]), self.last_event_id, self.retry_ms)
            self._data.clear()
            self._has_data = False
        self._event = "message"
        return event


def encode_event(data: bytes, event: str = "message", event_id: str | None = None) -> bytes:
    """One event. `data` must be one line, as `jsonrpc.one_line` gives it."""
    head = b"event: " + event.encode()
    if event_id is not None:
        head += b"\r\nid: " + event_id.encode()
    return head + _tail(data)


def priming_event(event_id: str, retry_ms: int | None = None) -> bytes:
    """An event without content that gives the client an id to resume from before anything happened."""
    retry = b"" if retry_ms is None else b"retry: %d\r\n" % retry_ms
    return b"id: " + event_id.encode() + b"\r\n" + retry + b"data: \r\n\r\n"


def has_event_with(events: Iterable[bytes], data: bytes) -> bool:
    """Whether one of these events of ours has this data, whatever its id."""
    tail = _tail(data)
    return any(event.endswith(tail) for event in events)


def _tail(data: bytes) -> bytes:
    return b"\r\ndata: " + data + b"\r\n\r\n"
