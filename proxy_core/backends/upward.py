"""What a backend may ask of those above it: calls, never the feed, so nothing is lost. Injected by Proxy."""

from typing import Protocol

from msgspec import Raw

from proxy_core.protocol.jsonrpc import Request, RpcError
from proxy_core.protocol.tasks import Task
from proxy_core.telemetry.snapshot import ServerState


class CallSink(Protocol):
    """Where a call's own notifications and questions go: to the client that made it."""

    wants_progress: bool
    client: object
    """Whose call it is: equal for the calls of one legacy session, unique for each modern call."""

    def progress(self, params: dict[str, Raw]) -> None:
        """One progress notification, its value known to have risen. `params` still names our token."""
        ...

    def log(self, params: Raw) -> None:
        """One log notification that this call caused."""
        ...

    def let_go(self) -> None:
        """The backend wants to be asked for the answer from time to time; the client may do the same."""
        ...

    def may_ask(self, method: str, params: Raw) -> bool:
        """Whether the client declared what a server needs in order to ask it this."""
        ...

    async def server_request(self, request: Request) -> bytes | RpcError:
        """The backend needs input for this call; the result's JSON, or the error to answer it with.

        May take minutes. Cancelled when the call ends first.
        """
        ...


class Upward(Protocol):
    def lists_changed(self, backend: str) -> None:
        """The backend's lists were read again, or it entered or left service."""
        ...

    def lists_invalid(self, backend: str, methods: tuple[str, ...]) -> None:
        """These lists of its are no longer what it has, and have not been read again yet."""
        ...

    def state_changed(self, backend: str, before: ServerState, now: ServerState) -> None:
        """A replica of it is in another state; told before `lists_changed`."""
        ...

    def resource_updated(self, backend: str, uri: str) -> None:
        """A resource, in the backend's own words, is not what it was; also said of all after a lost stream."""
        ...

    def task_changed(self, backend: str, replica: str, task: Task) -> None:
        """A task of this replica that somebody listens to fares otherwise than before."""
        ...

    def elicitation_complete(self, backend: str, elicitation_id: str) -> None:
        """2025-11-25: what the person was sent to a page for has been done."""
        ...

    async def session_request(self, backend: str, session: str, request: Request) -> bytes | RpcError:
        """A request that no call caused, on a connection that serves one legacy session alone."""
        ...
