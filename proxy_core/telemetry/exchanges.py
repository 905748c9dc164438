"""What the traffic inspector shows: a client's request, what was said for it, and how long each part took.

Frozen. Secrets are masked and bodies cut before any of this is made. What came from clients and servers is held
as it came otherwise; whoever draws it makes it safe first.
"""

from enum import StrEnum

from msgspec import Struct


class ExchangeStatus(StrEnum):
    OPEN = "open"
    """Not answered yet."""
    OK = "ok"
    TOOL_ERROR = "tool_error"
    """A result with `isError: true`: the tool's failure, not the server's."""
    ERROR = "error"
    CANCELLED = "cancelled"
    """Its client gave up."""


class Hop(StrEnum):
    CLIENT = "client"
    """Between the client and the gateway."""
    SERVER = "server"
    """Between the gateway and one replica of a server."""


class MessageKind(StrEnum):
    REQUEST = "request"
    RESPONSE = "response"
    """A result or an error."""
    NOTIFICATION = "notification"


class ExchangeRow(Struct, frozen=True):
    """One client request, as a line of the list."""

    id: int
    """Grows with every exchange since start."""
    wall: float
    """Epoch seconds when it began."""
    client: str
    """What the client calls itself; empty if it does not say."""
    principal: str
    era: str
    """The client's: legacy or modern."""
    revision: str
    method: str
    target: str
    """The exposed name or URI; empty for methods that name nothing."""
    server: str
    """The id of the server that was asked; empty where the gateway answered by itself."""
    replica: str
    """The last one that was asked; empty likewise."""
    status: ExchangeStatus
    code: int | None
    """JSON-RPC code of an error."""
    duration_ms: float | None
    """None while it is open."""
    server_ms: float | None
    """Of that, between the first message to a server and its last answer."""
    bytes_in: int
    """Of the params."""
    bytes_out: int
    """Of the result."""
    saved: str = ""
    """How a call was saved, if it was: hit, stale or joined."""
    attempts: int = 0
    """Times that a server was asked: above 1 it was retried."""
    rounds: int = 0
    """Times that the client, or the operator, was asked for input."""
    is_translated: bool = False
    """The server speaks another era than the client."""
    is_replay: bool = False
    """An operator made it, from one that was recorded."""


class Step(Struct, frozen=True):
    """Something that happened to the exchange inside the gateway."""

    at_ms: float
    """Since it began."""
    name: str
    """arrived, routed, cache, joined, queued, sent, retried, asked, answered, operator asked,
    operator answered, ended ..."""
    text: str = ""
    """For people, one line; may hold untrusted text."""


class Message(Struct, frozen=True):
    """One message on one of the two hops."""

    at_ms: float
    """Since the exchange began."""
    hop: Hop
    is_outgoing: bool
    """Sent by the gateway; else received by it."""
    kind: MessageKind
    method: str
    """Of a request or notification; of a response, what it answers."""
    body: str
    """JSON text, secrets masked: the params, or of a response the result or error. Empty where bodies are not
    kept (`inspect.bodies: off`); cut to nothing where more was said at once than could be masked in time."""
    size: int
    """Bytes, before anything was cut."""
    is_cut: bool = False
    """`body` is only its beginning."""
    headers: tuple[tuple[str, str], ...] = ()
    """HTTP headers that came or went with it, credentials masked; none over stdio."""
    era: str = ""
    revision: str = ""
    """Those in which it is written."""
    replica: str = ""
    """On the server's hop: `server/replica`."""
    attempt: int = 0
    """On the server's hop: which try it belongs to, from 1."""
    is_error: bool = False
    """Of a response: `body` is its error object, not its result."""


class ExchangeDetail(Struct, frozen=True):
    row: ExchangeRow
    steps: tuple[Step, ...] = ()
    """In order of time."""
    messages: tuple[Message, ...] = ()
    """In order of time, both hops together."""
    profile: str = ""
    session: str = ""
    """Of a legacy client: the beginning of a digest of its session's id."""
    masked: int = 0
    """Secrets that were masked in it."""
    why_not_replayable: str = ""
    """A sentence; empty: it may be replayed."""
    replay_of: int | None = None
