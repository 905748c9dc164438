"""What a row of the table and a verb are about: a server, or one of its replicas."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from only1mcp_tui.view.numbers import countdown, duration, latency, plural
from only1mcp_tui.view.states import CONNECTED, Look, look_of
from only1mcp_tui.view.text import first_line, safe
from proxy_core.telemetry.snapshot import BreakerState, Probe, ReplicaRow, ServerRow, ServerState

IN_SERVICE = (ServerState.HEALTHY, ServerState.DEGRADED)
DRAINED = (ServerState.DRAINING, ServerState.DRAINED)
FULL = 200
"""Cells from which on a reason is given in full, however long it is."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server, or a replica of it."""

    server: ServerRow
    replica: ReplicaRow | None = None
    is_last: bool = False
    """No other replica of the server stands below it in the table."""

    @property
    def row(self) -> ServerRow | ReplicaRow:
        return self.server if self.replica is None else self.replica

    @property
    def id(self) -> str:
        """As verbs name it."""
        return self.server.id if self.replica is None else f"{self.server.id}/{self.replica.id}"

    @property
    def label(self) -> str:
        """The same for a person's eyes. From afar it may hold anything."""
        return safe(self.id, 80)

    @property
    def state(self) -> ServerState:
        return self.row.state

    @property
    def look(self) -> Look:
        return look_of(self.row.state, self.row.breaker)

    @property
    def siblings(self) -> tuple[ReplicaRow, ...]:
        """The other replicas that take calls."""
        return tuple(
            each
            for each in self.server.replicas
            if self.replica is not None
            and each.id != self.replica.id
            and each.state in IN_SERVICE
            and not each.is_leaving
        )


def has_replicas(row: ServerRow) -> bool:
    """Whether its replicas are worth rows of their own."""
    return len(row.replicas) > 1 or any(replica.is_leaving for replica in row.replicas)


def needs_an_eye(row: ServerRow) -> bool:
    """Whether some of its replicas are not as well as they should be."""
    return row.state is not ServerState.DISABLED and any(
        each.state is not ServerState.HEALTHY
        or each.breaker is not BreakerState.CLOSED
        or each.is_leaving
        or each.drill
        for each in row.replicas
    )


def targets_of(row: ServerRow) -> Iterator[Target]:
    """Its replicas, if they are worth rows of their own."""
    if has_replicas(row):
        last = len(row.replicas) - 1
        for number, replica in enumerate(row.replicas):
            yield Target(row, replica, number == last)


def find(servers: tuple[ServerRow, ...], target: str) -> Target | None:
    """The server or the replica that `target` names."""
    server, _, replica = target.partition("/")
    row = next((row for row in servers if row.id == server), None)
    if row is None or not replica:
        return None if row is None else Target(row)
    return next((each for each in targets_of(row) if each.id == target), None)


def is_well(row: ServerRow) -> bool:
    return row.state is ServerState.HEALTHY and row.breaker is not BreakerState.OPEN


def reason_of(row: ServerRow | ReplicaRow, now: float, width: int = FULL) -> str:
    """Why it is not well, and for how long yet; empty if it is. The shortest words where `width` is small.

    First, whether that is made on purpose.
    """
    why = _reason_of(row, now, width)
    drill = f"DRILL {safe(row.drill, 120)}" if row.drill else ""
    return "; ".join(words for words in (drill, why) if words)


def remarks_of(row: ServerRow | ReplicaRow, now: float) -> str:
    """The same, and whether tools of it want an eye."""
    suspect = suspect_words(row.changed, row.withheld) if isinstance(row, ServerRow) else ""
    login = _login_words(row) if isinstance(row, ServerRow) else ""
    return "; ".join(words for words in (reason_of(row, now), login, suspect) if words)


def _login_words(row: ServerRow) -> str:
    """What a person should log in for at a server that serves all the same; else its reason says it."""
    return f"login needed, {safe(row.login, 200)}" if row.login and row.state is ServerState.HEALTHY else ""


def suspect_words(changed: int, withheld: int) -> str:
    """How many tools of a server wait for a person; empty if none does."""
    if not changed:
        return ""
    held = f", {withheld if withheld < changed else 'all'} withheld" if withheld else ""
    return f"{plural(changed, 'tool')} changed or new{held}"


def wants_an_eye(target: Target) -> bool:
    """However well it looks: a fault is made on purpose, tools changed, or a login is wanted."""
    return bool(target.row.drill) or has_changes(target) or wants_login(target)


def wants_login(target: Target) -> bool:
    return target.replica is None and bool(target.server.login)


def has_changes(target: Target) -> bool:
    """Whether tools wait for an approval; of a server, not of a replica."""
    return target.replica is None and target.server.changed > 0


def _reason_of(row: ServerRow | ReplicaRow, now: float, width: int) -> str:
    if row.state is ServerState.DRAINING and row.drain_until is not None:
        return _drain_words(row.in_flight, row.drain_until - now, width)
    if row.state in CONNECTED and row.breaker is not BreakerState.CLOSED:
        return _breaker_reason(row, now, width)
    leaving = "leaves the configuration" if isinstance(row, ReplicaRow) and row.is_leaving else ""
    if row.reason:
        return first_line(row.reason)
    if row.state in (ServerState.DEGRADED, ServerState.UNHEALTHY) and (probe := row.probe) and probe.error:
        return f"probe: {first_line(probe.error)}"
    return leaving


def _drain_words(in_flight: int, left_s: float, width: int) -> str:
    calls, left = plural(in_flight, "call"), f"{countdown(left_s)} left"
    return _first_that_fits(width, f"{calls} in flight, {left}", f"{calls}, {left}", left)


def _breaker_reason(row: ServerRow | ReplicaRow, now: float, width: int) -> str:
    words = breaker_words(row, now)
    full = f"{words}: {first_line(row.reason)}" if row.reason else words
    # The state says already that it is open; when it is tried again does not stand anywhere else.
    when = words.removeprefix("breaker open, ").replace("tried again in", "retry")
    return full if width >= FULL else _first_that_fits(width, full, words, when)


def _first_that_fits(width: int, *wordings: str) -> str:
    return next((words for words in wordings if len(words) <= width), wordings[-1])


def breaker_words(row: ServerRow | ReplicaRow, now: float) -> str:
    if row.breaker is BreakerState.OPEN:
        wait_s = 0.0 if row.breaker_retry_at is None else row.breaker_retry_at - now
        return f"breaker open, tried again in {duration(ceil(wait_s))}" if wait_s > 0 else "breaker open"
    return "breaker half open, a few calls try it"


def probe_words(probe: Probe, now: float) -> str:
    """When, what was answered if that is a failure, and how long it took: `1s HTTP 500 390ms`."""
    age = duration(now - probe.at)
    if probe.error is None:
        return f"{age} {latency(probe.latency_ms)}"
    took = f" {latency(probe.latency_ms)}" if probe.latency_ms is not None else ""
    return f"{age} {code_words(probe)}{took}"


def code_words(probe: Probe) -> str:
    """What a failed probe was answered, in the shortest words."""
    if probe.code is not None:
        return f"HTTP {probe.code}" if 100 <= probe.code < 600 else f"error {probe.code}"
    error = (probe.error or "").lower()
    if any(word in error for word in ("timeout", "timed out", "within", "no answer in")):
        return "timeout"
    return "no answer"
