"""One MCP server under one name: its replicas, its lists as a whole, its calls, its verbs.

Sole writer of the set of its replicas. Tells those above by `Upward` when what it offers has changed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from msgspec import Raw

from proxy_core.backends import server_state
from proxy_core.backends.call import Answer, Call
from proxy_core.backends.choice import Choice
from proxy_core.backends.connection import Terms
from proxy_core.backends.direct_call import DirectLane
from proxy_core.backends.lifecycle import IN_SERVICE, SWITCHED_OFF, Event
from proxy_core.backends.lists import FEATURE_OF, Listing, Lists
from proxy_core.backends.member import MakeChannel, Member
from proxy_core.backends.merged_lists import merged
from proxy_core.backends.peer import Peer
from proxy_core.backends.process_samples import Child
from proxy_core.backends.repeating import Repeating
from proxy_core.backends.slots import Slots, waited
from proxy_core.backends.topics import Topics
from proxy_core.backends.upward import Upward
from proxy_core.backends.wanted import Topic
from proxy_core.clock import Clock
from proxy_core.config.models import ReplicaConfig, ServerConfig
from proxy_core.control import DrainOutcome
from proxy_core.errors import BackendFault, BackendUnavailable, Kind, Overloaded, UnknownReplica
from proxy_core.facts import CallRetried, ReplicaChanged
from proxy_core.feed import Feed
from proxy_core.protocol.jsonrpc import Request, RpcError
from proxy_core.protocol.methods import LOG_LEVELS
from proxy_core.protocol.revisions import Era
from proxy_core.protocol.tasks import Task
from proxy_core.tasks import Tasks
from proxy_core.telemetry.snapshot import Probe, ServerState

ServerSays = Callable[[str, str, str], None]
"""(server, or one of its replicas as server/replica; level; text) for the log."""
_NO_PARAMS: Final = Raw(b"{}")
STDERR_LINES: Final = 500
"""Kept for the screens, of all replicas together."""
ROLLING_S: Final = 30.0
"""How long a restart of one replica waits for the one before to be back."""


class Backend:
    def __init__(
        self,
        settings: ServerConfig,
        make_channel: MakeChannel,
        upward: Upward,
        clock: Clock,
        *,
        says: ServerSays,
        on_state: Callable[[str, ServerState, ServerState, str], None],
        terms: Terms | None = None,
        unset: str | None = None,
        on_lists: "Callable[[Backend], None]" = lambda backend: None,
    ) -> None:
        """`unset`: why it cannot run, if a variable that it needs is not set. `on_lists`: they were read."""
        self.settings = settings
        self.id = settings.id
        self.unset = unset
        self._make_channel = make_channel
        self._upward = upward
        self._clock = clock
        self._says = says
        self._on_state = on_state
        self._on_lists = on_lists
        self._terms = terms or Terms()
        self._tasks = Tasks(f"backend:{settings.id}")
        self._wanted_level: str | None = None
        self._was_listed = False
        self._leaving: dict[Member, tuple[Member, ...]] = {}
        """Replicas that are no longer configured, each with those of which one must serve before it goes."""
        self.stderr: Feed[str] = Feed(STDERR_LINES)
        self.repeating = Repeating(self._terms.retry)
        self.slots = Slots(settings.concurrency, self._terms.server_queue)
        """Places for the calls of all its replicas together."""
        self.choice = Choice(settings, self._terms.routing)
        self._topics = Topics(lambda uri: upward.resource_updated(self.id, uri), self._tasks)
        self._merged = merged([])
        self.lists = Lists()
        """Those of all replicas together."""
        self.members: tuple[Member, ...] = tuple(self._new_member(place) for place in settings.places)
        """Its replicas, in the order of the configuration."""
        self.state, self.reason = server_state.of(self.members)
        self.since_at = clock.monotonic()
        self._choose_anew()
        self._switch_off_unset()

    def _new_member(self, place: ReplicaConfig) -> Member:
        return Member(
            place.id,
            place.weight,
            self.settings.at(place),
            self._make_channel,
            self,
            self._clock,
            log_level=lambda: self._wanted_level,
            terms=self._terms,
        )

    def _switch_off_unset(self) -> None:
        if self.unset is not None:
            for member in self.members:
                if member.connection is None:
                    member.switch_off(self.unset)
            # Where the state is no other one, nobody is told, and the reason would stay the old one.
            self._look_at_state()

    # --- for those above ------------------------------------------------------------------------------------

    @property
    def all_members(self) -> tuple[Member, ...]:
        """Those that leave last."""
        return (*self.members, *self._leaving) if self._leaving else self.members

    @property
    def leaving(self) -> tuple[Member, ...]:
        return tuple(self._leaving)

    @property
    def in_flight(self) -> int:
        return sum([member.in_flight for member in self.all_members])

    @property
    def queued(self) -> int:
        """Calls that wait for a free place."""
        return self.slots.waiting + sum([member.replica.waiting for member in self.all_members])

    @property
    def batches_sent(self) -> int:
        """JSON-RPC batches of requests, to all its replicas so far."""
        return sum(member.batches_sent for member in self.all_members)

    @property
    def requests_in_batches(self) -> int:
        """Requests that travelled in those."""
        return sum(member.requests_in_batches for member in self.all_members)

    @property
    def differences(self) -> tuple[str, ...]:
        """What some replicas list and others do not, a sentence each."""
        return self._merged.differences

    @property
    def is_remembered(self) -> bool:
        """Whether its lists are those of an earlier run."""
        return self.state not in IN_SERVICE and any(member.is_remembered for member in self.members)

    @property
    def peer(self) -> Peer | None:
        """What it says of itself. A legacy replica speaks for all: with it more may come to be needed."""
        found = [member.peer for member in self.all_members if member.peer is not None]
        return next((peer for peer in found if peer.era is Era.LEGACY), found[0] if found else None)

    @property
    def is_listed(self) -> bool:
        """Whether clients see its items: in service, or down for so short a time that it may well be back."""
        return any(member.is_listed for member in self.all_members)

    @property
    def is_settling(self) -> bool:
        """Whether it is worth a wait: it is being started, and there is nothing to show in the meantime."""
        return self.state is ServerState.STARTING and not self.is_listed

    async def settled(self) -> None:
        """Wait until the state of a replica changes, or an attempt to connect ends."""
        if len(self.members) == 1:
            await self.members[0].settled()
            return
        waits = [self._tasks.start(member.settled(), "settled") for member in self.members]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def children(self) -> list[Child]:
        """Its child processes."""
        return [
            Child(self.id, member.id, client, pid, started_at)
            for member in self.all_members
            for client, pid, started_at in member.replica.processes()
        ]

    def refuse(self) -> NoReturn:
        """Say why it cannot be asked now. Raises: BackendUnavailable."""
        self.members[0].replica.refuse()

    def remembered(self) -> None:
        """Its replicas have been given the lists of an earlier run."""
        self._merge()

    # --- calls ----------------------------------------------------------------------------------------------

    async def call(self, call: Call) -> Answer:
        """One client call; the server's own result. Raises: BackendError, BackendFault, Overloaded.

        What surely never reached a replica is made at another. What may have reached one is made again only if
        that is safe and the configuration allows it, elsewhere if possible.
        """
        slots, begun_at = self.slots, call.met.began_at if call.met else self._clock.monotonic()
        if slots.taken < slots.limit:
            slots.taken += 1
        else:
            await slots.wait(begun_at + self.settings.timeouts.call_idle_s)
            if call.trace is not None:
                call.trace.step("queued", waited(begun_at, self._clock.monotonic()))
        call.place = slots
        try:
            member = self.choice.member(call)
            if call.met is None:
                self.repeating.begun()
            try:
                return await member.call(call)
            except (BackendFault, Overloaded) as failure:
                return await self._again(call, member, failure, begun_at)
        finally:
            call.leave_place()

    def lane(self, call: Call, own_meta: bytes) -> DirectLane | None:
        """For calls that are like this one, and go without a task; None if they cannot now.

        `call`: without params, which have but arguments and a `_meta` that is `own_meta`, JSON of at most a
        kilobyte without progress token and log level.
        """
        member = self.choice.only
        found = member.open_for(call) if member is not None else None
        return None if member is None or found is None else DirectLane(self, member, *found, call, own_meta)

    async def _again(
        self, call: Call, member: Member, failure: BackendFault | Overloaded, begun_at: float
    ) -> Answer:
        tried, repeats = {member}, 0
        _, whole_s = self.settings.waits_for(call.name or "")
        while True:
            following = self.choice.other(call, tried)
            if isinstance(failure, BackendFault) and not failure.nothing_sent:
                if following is None and failure.kind is not Kind.TIMEOUT:
                    # Who waited out a silence need not wait for the same one again.
                    following = member
                if following is not None and not self.repeating.may(
                    failure, call, repeats, self.settings.tools
                ):
                    following = None
                repeats += 1
            call.remaining_s = begun_at + whole_s - self._clock.monotonic()
            if following is None or call.remaining_s <= 0:
                raise failure
            self._repeated(call, member, failure)
            if following is member:
                await self.repeating.pause(repeats)
            member = following
            tried.add(member)
            try:
                return await member.call(call)
            except (BackendFault, Overloaded) as error:
                failure = error

    def _repeated(self, call: Call, member: Member, failure: BackendFault | Overloaded) -> None:
        kind = failure.kind if isinstance(failure, BackendFault) else Kind.OVERLOADED
        if call.trace is not None:
            call.trace.step("retried", f"{self.id}/{member.id}: {kind}")
        self.repeating.count += 1
        self._terms.publish(CallRetried(self._clock.monotonic(), self.id, member.id, kind))

    async def read_for(self, principal: str, method: str) -> Listing:
        """As `Member.read_for`, of the replica that this principal's calls may go to."""
        call = Call(method, _NO_PARAMS, principal=principal)
        return await self.choice.member(call).read_for(principal, method)

    def sweep(self, now: float) -> None:
        """Fail what has waited too long; take the lists of a server that is down too long out of sight."""
        if self._was_listed != self.is_listed:
            self._was_listed = self.is_listed
            self._merge()
            self._upward.lists_changed(self.id)
        self.slots.expire(now)
        for member in self.all_members:
            member.sweep(now)

    # --- what clients want to hear --------------------------------------------------------------------------

    def want_log_level(self, level: str) -> None:
        """Some client wants log messages from `level` on; the server is told the most verbose one wanted."""
        wanted = self._wanted_level
        if wanted is None or LOG_LEVELS.index(level) < LOG_LEVELS.index(wanted):
            self._wanted_level = level
            for member in self.all_members:
                member.tell_log_level()

    def roots_changed(self, principal: str, session: str | None) -> None:
        """A legacy client's roots changed."""
        for member in self.all_members:
            member.roots_changed(principal, session)

    def session_ended(self, session: str | None) -> None:
        """A legacy client has gone: end the connections that were its alone."""
        if session is not None:
            self.choice.session_ended(session)
            for member in self.all_members:
                member.replica.further.session_ended(session)

    async def subscribe(self, topic: Topic, replica: str = "") -> bool:
        """One more wants to hear of this, in the server's own words; whether the server tells.

        `replica`: of a task, the one that runs it. Counts nothing without a yes, nor if it is cancelled.
        Survives reconnects. The primary connection of one replica subscribes, for all principals.
        Raises: BackendUnavailable.
        """
        member = next((each for each in self.members if each.id == replica), None) or self._best
        if member is None:
            member = self.choice.member(Call("resources/subscribe", _NO_PARAMS))
            await member.replica.ready()
        return await self._topics.add(topic, member)

    def unsubscribe(self, topic: Topic, replica: str = "") -> None:
        """One less; nothing is asked of the server before the last one has gone."""
        self._topics.remove(topic, replica)

    @property
    def _best(self) -> Member | None:
        return next((each for each in self.all_members if each.state in IN_SERVICE and each.connection), None)

    # --- its settings ---------------------------------------------------------------------------------------

    def use(self, settings: ServerConfig, unset: str | None, grace_s: float) -> None:
        """Settings of another configuration, or another section that concerns it.

        A replica whose transport or era is another is replaced: the new one starts first, and the old one
        drains when that is in service. One that is no longer there drains.
        """
        was_enabled, was_on = self.settings.enabled, self.settings.enabled and self.unset is None
        if settings is self.settings and unset is None and self.unset is None:
            # As most servers are in most reloads. It asks other sections by itself, but for these.
            self._sections_changed()
            return
        self.settings, self.unset = settings, unset
        is_on = settings.enabled and unset is None
        old = {member.id: member for member in self.members}
        self.members = tuple(self._kept_or_new(place, old) for place in settings.places)
        for member in old.values():
            if member not in self.members:
                self._let_go(member, self._followers(member, old), grace_s)
        for member in self.members:
            before = old.get(member.id)
            if before is not member:
                if before is not None and was_on and before.state in SWITCHED_OFF:
                    # A person switched it off, and did not ask for it to come back elsewhere.
                    member.switch_off(before.reason)
                elif is_on:
                    member.start()
            elif is_on and not was_on:
                self._tasks.start(member.resume(), "enable")
            elif was_enabled and not settings.enabled:
                self._tasks.start(self._switch_off(member, grace_s), "disable")
        self.choice.use(settings)
        self.slots.widen(settings.concurrency)
        self._switch_off_unset()
        self._member_set_changed()

    def _sections_changed(self) -> None:
        self.choice.use(self.settings)
        for member in self.members:
            member.checks.rules_changed()

    def _kept_or_new(self, place: ReplicaConfig, old: dict[str, Member]) -> Member:
        settings, member = self.settings.at(place), old.get(place.id)
        if member is not None and member.settings.transport == place.transport:
            if member.settings.era == settings.era:
                member.use(settings, place.weight)
                return member
        return self._new_member(place)

    async def _switch_off(self, member: Member, grace_s: float) -> None:
        await member.drain(grace_s, Event.DISABLED)
        if self.unset is not None:
            member.switch_off(self.unset)

    def _followers(self, member: Member, old: dict[str, Member]) -> tuple[Member, ...]:
        """The one in its place; or all that are new, where none stays that serves."""
        own = tuple(each for each in self.members if each.id == member.id)
        if own or any(each.connection is not None for each in self.members):
            return own
        return tuple(each for each in self.members if each not in old.values())

    def _let_go(self, member: Member, followers: tuple[Member, ...], grace_s: float) -> None:
        member.is_leaving = True
        for each, awaited in self._leaving.items():
            if member in awaited:
                # Whoever waits for one that never came to serve waits for those in its place.
                self._leaving[each] = followers
        self._leaving[member] = followers
        self._tasks.start(self._retire(member, grace_s), f"retire-{member.id}")

    async def _retire(self, member: Member, grace_s: float) -> None:
        """Drain a replica that is no longer configured, once one in its place serves."""
        try:
            while (
                (followers := self._leaving[member])
                and member.connection is not None
                and all(map(_is_coming, followers))
            ):
                waits = [self._tasks.start(each.settled(), "settled") for each in (member, *followers)]
                try:
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for wait in waits:
                        wait.cancel()
            await member.drain(grace_s)
        finally:
            await member.aclose()
            self._leaving.pop(member, None)
            self._member_set_changed()

    def _member_set_changed(self) -> None:
        self._merge()
        self._look_at_state()
        self._upward.lists_changed(self.id)

    # --- verbs ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        for member in self.members:
            member.start()

    def named(self, replica: str | None) -> tuple[Member, ...]:
        """Raises: UnknownReplica."""
        if replica is None:
            return self.members
        found = tuple(member for member in self.members if member.id == replica)
        if not found:
            raise UnknownReplica(self.id, replica, tuple(member.id for member in self.members))
        return found

    async def drain(
        self, grace_s: float, final: Event = Event.DRAINED, replica: str | None = None
    ) -> DrainOutcome:
        """As `Member.drain`, of one replica or of all at once."""
        members = self.named(replica)
        if replica is None:
            # Those that leave are waited for too; what becomes of them is settled.
            members = self.all_members
        outcomes = await asyncio.gather(*(member.drain(grace_s, final) for member in members))
        return DrainOutcome(
            sum(outcome.finished for outcome in outcomes),
            sum(outcome.abandoned for outcome in outcomes),
            tuple(call for outcome in outcomes for call in outcome.calls),
        )

    async def resume(self, replica: str | None = None) -> None:
        """Take calls again after a drain or a disable."""
        await asyncio.gather(*(member.resume() for member in self.named(replica)))

    async def restart(self, grace_s: float, replica: str | None = None) -> None:
        """Drain, then start again; of several replicas one after the other, so that the others serve meanwhile.

        Goes on to its end even if whoever asked does not wait for it.
        """
        members = self.named(replica)
        await asyncio.shield(self._tasks.start(self._restart(members, grace_s), "restart"))

    async def _restart(self, members: tuple[Member, ...], grace_s: float) -> None:
        for number, member in enumerate(members):
            await member.restart(grace_s)
            if number < len(members) - 1:
                await self._until_back(member)

    async def _until_back(self, member: Member) -> None:
        try:
            async with asyncio.timeout(ROLLING_S):
                while member.state is ServerState.STARTING:
                    await member.settled()
        except TimeoutError:
            self._says(
                self.id, "warning", f"its replica {member.id} takes long to start; going on with the next"
            )

    async def probe(self, replica: str | None = None) -> Probe:
        """As `Checks.probe`; of several the worst."""
        probes = await asyncio.gather(*(member.checks.probe() for member in self.named(replica)))
        return max(probes, key=lambda probe: (probe.error is not None, probe.latency_ms or 0.0))

    async def refresh(self, methods: tuple[str, ...] = tuple(FEATURE_OF)) -> None:
        """Read these lists again, of every replica that is connected."""
        await self._each_connected(lambda member: member.offer.refresh(methods))

    def refresh_soon(self, method: str) -> None:
        """As `refresh`, without waiting."""
        for member in self.all_members:
            if member.connection is not None:
                member.offer.refresh_soon(method)

    def is_current(self, method: str) -> bool:
        """Whether nothing has been said against this list of its since it was read."""
        return all(
            member.offer.is_current(method) for member in self.all_members if member.connection is not None
        )

    def invalidate(self, methods: tuple[str, ...] = tuple(FEATURE_OF)) -> None:
        """Its lists do not count any more; they are read again when somebody asks for them."""
        for member in self.all_members:
            member.offer.invalidate(methods)
        self._upward.lists_invalid(self.id, methods)

    async def renew(self, method: str) -> None:
        """Have this list as it is now, of every replica that is connected."""
        await self._each_connected(lambda member: member.offer.renew(method))

    async def _each_connected(self, do: Callable[[Member], Awaitable[None]]) -> None:
        await asyncio.gather(*(do(member) for member in self.all_members if member.connection is not None))

    async def aclose(self) -> None:
        self.slots.fail(BackendUnavailable(self.id, "The connection to the server was closed."))
        await self._tasks.aclose()
        await asyncio.gather(*(member.aclose() for member in self.all_members))

    # --- what a replica says (MemberOwner) --------------------------------------------------------------------

    def lists_read(self, member: Member) -> None:
        self._merge()
        self._on_lists(self)
        self._upward.lists_changed(self.id)

    def lists_invalid(self, member: Member, methods: tuple[str, ...]) -> None:
        self._upward.lists_invalid(self.id, methods)

    def member_changed(self, member: Member, before: ServerState, now: ServerState, reason: str) -> None:
        if self.settings.replicas or self._leaving:
            self._terms.publish(
                ReplicaChanged(self._clock.monotonic(), self.id, member.id, before, now, reason)
            )
        self._merge()
        self._look_at_state()
        self._topics.changed(self._best)
        self._upward.state_changed(self.id, before, now)
        self._upward.lists_changed(self.id)

    def said(self, member: Member, level: str, text: str) -> None:
        self._says(f"{self.id}/{member.id}" if self.settings.replicas else self.id, level, text)

    def heard_stderr(self, member: Member, line: str) -> None:
        self.stderr.publish(f"{member.id}: {line}" if len(self.all_members) > 1 else line)
        self.said(member, "info", line)

    def resource_updated(self, uri: str) -> None:
        self._upward.resource_updated(self.id, uri)

    def task_changed(self, member: Member, task: Task) -> None:
        self._upward.task_changed(self.id, member.id, task)

    def elicitation_complete(self, elicitation_id: str) -> None:
        self._upward.elicitation_complete(self.id, elicitation_id)

    async def session_request(self, session: str, request: Request) -> bytes | RpcError:
        return await self._upward.session_request(self.id, session, request)

    # --- what its replicas are together -----------------------------------------------------------------------

    def _merge(self) -> None:
        parts = [member for member in self.members if member.is_listed]
        # One that is replaced stands in for the new one until that has lists of its own.
        parts += [
            old
            for old, followers in self._leaving.items()
            if old.is_listed and not any(each in parts for each in followers)
        ]
        if parts:
            before = self._merged.differences
            self._merged = merged([(member.id, member.lists) for member in parts])
            self.lists = Lists(dict(self._merged.by_method))
            if self._merged.differences != before:
                for words in self._merged.differences:
                    self._says(self.id, "warning", f"its replicas differ: {words}")
        self._choose_anew()

    def _choose_anew(self) -> None:
        self.choice.changed(self.all_members, self._merged.holders)

    def _look_at_state(self) -> None:
        stand_ins = [old for old in self._leaving if old.state not in SWITCHED_OFF]
        before = self.state
        self.state, self.reason = server_state.of(self.members, stand_ins)
        if self.state is not before:
            self.since_at = self._clock.monotonic()
            self._on_state(self.id, before, self.state, self.reason)


def _is_coming(member: Member) -> bool:
    """Whether it is on, and not in service."""
    return member.state not in SWITCHED_OFF and member.connection is None
