"""What is being answered, at whichever door, so that what is taken back ends it: its answer is given to nobody.

Knows no transport and no token: it is told who has lost what, and looks itself at what a profile denies by now.
A request that took no task yet is known to `EventStreams` alone, since it costs a call to be known twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Protocol

from proxy_core.access.policy import COMPLETION, Policies
from proxy_core.config.models import Config
from proxy_core.errors import Only1Error, UnknownName, UnknownReference, UnknownResource
from proxy_core.frontend.responses import Handler, Outcome, failure, outcome_of
from proxy_core.gateway.exchange import Caller, Exchange


class Asked(Protocol):
    """What is asked, as far as it is known by now."""

    @property
    def caller(self) -> Caller: ...
    @property
    def method(self) -> str: ...
    @property
    def target(self) -> str | None:
        """The name or URI, as the client says it; None: it names nothing, or was not looked at yet."""
        ...

    @property
    def backend(self) -> str | None:
        """The server that was chosen for it."""
        ...


class Pending(Protocol):
    """A request that has no answer yet."""

    @property
    def asked(self) -> Asked: ...

    def end(self, why: Only1Error) -> None:
        """Answer it so, and stop what is done for it. Does nothing where it was ended already."""
        ...


class Running:
    """One that has a task, from before that begins."""

    __slots__ = ("_task", "_why", "asked")

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self._task: asyncio.Task[object] | None = None
        self._why: Only1Error | None = None

    def end(self, why: Only1Error) -> None:
        if self._why is None:
            self._why = why
            if self._task is not None:
                self._task.cancel()

    def refusal(self, raw_id: bytes) -> Outcome | None:
        """What it is answered; None: it was not ended."""
        return None if self._why is None else failure(self._why, raw_id, self.asked.caller.era)

    async def outcome(self, work: Awaitable[Outcome], raw_id: bytes) -> Outcome:
        """What the work comes to, in the task that asks, unless it is ended meanwhile."""
        self._task = task = asyncio.current_task()
        try:
            return await work
        except asyncio.CancelledError:
            refusal = self.refusal(raw_id)
            # A client that hangs up, or a session that ends, at the same time has the last word.
            if refusal is None or task is None or task.uncancel():
                raise
            return refusal
        finally:
            # What it came to may still be on its way to the client.
            self._task = None


class Underway:
    """Sole owner of the set."""

    def __init__(self, quiet: Callable[[], Iterable[Pending]] = tuple) -> None:
        """`quiet`: those that took no task yet."""
        self._quiet = quiet
        self._open: set[Pending] = set()

    def add(self, pending: Pending) -> None:
        self._open.add(pending)

    def discard(self, pending: Pending) -> None:
        self._open.discard(pending)

    async def outcome_of(self, handler: Handler, exchange: Exchange, raw_id: bytes) -> Outcome:
        """As `responses.outcome_of`, unless it is ended before."""
        running = Running(exchange)
        self._open.add(running)
        try:
            return await running.outcome(outcome_of(handler, exchange, raw_id), raw_id)
        finally:
            self._open.discard(running)

    def end_where(self, is_meant: Callable[[Caller], bool], why: Callable[[Caller], Only1Error]) -> None:
        """End those of whoever lost what let them in."""
        for each in self._all():
            if is_meant(each.asked.caller):
                each.end(why(each.asked.caller))

    def judge(self, before: Config, now: Config) -> None:
        """End those that `before` allowed and `now` denies, with the words for what never was."""
        if _rules(before) == _rules(now):
            return
        old, new = Policies(before), Policies(now)
        for each in self._all():
            asked = each.asked
            if asked.target is not None and _allows(old, asked) and not _allows(new, asked):
                each.end(_unknown(asked.method, asked.target))

    def _all(self) -> Iterator[Pending]:
        yield from [*self._open, *self._quiet()]


def _rules(config: Config) -> object:
    return config.profiles, [(server.id, server.tools) for server in config.servers]


def _allows(policies: Policies, asked: Asked) -> bool:
    # Not asked by the server's own name, which need not be known yet: before and now are judged alike.
    server = asked.backend or ""
    return policies.verdict(asked.caller.profile, asked.method, asked.target or "", server).is_allowed


def _unknown(method: str, target: str) -> Only1Error:
    if method == COMPLETION:
        return UnknownReference()
    if method.startswith("resources/"):
        return UnknownResource(target)
    return UnknownName("tool" if method == "tools/call" else "prompt", target)
