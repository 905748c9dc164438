"""What happened, in the past tense: small frozen events for telemetry and the screens.

Structs of msgspec, because one is made per request and a frozen dataclass costs ten times as much.
Times are `Clock.monotonic()` seconds unless the name says otherwise.
"""

from typing import TypeAlias

from msgspec import Struct


class RequestFinished(Struct, frozen=True, gc=False, tag=True):
    """One client request was answered, well or not."""

    at: float
    client: str
    """The client's self-reported name: display only."""
    principal: str
    era: str
    """legacy or modern"""
    revision: str
    method: str
    server: str | None
    """The backend that answered, None where the gateway did."""
    target: str | None
    """The exposed tool, prompt or URI."""
    duration_ms: float
    error_code: int | None
    """JSON-RPC code, None for a result."""
    is_tool_error: bool
    """A result with `isError: true`: the tool's failure, not the server's."""
    bytes_out: int


class StateChanged(Struct, frozen=True, tag=True):
    """A server moved from one state to another."""

    at: float
    server: str
    before: str
    after: str
    reason: str
    """A person's words; holds untrusted text."""


class ReplicaChanged(Struct, frozen=True, tag=True):
    """One of several replicas of a server moved from one state to another."""

    at: float
    server: str
    replica: str
    before: str
    after: str
    reason: str
    """A person's words; holds untrusted text."""


class BreakerTurned(Struct, frozen=True, tag=True):
    """The circuit breaker of a replica opened, half opened or closed."""

    at: float
    server: str
    replica: str
    state: str
    """closed, open or half_open"""
    reason: str


class CallRetried(Struct, frozen=True, tag=True):
    """A call that failed was made once more."""

    at: float
    server: str
    replica: str
    """Where it failed."""
    reason: str
    """The kind of the failure."""


class ProbeFinished(Struct, frozen=True, tag=True):
    """A replica was probed."""

    at: float
    server: str
    replica: str
    latency_ms: float
    error: str | None


class VerbUsed(Struct, frozen=True, tag=True):
    """An operator acted on a server."""

    at: float
    server: str
    """`*` for all of them at once."""
    verb: str
    """drain, undrain, enable, disable, restart, probe, replay, clear cache or drill"""
    outcome: str


class OperatorAsked(Struct, frozen=True, tag=True):
    """A server's question was put before an operator, because its client cannot be asked."""

    at: float
    question: str
    server: str
    client: str
    """Self-reported: display only."""
    principal: str
    target: str
    mode: str
    """form or url"""
    fields: tuple[str, ...] = ()
    """Names that the form asks for."""


class OperatorAnswered(Struct, frozen=True, tag=True):
    """Such a question is over."""

    at: float
    question: str
    server: str
    outcome: str
    """accept, decline or cancel; expired: nobody answered; withdrawn: the call ended first"""
    by: str = ""
    """Who answered: a principal of the admin API, or `screen`."""
    fields: tuple[str, ...] = ()
    """Names that were filled in; never what was."""


class CatalogChanged(Struct, frozen=True, tag=True):
    """A merged list differs from what clients saw before."""

    at: float
    kind: str
    """tools, resources, templates or prompts"""
    count: int


class ContextModeChanged(Struct, frozen=True, tag=True):
    """Tools are listed in another mode than before: by a reload, or because `auto` chose it."""

    at: float
    profile: str
    """Empty: for clients without one."""
    before: str
    now: str
    """full, compact or search"""


class NameHidden(Struct, frozen=True, tag=True):
    """An item was left out of a list, with the reason."""

    at: float
    server: str
    name: str
    reason: str


class ToolChanged(Struct, frozen=True, tag=True):
    """A tool of a server that is known is new, gone, or not what it was."""

    at: float
    server: str
    tool: str
    """The server's own name of it, cut; empty: there are more of these than are told one by one."""
    what: str
    """changed, new, gone, or restored: it is again what it was, or there again"""
    parts: tuple[str, ...] = ()
    """Of a changed one, what is different: `description`, `input schema`, ..."""
    is_withheld: bool = False
    """Whether clients do without it until somebody approves it (on_change: quarantine)."""
    more: int = 0
    """Without a `tool`: how many."""


class OtherToolNamed(Struct, frozen=True, tag=True):
    """The texts of a tool name tools of other servers."""

    at: float
    server: str
    tool: str
    """The server's own name of it, cut."""
    named: tuple[str, ...]


class SessionsChanged(Struct, frozen=True, tag=True):
    """Legacy sessions and open streams of clients, as of now."""

    at: float
    sessions: int
    streams: int


class LimitReached(Struct, frozen=True, tag=True):
    """A request was refused, because there are too many."""

    at: float
    limit: str
    """Whose: principal, profile, server or tool"""
    kind: str
    """rate, concurrent, tokens or listens"""
    name: str
    """Which: of a tool, its server's id and its own name with a slash between."""
    is_news: bool = True
    """False: this limit was told of within the last minute; it is counted and no event."""


class ConfigApplied(Struct, frozen=True, tag=True):
    at: float
    path: str | None
    added: tuple[str, ...]
    removed: tuple[str, ...]
    replaced: tuple[str, ...]
    updated: tuple[str, ...] = ()
    is_rollback: bool = False
    settings: tuple[str, ...] = ()
    """Keys beside those of servers that are different and in force."""


class ConfigRejected(Struct, frozen=True, tag=True):
    at: float
    path: str
    message: str


class AuditTurned(Struct, frozen=True, tag=True):
    """Lines of the audit cannot be written any more, or can again."""

    at: float
    is_failing: bool
    reason: str
    lost: int
    """Lines, since the start."""


Fact: TypeAlias = (
    RequestFinished
    | StateChanged
    | ReplicaChanged
    | BreakerTurned
    | CallRetried
    | ProbeFinished
    | VerbUsed
    | OperatorAsked
    | OperatorAnswered
    | CatalogChanged
    | ContextModeChanged
    | NameHidden
    | ToolChanged
    | OtherToolNamed
    | SessionsChanged
    | LimitReached
    | ConfigApplied
    | ConfigRejected
    | AuditTurned
)
