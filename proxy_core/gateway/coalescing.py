"""One backend call for identical requests: those under way are joined, and a window waits for more of them.

Sole owner of what is being asked. Knows nothing of what a request means: equal keys are equal requests. After
an invalidation nobody joins what was asked before it, and nobody may keep its answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable
from typing import Any, Generic, NamedTuple, TypeVar

from msgspec import Struct

from proxy_core.clock import Clock
from proxy_core.config.saving import BatchingConfig
from proxy_core.errors import Only1Error
from proxy_core.tasks import Tasks

T = TypeVar("T")


class Subject(NamedTuple):
    """What a request is about, in the server's own words: what an invalidation may name."""

    server: str
    method: str
    target: str = ""
    """The tool, prompt or URI; empty for lists."""


class Personal(Exception):
    """The answer is for one of those who wait alone; the others ask by themselves."""


class JoinCounts(Struct):
    """Of one method at one server, since start."""

    asked: int = 0
    """Requests that no kept answer served."""
    made: int = 0
    """Calls of the server that were made for them."""
    saved: int = 0
    """Requests that were answered by a call made for another."""
    windows: int = 0
    """That were opened."""
    windows_full: int = 0
    """Of those, ended because as many requests waited as may."""
    window_wait_s: float = 0.0
    """How long they were open, all together."""


class Flight(Generic[T]):
    """One call that is made, or about to be, and whoever waits for its answer."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.is_void = False
        """What it asked about has changed since: its answer is for those who wait, and never kept."""
        self.is_personal = False
        self.owner: asyncio.Future[None] | None = None
        """Whose answer it is, once it is personal."""
        self.waiting: dict[asyncio.Future[None], object] = {}
        """Whoever waits, in order of arrival, with what they brought."""
        self.task: asyncio.Task[T | Only1Error] | None = None
        self.window: _Window | None = None
        """While it waits for more requests."""

    @property
    def is_joinable(self) -> bool:
        has_ended = self.task is None or self.task.done() or not self.waiting
        return not (self.is_void or self.is_personal or has_ended)

    def keep_personal(self) -> None:
        """From now on it is about the one who has waited longest; the others are told to ask by themselves."""
        if self.is_personal:
            return
        self.is_personal = True
        self.owner = next(iter(self.waiting), None)
        for waiter in self.waiting:
            if waiter is not self.owner and not waiter.done():
                waiter.set_result(None)

    def landed(self, _task: "asyncio.Task[T | Only1Error]") -> None:
        for waiter in self.waiting:
            if not waiter.done():
                waiter.set_result(None)


class Seat(Generic[T]):
    """One request's place on a flight. Must be left, however it ends."""

    def __init__(self, flight: Flight[T], counts: JoinCounts, brought: object, *, is_first: bool) -> None:
        self.flight = flight
        self._counts = counts
        self._is_first = is_first
        self._waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        flight.waiting[self._waiter] = brought

    async def answer(self) -> T:
        """What the call came to. Raises: Only1Error, its failure; Personal, if it is another's."""
        flight, task = self.flight, self.flight.task
        assert task is not None
        if not task.done():
            await self._waiter
        if flight.is_personal and flight.owner is not self._waiter:
            raise Personal
        if not self._is_first:
            self._counts.saved += 1
        outcome = task.result()
        if isinstance(outcome, Only1Error):
            # Raised once for each who waits: what the others' tracebacks say is not for this one.
            raise outcome.with_traceback(None)
        return outcome

    def leave(self, goes_on: bool = False) -> None:
        """Wait no more; with the last one the call is given up, unless it `goes_on`. Safe to call twice."""
        flight, task = self.flight, self.flight.task
        if not goes_on:
            flight.waiting.pop(self._waiter, None)
        if not flight.waiting and task is not None and not task.done():
            task.cancel()


class _Window:
    """Requests of one method at one server that wait for others to go with them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0
        self.is_over = asyncio.Event()

    def add(self) -> None:
        self._count += 1
        if self._count >= self._limit:
            self.is_over.set()


class Flights:
    def __init__(self, clock: Clock, settings: Callable[[], BatchingConfig]) -> None:
        self._clock = clock
        self._settings = settings
        self._tasks = Tasks("flights")
        self._joinable: dict[Hashable, Flight[Any]] = {}
        self._asked: set[Flight[Any]] = set()
        """What servers have been asked and have not answered."""
        self._windows: dict[tuple[str, str], _Window] = {}
        self.counts: dict[tuple[str, str], JoinCounts] = {}
        """By method and server."""

    def __len__(self) -> int:
        return len(self._asked)

    async def join(
        self,
        key: Hashable,
        subject: Subject,
        make: Callable[[Flight[T]], Awaitable[T]],
        brought: object = None,
    ) -> tuple[T, Flight[T]]:
        """What `make` comes to, called once for all who ask with this key before it is answered.

        A failure reaches all; who is cancelled harms nobody else, and the last one takes the call along. Where
        `make` finds that the answer is for one alone and says `keep_personal`, the others make their own calls.
        """
        seat = self.seat(key, subject, make, brought)
        try:
            return await seat.answer(), seat.flight
        except Personal:
            pass
        finally:
            seat.leave()
        self._count(subject).made += 1
        return await self.alone(subject, make)

    def seat(
        self,
        key: Hashable,
        subject: Subject,
        make: Callable[[Flight[T]], Awaitable[T]],
        brought: object = None,
    ) -> Seat[T]:
        """As `join`, for those who wait for several: take the seats, await their answers, leave them."""
        counts = self._count(subject)
        counts.asked += 1
        flight: Flight[T] | None = self._joinable.get(key)
        if flight is not None and flight.is_joinable:
            if flight.window is not None:
                flight.window.add()
            return Seat(flight, counts, brought, is_first=False)
        flight = Flight(subject)
        flight.window = self._window(subject, counts)
        seat = Seat(flight, counts, brought, is_first=True)
        flying = self._fly(key, flight, make, counts)
        flight.task = self._tasks.start(flying, subject.method)
        flight.task.add_done_callback(flight.landed)
        self._joinable[key] = flight
        return seat

    def is_under_way(self, key: Hashable) -> bool:
        """Whether a request with this key would join another."""
        flight = self._joinable.get(key)
        return flight is not None and flight.is_joinable

    async def alone(self, subject: Subject, make: Callable[[Flight[T]], Awaitable[T]]) -> tuple[T, Flight[T]]:
        """A request that nobody may join, but which an invalidation must find. Ends with the caller's task."""
        flight: Flight[T] = Flight(subject)
        self._asked.add(flight)
        try:
            return await make(flight), flight
        finally:
            self._asked.discard(flight)

    def invalidate(self, concerns: Callable[[Subject], bool]) -> None:
        """What these requests are about is not what it was when they were asked."""
        for flight in self._asked:
            if concerns(flight.subject):
                flight.is_void = True

    def keep(self, servers: Collection[str]) -> None:
        """Forget the counts of servers that are no longer configured."""
        for place in [place for place in self.counts if place[1] not in servers]:
            del self.counts[place]

    async def aclose(self) -> None:
        await self._tasks.aclose()

    # --- one call ---------------------------------------------------------------------------------------------

    async def _fly(
        self, key: Hashable, flight: Flight[T], make: Callable[[Flight[T]], Awaitable[T]], counts: JoinCounts
    ) -> T | Only1Error:
        try:
            if flight.window is not None:
                await flight.window.is_over.wait()
                flight.window = None
            counts.made += 1
            self._asked.add(flight)
            return await make(flight)
        except Only1Error as failure:
            return failure
        finally:
            self._asked.discard(flight)
            if self._joinable.get(key) is flight:
                del self._joinable[key]

    def _window(self, subject: Subject, counts: JoinCounts) -> _Window | None:
        settings = self._settings()
        if not (settings.enabled and settings.window_ms and subject.method in settings.methods):
            return None
        place = (subject.method, subject.server)
        window = self._windows.get(place)
        if window is None:
            window = self._windows[place] = _Window(settings.max_batch_size)
            self._tasks.start(self._close(place, window, settings.window_ms / 1000, counts), "window")
        window.add()
        return window

    async def _close(self, place: tuple[str, str], window: _Window, wait_s: float, counts: JoinCounts) -> None:
        counts.windows += 1
        opened_at = self._clock.monotonic()
        try:
            async with asyncio.timeout(wait_s):
                await window.is_over.wait()
            counts.windows_full += 1
        except TimeoutError:
            window.is_over.set()
        finally:
            counts.window_wait_s += self._clock.monotonic() - opened_at
            del self._windows[place]

    def _count(self, subject: Subject) -> JoinCounts:
        place = (subject.method, subject.server)
        counts = self.counts.get(place)
        if counts is None:
            counts = self.counts[place] = JoinCounts()
        return counts
