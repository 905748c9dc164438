"""Facts folded into numbers: `Metrics.fold` is the one consumer of the feed that counts. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from proxy_core.errors import ErrorCode
from proxy_core.facts import (
    BreakerTurned,
    CallRetried,
    ConfigRejected,
    Fact,
    LimitReached,
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

    def add(self, fact: RequestFinished, bucket: int) -> None:
        """`bucket`: of its duration."""
        self.calls += 1
        self.rate.add(fact.at)
        self.latency.add(fact.at, fact.duration_ms, bucket)
        if fact.error_code is not None:
            self._add_error(fact.at, fact.error_code)
        elif fact.is_tool_error:
            self.tool_errors += 1

    def _add_error(self, at: float, code: int) -> None:
        if code == GAVE_UP:
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


class Metrics:
    def __init__(self) -> None:
        self.total = Series()
        self._servers: dict[str, Series] = {}
        self._replicas: dict[tuple[str, str], ReplicaSeries] = {}
        self.clients = Clients()
        self.changes = Changes()
        self.sessions = 0
        self.streams = 0
        self.config_errors = 0
        """Configurations that were refused."""
        self.refusals: Counter[tuple[str, str]] = Counter()
        """Requests that a limit refused, by whose it is and by its kind: words of ours, so they are few."""

    def fold(self, fact: Fact) -> None:
        if isinstance(fact, RequestFinished):
            bucket = bucket_of(fact.duration_ms)
            self.total.add(fact, bucket)
            self.clients.fold(fact)
            if fact.server is not None:
                self.of(fact.server).add(fact, bucket)
        else:
            self._fold_rare(fact)

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
            case LimitReached():
                self.refusals[fact.limit, fact.kind] += 1
            case ConfigRejected():
                self.config_errors += 1
            case _:
                pass

    def of(self, server: str) -> Series:
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
        for gone in self._servers.keys() - servers:
            del self._servers[gone]
        for server, replica in list(self._replicas):
            if server not in servers:
                del self._replicas[server, replica]
        self.clients.keep(servers)
        self.changes.keep(servers)
