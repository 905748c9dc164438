"""Requests that wait together, sent as one JSON-RPC batch to a server that has shown that it reads batches.

Sole owner of the batches in flight on one connection. To the channel a batch is one message, with an id that is
never on the wire; to those who asked nothing is different: each answer and each failure finds its own request.
Spec: 2025-03-26 basic, "Batching"; basic/transports, "Sending Messages to the Server".
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import msgspec
from msgspec import Struct

from proxy_core.backends.batch_support import BatchSupport, Support
from proxy_core.backends.call import Call
from proxy_core.backends.channel import Outgoing
from proxy_core.backends.correlation import Correlation, Pending
from proxy_core.backends.renewal import Renewal
from proxy_core.clock import Clock
from proxy_core.errors import (
    BackendError,
    BackendFault,
    BackendHttpError,
    BackendProtocolError,
    BackendStreamLost,
    BackendUnavailable,
    ErrorCode,
)
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.jsonrpc import RpcError
from proxy_core.protocol.tasks import CALL
from proxy_core.tasks import Tasks

REVISION: Final = "2025-03-26"
"""The only one that has batches."""
MAX_BATCH_BYTES: Final = 1 << 20
"""What makes a batch larger travels by itself: some servers bound a message more tightly than we do."""
TRIAL_S: Final = 5.0
_UNREAD_STATUSES: Final = frozenset({400, 413, 415, 422})
"""What a server says to a body that it could not even take apart."""
_UNREAD_CODES: Final = frozenset({ErrorCode.PARSE_ERROR, ErrorCode.INVALID_REQUEST})

Asked: TypeAlias = Pending[Any]
Failure: TypeAlias = BackendFault | BackendError


class Line(Protocol):
    """What batches need of their connection."""

    id: str

    @property
    def is_lost(self) -> bool: ...

    @property
    def is_closing(self) -> bool:
        """Whether it is ended on purpose."""
        ...

    async def send(self, message: Outgoing) -> None:
        """Raises: BackendFault."""
        ...

    def abort(self, request_id: int) -> None:
        """Nobody waits for this message's answer any more."""
        ...

    def request_failed(self, request_id: int, failure: Failure) -> None: ...

    def tell(self, level: str, text: str) -> None:
        """For the server's log."""
        ...


class _Item(NamedTuple):
    pending: Asked
    message: Outgoing


class _Batch(Struct, eq=False):
    id: int
    items: Sequence[_Item]
    is_trial: bool
    is_alone: bool
    """Nothing else is in flight or was sent since, so an answer without an id can be to nothing else."""
    left: int = 0
    """Members whose askers have gone their way."""
    has_answers: bool = False
    """A member was answered, by its own id."""
    refusal: RpcError | None = None
    """The first error without an id."""
    is_unread: bool = True
    """Every such error says that what was sent could not be read."""


class WireBatches:
    def __init__(
        self,
        line: Line,
        correlation: Correlation[Any],
        renewal: Renewal,
        clock: Clock,
        owned: Tasks,
        support: BatchSupport,
        max_size: Callable[[], int],
        *,
        is_pipe: bool,
    ) -> None:
        """`owned`: the connection's, so that nothing outlives it. `is_pipe`: all answers come on one stream.

        `max_size`: messages in one batch, as the configuration in force says; below two there are none.
        """
        self._line = line
        self._correlation = correlation
        self._renewal = renewal
        self._clock = clock
        self._tasks = owned
        self._support = support
        self._max_size = max_size
        self._is_pipe = is_pipe
        self._gathered: list[_Item] = []
        """Requests that wait for the end of this turn of the loop."""
        self._open: dict[int, _Batch] = {}
        self.is_allowed = True
        """Whether the revision in force has batches: a session that is renewed may agree on another one."""

    # --- out ------------------------------------------------------------------------------------------------

    async def takes(self, pending: Asked, message: Outgoing) -> bool:
        """Whether this request goes in a batch with others of this turn of the loop; if not, it is yet to send.

        Waits for no time, only until what is ready has run. True also for what has failed meanwhile.
        """
        if not self._may_batch(pending.method):
            return False
        item = _Item(pending, message)
        self._gathered.append(item)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            if pending.batch is None:
                # The server has not heard of it, and need not hear that it is off.
                self._gathered = [each for each in self._gathered if each is not item]
                self._correlation.close(pending.id)
            raise
        if self._gathered:
            # The first that runs again decides for all.
            self._part()
        return pending.batch is not None or pending.waiter.done()

    def _may_batch(self, method: str) -> bool:
        is_wanted = self.is_allowed and self._support.state is not Support.LACKING
        return is_wanted and method != "initialize" and self._max_size() > 1

    def _part(self) -> None:
        items = list(filter(self._is_waiting, self._gathered))
        self._gathered = []
        if len(items) < 2:
            return
        if self._support.state is Support.SHOWN:
            for batch in _batches(items, self._max_size(), self._is_pipe):
                self._support.sent(len(batch))
                self._start(batch)
        elif self._support.state is Support.UNKNOWN:
            self._support.on_trial()
            trial = self._tasks.start(self._try(), "try-batch")
            # It may be cancelled before it has begun.
            trial.add_done_callback(lambda _: self._support.trial_over())

    def _start(self, items: Sequence[_Item], *, is_trial: bool = False) -> None:
        is_alone = len(self._correlation) == len(items)
        batch = _Batch(self._correlation.mint(), items, is_trial, is_alone)
        self._open[batch.id] = batch
        for item in items:
            item.pending.batch = batch.id
        data = b"[%s]" % b",".join(item.message.data for item in items)
        # A batch that holds a call is as careful a matter as a call.
        methods = [item.message.method for item in items]
        method = CALL if CALL in methods else methods[0]
        message = msgspec.structs.replace(
            items[0].message, data=data, request_id=batch.id, method=method, name=None
        )
        self._tasks.start(self._carry(batch, message), "batch")

    async def _carry(self, batch: _Batch, message: Outgoing) -> None:
        """In a task of its own: no member that leaves may end the way of the others."""
        try:
            await self._line.send(message)
        except BackendFault as fault:
            self._ended(batch, fault)

    def sending(self, message: Outgoing) -> None:
        """The connection sends something."""
        for batch in self._open.values():
            if batch.id != message.request_id:
                batch.is_alone = False

    # --- whether it reads batches -----------------------------------------------------------------------------

    async def _try(self) -> None:
        """Two pings in a batch; with an answer to each the server has shown that it reads them."""
        is_read: bool | None = False
        has_asked = False

        async def once() -> bool:
            # Asked again on a new session it might end that too.
            nonlocal has_asked
            if has_asked:
                return False
            has_asked = True
            return await self._ping()

        try:
            is_read = await self._renewal.around(once)
        except BackendFault as fault:
            is_read = self._judged(fault)
        except asyncio.CancelledError:
            is_read = self._judged(None)
            raise
        finally:
            self._support.tried(is_read)
            if is_read is not None:
                self._line.tell("info", f"{'reads' if is_read else 'does not read'} JSON-RPC batches")

    def _judged(self, fault: BackendFault | None) -> bool | None:
        """What a trial without answers shows; None: nothing, since it could not take place."""
        was_unreachable = isinstance(fault, BackendUnavailable) and fault.nothing_sent
        return None if was_unreachable or (self._line.is_closing and not self._line.is_lost) else False

    async def _ping(self) -> bool:
        pings = [self._new_ping() for _ in range(2)]
        self._start(pings, is_trial=True)
        try:
            for ping in pings:
                await _answer_of_any_kind(ping.pending)
        finally:
            for ping in pings:
                self._correlation.close(ping.pending.id)
                self.left(ping.pending)
                _read(ping.pending)
        return True

    def _new_ping(self) -> _Item:
        waiter = asyncio.get_running_loop().create_future()
        now = self._clock.monotonic()
        ping = self._correlation.open("ping", waiter, now=now, idle_s=TRIAL_S, cap_s=TRIAL_S)
        data = jsonrpc.request(b"%d" % ping.id, "ping")
        return _Item(ping, Outgoing(data, ping.id, "ping", revision=REVISION))

    def gave_up(self, pending: Asked) -> None:
        """A request's time has run out. Another in its batch may be to blame: it may be answered as a whole."""
        batch = self._open.get(pending.batch or 0)
        if batch is not None and not batch.is_trial:
            self._stop("a request in a batch was not answered in time")

    def lost(self) -> None:
        """The connection was lost, which a batch or its answers may have been too much for."""
        if self._is_pipe and any(not batch.is_trial for batch in self._open.values()):
            self._stop("the connection was lost with one in flight")

    def _stop(self, why: str) -> None:
        if self._support.failed():
            self._line.tell("info", f"is sent no more JSON-RPC batches: {why}")

    # --- in ---------------------------------------------------------------------------------------------------

    def waits_for(self, batch_id: int) -> bool:
        """Whether this is a batch with a member that is still without an answer."""
        batch = self._open.get(batch_id)
        return batch is not None and any(self._waiting(batch))

    def waiting(self, batch_id: int | None) -> list[Asked] | None:
        """The members without an answer, the oldest first; None if this is no batch."""
        batch = self._open.get(batch_id) if batch_id is not None else None
        return None if batch is None else [item.pending for item in self._waiting(batch)]

    def _waiting(self, batch: _Batch) -> Iterator[_Item]:
        return filter(self._is_waiting, batch.items)

    def _is_waiting(self, item: _Item) -> bool:
        return self._correlation.get(item.pending.id) is item.pending

    def speaks_for(self, origin: int | None) -> int | None:
        """Whose stream `origin` is: a member of the batch, if those that it may be are all of one client."""
        batch = self._open.get(origin) if origin is not None else None
        if batch is None:
            return origin
        clients = [item.pending.sink.client for item in batch.items if item.pending.sink is not None]
        if any(client != clients[0] for client in clients):
            return origin
        of_clients = (item.pending.id for item in self._waiting(batch) if item.pending.sink is not None)
        return next(of_clients, origin)

    def answered(self, pending: Asked) -> None:
        """A member was answered, by its own id."""
        if (batch := self._open.get(pending.batch or 0)) is not None:
            batch.has_answers = True

    def nameless(self, error: RpcError, origin: int | None) -> int | None:
        """An error without an id: the request that it answers. None: it is seen to here, or means nothing."""
        batch = self._of_nameless(origin)
        if batch is None:
            return origin
        waiting = list(self._waiting(batch))
        if batch.has_answers and len(waiting) == 1:
            return waiting[0].pending.id
        batch.refusal = batch.refusal or error
        batch.is_unread &= error.code in _UNREAD_CODES
        if self._is_pipe:
            # Once all of its line is read: a batch of answers may name others.
            unread = BackendProtocolError(self._line.id, "The server did not understand a batch.")
            asyncio.get_running_loop().call_soon(self._ended, batch, unread)
        return None

    def _of_nameless(self, origin: int | None) -> _Batch | None:
        if not self._is_pipe:
            return self._open.get(origin) if origin is not None else None
        # A pipe does not say which message an error is about: it must be the only one, and whole.
        only = next(iter(self._open.values()), None)
        if only is None or len(self._open) > 1 or not only.is_alone or only.has_answers:
            return None
        return only if all(self._is_waiting(item) for item in only.items) else None

    def failed(self, batch_id: int, fault: Failure) -> bool:
        """No more answers will come from this batch; False if it is none."""
        batch = self._open.get(batch_id)
        if batch is not None:
            self._ended(batch, fault)
        return batch is not None

    def left(self, pending: Asked) -> None:
        """Whoever asked has gone its way, with an answer or without."""
        batch = self._open.get(pending.batch or 0)
        if batch is None:
            return
        batch.left += 1
        if batch.left == len(batch.items):
            del self._open[batch.id]
            self._line.abort(batch.id)

    def _ended(self, batch: _Batch, fault: Failure) -> None:
        waiting = list(self._waiting(batch))
        if not waiting or batch.id not in self._open:
            return
        if not batch.is_trial and _is_unread(batch, fault):
            self._stop("it did not understand one")
            self._send_singly(batch, waiting)
            return
        failure = self._failure(batch, fault)
        for item in waiting:
            self._line.request_failed(item.pending.id, failure)

    def _failure(self, batch: _Batch, fault: Failure) -> Failure:
        if batch.is_trial:
            return fault
        error = batch.refusal
        if error is not None and not batch.has_answers:
            self._stop("it failed with one as a whole")
            return BackendError(self._line.id, error.code, error.message[:4096], bytes(error.data))
        if isinstance(fault, BackendProtocolError):
            self._stop("it did not answer one as MCP says")
        if batch.has_answers and isinstance(fault, BackendProtocolError):
            return BackendStreamLost(
                self._line.id, "The server ended its answers without this one.", fault.detail
            )
        return fault

    def _send_singly(self, batch: _Batch, items: Iterable[_Item]) -> None:
        """The server has done nothing of it, so nothing is done twice."""
        del self._open[batch.id]
        for item in items:
            self._tasks.start(self._send_one(item), "again")

    async def _send_one(self, item: _Item) -> None:
        try:
            await self._line.send(item.message)
        except BackendFault as fault:
            self._line.request_failed(item.pending.id, fault)


def _is_unread(batch: _Batch, fault: Failure) -> bool:
    """Whether the server has surely not looked at a single member."""
    if batch.has_answers:
        return False
    if isinstance(fault, BackendHttpError):
        return fault.status in _UNREAD_STATUSES
    return batch.refusal is not None and batch.is_unread


def _batches(items: Iterable[_Item], max_size: int, is_pipe: bool) -> Iterator[list[_Item]]:
    """Those of two members and more; what is in none goes by itself."""
    groups: dict[object, list[_Item]] = {}
    for item in items:
        groups.setdefault(None if is_pipe else _must_be_of(item.pending.call), []).append(item)
    for group in groups.values():
        yield from (batch for batch in _cut(group, max_size) if len(batch) > 1)


def _must_be_of(call: Call | None) -> object:
    """The client that must have made all calls of its batch, since a stream of its own says whom it is about.

    None where that does not matter: nobody can be asked anything, nor wants to hear anything by the way.
    """
    if call is None or call.sink is None:
        return None
    return call.sink.client if call.capabilities.features or call.log_level is not None else None


def _cut(items: Iterable[_Item], max_size: int) -> Iterator[list[_Item]]:
    batch: list[_Item] = []
    size = 0
    for item in items:
        size += len(item.message.data)
        if batch and (len(batch) == max_size or size > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], len(item.message.data)
        batch.append(item)
    yield batch


async def _answer_of_any_kind(pending: Asked) -> None:
    """Raises: BackendFault."""
    try:
        await pending.waiter
    except BackendError:
        # It was told apart, and that is all there is to show.
        pass


def _read(pending: Asked) -> None:
    """Take note of a failure that nobody waits for, as asyncio wants it."""
    waiter = pending.waiter
    if not waiter.done():
        waiter.cancel()
    elif not waiter.cancelled():
        waiter.exception()
