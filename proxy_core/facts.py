"""What happened, in the past tense: small frozen events for telemetry and the screens.

Structs of msgspec, because one is made per request and a frozen dataclass costs ten times as much.
Times are `Clock.monotonic()` seconds unless the name says otherwise.
"""

from typing import TypeAlias

from msgspec import Struct


class RequestFinished(Struct, frozen=True, gc=False):
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


class StateChanged(Struct, frozen=True):
    """A server moved from one state to another."""

    at: float
    server: str
    before: str
    after: str
    reason: str
    """A person's words; holds untrusted text."""


class VerbUsed(Struct, frozen=True):
    """An operator acted on a server."""

    at: float
    server: str
    verb: str
    """drain, undrain, enable, disable, restart or probe"""
    outcome: str


class CatalogChanged(Struct, frozen=True):
    """A merged list differs from what clients saw before."""

    at: float
    kind: str
    """tools, resources, templates or prompts"""
    count: int


class NameHidden(Struct, frozen=True):
    """An item was left out of a list, with the reason."""

    at: float
    server: str
    name: str
    reason: str


class SessionsChanged(Struct, frozen=True):
    """Legacy sessions and open streams of clients, as of now."""

    at: float
    sessions: int
    streams: int


class ConfigApplied(Struct, frozen=True):
    at: float
    path: str | None
    added: tuple[str, ...]
    removed: tuple[str, ...]
    replaced: tuple[str, ...]


class ConfigRejected(Struct, frozen=True):
    at: float
    path: str
    message: str


Fact: TypeAlias = (
    RequestFinished
    | StateChanged
    | VerbUsed
    | CatalogChanged
    | NameHidden
    | SessionsChanged
    | ConfigApplied
    | ConfigRejected
)
