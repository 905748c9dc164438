"""One call of a client on its way to a backend: what is asked, for whom, and what that client can be asked.

Spec: 2026-07-28 basic, "Per-request protocol fields"; basic/patterns/mrtr.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec import Raw

from proxy_core.backends.upward import CallSink
from proxy_core.protocol.capabilities import NONE, ClientCapabilities
from proxy_core.protocol.header_params import HeaderParam
from proxy_core.protocol.revisions import Era

ANYONE = "anon"


@dataclass(slots=True, eq=False)
class Call:
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
    capabilities: ClientCapabilities = NONE
    """What the client declared, for this request."""
    may_be_task: bool = False
    """Whether it may be run as a task to its end, though its client knows of none, if the server insists."""
    is_task: bool = False
    """Set by the backend, once it is known that the server runs it no other way."""
    is_parked: bool = False
    """Whether its client has gone to think: the backend waits for input, nobody waits for the answer."""
    on_parked: Callable[[], None] | None = None
    """Set by the connection that carries the call."""

    def park(self) -> None:
        """Give the call's place to others while its client thinks; it gets one before the backend goes on."""
        if not self.is_parked:
            self.is_parked = True
            if self.on_parked is not None:
                self.on_parked()


class Answer(NamedTuple):
    """A backend's own result, and the revision it is written in."""

    result: Raw
    era: Era
    revision: str
