"""How a connection finds out which era its backend speaks, as a state machine. Pure: outcomes in, steps out.

Spec: 2026-07-28 basic/versioning, "Backward compatibility"; basic/transports/stdio and streamable-http,
"Compatibility". The fallback never hangs on one error code.
"""

from enum import Enum, auto
from typing import Literal, TypeAlias

from msgspec import Struct

from proxy_core.errors import ErrorCode
from proxy_core.protocol.revisions import LEGACY_REVISIONS, MODERN


class Step(Enum):
    """What to do next."""

    DISCOVER = auto()
    INITIALIZE = auto()
    RESPAWN = auto()
    """Start the child again, then initialize."""
    TRY_SSE = auto()
    """Change to HTTP+SSE, then initialize."""
    READY = auto()
    FAIL = auto()


class Discovered(Struct, frozen=True):
    """server/discover answered with these versions."""

    supported: tuple[str, ...]


class Initialized(Struct, frozen=True):
    """initialize answered with this version."""

    revision: str


class Refused(Struct, frozen=True):
    """A JSON-RPC error; `supported` is the list in the data of -32022, else empty."""

    code: int
    supported: tuple[str, ...] = ()


class HttpRefused(Struct, frozen=True):
    """An HTTP status from 400 to 499 without a JSON-RPC error in its body; never 401 or 403."""

    status: int


class Silence:
    """No answer in time."""


class Nonsense:
    """An answer that cannot be understood."""


class Exited:
    """The child ended."""


TransportKind: TypeAlias = Literal["stdio", "http", "sse"]
Outcome: TypeAlias = Discovered | Initialized | Refused | HttpRefused | Silence | Nonsense | Exited

_MODERN_CODES = frozenset(
    {ErrorCode.HEADER_MISMATCH, ErrorCode.MISSING_CLIENT_CAPABILITY, ErrorCode.UNSUPPORTED_VERSION}
)
_SSE_STATUSES = frozenset({400, 404, 405})


class Opening:
    """One attempt to open. `reason` says why it failed, `revision` what was agreed on READY."""

    def __init__(
        self,
        transport: TransportKind,
        era: Literal["auto", "modern", "legacy"],
        is_known_legacy: bool = False,
    ) -> None:
        """`is_known_legacy`: it was when it was probed last, and is not probed unless it says otherwise."""
        self._transport = transport
        self._era = era
        self._is_known_legacy = is_known_legacy and era == "auto"
        self._probes = 0
        self._respawned = False
        self.revision = ""
        self.reason = ""

    def first(self) -> Step:
        # HTTP+SSE exists in 2024-11-05 only.
        is_legacy = self._era == "legacy" or self._transport == "sse" or self._is_known_legacy
        return Step.INITIALIZE if is_legacy else self._discover()

    def _discover(self) -> Step:
        self._probes += 1
        return Step.DISCOVER

    def _fail(self, reason: str) -> Step:
        self.reason = reason
        return Step.FAIL

    def _legacy(self, why: str) -> Step:
        if self._era == "modern":
            return self._fail(f"{why}, and its era is set to modern")
        return Step.INITIALIZE

    def after_discover(self, outcome: Outcome) -> Step:
        match outcome:
            case Discovered(supported):
                return self._choose(supported)
            case Refused(code, supported) if code == ErrorCode.UNSUPPORTED_VERSION:
                return self._after_unsupported(supported)
            case Refused(code) if code in _MODERN_CODES and self._transport == "http":
                return self._fail(f"it refused server/discover with error {code}")
            case Refused(code):
                return self._legacy(f"it refused server/discover with error {code}")
            case HttpRefused(status):
                return self._legacy(f"it refused server/discover with HTTP status {status}")
            case Exited() if self._era != "modern" and not self._respawned:
                self._respawned = True
                return Step.RESPAWN
            case Exited():
                return self._fail("it exited on server/discover")
            case _:
                return self._legacy("it did not answer server/discover")

    def _choose(self, supported: tuple[str, ...]) -> Step:
        if MODERN in supported and self._era != "legacy":
            self.revision = MODERN
            return Step.READY
        if any(version in LEGACY_REVISIONS for version in supported):
            return self._legacy("it offers legacy versions only")
        return self._fail(f"it offers no version that we know: {', '.join(supported) or 'none'}")

    def _after_unsupported(self, supported: tuple[str, ...]) -> Step:
        if MODERN in supported and self._probes < 2:
            return self._discover()
        if any(version in LEGACY_REVISIONS for version in supported):
            return self._legacy("it offers legacy versions only")
        return self._fail(f"it offers no version that we know: {', '.join(supported) or 'none'}")

    def after_initialize(self, outcome: Outcome) -> Step:
        match outcome:
            case Initialized(revision) if revision in LEGACY_REVISIONS:
                self.revision = revision
                return Step.READY
            case Initialized(revision):
                return self._fail(f"it answered initialize with the unknown version {revision!r}")
            case Refused() | HttpRefused() if self._is_known_legacy and not self._probes:
                # No legacy server refuses this, so it is none any more.
                return self._discover()
            case Refused(code) if code == ErrorCode.UNSUPPORTED_VERSION and self._probes == 1:
                # The probe got through late: it is a modern server after all.
                return self._discover()
            case Refused(code):
                return self._fail(f"it refused initialize with error {code}")
            case HttpRefused(status) if status in _SSE_STATUSES and self._transport == "http":
                # Once: what refuses us there too is nothing that we know.
                self._transport = "sse"
                return Step.TRY_SSE
            case HttpRefused(status):
                return self._fail(f"it refused initialize with HTTP status {status}")
            case Exited():
                return self._fail("it exited during the handshake")
            case Nonsense():
                return self._fail("it answered initialize with something that is not MCP")
            case _:
                return self._fail("it did not answer initialize in time")
