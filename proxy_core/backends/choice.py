"""Which replica of a server is asked: health first, then what the protocol binds, then the balance.

A drained one is never chosen, an ailing one only where no better one is connected, one whose breaker is open
only where there is no other: then it says when it is tried again. Sole owner of which session calls where.
Spec: 2025-11-25 basic/transports, "Session Management".
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from proxy_core.backends.call import Call
from proxy_core.backends.lifecycle import SWITCHED_OFF
from proxy_core.backends.member import Member
from proxy_core.catalog.balance import Balancer, balancer_for
from proxy_core.config.models import Balance, RoutingConfig, ServerConfig
from proxy_core.protocol.revisions import Era
from proxy_core.telemetry.snapshot import ServerState as S

_BEST_FIRST: Final = (S.HEALTHY, S.DEGRADED, S.UNHEALTHY)
"""States in which a replica may be connected."""
_HEADER: Final = "header:"

Tiers = tuple[tuple[Member, ...], ...]
Holders = Mapping[tuple[str, str], frozenset[str]]
"""(list method, name) of what not every replica has -> ids of those that have it."""
_LIST_OF: Final = {
    "tools/call": "tools/list",
    "prompts/get": "prompts/list",
    "resources/read": "resources/list",
}


class Choice:
    def __init__(self, settings: ServerConfig, routing: Callable[[], RoutingConfig]) -> None:
        """`routing`: as the configuration in force says."""
        self._routing = routing
        self._members: tuple[Member, ...] = ()
        self._tiers: Tiers = ((),)
        self._holders: Holders = {}
        self._tiers_of_item: dict[frozenset[str], Tiers] = {}
        self.only: Member | None = None
        """The one there is; None if there are several."""
        self._keeps_sessions = False
        self._homes: dict[str, Member] = {}
        """Legacy session -> the replica that has what belongs to it."""
        self._policy: tuple[Balance, int] | None = None
        self._balancer: Balancer
        self._second: Balancer
        """Of those that are asked in another's place: their turns are none of the first tries."""
        self.use(settings)

    def use(self, settings: ServerConfig) -> None:
        """Other settings, or another routing section. A balance that stays the same goes on where it is."""
        self._settings = settings
        routing = self._routing()
        policy = (settings.balance or routing.balance, routing.virtual_nodes)
        if policy != self._policy:
            self._balancer, self._second = (balancer_for(*policy) for _ in range(2))
            self._policy = policy

    @property
    def balance(self) -> str:
        return self._settings.balance or self._routing().balance

    def changed(self, members: Sequence[Member], holders: Holders) -> None:
        """Some replica's state or lists are not what they were, or there are others."""
        self._members = tuple(members)
        self._holders = holders
        self._tiers_of_item.clear()
        self._tiers = _tiers(self._members)
        is_one = len(self._members) == 1
        self.only = self._members[0] if is_one else None
        self._keeps_sessions = not is_one and (
            self._settings.isolation == "session" or any(map(_has_sessions, self._members))
        )

    def member(self, call: Call) -> Member:
        """Whom to ask. It may turn out that it cannot be asked: then the call says why."""
        if self.only is not None:
            return self.only
        if call.replica is not None and (bound := self._named(call.replica)) is not None:
            return bound
        tiers = self._tiers_for(call)
        home = self._home(call, tiers)
        if home is not None:
            return home
        key = self._key(call)
        chosen = self._balancer.choose(tiers[0], key)
        if chosen.breaker.free is None and chosen.connection is not None:
            chosen = self._best(tiers, key, ()) or min(tiers[0], key=_retry_at)
        self._settle(call, chosen)
        return chosen

    def other(self, call: Call, tried: Collection[Member]) -> Member | None:
        """Another one that is connected and may be asked now; None if there is none."""
        if self.only is not None or call.replica is not None:
            return None
        chosen = self._best(self._tiers_for(call), self._key(call), tried)
        if chosen is not None:
            self._settle(call, chosen)
        return chosen

    def session_ended(self, session: str) -> None:
        self._homes.pop(session, None)

    def _best(self, tiers: Tiers, key: str, tried: Collection[Member]) -> Member | None:
        usable = [tuple(m for m in tier if m not in tried and m.connection is not None) for tier in tiers]
        for tier in usable:
            if closed := tuple(m for m in tier if m.breaker.free is not None):
                return self._second.choose(closed, key)
        for tier in usable:
            # Where others serve, a half open one is left to the probes.
            if trying := tuple(m for m in tier if m.breaker.admits):
                return self._second.choose(trying, key)
        return None

    def _named(self, replica: str) -> Member | None:
        found = [m for m in self._members if m.id == replica]
        return next((m for m in found if m.connection is not None), found[0] if found else None)

    def _tiers_for(self, call: Call) -> Tiers:
        if not self._holders or call.name is None:
            return self._tiers
        holders = self._holders.get((_LIST_OF.get(call.method, ""), call.name))
        if holders is None:
            return self._tiers
        tiers = self._tiers_of_item.get(holders)
        if tiers is None:
            those = tuple(m for m in self._members if m.id in holders)
            tiers = self._tiers_of_item[holders] = _tiers(those or self._members)
        return tiers

    def _home(self, call: Call, tiers: Tiers) -> Member | None:
        """Where this call's legacy session has called before, as long as that can be asked."""
        if not self._keeps_sessions or call.session is None:
            return None
        home = self._homes.get(call.session)
        is_open = home is not None and home.connection is not None and home.breaker.free is not None
        return home if is_open and any(home in tier for tier in tiers) else None

    def _settle(self, call: Call, member: Member) -> None:
        if self._keeps_sessions and call.session is not None:
            self._homes[call.session] = member

    def _key(self, call: Call) -> str:
        if self.balance != "consistent_hash":
            return ""
        by = self._routing().hash_key
        if by == "tool":
            return call.name or call.method
        if by == "session":
            return call.session or call.principal
        if by.startswith(_HEADER) and call.affinity:
            return call.affinity
        return f"{call.principal}\0{call.client}"


def _tiers(members: tuple[Member, ...]) -> Tiers:
    """Those that may be asked, the best first; never empty, as `members` is not."""
    connected = [m for m in members if m.connection is not None]
    tiers = tuple(tier for s in _BEST_FIRST if (tier := tuple(m for m in connected if m.state is s)))
    if tiers:
        return tiers
    # Nobody is connected: rather one that is being started than one that waits for its next start.
    coming = tuple(m for m in members if m.state in (S.STARTING, S.RESTARTING))
    return (coming or tuple(m for m in members if m.state not in SWITCHED_OFF) or members,)


def _has_sessions(member: Member) -> bool:
    """Whether the server keeps something for each session that we open."""
    peer = member.peer
    return peer is not None and peer.era is Era.LEGACY and member.settings.transport.type != "stdio"


def _retry_at(member: Member) -> float:
    return member.breaker.retry_at or 0.0
