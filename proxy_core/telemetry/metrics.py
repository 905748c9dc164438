"""Facts folded into numbers: `Metrics.fold` is the one consumer of the feed that counts. Pure.

What is told of requests is only put by, and counted when somebody looks or when there is enough of it: many
that are alike cost little more than one.
"""

from dataclasses import dataclass, field
from typing import Final

from msgspec import Struct

from proxy_core.errors import ErrorCode
from proxy_core.facts import (
    BreakerTurned,
    CallRetried,
    ConfigRejected,
    Fact,
    ProbeFinished,
    ReplicaChanged,
    RequestFinished,
    SessionsChanged,
)
from proxy_core.telemetry.changes import Changes
from proxy_core.telemetry.clients import Clients
from proxy_core.telemetry.histogram import LatencyWindow, RateWindow, bucket_of
from proxy_core.telemetry.snapshot import BreakerState

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
GAVE_UP: Final = -1
AT_ONCE: Final = 256
"""Requests that are put by until they are counted together."""


@dataclass(slots=True)
class Series:
    """The numbers of one server, or of all."""

    calls: int = 0
    errors: int = 0
    """The server's fault, or ours."""
    refused: int = 0
    """The client's fault."""
    cancelled: int = 0
    tool_errors: int = 0
    """Results that say that the tool failed."""
    latency: LatencyWindow = field(default_factory=LatencyWindow)
    rate: RateWindow = field(default_factory=RateWindow)
    error_rate: RateWindow = field(default_factory=RateWindow)

    def add(self, at: float, sum_ms: float, buckets: list[int]) -> None:
        """Calls that ended in the same second, at least one. `buckets`: of the duration of each."""
        self.calls += len(buckets)
        self.rate.add(at, len(buckets))
        self.latency.add_all(at, sum_ms, buckets)

    def add_failure(self, fact: RequestFinished) -> None:
        """What else is counted of a call that came to no good."""
        at, code = fact.at, fact.error_code
        if code is None:
            self.tool_errors += 1
        elif code == GAVE_UP:
            self.cancelled += 1
        elif code in NOT_THE_SERVERS_FAULT:
            self.refused += 1
        else:
            self.errors += 1
            self.error_rate.add(at)


@dataclass(slots=True)
class ReplicaSeries:
    """What happened to one replica."""

    changes: int = 0
    """From one state to another."""
    breaker_opened: int = 0
    retries: int = 0
    """Calls that failed there and were made once more, there or elsewhere."""
    probes: int = 0
    probe_failures: int = 0


class _Alike(Struct):
    """Requests that ended in the same second, and differ in nothing but how long they took."""

    last: RequestFinished
    buckets: list[int]
    sum_ms: float = 0.0


class Metrics:
    def __init__(self) -> None:
        self._untold: list[RequestFinished] = []
        """What is still to be counted."""
        self._total = Series()
        self._servers: dict[str, Series] = {}
        self._replicas: dict[tuple[str, str], ReplicaSeries] = {}
        self._clients = Clients()
        self.changes = Changes()
        self.sessions = 0
        self.streams = 0
        self.config_errors = 0
        """Configurations that were refused."""

    def fold(self, fact: Fact) -> None:
        if isinstance(fact, RequestFinished):
            untold = self._untold
            untold.append(fact)
            if len(untold) >= AT_ONCE:
                self._count()
        else:
            self._fold_rare(fact)

    def _count(self) -> None:
        untold, self._untold = self._untold, []
        groups: dict[tuple[object, ...], _Alike] = {}
        for fact in untold:
            key = (int(fact.at), fact.server, fact.client, fact.principal, fact.revision, fact.era)
            alike = groups.get(key)
            if alike is None:
                alike = groups[key] = _Alike(fact, [])
            alike.last = fact
            alike.buckets.append(bucket_of(fact.duration_ms))
            alike.sum_ms += fact.duration_ms
            if fact.error_code is not None or fact.is_tool_error:
                self._add_failure(fact)
        for alike in groups.values():
            last, buckets, sum_ms = alike.last, alike.buckets, alike.sum_ms
            self._total.add(last.at, sum_ms, buckets)
            self._clients.fold(last, len(buckets))
            if last.server is not None:
                self._of(last.server).add(last.at, sum_ms, buckets)

    def _add_failure(self, fact: RequestFinished) -> None:
        self._total.add_failure(fact)
        if fact.server is not None:
            self._of(fact.server).add_failure(fact)

    @property
    def total(self) -> Series:
        self._count()
        return self._total

    @property
    def clients(self) -> Clients:
        self._count()
        return self._clients

    def _fold_rare(self, fact: Fact) -> None:
        self.changes.fold(fact)
        match fact:
            case SessionsChanged():
                self.sessions, self.streams = fact.sessions, fact.streams
            case ProbeFinished():
                series = self.of_replica(fact.server, fact.replica)
                series.probes += 1
                series.probe_failures += fact.error is not None
            case CallRetried():
                self.of_replica(fact.server, fact.replica).retries += 1
            case BreakerTurned():
                is_open = fact.state == BreakerState.OPEN
                self.of_replica(fact.server, fact.replica).breaker_opened += is_open
            case ReplicaChanged():
                self.of_replica(fact.server, fact.replica).changes += 1
            case ConfigRejected():
                self.config_errors += 1
            case _:
                pass

    def of(self, server: str) -> Series:
        self._count()
        return self._of(server)

    def _of(self, server: str) -> Series:
        series = self._servers.get(server)
        if series is None:
            series = self._servers[server] = Series()
        return series

    def of_replica(self, server: str, replica: str) -> ReplicaSeries:
        series = self._replicas.get((server, replica))
        if series is None:
            series = self._replicas[server, replica] = ReplicaSeries()
        return series

    def keep(self, servers: set[str]) -> None:
        """Forget the servers that are no longer configured."""
        self._count()
        for gone in self._servers.keys() - servers:
            del self._servers[gone]
        for server, replica in list(self._replicas):
            if server not in servers:
                del self._replicas[server, replica]
        self._clients.keep(servers)
        self.changes.keep(servers)
