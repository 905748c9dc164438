"""The boundary between a listener and the eras: one HTTP request in, one HTTP answer out.

The handlers of both eras know only these types, so the listener can be replaced without touching them.
It must not know aiohttp, MCP, or who the client is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from enum import Enum, auto
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, final

import msgspec

from proxy_core.errors import HttpRefusal

HeaderList: TypeAlias = list[tuple[str, str]]
"""Names in lower case, values as received, repeated headers kept, in order."""


class WireStream(Protocol):
    """A response whose status and headers have been sent and whose body is still open."""

    async def write(self, data: bytes) -> None:
        """Send `data`, waiting while the client reads too slowly. Raises: ConnectionError once it is gone."""
        ...

    async def close(self) -> None:
        """End the body properly. Raises: ConnectionError."""
        ...

    def abort(self) -> None:
        """Drop the connection at once, whatever is still unsent."""
        ...


OpenStream: TypeAlias = Callable[[int, HeaderList], Awaitable[WireStream]]


class Credential(Protocol):
    """What lets somebody in for a while."""

    def is_good(self) -> bool:
        """Whether it still does."""
        ...

    def profile_for(self, named: str) -> str:
        """The profile to serve its bearer under, where the URL names this one. Raises: HttpRefusal."""
        ...


class WireHead(msgspec.Struct, eq=False):
    """A request before its body was read."""

    method: str
    path: str
    """Without the query, still percent-encoded."""
    headers: HeaderList
    peer: str
    """Address of the other end of the connection, which may be a proxy's; empty if unknown."""
    values: dict[str, str]
    """The last value of each header: for headers that mean the same however often they come."""
    principal: str = "anon"
    """Who asks, once the request was admitted."""
    profile: str = ""
    """The profile it is served under, once it was admitted; empty: none, everything."""
    query: str = ""
    """What follows the question mark, still percent-encoded."""
    direct: object = None
    """For whoever serves it: what it is routed by, once that was looked at; False: nothing of the kind."""
    lanes: dict[bytes, object] = msgspec.field(default_factory=dict)
    """For whoever serves it: what was worked out of requests with this head, by what else tells them apart."""
    admitted_by: object = None
    """The rules by which it was, for whoever admits: they may be others by the time the body is there, or when
    the same head comes again."""
    credential: Credential | None = None
    """By which it was admitted, if that is good for a while alone."""

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


class WireRequest(msgspec.Struct, eq=False):
    head: WireHead
    body: bytes
    open_stream: OpenStream
    """Commit this request's answer to a stream. At most once, and then `STREAMED` is the answer."""


@final
class WireReply(msgspec.Struct, frozen=True):
    """A whole response. Whoever sends it adds Content-Length and Date."""

    status: int
    headers: HeaderList
    body: bytes = b""


class Streamed(Enum):
    """The answer went out through `open_stream`; there is nothing left to send."""

    STREAMED = auto()


STREAMED: Final = Streamed.STREAMED
WireAnswer: TypeAlias = WireReply | Streamed


@final
class Ready(NamedTuple):
    """A whole response with status 200: that of JSON-RPC to this id, with this result; both are JSON."""

    raw_id: bytes
    result: bytes


class Begun(Protocol):
    """A request that is being served in no task."""

    def cancel(self) -> None:
        """Its client has gone; nothing is told any more. Not to be called once anything was."""
        ...


class Served(Protocol):
    """The connection of a request that was begun. One of the first three is called, once."""

    def reply(self, reply: WireReply) -> None: ...

    def result(self, raw_id: bytes, result: bytes) -> None:
        """As `Ready`."""
        ...

    async def open_stream(self, status: int, headers: HeaderList) -> WireStream:
        """As `WireRequest.open_stream`."""
        ...

    def go_on(self, work: Coroutine[Any, Any, WireAnswer]) -> "asyncio.Task[None]":
        """Run this to its end, which is the answer. The task may end before it has begun."""
        ...


class Endpoint(Protocol):
    """What a listener serves."""

    @property
    def max_body_bytes(self) -> int: ...

    def admit(self, head: WireHead) -> WireReply | None:
        """Refuse a request by its head alone, or None to go on. Called before a body is read."""
        ...

    def refuse(self, head: WireHead, refusal: HttpRefusal) -> WireReply:
        """The answer to a request whose body could not be read."""
        ...

    async def answer(self, request: WireRequest) -> WireAnswer:
        """Serve an admitted request. Cancelled when the client's connection is lost."""
        ...


class DirectEndpoint(Endpoint, Protocol):
    """One that can do without a task."""

    def begin(self, head: WireHead, body: bytes, served: Served) -> Begun | Ready | WireReply | None:
        """Serve an admitted request in no task, if it is of that kind; else nothing is done. Raises nothing.

        What is ready is returned, and is not told to `served`.
        """
        ...
