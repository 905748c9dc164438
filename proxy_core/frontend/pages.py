"""What the port tells those who watch over it: whether it lives, whether it is ready, and its numbers.

Health is told to everybody whom the guards let in, and holds no fact about a server; numbers need a token where
clients need one. Knows no sockets.
"""

import asyncio
from typing import Final

from proxy_core.control import Control
from proxy_core.errors import HttpRefusal
from proxy_core.frontend.endpoint import McpEndpoint
from proxy_core.frontend.guards import too_large
from proxy_core.frontend.refused_heads import refusal_of
from proxy_core.frontend.wire import WireHead, WireReply, WireRequest
from proxy_core.telemetry.metrics import Metrics
from proxy_core.telemetry.snapshot import ServerState, Snapshot

HEALTH: Final = "/healthz"
READY: Final = "/readyz"
METRICS: Final = "/metrics"
PATHS: Final = frozenset({HEALTH, READY, METRICS})
_TEXT: Final = "text/plain; charset=utf-8"
_IN_SERVICE: Final = frozenset({ServerState.HEALTHY, ServerState.DEGRADED})


class Pages:
    """Served at the side of the MCP endpoint, under its guard and its tokens."""

    def __init__(self, mcp: McpEndpoint, control: Control, metrics: Metrics) -> None:
        self._mcp = mcp
        self._control = control
        self._metrics = metrics
        self._has_been_ready = False

    @property
    def max_body_bytes(self) -> int:
        return 0

    def admit(self, head: WireHead) -> WireReply | None:
        guard = self._mcp.guard
        refusal = guard.host_refusal(head) or guard.origin_refusal(head)
        if refusal is None and head.path == METRICS:
            refusal = self._strangers_refusal(head)
        if refusal is None and head.method != "GET":
            refusal = HttpRefusal(405, "This HTTP method is not served here.", {"Allow": "GET"})
        if refusal is None and _has_body(head):
            # Nobody has said who he is, so nothing of his is read.
            refusal = too_large(0)
        return None if refusal is None else self.refuse(head, refusal)

    def refuse(self, head: WireHead, refusal: HttpRefusal) -> WireReply:
        if self._mcp.audit is not None:
            self._mcp.audit.refused(refusal_of("pages", head, refusal))
        reply = _text(refusal.status, refusal.message)
        return WireReply(reply.status, [*reply.headers, *refusal.headers.items()], reply.body)

    async def answer(self, request: WireRequest) -> WireReply:
        if request.head.path == METRICS:
            return await self._numbers()
        if request.head.path == HEALTH:
            return _text(200, "ok")
        return self._readiness()

    async def _numbers(self) -> WireReply:
        # Here, since a table of a hundred metrics is of no use to a gateway that nobody asks for them.
        from proxy_core.telemetry import prometheus

        blocks = []
        for block in prometheus.blocks(self._control.snapshot(), self._metrics):
            blocks.append(block)
            # With many servers all of it takes long enough for a client to feel.
            await asyncio.sleep(0)
        return _text(200, "".join(blocks), prometheus.CONTENT_TYPE)

    def _readiness(self) -> WireReply:
        if self._mcp.is_stopping:
            return _text(503, "the gateway is stopping")
        why = unreadiness(self._control.snapshot(), self._has_been_ready)
        if why:
            return _text(503, why)
        self._has_been_ready = True
        return _text(200, "ok")

    def _strangers_refusal(self, head: WireHead) -> HttpRefusal | None:
        try:
            self._mcp.principals.identify_operator(head)
        except HttpRefusal as refusal:
            return refusal
        return None


def unreadiness(snapshot: Snapshot, has_been_ready: bool = False) -> str:
    """Why clients should wait, without a word of which server; empty if they need not.

    `has_been_ready`: one more server that starts does not send the clients of all others away.
    """
    if snapshot.audit is not None and snapshot.audit.is_shut:
        return "no call is taken at the moment"
    states = [row.state for row in snapshot.servers if row.state is not ServerState.DISABLED]
    if ServerState.STARTING in states and not has_been_ready:
        return "some servers are still starting"
    if states and not _IN_SERVICE.intersection(states):
        return "no server is in service"
    return ""


def _has_body(head: WireHead) -> bool:
    return head.values.get("content-length", "0") != "0" or "transfer-encoding" in head.values


def _text(status: int, text: str, content_type: str = _TEXT) -> WireReply:
    headers = [("Content-Type", content_type), ("Cache-Control", "no-store")]
    return WireReply(status, headers, text.encode(errors="replace"))
