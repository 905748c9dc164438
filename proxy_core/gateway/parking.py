"""Calls of legacy servers that go on while their modern client is away to fetch the answers.

A legacy server asks in the middle of a call and waits; a modern client is answered `input_required` and comes
back with a new request. In between the call is parked here. It is never made again: what it did is done.
Spec: 2026-07-28 basic/patterns/mrtr; 2025-11-25 client/elicitation.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from msgspec import Raw, Struct

from proxy_core.backends.call import Answer, Call
from proxy_core.clock import Clock
from proxy_core.errors import Only1Error, Overloaded
from proxy_core.gateway.exchange import Exchange
from proxy_core.gateway.sink import ExchangeSink
from proxy_core.gateway.states import TTL_S, StateKind
from proxy_core.protocol.input_answers import is_answer
from proxy_core.protocol.input_requests import Question, for_modern
from proxy_core.protocol.jsonrpc import RpcError
from proxy_core.tasks import Tasks

WINDOW_S: Final = 0.025
"""How long more questions are waited for: a server that needs several things asks for them in one breath."""
SWEEP_S: Final = 0.5

Outcome: TypeAlias = Answer | Only1Error


class _Open(Struct, eq=False):
    question: Question
    answer: asyncio.Future[bytes | RpcError]


class WaitingCall:
    """One call of a legacy server for a modern client, and what the server still wants to know."""

    def __init__(self, call: Call, sink: ExchangeSink, work: "asyncio.Task[Outcome]") -> None:
        self.call = call
        self.sink = sink
        self.work = work
        self.expires_at = 0.0
        """While parked, in monotonic seconds."""
        self._open: dict[str, _Open] = {}
        self._count = 0
        self._news = asyncio.Event()
        work.add_done_callback(lambda _: self._news.set())
        sink.room = self

    async def put(self, question: Question) -> bytes | RpcError:
        """What the client answers to this; takes as long as it takes."""
        self._count += 1
        key = f"r{self._count}"
        self._open[key] = waiting = _Open(question, asyncio.get_running_loop().create_future())
        self._news.set()
        try:
            return await waiting.answer
        finally:
            self._open.pop(key, None)

    async def settled(self) -> None:
        """Wait until the call has ended or its server waits for answers."""
        while not self.work.done():
            if self._open:
                await asyncio.wait((self.work,), timeout=WINDOW_S)
                if self._open:
                    return
            else:
                self._news.clear()
                await self._news.wait()

    def requests(self) -> dict[str, Any]:
        """What to ask the client for, by key."""
        return {key: for_modern(waiting.question) for key, waiting in self._open.items()}

    def answer(self) -> Answer:
        """What the server answered in the end. Raises: Only1Error."""
        outcome = self.work.result()
        if isinstance(outcome, Only1Error):
            raise outcome
        return outcome

    def leave(self) -> None:
        """The client has been answered for now and goes to fetch what is open."""
        self.sink.leave()
        self.call.park()

    def resume(self, exchange: Exchange, token: Raw, responses: dict[str, Raw]) -> None:
        """The client is back with `exchange`. What it did not answer in due form stays open.

        Keys that are not open are ignored. What needs more than this request declares cannot be asked again.
        """
        self.sink.come_back(exchange, token)
        if exchange.trace is not None and self.call.trace is not None:
            exchange.trace.go_on_from(self.call.trace)
        self.call.trace = exchange.trace
        for key, waiting in list(self._open.items()):
            raw, question = responses.get(key), waiting.question
            if raw is not None and is_answer(question, raw):
                self._close(key, bytes(raw))
            elif not question.needed <= exchange.caller.capabilities.features:
                refusal = self.sink.refuse(question)
                self._close(key, RpcError(refusal.code, refusal.message))

    def _close(self, key: str, answer: bytes | RpcError) -> None:
        waiting = self._open.pop(key)
        if not waiting.answer.done():
            waiting.answer.set_result(answer)


class ParkingTable:
    """Sole owner of the waiting calls: parked under an id that one retry may claim, expired by one sweep."""

    def __init__(self, clock: Clock, limit_for: Callable[[str], int]) -> None:
        """`limit_for`: most calls that a principal may have parked and not yet answered; 0 means no limit."""
        self._clock = clock
        self._limit_for = limit_for
        self._tasks = Tasks("waiting calls")
        self._parked: dict[str, WaitingCall] = {}
        self._held: set[WaitingCall] = set()
        """Calls that have been parked and have not ended; a claimed one keeps its place for the next round."""
        self._sweeping: asyncio.Task[None] | None = None
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._parked)

    def begin(self, call: Call, sink: ExchangeSink, make: Callable[[Call], Awaitable[Answer]]) -> WaitingCall:
        """Start the call; it goes on when whoever asked has been answered for now."""
        return WaitingCall(call, sink, self._tasks.start(_outcome(make, call), call.method))

    async def settled(self, waiting: WaitingCall) -> bool:
        """Whether the call has ended; else its server waits for answers. Who stops waiting here gives it up."""
        try:
            await waiting.settled()
        except asyncio.CancelledError:
            self.give_up(waiting)
            raise
        is_done = waiting.work.done()
        if is_done:
            self._held.discard(waiting)
        return is_done

    def park(self, waiting: WaitingCall) -> str:
        """The id under which the call can be claimed, once. Raises: Overloaded."""
        if self._is_closed:
            raise Overloaded("The gateway is stopping.")
        self._hold(waiting)
        park_id = secrets.token_hex(16)
        waiting.expires_at = self._clock.monotonic() + TTL_S[StateKind.PARK]
        self._parked[park_id] = waiting
        waiting.leave()
        if self._sweeping is None or self._sweeping.done():
            self._sweeping = self._tasks.start(self._sweep(), "sweep")
        return park_id

    def claim(self, park_id: str) -> WaitingCall | None:
        """The parked call; None if there is none of this id, or no more."""
        return self._parked.pop(park_id, None)

    def give_up(self, waiting: WaitingCall) -> None:
        """Nobody waits any more: the backend is told, and what it still asks is answered without the client."""
        self._held.discard(waiting)
        waiting.work.cancel()

    def _hold(self, waiting: WaitingCall) -> None:
        principal = waiting.call.principal
        limit = self._limit_for(principal)
        held = sum(each.call.principal == principal for each in self._held) if limit else 0
        if waiting not in self._held and limit and held >= limit:
            raise Overloaded(f"Too many calls wait for input; the limit is {limit}.")
        self._held.add(waiting)

    async def _sweep(self) -> None:
        while self._parked:
            await asyncio.sleep(SWEEP_S)
            self._expire(self._clock.monotonic())

    def _expire(self, now: float) -> None:
        for park_id, waiting in list(self._parked.items()):
            if now >= waiting.expires_at:
                del self._parked[park_id]
                self.give_up(waiting)

    async def aclose(self) -> None:
        """Give up what is parked. Calls in flight whose client is there go on. Safe to call twice."""
        self._is_closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        parked, self._parked = self._parked, {}
        for waiting in parked.values():
            self.give_up(waiting)
        if parked:
            await asyncio.wait([waiting.work for waiting in parked.values()])


async def _outcome(make: Callable[[Call], Awaitable[Answer]], call: Call) -> Outcome:
    """A failure as a value: it may come while nobody is there to hear of it."""
    try:
        return await make(call)
    except Only1Error as error:
        return error
