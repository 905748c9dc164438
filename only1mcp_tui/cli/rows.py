"""Servers and replicas in a gateway's picture: found by the name that a person typed, and told in words."""

from collections.abc import Callable, Sequence

from only1mcp_tui.view.numbers import countdown
from only1mcp_tui.view.states import look_of
from only1mcp_tui.view.targets import remarks_of
from proxy_core.errors import UnknownReplica, UnknownServer
from proxy_core.telemetry.snapshot import ReplicaRow, ServerRow, ServerState, Snapshot

Row = ServerRow | ReplicaRow
IN_SERVICE = (ServerState.HEALTHY, ServerState.DEGRADED)


def row_of(snapshot: Snapshot, target: str) -> Row:
    """Raises: UnknownServer, UnknownReplica."""
    server_id, slash, replica_id = target.partition("/")
    server = next((row for row in snapshot.servers if row.id == server_id), None)
    if server is None:
        raise UnknownServer(server_id)
    if not slash:
        return server
    replica = next((row for row in server.replicas if row.id == replica_id), None)
    if replica is None:
        raise UnknownReplica(server_id, replica_id, tuple(row.id for row in server.replicas))
    return replica


def found(snapshot: Snapshot, named: Sequence[str], every: Callable[[ServerRow], bool] | None) -> list[str]:
    """The targets of a verb, each once: those that are named, or all servers that `every` holds for.

    All are looked up before anything is done, so that a typing error does nothing by halves.
    """
    if every is not None:
        return [row.id for row in snapshot.servers if every(row)]
    for target in named:
        row_of(snapshot, target)
    return list(dict.fromkeys(named))


def state_words(row: Row) -> str:
    """`● healthy`, as on the screen; a connection that no call reaches is told as what stops the calls."""
    look = look_of(row.state, row.breaker)
    return f"{look.glyph} {look.word}"


def why(row: Row, now: float) -> str:
    """The reason that the screen shows too, and when the next start is tried."""
    reason = remarks_of(row, now)
    if row.retry_at is None:
        return reason
    again = f"started again in {countdown(row.retry_at - now)}"
    return f"{reason}; {again}" if reason else again
