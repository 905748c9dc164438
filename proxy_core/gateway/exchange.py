"""One client request on its way through: who asks, what, and where notifications about it go.

The eras' handlers build it, the gateway answers it. It knows no sockets: notifications leave by its outlet.
"""

from typing import TYPE_CHECKING, NamedTuple, Protocol

from msgspec import Raw, Struct

from proxy_core.access.limits import Permit
from proxy_core.backends.call import Met
from proxy_core.errors import ClientSilent
from proxy_core.protocol.capabilities import NONE, ClientCapabilities
from proxy_core.protocol.header_params import HeaderParam
from proxy_core.protocol.headers import Headers
from proxy_core.protocol.revisions import Era
from proxy_core.telemetry.trace import Headers as HeaderLines
from proxy_core.telemetry.trace import Trace

if TYPE_CHECKING:
    from proxy_core.gateway.sink import ExchangeSink


class Viewer(NamedTuple):
    """Whose lists are meant: what somebody may see and reach depends on nothing else."""

    principal: str
    profile: str = ""
    """Of the configuration's; empty: everything."""


class Outlet(Protocol):
    def notify(self, message: bytes) -> None:
        """Send one complete JSON-RPC notification to the caller, before the result and in order.

        Never blocks: the outlet bounds its queue and ends the stream of a caller that does not read.
        """
        ...

    def let_go(self) -> None:
        """Release a caller that can come back for its answer (2025-11-25, "polling"); others stay."""
        ...

    async def request(self, method: str, params: bytes, *, timeout_s: float) -> Raw:
        """Ask the caller something on the same stream, legacy only; the result's JSON.

        A request that is cancelled is cancelled at the client too. Raises: ClientError, ClientSilent.
        """
        ...


class Nobody:
    """The outlet of a caller that waits for the result alone."""

    def notify(self, message: bytes) -> None:
        return

    def let_go(self) -> None:
        return

    async def request(self, method: str, params: bytes, *, timeout_s: float) -> Raw:
        raise ClientSilent("Nobody is there to be asked.")


class Caller(Struct, eq=False):
    """Who asks. For the legacy era one object lives as long as the session; modern makes one per request."""

    era: Era
    revision: str
    principal: str = "anon"
    client: str = ""
    """The client's self-reported name, bounded: display only."""
    log_level: str | None = None
    """Least level of log notifications the caller wants; None: legacy decides for itself, modern gets none."""
    capabilities: ClientCapabilities = NONE
    session: str | None = None
    """Legacy: names the session, inside the gateway only."""
    affinity: str = ""
    """What the client's header says that chooses among replicas (routing.hash_key), if one is configured."""
    stream: Outlet | None = None
    """Legacy: the session's own stream, for what belongs to no request; drops what nobody is there to read."""
    profile: str = ""
    """The profile that it asks under; for the legacy era that of its handshake. Empty: everything."""
    peer: str = ""
    """Address of the other end of the connection that it came by, at first; empty if unknown."""

    @property
    def viewer(self) -> Viewer:
        return Viewer(self.principal, self.profile)


class Exchange(Struct, eq=False):
    """One client request. `params` is JSON of an object, or empty."""

    method: str
    params: Raw
    caller: Caller
    outlet: Outlet
    param_headers: Headers | None = None
    """The `Mcp-Param-*` lines of a tools/call; None where the transport has none to check."""
    progress_token: Raw | None = None
    """As JSON, or empty if there is none; None: it has not been looked for."""
    backend: str | None = None
    """Set by the gateway: the id of the backend that answered."""
    target: str | None = None
    """Set by the gateway: the exposed name or URI that was asked for."""
    headers: HeaderLines = ()
    """Of the HTTP request that brought it, for the record alone; a client's token may be among them."""
    arrival: str = ""
    """How it came, where that is worth a word in the record."""
    trace: Trace | None = None
    """Set by the gateway: where it is recorded, if it is."""
    met: Met | None = None
    """What came of a call that was begun without a task, for the call that goes on from there."""
    sink: "ExchangeSink | None" = None
    """Where that went which its server said meanwhile."""
    replay_of: int | None = None
    """The recorded exchange that an operator makes again with this one: past every cache, joined by nobody."""
    aim: "Aim | None" = None
    """Of a replay: whom to ask instead of the server that has the name."""
    is_tool_error: bool | None = None
    """Set by the gateway: whether the result says that the tool failed; None: it was not looked at."""
    permit: Permit | None = None
    """Set by the gateway: what it holds of limits, where there are any."""
    peer: str = ""
    """Address of the other end of the connection that brought it, where it may be another than the caller's."""

    def __repr__(self) -> str:
        # Its headers may hold a client's token, and what it carries is for the record alone.
        return f"Exchange(method={self.method!r}, target={self.target!r}, caller={self.caller!r})"


class Aim(NamedTuple):
    """Who is asked for an item that another server has under the same own name."""

    server: str
    replica: str | None
    header_params: tuple[HeaderParam, ...] = ()
    """Its own."""
