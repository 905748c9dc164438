"""How each server came to be as it is: its last changes of state and turns of its breakers. Pure."""

from typing import Final

from proxy_core.facts import BreakerTurned, Fact, ReplicaChanged, StateChanged
from proxy_core.telemetry.snapshot import Change

KEPT: Final = 24
"""Of each server, its replicas' included."""


class Changes:
    def __init__(self) -> None:
        self._servers: dict[str, tuple[Change, ...]] = {}

    def fold(self, fact: Fact) -> None:
        match fact:
            case StateChanged():
                change = Change(fact.at, "", "state", fact.after, fact.before, fact.reason)
            case ReplicaChanged():
                change = Change(fact.at, fact.replica, "state", fact.after, fact.before, fact.reason)
            case BreakerTurned():
                change = Change(fact.at, fact.replica, "breaker", fact.state, reason=fact.reason)
            case _:
                return
        self._servers[fact.server] = (*self._servers.get(fact.server, ()), change)[-KEPT:]

    def of(self, server: str) -> tuple[Change, ...]:
        """Oldest first."""
        return self._servers.get(server, ())

    def keep(self, servers: set[str]) -> None:
        """Forget the servers that are no longer configured."""
        for gone in self._servers.keys() - servers:
            del self._servers[gone]
