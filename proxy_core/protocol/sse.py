"""Server-sent events: a parser that takes any chunks, and the frames that we send.

Knows bytes only; what an event's data means is the channel's matter.
Spec: WHATWG HTML, "Server-sent events"; 2025-11-25 basic/transports, "Resumability and Redelivery".
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from proxy_core.protocol.lines import CR, LF, FrameTooLarge

KEEPALIVE: Final = b": ping\r\n\r\n"
_BOM: Final = b"\xef\xbb\xbf"
_DATA: Final = b"data:"
_OF_MESSAGES: Final = frozenset((b"", b"event: message\n", b"event: message\r\n"))
"""What changes nothing where it stands before the data of an event."""
_MAX_LEAD_BYTES: Final = 256
"""Before the data of an event that is read in one go."""
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
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._event = "message"
        self._is_first_line = True
        self._after_cr = False
        self._id = last_event_id
        self.last_event_id = last_event_id
        """Of the last whole event; one that was cut off is still to come."""
        self.retry_ms: int | None = None

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events that `data` completes. Raises: FrameTooLarge."""
        start = data.find(_DATA, 0, _MAX_LEAD_BYTES)
        if start >= 0 and not (self._line or self._after_cr) and (value := _ends_with(data, start)) is not None:
            # Nearly every answer: one event in one piece, of one line of data, that is all there.
            lead = data[:start]
            events: list[SseEvent] = []
            if lead in _OF_MESSAGES:
                self._event = "message" if lead else self._event
            else:
                events = self._feed(lead)
            self._check(len(value))
            self._is_first_line = self._after_cr = False
            self._take(value)
            event = self._dispatch()
            return events if event is None else [*events, event]
        return self._feed(data)

    def _feed(self, data: bytes) -> list[SseEvent]:
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
        if CR not in data:
            return data
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _grow(self, data: bytes) -> None:
        self._check(len(data))
        self._line += data

    def _check(self, size: int) -> None:
        if len(self._line) + self._data_bytes + size > self._max_event_bytes:
            raise FrameTooLarge(self._max_event_bytes)

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
            self._take(value)
        elif name == b"event":
            self._event = value.decode(errors="replace") or "message"
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode(errors="replace")
        elif name == b"retry" and value.isdigit() and len(value) <= _MAX_RETRY_DIGITS:
            self.retry_ms = int(value)

    def _take(self, value: bytes) -> None:
        self._data.append(value)
        self._data_bytes += len(value) + 1

    def _dispatch(self) -> SseEvent | None:
        event = None
        self.last_event_id = self._id
        if lines := self._data:
            data = lines[0] if len(lines) == 1 else b"\n".join(lines)
            event = SseEvent(self._event, data, self.last_event_id, self.retry_ms)
            self._data, self._data_bytes = [], 0
        self._event = "message"
        return event


def _ends_with(data: bytes, start: int) -> bytes | None:
    """The value of the line at `start`, if it is the last but for the empty one that ends its event."""
    if start and data[start - 1] not in b"\r\n":
        return None
    ending = next((each for each in (b"\n\n", b"\r\n\r\n") if data.endswith(each)), None)
    if ending is None:
        return None
    value = data[start + len(_DATA) : -len(ending)]
    return None if LF in value or CR in value else value.removeprefix(b" ")


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
