"""What one session was sent, for a while: the events of its streams, so that a client may resume one of them.

Pure but for the injected clock; events are bytes here, and whose they are is not its matter. Bounded in number,
size and age.
Spec: 2025-11-25 basic/transports, "Resumability and Redelivery".
"""

import re
from collections import deque
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, TypeVar

from proxy_core.clock import Clock
from proxy_core.protocol.revisions import LATEST_LEGACY
from proxy_core.protocol.sse import encode_event, priming_event

MAX_EVENTS: Final = 256
MAX_BYTES: Final = 4 << 20
KEEP_S: Final = 300.0
"""How long an event is kept, and how long a stream without a reader may hope for one."""
RETRY_MS: Final = 1000
"""After how long we tell a client to come back."""
WITHOUT_IDS: Final = frozenset({"2024-11-05"})
"""Revisions that know no resumption."""
_WITH_PRIMING: Final = frozenset({LATEST_LEGACY})
"""Revisions whose clients skip an event without data; earlier ones would take it for a broken message."""
_EVENT_ID: Final = re.compile(r"([0-9]{1,15})-([0-9]{1,15})")

S = TypeVar("S")


class _Event(NamedTuple):
    stream: int
    number: int
    frame: bytes
    sent_at: float


@dataclass(slots=True, eq=False)
class _Log(Generic[S]):
    stream: S
    count: int = 0
    """Events it had, each numbered by the count at its time."""
    kept: int = 0
    is_closed: bool = False


class Position(NamedTuple, Generic[S]):
    """A place in a stream: after its event `number`."""

    stream: S
    number: int


class EventRing(Generic[S]):
    """The events of one session. An event's id is its stream's number and its own within the stream."""

    def __init__(self, revision: str, clock: Clock, in_use: "set[EventRing[S]] | None" = None) -> None:
        """`in_use`: has this ring in it for as long as there is something to resume."""
        self.is_primed = revision in _WITH_PRIMING
        """Whether a stream can be resumed before anything was sent on it."""
        self._clock = clock
        self._events: deque[_Event] = deque()
        self._bytes = 0
        self._logs: dict[int, _Log[S]] = {}
        self._opened = 0
        self._in_use = set() if in_use is None else in_use

    def __len__(self) -> int:
        return len(self._events)

    @property
    def streams(self) -> list[S]:
        """Those that can be resumed."""
        return [log.stream for log in self._logs.values()]

    def open(self, stream: S) -> int:
        """The number of a new stream."""
        self._in_use.add(self)
        self._opened += 1
        self._logs[self._opened] = _Log(stream)
        return self._opened

    def primer(self, number: int) -> bytes:
        """What a stream begins with: an id to resume from before anything happened, where clients know that."""
        if not self.is_primed:
            return b""
        return priming_event(self._next_id(number), RETRY_MS)

    def put(self, number: int, line: bytes, instead: bytes | None = None) -> bytes:
        """The event for `line`, now remembered; `instead`: what is remembered in its place."""
        event_id = self._next_id(number)
        frame = encode_event(line, event_id=event_id)
        self._keep(number, frame if instead is None else encode_event(instead, event_id=event_id))
        return frame

    def close(self, number: int) -> None:
        """Nothing more will come on this stream; it is forgotten with its last event."""
        log = self._logs[number]
        log.is_closed = True
        self._forget_if_done(number, log)

    def find(self, event_id: str) -> Position[S] | None:
        """Where a stream is to be resumed; None for an id that was never given out, or is forgotten."""
        found = _EVENT_ID.fullmatch(event_id)
        log = None if found is None else self._logs.get(int(found[1]))
        if found is None or log is None or not 0 < int(found[2]) <= log.count:
            return None
        return Position(log.stream, int(found[2]))

    def after(self, number: int, event_number: int) -> list[bytes]:
        """The later events of that stream that are still kept."""
        return [event.frame for event in self._events if event.stream == number and event.number > event_number]

    def count(self, number: int) -> int:
        """How many events the stream has had."""
        return self._logs[number].count

    def retire(self) -> None:
        """Nobody can come back any more, whatever is still sent."""
        self._in_use.discard(self)
        self._in_use = set()

    def expire(self) -> None:
        due = self._clock.monotonic() - KEEP_S
        while self._events and self._events[0].sent_at <= due:
            self._drop_oldest()

    def _next_id(self, number: int) -> str:
        log = self._logs[number]
        log.count += 1
        return f"{number}-{log.count}"

    def _keep(self, number: int, frame: bytes) -> None:
        log = self._logs[number]
        if len(frame) > MAX_BYTES:
            return
        self._events.append(_Event(number, log.count, frame, self._clock.monotonic()))
        self._bytes += len(frame)
        log.kept += 1
        while len(self._events) > MAX_EVENTS or self._bytes > MAX_BYTES:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        event = self._events.popleft()
        self._bytes -= len(event.frame)
        log = self._logs[event.stream]
        log.kept -= 1
        self._forget_if_done(event.stream, log)

    def _forget_if_done(self, number: int, log: _Log[S]) -> None:
        if log.is_closed and not log.kept:
            del self._logs[number]
            if not self._logs:
                self._in_use.discard(self)
