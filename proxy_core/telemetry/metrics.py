"""Facts folded into numbers: `Metrics.fold` is the one consumer of the feed that counts. Pure."""

from dataclasses import dataclass, field
from typing import Final

from proxy_core.errors import ErrorCode
from proxy_core.facts import Fact, RequestFinished, SessionsChanged
from proxy_core.telemetry.clients import Clients
from proxy_core.telemetry.histogram import LatencyWindow, RateWindow

NOT_THE_SERVERS_FAULT: Final = frozenset(
    {
        ErrorCode.INVALID_PARAMS,
        ErrorCode.INVALID_REQUEST,
        ErrorCode.METHOD_NOT_FOUND,
        ErrorCode.LEGACY_RESOURCE_NOT_FOUND,
        -1,
    }
)
"""Codes that say the client asked for the wrong thing, or gave up (-1)."""


@dataclass(slots=True)
class Series:
    """The numbers of one server, or of all."""

    calls: int = 0
    errors: int = 0
    latency: LatencyWindow = field(default_factory=LatencyWindow)
    rate: RateWindow = field(default_factory=RateWindow)
    error_rate: RateWindow = field(default_factory=RateWindow)

    def add(self, fact: RequestFinished) -> None:
        self.calls += 1
        self.rate.add(fact.at)
        self.latency.add(fact.at, fact.duration_ms)
        if fact.error_code is not None and fact.error_code not in NOT_THE_SERVERS_FAULT:
            self.errors += 1
            self.error_rate.add(fact.at)


class Metrics:
    def __init__(self) -> None:
        self.total = Series()
        self._servers: dict[str, Series] = {}
        self.clients = Clients()
        self.sessions = 0
        self.streams = 0

    def fold(self, fact: Fact) -> None:
        if isinstance(fact, RequestFinished):
            self.total.add(fact)
            self.clients.fold(fact)
            if fact.server is not None:
                self.of(fact.server).add(fact)
        elif isinstance(fact, SessionsChanged):
            self.sessions, self.streams = fact.sessions, fact.streams

    def of(self, server: str) -> Series:
        series = self._servers.get(server)
        if series is None:
            series = self._servers[server] = Series()
        return series

    def keep(self, servers: set[str]) -> None:
        """Forget the servers that are no longer configured."""
        for gone in self._servers.keys() - servers:
            del self._servers[gone]
        self.clients.keep(servers)
