"""Who stands above a connection, and how what it says is handed on.

Calls are synchronous and must not raise, but for `server_request`.
"""

from typing import Protocol

from proxy_core.errors import BackendFault
from proxy_core.protocol.jsonrpc import Request, RpcError


class ConnectionOwner(Protocol):
    def connection_lost(self, fault: BackendFault) -> None: ...

    def list_changed(self, kind: str) -> None:
        """tools, resources or prompts"""
        ...

    def session_renewed(self) -> None:
        """The backend had ended our session and opened another, which knows nothing of the old one."""
        ...

    def said(self, level: str, text: str) -> None:
        """For the server's log: something it did that no call caused."""
        ...

    def elicitation_complete(self, elicitation_id: str) -> None:
        """What the person was sent to a page for has been done."""
        ...

    async def server_request(self, request: Request) -> bytes | RpcError:
        """A request of the backend that no call in flight has caused."""
        ...


class Relay(ConnectionOwner):
    """Hands everything on to `above`; its subclasses keep what they are there for."""

    def __init__(self, above: ConnectionOwner) -> None:
        self._above = above

    def connection_lost(self, fault: BackendFault) -> None:
        self._above.connection_lost(fault)

    def list_changed(self, kind: str) -> None:
        self._above.list_changed(kind)

    def session_renewed(self) -> None:
        self._above.session_renewed()

    def said(self, level: str, text: str) -> None:
        self._above.said(level, text)

    def elicitation_complete(self, elicitation_id: str) -> None:
        self._above.elicitation_complete(elicitation_id)

    async def server_request(self, request: Request) -> bytes | RpcError:
        return await self._above.server_request(request)
