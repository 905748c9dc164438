"""Every failure once: its type, its JSON-RPC code, its HTTP status, whose fault it is.

Errors carry data and are formatted at the edge. A subclass exists only where someone branches on it.
Spec: 2026-07-28 basic, "Error Codes"; the HTTP statuses apply to the modern era only, legacy sends 200.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from math import ceil
from typing import Any, ClassVar, Self


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
    TOO_MANY_ROUNDS = "too_many_rounds"
    ELICITATION_DECLINED = "elicitation_declined"
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


class UnknownName(InvalidParams):
    """There is no tool or prompt of this name, or it is not for whoever asks: nobody is told which."""

    def __init__(self, what: str, name: str) -> None:
        super().__init__(f"Unknown {what}: {name[:256]}")


class UnknownReference(InvalidParams):
    """Likewise of what a completion is about."""

    def __init__(self) -> None:
        super().__init__("The ref names nothing that is known here.")


class UnknownResource(InvalidParams):
    """No backend owns this URI. Modern: -32602; legacy: -32002; both carry the URI."""

    def __init__(self, uri: str) -> None:
        super().__init__("Resource not found")
        self.uri = uri

    def data(self) -> dict[str, Any]:
        return {"uri": self.uri}


class InvalidRequestState(InvalidParams):
    """What a client brought back is not what it was given for this request; never said in what it differs."""

    def __init__(self) -> None:
        super().__init__("Invalid or expired requestState")

    def data(self) -> dict[str, Any]:
        return {"reason": "invalid_request_state"}


class NotSubscribable(InvalidParams):
    """The server that has this resource does not tell when it changes."""

    def __init__(self, uri: str) -> None:
        super().__init__("The resource cannot be subscribed to")
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


class MissingCapability(ClientFault):
    """A server needs something of the client that it did not declare with this request."""

    code = ErrorCode.MISSING_CLIENT_CAPABILITY

    def __init__(self, required: dict[str, dict[str, Any]]) -> None:
        """`required`: a capabilities object, as `{"elicitation": {"form": {}}}`."""
        super().__init__("The request needs a client capability that was not declared.")
        self.required = required

    def data(self) -> dict[str, Any]:
        return {"requiredCapabilities": self.required}


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


# --- what a client does with a request of ours --------------------------------------------------------------


class ClientError(Only1Error):
    """The client's own JSON-RPC error to a request of a server. `raw_data` is its `data` as JSON, or empty."""

    def __init__(self, code: int, message: str, raw_data: bytes = b"") -> None:
        super().__init__(message)
        self.code = code
        self.raw_data = raw_data


class ClientSilent(Only1Error):
    """The client cannot be asked, or did not answer in time."""


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
    nothing_sent: bool = False
    """Whether the request surely never reached the server, so that it can be made elsewhere."""

    def __init__(self, backend: str, message: str, detail: str = "") -> None:
        """`message` reaches clients; `detail` reaches the logs and the screen only."""
        super().__init__(message)
        self.backend = backend
        self.detail = detail or message

    def data(self) -> dict[str, Any]:
        return {"dev.only1mcp": {"kind": self.kind, "backend": self.backend, "retryable": self.retryable}}

    def unsent(self) -> Self:
        """The same fault for a request that came too late to be sent."""
        late = type(self).__new__(type(self), *self.args)
        late.__dict__.update(self.__dict__)
        late.nothing_sent = True
        return late


class BackendUnavailable(BackendFault):
    """Not connected, or stopped on purpose (drained, disabled); nothing was sent."""

    kind, retryable = Kind.UNAVAILABLE, True
    nothing_sent = True


class BackendFailing(BackendUnavailable):
    """It was asked, and is in no state to answer; it may have acted."""

    nothing_sent = False

    def __init__(self, backend: str, message: str, detail: str = "", status: int | None = None) -> None:
        """`status`: the HTTP status that said so."""
        super().__init__(backend, message, detail)
        self.status = status


class CircuitOpen(BackendUnavailable):
    """It fails too often to be asked now; nothing was sent, and this is not one more failure of its own."""

    def __init__(self, backend: str, retry_in_s: float) -> None:
        """`retry_in_s`: 0 while it is being tried."""
        wait_s = ceil(retry_in_s)
        unit = "second" if wait_s == 1 else "seconds"
        when = f"tried again in {wait_s} {unit}" if wait_s > 0 else "being tried again"
        super().__init__(backend, f"The server is failing; {when}.")
        self.retry_in_s = max(0.0, retry_in_s)

    def data(self) -> dict[str, Any]:
        data = super().data()
        data["dev.only1mcp"]["retryAfterMs"] = ceil(self.retry_in_s * 1000)
        return data


class BackendTimeout(BackendFault):
    kind = Kind.TIMEOUT


class BackendExited(BackendFault):
    """The child process or its pipe ended while the call was in flight."""

    kind = Kind.EXITED


class BackendStreamLost(BackendFault):
    kind = Kind.STREAM_LOST


class BackendAuthRequired(BackendFault):
    """Refused before it was looked at."""

    kind = Kind.AUTH_REQUIRED
    nothing_sent = True


class BackendProtocolError(BackendFault):
    kind = Kind.PROTOCOL

    def __init__(
        self,
        backend: str,
        message: str,
        detail: str = "",
        *,
        backend_code: int | None = None,
        required: dict[str, Any] | None = None,
    ) -> None:
        """`backend_code`: the backend's own error code, if clients have no meaning for it.

        `required`: a capabilities object that the backend wants of a client that cannot declare it.
        """
        super().__init__(backend, message, detail)
        self._backend_code = backend_code
        self._required = required

    def data(self) -> dict[str, Any]:
        data = super().data()
        if self._backend_code is not None:
            data["dev.only1mcp"]["backendCode"] = self._backend_code
        return data if self._required is None else data | {"requiredCapabilities": self._required}


class TooManyRounds(BackendFault):
    """The backend keeps asking for input."""

    kind = Kind.TOO_MANY_ROUNDS


class ElicitationDeclined(BackendFault):
    """The person did not do what the backend needs before it can answer."""

    kind = Kind.ELICITATION_DECLINED


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
    nothing_sent = True


class Overloaded(Only1Error):
    """A limit of ours is reached; the same call may succeed later."""

    def __init__(self, message: str, retry_in_s: float | None = None) -> None:
        """`retry_in_s`: None where nobody knows."""
        super().__init__(message)
        self.retry_in_s = retry_in_s

    def data(self) -> dict[str, Any]:
        said: dict[str, Any] = {"kind": Kind.OVERLOADED, "retryable": True}
        if self.retry_in_s is not None:
            said["retryAfterMs"] = ceil(self.retry_in_s * 1000)
        return {"dev.only1mcp": said}


# --- the operator's side ------------------------------------------------------------------------------------


class UnknownServer(Only1Error):
    """A verb named a server that the configuration does not have."""

    def __init__(self, server: str) -> None:
        super().__init__(f"There is no server with the id {server!r}.")


class UnknownReplica(UnknownServer):
    """A verb named a replica that its server does not have."""

    def __init__(self, server: str, replica: str, known: tuple[str, ...]) -> None:
        Only1Error.__init__(
            self, f"The server {server!r} has no replica {replica!r}; it has {', '.join(known)}."
        )


class NothingToRollBack(Only1Error):
    """There is no earlier configuration."""

    def __init__(self) -> None:
        super().__init__(
            "There is no earlier configuration to go back to: this one is in force since the start."
        )


class UnknownExchange(Only1Error):
    """A recorded exchange is not kept any more, or never was."""

    def __init__(self, id: int) -> None:
        super().__init__(f"The exchange {id} is not kept any more; inspect.exchanges says how many are.")


class NotReplayable(Only1Error):
    """A recorded exchange cannot be made again as it was."""


class UnknownQuestion(Only1Error):
    """A question of a server is not open any more, or never was; the sentence says what became of it."""


class UnknownChange(Only1Error):
    """Nothing of that name waits for an approval, or it is another change by now; the sentence says which."""


class LoginFailed(Only1Error):
    """The gateway could not log in at a server; the sentence says why, and holds no secret."""


class NotAllowed(Only1Error):
    """The configuration does not allow this; the sentence names the key that would."""


class GatewayUnreachable(Only1Error):
    """Nothing answers at the URL, or what answers is not this gateway; the caller may do without."""


class CertificateRefused(GatewayUnreachable):
    """It answers with a certificate that is not trusted here. Nothing is to be started in its place."""


class TokenRefused(Only1Error):
    """Who asks must say who he is. The gateway is there, so nothing is to be started in its place."""


class PortInUse(Only1Error):
    """The listener could not bind. `holder` says which process has the port, where the system tells."""

    def __init__(self, host: str, port: int, holder: str | None) -> None:
        by = f" by {holder}" if holder else ""
        super().__init__(
            f"Port {port} on {host} is in use{by}. Choose another with --port, or stop that process."
        )


class TlsUnusable(Only1Error):
    """The listener cannot serve HTTPS with these files."""

    def __init__(self, key_path: str, file: str, why: str) -> None:
        super().__init__(f"HTTPS cannot be served: {key_path}, {file}, cannot be used: {why}.")


class InsecureBind(Only1Error):
    """The listener would be open to the network, where nobody has to say who they are."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"Listening on {host} lets anyone who can reach this machine use your servers. Use 127.0.0.1, "
            "or have clients send a token (only1mcp token new), or say --insecure if that is what you want."
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
