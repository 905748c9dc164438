"""What happens in the gateway, told as it happens: a stream a reader, of pictures, facts, logs and exchanges.

One task looks for all readers, and only while there are any. Nothing is queued for a reader who is behind: the
rings of the front door keep what he will be told next, or drop it. Knows no routes and not who may read.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator
from typing import Final, TypeVar

from msgspec import Struct

from proxy_core.admin_wire import NumberedExchange, NumberedFact, NumberedLine, Session, encoded
from proxy_core.clock import Clock
from proxy_core.control import Control
from proxy_core.errors import Overloaded
from proxy_core.frontend.event_stream import EventStream, EventStreams
from proxy_core.frontend.wire import STREAMED, WireAnswer, WireRequest
from proxy_core.protocol.sse import encode_event
from proxy_core.tasks import Tasks
from proxy_core.telemetry.snapshot import Snapshot

LOOK_S: Final = 0.25
"""How often is looked for news, and so the shortest time from one snapshot to the next."""
SLOW_S: Final = 20.0
"""How long a reader may leave unread what was sent to him."""
MAX_READERS: Final = 32
MAX_AT_ONCE: Final = 500
"""Facts, and log lines, of one look; the rest come with the next."""
MAX_BEHIND: Final = 5000
"""Log lines that a reader is behind at most: all 50,000 would take half a minute to tell."""
log = logging.getLogger(__name__)
Item = TypeVar("Item")


class Onlooker(Struct, frozen=True):
    principal: str
    may_steer: Callable[[], bool]
    """As of now."""

    @property
    def session(self) -> Session:
        return Session(self.principal, self.may_steer())


class _Reader:
    __slots__ = ("after", "behind_since", "exchanges_after", "logs_after", "session", "shown", "stream", "who")

    def __init__(
        self,
        stream: EventStream,
        who: Onlooker,
        after: int,
        logs_after: int | None,
        exchanges_after: int | None,
    ) -> None:
        self.stream = stream
        self.who = who
        self.session: Session | None = None
        """As it was told last."""
        self.after = after
        self.logs_after = logs_after
        self.exchanges_after = exchanges_after
        self.shown: Snapshot | None = None
        self.behind_since: float | None = None


class AdminEvents:
    def __init__(self, control: Control, streams: EventStreams, clock: Clock) -> None:
        self._control = control
        self._streams = streams
        self._clock = clock
        self._readers: set[_Reader] = set()
        self._tasks = Tasks("admin events")
        self._encoded: tuple[Snapshot, bytes] | None = None

    def __len__(self) -> int:
        return len(self._readers)

    async def serve(
        self,
        wire: WireRequest,
        who: Onlooker,
        after: int,
        logs_after: int | None,
        exchanges_after: int | None = None,
    ) -> WireAnswer:
        """Tell one reader until he leaves: who he is to us, a full snapshot, then all that is newer.

        `logs_after` None: no log lines; `exchanges_after` likewise. Raises: Overloaded.
        """
        if len(self._readers) >= MAX_READERS:
            raise Overloaded(f"Too many event streams at once; the limit is {MAX_READERS}.")
        stream = self._streams.open(wire.open_stream)
        reader = _Reader(stream, who, after, logs_after, exchanges_after)
        self._readers.add(reader)
        try:
            self._tell(reader)
            if not self._tasks:
                self._tasks.start(self._look(), "look")
            await stream.finished()
        finally:
            self._readers.discard(reader)
            self._streams.release(stream)
        return STREAMED

    def end_of(self, principals: Collection[str]) -> None:
        """End the streams of those who may not read any more."""
        for reader in self._readers:
            if reader.who.principal in principals:
                reader.stream.close_soon()

    async def aclose(self) -> None:
        """End every stream."""
        await self._tasks.aclose()
        self._end_all()

    def _end_all(self) -> None:
        for reader in self._readers:
            reader.stream.close_soon()

    async def _look(self) -> None:
        try:
            while self._readers:
                await asyncio.sleep(LOOK_S)
                for reader in list(self._readers):
                    self._tell(reader)
        finally:
            # Whatever ended this: on a stream that stays open it would look as if nothing happened.
            self._end_all()

    def _tell(self, reader: _Reader) -> None:
        if reader.stream.is_over or self._is_behind(reader):
            return
        if (session := reader.who.session) != reader.session:
            reader.session = session
            reader.stream.put(encode_event(encoded(session), "session"))
        snapshot = self._control.snapshot()
        if snapshot is not reader.shown:
            reader.shown = snapshot
            reader.stream.put(self._picture(snapshot))
        newest, facts = self._control.events_after(reader.after)
        for reader.after, fact in _numbered(newest, facts):
            event = encoded(NumberedFact(reader.after, fact))
            reader.stream.put(encode_event(event, "fact", str(reader.after)))
        if reader.logs_after is not None:
            newest, lines = self._control.logs_after(reader.logs_after)
            for reader.logs_after, line in _numbered(newest, lines[-MAX_BEHIND:]):
                reader.stream.put(encode_event(encoded(NumberedLine(reader.logs_after, line)), "log"))
        if reader.exchanges_after is not None:
            # The front door shows no more of them than fit into one look. Their number is that of the last one.
            newest, rows = self._control.exchanges_after(reader.exchanges_after)
            for number, row in enumerate(rows, start=1):
                told = NumberedExchange(newest if number == len(rows) else reader.exchanges_after, row)
                reader.stream.put(encode_event(encoded(told), "exchange"))
            reader.exchanges_after = newest

    def _is_behind(self, reader: _Reader) -> bool:
        if not reader.stream.is_behind:
            reader.behind_since = None
            return False
        now = self._clock.monotonic()
        if reader.behind_since is None:
            reader.behind_since = now
        elif now - reader.behind_since >= SLOW_S:
            log.warning("a reader of the admin events does not read; the stream was ended")
            reader.stream.abort()
        return True

    def _picture(self, snapshot: Snapshot) -> bytes:
        """Encoded once for all readers."""
        if self._encoded is None or self._encoded[0] is not snapshot:
            self._encoded = snapshot, encode_event(encoded(snapshot), "snapshot")
        return self._encoded[1]


def _numbered(newest: int, items: tuple[Item, ...]) -> Iterator[tuple[int, Item]]:
    """The oldest of them with their numbers: a ring's items have consecutive ones."""
    first = newest - len(items) + 1
    return enumerate(items[:MAX_AT_ONCE], start=first)
