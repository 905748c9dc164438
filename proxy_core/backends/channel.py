"""What carries messages to one backend, and what it tells the connection above it.

A channel moves whole JSON-RPC messages and knows nothing of methods, eras or waiters. Foreign exceptions
(OSError, aiohttp's) are translated into `BackendFault` here below, once.
"""

from typing import Protocol

from msgspec import Struct

from proxy_core.errors import BackendFault
from proxy_core.protocol.headers import Headers


class Outgoing(Struct, frozen=True, gc=False):
    """One message for the backend, with what its HTTP headers repeat."""

    data: bytes
    """One JSON-RPC message on a single line, or a batch of requests."""
    request_id: int | None = None
    """Set for requests: whose answer is awaited. Of a batch, which has an id for the channel alone: answers."""
    method: str = ""
    name: str | None = None
    """The tool, prompt or URI, for `Mcp-Name`."""
    revision: str | None = None
    """For `MCP-Protocol-Version`; None sends no such header."""
    is_modern: bool = False
    param_headers: Headers = []
    """`Mcp-Param-*` lines, values encoded."""


class Receiver(Protocol):
    """The connection above a channel. All calls are synchronous and must not raise."""

    def message(self, data: bytes, origin: int | None) -> bool:
        """One JSON-RPC message arrived. Whether `origin` is still without an answer.

        `origin` is the id of our request whose own stream carried it, None on a stream that all share.
        """
        ...

    def request_failed(self, request_id: int, fault: BackendFault) -> None:
        """No answer to this request will come. Ignored if it has been answered."""
        ...

    def waits_for(self, request_id: int) -> bool:
        """Whether this request is still without an answer."""
        ...

    def will_be_polled(self, request_id: int) -> None:
        """The backend has let us go on purpose; we ask for the answer from time to time."""
        ...

    def closed(self, fault: BackendFault) -> None:
        """The channel ended by itself; nothing more will come. At most once, never after aclose()."""
        ...

    def missed(self) -> None:
        """The stream that all share was broken for a while: what the backend said by itself may be lost."""
        ...

    def skipped(self, reason: str, sample: bytes) -> None:
        """Something that is not MCP was dropped, for instance a log line on stdout."""
        ...


class Channel(Protocol):
    @property
    def pid(self) -> int | None:
        """Of the child process, where there is one."""
        ...

    def kill(self) -> bool:
        """End the child at once, as a crash would, which is then reported as ever; whether there is one."""
        return False

    async def open(self) -> None:
        """Raises: BackendFault, with words for a person in `detail`."""
        ...

    async def send(self, message: Outgoing) -> None:
        """Hand over one message. HTTP: returns once the answer's stream has ended. Raises: BackendFault."""
        ...

    def begin(self, data: bytes, request_id: int, name: str) -> bool:
        """Hand over one modern tools/call now, without waiting; if that cannot be done, nothing was.

        `data`: the whole request on one line. `name`: of the tool, for `Mcp-Name`. What comes of it is told to
        the receiver alone, failures too, and never before this returns. Raises: BackendFault, nothing done.
        """
        return False

    def abort(self, request_id: int) -> None:
        """Nobody waits for this request any more; HTTP ends its stream, the others do nothing."""
        ...

    def start_stream(self, revision: str) -> None:
        """The legacy handshake is done: HTTP opens its stream for what the backend starts by itself."""
        ...

    async def aclose(self) -> None:
        """Release everything. Safe to call twice."""
        ...
