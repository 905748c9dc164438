"""What a backend may ask of those above it: calls, never the feed, so nothing is lost. Injected by Proxy."""

from typing import Protocol

from msgspec import Raw

from proxy_core.protocol.jsonrpc import Request, RpcError


class CallSink(Protocol):
    """Where a call's own notifications go: to the client that made it."""

    wants_progress: bool

    def progress(self, params: dict[str, Raw]) -> None:
        """One progress notification, its value known to have risen. `params` still names our token."""
        ...

    def log(self, params: Raw) -> None:
        """One log notification that this call caused."""
        ...


class Upward(Protocol):
    def lists_changed(self, backend: str) -> None:
        """The backend's lists were read again, or it entered or left service."""
        ...

    async def server_request(self, backend: str, request: Request) -> bytes | RpcError:
        """A legacy backend asks something of a client; the result's JSON or an error to answer with."""
        ...
