"""One client request on its way through: who asks, what, and where notifications about it go.

The eras' handlers build it, the gateway answers it. It knows no sockets: notifications leave by its outlet.
"""

from dataclasses import dataclass
from typing import Protocol

from msgspec import Raw

from proxy_core.protocol.revisions import Era


class Outlet(Protocol):
    def notify(self, message: bytes) -> None:
        """Send one complete JSON-RPC notification to the caller, before the result and in order.

        Never blocks: the outlet bounds its queue and ends the stream of a caller that does not read.
        """
        ...


@dataclass(slots=True, eq=False)
class Caller:
    """Who asks. For the legacy era one object lives as long as the session; modern makes one per request."""

    era: Era
    revision: str
    principal: str = "anon"
    client: str = ""
    """The client's self-reported name, bounded: display only."""
    log_level: str | None = None
    """Least level of log notifications the caller wants; None: legacy decides for itself, modern gets none."""


@dataclass(slots=True, eq=False)
class Exchange:
    """One client request. `params` is JSON of an object, or empty."""

    method: str
    params: Raw
    caller: Caller
    outlet: Outlet
    backend: str | None = None
    """Set by the gateway: the id of the backend that answered."""
    target: str | None = None
    """Set by the gateway: the exposed name or URI that was asked for."""
