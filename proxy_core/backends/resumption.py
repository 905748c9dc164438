"""Where to go on in an event stream that broke off, when, and how often. Pure.

Servers may also end a stream on purpose, to be asked again after `retry` milliseconds.
Spec: 2025-11-25 basic/transports, "Resumability and Redelivery". Modern streams cannot be resumed.
"""

from typing import Final

from proxy_core.protocol.sse import SseParser

MAX_TRIES: Final = 5
"""In a row that bring not one event."""
RETRY_MS: Final = 1000
MIN_PAUSE_S: Final = 0.1
MAX_EVENT_ID: Final = 1024


class Resumption:
    """One stream over all its connections."""

    def __init__(self, max_event_bytes: int) -> None:
        self._max_event_bytes = max_event_bytes
        self._tries = 0
        self._resumed_from: str | None = None
        self._parser: SseParser | None = None

    @property
    def parser(self) -> SseParser:
        """For the present connection; nearly every answer comes without a stream, and needs none."""
        if self._parser is None:
            self._parser = SseParser(self._max_event_bytes)
        return self._parser

    @property
    def last_event_id(self) -> str | None:
        """Of the last whole event, if it can stand in a header."""
        event_id = self.parser.last_event_id
        is_sendable = event_id and len(event_id) <= MAX_EVENT_ID and event_id.isprintable()
        return event_id if is_sendable else None

    @property
    def is_polled(self) -> bool:
        """Whether the server said when to come back, as one does that ends its streams on purpose."""
        return self.parser.retry_ms is not None

    def pause_s(self) -> float | None:
        """How long to wait before the next connection, for which there is a new parser; None: there is none."""
        last_event_id = self.last_event_id
        if last_event_id is None:
            return None
        self._tries = self._tries + 1 if last_event_id == self._resumed_from else 1
        if self._tries > MAX_TRIES:
            return None
        self._resumed_from = last_event_id
        self.reconnected()
        retry_ms = RETRY_MS if self.parser.retry_ms is None else self.parser.retry_ms
        # The server's own word is not cut short: whoever asked has a deadline.
        return max(retry_ms / 1000, MIN_PAUSE_S)

    def reconnected(self) -> None:
        """Go on, on a new connection, from the last whole event; one that was cut off is still to come."""
        retry_ms = self.parser.retry_ms
        self._parser = SseParser(self._max_event_bytes, self.last_event_id)
        self._parser.retry_ms = retry_ms
