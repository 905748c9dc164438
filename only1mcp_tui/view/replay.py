"""What a replay needs to know before it is made: whether it only reads, and who could be asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from only1mcp_tui.view.exchanges import server_of
from only1mcp_tui.view.states import Look, look_of
from only1mcp_tui.view.targets import has_replicas
from only1mcp_tui.view.text import Span, safe
from proxy_core.telemetry.exchanges import ExchangeRow
from proxy_core.telemetry.snapshot import ServerRow
from proxy_core.telemetry.tool_detail import ToolDetail

READS: Final = frozenset(
    {
        "completion/complete",
        "ping",
        "prompts/get",
        "prompts/list",
        "resources/list",
        "resources/read",
        "resources/templates/list",
        "server/discover",
        "tools/list",
    }
)
"""Methods that ask and change nothing."""


def reads_only(row: ExchangeRow, tool: ToolDetail | None) -> bool:
    """Whether making it again changes nothing, as far as its method and its server's own word tell.

    `tool`: the one that was called, if there still is such a one.
    """
    if row.method != "tools/call":
        return row.method in READS
    return tool is not None and tool.name == row.target and tool.read_only


@dataclass(frozen=True, slots=True)
class ReplayTarget:
    """A server or replica that a replay may go to."""

    id: str | None
    """None: as it went before."""
    label: str
    state: Span


def targets_for(row: ExchangeRow, servers: Sequence[ServerRow]) -> tuple[ReplayTarget, ...]:
    """As before first, then the replicas of the same server, then the other servers."""
    where = server_of(row) or "answered here"
    found = [ReplayTarget(None, f"as before ({safe(where, 80)})", ("", "muted"))]
    for server in sorted(servers, key=lambda each: each.id != row.server):
        if server.id != row.server:
            found.append(_of_server(server))
        if has_replicas(server):
            found += [
                ReplayTarget(
                    f"{server.id}/{replica.id}",
                    f"{safe(server.id, 80)}/{safe(replica.id, 80)}",
                    _state(look_of(replica.state, replica.breaker)),
                )
                for replica in server.replicas
            ]
        elif server.id == row.server:
            found.append(_of_server(server))
    return tuple(found)


def _of_server(server: ServerRow) -> ReplayTarget:
    return ReplayTarget(server.id, safe(server.id, 160), _state(look_of(server.state, server.breaker)))


def _state(look: Look) -> Span:
    return f"{look.glyph} {look.word}", look.role
