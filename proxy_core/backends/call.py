"""One call of a client on its way to a backend: what is asked, for whom, and what that client can be asked.

Spec: 2026-07-28 basic, "Per-request protocol fields"; basic/patterns/mrtr.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from msgspec import Raw, Struct, field

from proxy_core.backends.upward import CallSink
from proxy_core.errors import BackendError, BackendFault
from proxy_core.protocol.capabilities import NONE, ClientCapabilities
from proxy_core.protocol.header_params import HeaderParam
from proxy_core.protocol.results import PlainResult
from proxy_core.protocol.revisions import Era
from proxy_core.telemetry.trace import Trace

ANYONE = "anon"


class Place(Protocol):
    def give(self) -> None:
        """Free it for others."""
        ...


class Call(Struct, eq=False):
    """`params` as the client sent them; the members in `replace` are put in their place."""

    method: str
    params: Raw
    replace: dict[str, bytes] = field(default_factory=dict)
    name: str | None = None
    """The backend's own tool, prompt or URI, for `Mcp-Name`."""
    sink: CallSink | None = None
    """Where progress and logs go and who answers the backend's questions; None: nobody listens."""
    log_level: str | None = None
    header_params: tuple[HeaderParam, ...] = ()
    """Arguments that a modern HTTP backend wants repeated in headers."""
    principal: str = ANYONE
    session: str | None = None
    """The legacy client's session, for backends that are kept apart by session."""
    client: str = ""
    """What the client calls itself: chooses among equal replicas where the configuration says so, no more."""
    affinity: str = ""
    """The value of the client's header that the configuration names for that purpose."""
    replica: str | None = None
    """The replica that has what this call is about: a task, or a state that it gave away."""
    capabilities: ClientCapabilities = NONE
    """What the client declared, for this request."""
    may_be_task: bool = False
    """Whether it may be run as a task to its end, though its client knows of none, if the server insists."""
    is_task: bool = False
    """Set by the backend, once it is known that the server runs it no other way."""
    is_parked: bool = False
    """Whether its client has gone to think: the backend waits for input, nobody waits for the answer."""
    has_asked: bool = False
    """Whether the backend has asked its client something: made again, the call would ask again."""
    remaining_s: float | None = None
    """What is left of the whole time of a call that is made again."""
    on_parked: Callable[[], None] | None = None
    """Set by the connection that carries the call."""
    place: "Place | None" = None
    """What it holds among the calls of its server."""
    met: "Met | None" = None
    """What came of it where it was begun already, without a task; it goes on from there."""
    trace: Trace | None = None
    """Where it is recorded what its servers are asked and say, if anywhere."""
    plain: PlainResult | None = None
    """Set by the connection that carries the call: what it was answered, if that is plain."""

    def park(self) -> None:
        """Give the call's places to others while its client thinks; at its connection it gets one again before
        the backend goes on."""
        if not self.is_parked:
            self.is_parked = True
            self.leave_place()
            if self.on_parked is not None:
                self.on_parked()

    def leave_place(self) -> None:
        if self.place is not None:
            self.place.give()
            self.place = None


class Met(NamedTuple):
    """A first try that failed."""

    failure: BackendError | BackendFault
    began_at: float
    """Monotonic seconds."""
    has_asked: bool = False
    """As `Call.has_asked`."""


class Answer(NamedTuple):
    """A backend's own result, and the revision it is written in."""

    result: Raw
    era: Era
    revision: str
    replica: str = ""
    plain: PlainResult | None = None
    """The result, if it is known to be plain; it need not be looked at any more."""
