"""Every failure once: its type, its JSON-RPC code, its HTTP status, whose fault it is.

Errors carry data and are formatted at the edge. A subclass exists only where someone branches on it.
Spec: 2026-07-28 basic, "Error Codes"; the HTTP statuses apply to the modern era only, legacy sends 200.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, ClassVar


class ErrorCode(IntEnum):
    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    HEADER_MISMATCH = -32020
    MISSING_CLIENT_CAPABILITY = -32021
    UNSUPPORTED_VERSION = -32022
    LEGACY_RESOURCE_NOT_FOUND = -32002
    LEGACY_URL_ELICITATION_REQUIRED = -32042


HTTP_STATUS_OF_CODE: dict[int, int] = {
    ErrorCode.PARSE_ERROR: 400,
    ErrorCode.INVALID_REQUEST: 400,
    ErrorCode.METHOD_NOT_FOUND: 404,
    ErrorCode.INVALID_PARAMS: 400,
    ErrorCode.HEADER_MISMATCH: 400,
    ErrorCode.MISSING_CLIENT_CAPABILITY: 400,
    ErrorCode.UNSUPPORTED_VERSION: 400,
}
"""HTTP status of a modern error while the response is uncommitted; any other code travels with 200."""


class Kind(StrEnum):
    """`data["dev.only1mcp"].kind` of an error that is not the client's fault."""

    UNAVAILABLE = "backend_unavailable"
    TIMEOUT = "backend_timeout"
    EXITED = "backend_exited"
    STREAM_LOST = "backend_stream_lost"
    AUTH_REQUIRED = "backend_auth_required"
    PROTOCOL = "backend_protocol"
    OVERLOADED = "overloaded"


class Only1Error(Exception):
    """Any failure of ours. `message` is safe to show to a client."""

    code: int = ErrorCode.INTERNAL_ERROR

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def data(self) -> dict[str, Any] | None:
        """The `data` member of the JSON-RPC error, or None for none."""
        return None

    @property
    def http_status(self) -> int:
        return HTTP_STATUS_OF_CODE.get(self.code, 200)


# --- the client's fault -------------------------------------------------------------------------------------


class ClientFault(Only1Error):
    """The request itself cannot be served; no backend was asked."""


class ParseError(ClientFault):
    code = ErrorCode.PARSE_ERROR


class InvalidRequest(ClientFault):
    code = ErrorCode.INVALID_REQUEST


class MethodNotFound(ClientFault):
    code = ErrorCode.METHOD_NOT_FOUND


class InvalidParams(ClientFault):
    code = ErrorCode.INVALID_PARAMS


class UnknownResource(InvalidParams):
    """No backend owns this URI. Modern: -32602; legacy: -32002; both carry the URI."""

    def __init__(self, uri: str) -> None:
        super().__init__("Resource not found")
        self.uri = uri

    def data(self) -> dict[str, Any]:
        return {"uri": self.uri}


class HeaderMismatch(ClientFault):
    code = ErrorCode.HEADER_MISMATCH


class UnsupportedVersion(ClientFault):
    code = ErrorCode.UNSUPPORTED_VERSION

    def __init__(self, message: str, requested: str, supported: tuple[str, ...]) -> None:
        super().__init__(message)
        self.requested = requested
        self.supported = supported

    def data(self) -> dict[str, Any]:
        return {"supported": list(self.supported), "requested": self.requested}


class HttpRefusal(ClientFault):
    """A fault of the HTTP layer: the status says it all, the JSON-RPC body only repeats it in words."""

    code = ErrorCode.INVALID_REQUEST

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}

    @property
    def http_status(self) -> int:
        return self.status


# --- a backend's fault, or ours -----------------------------------------------------------------------------


class BackendError(Only1Error):
    """The backend's own JSON-RPC error answer, relayed. `raw_data` is its `data` member as JSON, or empty."""

    def __init__(self, backend: str, code: int, message: str, raw_data: bytes = b"") -> None:
        super().__init__(message)
        self.backend = backend
        self.code = code
        self.raw_data = raw_data


class BackendFault(Only1Error):
    """The backend could not be asked, or did not answer as MCP says."""

    kind: ClassVar[Kind] = Kind.PROTOCOL
    retryable: ClassVar[bool] = False

    def __init__(self, backend: str, message: str, detail: str = "") -> None:
        """`message` reaches clients; `detail` reaches the logs and the screen only."""
        super().__init__(message)
        self.backend = backend
        self.detail = detail or message

    def data(self) -> dict[str, Any]:
        return {"dev.only1mcp": {"kind": self.kind, "backend": self.backend, "retryable": self.retryable}}


class BackendUnavailable(BackendFault):
    """Not connected, or stopped on purpose (drained, disabled); nothing was sent."""

    kind, retryable = Kind.UNAVAILABLE, True


class BackendTimeout(BackendFault):
    kind = Kind.TIMEOUT


class BackendExited(BackendFault):
    """The child process or its pipe ended while the call was in flight."""

    kind = Kind.EXITED


class BackendStreamLost(BackendFault):
    kind = Kind.STREAM_LOST


class BackendAuthRequired(BackendFault):
    kind = Kind.AUTH_REQUIRED


class BackendProtocolError(BackendFault):
    kind = Kind.PROTOCOL


class BackendHttpError(BackendFault):
    """An HTTP status from 400 to 499 without a JSON-RPC error; the request was not understood."""

    def __init__(self, backend: str, status: int) -> None:
        super().__init__(backend, f"The server answered with HTTP status {status}.")
        self.status = status


class NotServable(BackendFault):
    """The handshake showed that we and this server cannot talk; trying again soon would change nothing."""

    kind = Kind.UNAVAILABLE

    def __init__(self, backend: str, detail: str) -> None:
        super().__init__(backend, "The server could not be started.", detail)


class BackendSessionLost(BackendFault):
    """A 404 to our session id: the request was not processed, so one retry on a new session is safe."""

    kind, retryable = Kind.STREAM_LOST, True


class Overloaded(Only1Error):
    """A limit of ours is reached; the same call may succeed later."""

    def data(self) -> dict[str, Any]:
        return {"dev.only1mcp": {"kind": Kind.OVERLOADED, "retryable": True}}


# --- the operator's side ------------------------------------------------------------------------------------


class UnknownServer(Only1Error):
    """A verb named a server that the configuration does not have."""

    def __init__(self, server: str) -> None:
        super().__init__(f"There is no server with the id {server!r}.")


class PortInUse(Only1Error):
    """The listener could not bind. `holder` says which process has the port, where the system tells."""

    def __init__(self, host: str, port: int, holder: str | None) -> None:
        by = f" by {holder}" if holder else ""
        super().__init__(
            f"Port {port} on {host} is in use{by}. Choose another with --port, or stop that process."
        )


class InsecureBind(Only1Error):
    """The listener would be open to the network, where nobody has to say who they are."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"Listening on {host} lets anyone who can reach this machine use your servers. "
            "Use 127.0.0.1, or say --insecure if that is what you want."
        )


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One fault of a configuration file."""

    key: str
    """Path of the key, as `servers[2].transport.url`; empty for the file as a whole."""
    message: str
    """What was found, what is allowed, the nearest known key."""
    line: int | None = None
    """1-based; None where the format does not tell (TOML)."""


class ConfigError(Only1Error):
    """The file cannot be used; `problems` holds every fault that was found."""

    def __init__(self, path: str, problems: tuple[ConfigProblem, ...]) -> None:
        self.path = path
        self.problems = problems
        super().__init__("\n".join(self._line(problem) for problem in problems))

    def _line(self, problem: ConfigProblem) -> str:
        where = self.path if problem.line is None else f"{self.path}:{problem.line}"
        return f"{where}: {problem.key}: {problem.message}" if problem.key else f"{where}: {problem.message}"
