"""The operator's side as one thing: the admin API on its socket and, if asked for, on the port; the pages.

Owns the socket. A gateway whose socket cannot be made serves its clients all the same, and says so in the log.
"""

import logging
import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Final

from proxy_core.access.audit.audit import Audit
from proxy_core.clock import Clock
from proxy_core.config.models import Config
from proxy_core.control import Control
from proxy_core.frontend.admin import AdminApi, AdminEndpoint, socket_guard
from proxy_core.frontend.admin_socket import AdminSocket, SocketRefused
from proxy_core.frontend.endpoint import McpEndpoint
from proxy_core.frontend.event_stream import EventStreams
from proxy_core.frontend.pages import Pages
from proxy_core.frontend.port import Port
from proxy_core.frontend.principals import Principals
from proxy_core.frontend.server import SocketListener
from proxy_core.runtime import socket_path
from proxy_core.telemetry.metrics import Metrics

AUTO: Final = "auto"
log = logging.getLogger(__name__)


class Steering:
    def __init__(
        self,
        config: Config,
        mcp: McpEndpoint,
        control: Control,
        metrics: Metrics,
        streams: EventStreams,
        clock: Clock,
    ) -> None:
        self._config = config
        self._mcp = mcp
        self._api = AdminApi(control, streams, clock)
        self._tokens = _tokens(config)
        self._on_port = AdminEndpoint(self._api, mcp.guard, self._tokens)
        self._on_socket = AdminEndpoint(self._api, socket_guard(config.proxy.max_body_bytes), None)
        self.port = Port(mcp, Pages(mcp, control, metrics), self._on_port, has_admin=config.admin.on_port)
        """What the port's listener serves."""
        self._listener: SocketListener | None = None
        self._bound: AdminSocket | None = None

    @property
    def socket(self) -> Path | None:
        return None if self._bound is None else self._bound.path

    async def start(self, port: int) -> None:
        """Serve on the socket that belongs to the port, or to the configuration."""
        made = self._socket(port)
        if made is None:
            return
        try:
            bound = made.bind()
        except SocketRefused as refusal:
            log.warning("this gateway cannot be steered from outside: %s", refusal.message)
            return
        self._bound = made
        self._listener = SocketListener(lambda _path: self._on_socket)
        await self._listener.start(bound)
        log.debug("the admin API is served on %s", made.path)

    def _socket(self, port: int) -> AdminSocket | None:
        chosen = self._config.admin.socket
        if chosen is None or sys.platform == "win32":
            return None
        if chosen == AUTO:
            return AdminSocket(socket_path(port, os.environ), is_private=True)
        return AdminSocket(Path(chosen).expanduser().absolute(), is_private=False)

    def use(self, config: Config) -> None:
        """Apply tokens, allow-lists and whether the port has it, from now on. The socket stays as it is.

        The streams of those who may not look any more end; those who look on are told what they may do.
        """
        self._config = config
        self._on_port.guard = self._mcp.guard
        before, self._on_port.principals = self._tokens, _tokens(config)
        self._tokens = self._on_port.principals
        self._api.end_of(before.lost_operators(self._tokens))
        self._on_socket.guard = socket_guard(config.proxy.max_body_bytes)
        self.port.has_admin = config.admin.on_port

    def tell(self, audit: Audit | None) -> None:
        """Where it is told who was not let in."""
        self._on_port.audit = self._on_socket.audit = audit

    def end_of(self, principals: Collection[str]) -> None:
        """End what those still read who may not any more."""
        self._api.end_of(principals)

    def stop_verbs(self) -> None:
        """Begin no verb any more; a stop may still be watched."""
        self._api.is_stopping = True

    async def aclose(self) -> None:
        """End everything and take the socket away. Safe to call twice."""
        await self._api.aclose()
        if self._listener is not None:
            await self._listener.aclose()
            self._listener = None
        if self._bound is not None:
            self._bound.remove()
            self._bound = None


def _tokens(config: Config) -> Principals:
    # Never open: what a client may do without a token is not what an operator may.
    return Principals(config.auth.tokens, is_open=False)
