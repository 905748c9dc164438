"""What travels between the admin API and its client: bodies, events, and errors that come out as they went in.

Both ends import this, so that they cannot differ. Pure; knows no HTTP beyond the status of an error.
"""

from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from proxy_core.control import DrainOutcome
from proxy_core.errors import (
    BackendAuthRequired,
    BackendError,
    BackendExited,
    BackendFault,
    BackendProtocolError,
    BackendStreamLost,
    BackendTimeout,
    BackendUnavailable,
    ClientFault,
    ConfigError,
    ConfigProblem,
    HttpRefusal,
    InvalidParams,
    Kind,
    LoginFailed,
    NotAllowed,
    NothingToRollBack,
    NotReplayable,
    Only1Error,
    Overloaded,
    UnknownChange,
    UnknownExchange,
    UnknownQuestion,
    UnknownReplica,
    UnknownServer,
)
from proxy_core.facts import Fact
from proxy_core.telemetry.exchanges import ExchangeRow
from proxy_core.telemetry.snapshot import LogLine, Probe

PREFIX: Final = "/admin/v1"
MAX_NAME: Final = 1024
"""Characters of a tool's name in a call."""
T = TypeVar("T")


class DrainBody(Struct, frozen=True, forbid_unknown_fields=True):
    grace_s: float | None = None


class CallBody(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    arguments: dict[str, Any] = {}


class LevelBody(Struct, frozen=True, forbid_unknown_fields=True):
    level: str


class AnswerBody(Struct, frozen=True, forbid_unknown_fields=True):
    action: str
    content: dict[str, Any] | None = None


class DrillBody(Struct, frozen=True, forbid_unknown_fields=True):
    kind: str
    delay_ms: float = 0.0
    share: float = 1.0
    for_s: float = 60.0


class ApproveBody(Struct, frozen=True, forbid_unknown_fields=True):
    tool: str | None = None
    """The server's own name; none: all of the server's."""
    digest: str | None = None
    """Of what was looked at."""


class Approved(Struct, frozen=True):
    tools: tuple[str, ...]


class LoginBody(Struct, frozen=True, forbid_unknown_fields=True):
    redirect_uri: str
    """`http://127.0.0.1:PORT/...`, where whoever asks listens."""


class LoginAnswer(Struct, frozen=True, forbid_unknown_fields=True):
    answer: dict[str, str]
    """The parameters of the URL that the browser came back to."""


class LoginTerms(Struct, frozen=True):
    port: int
    """That the browser should come back to; 0: any."""


class Cleared(Struct, frozen=True):
    answers: int
    """Kept answers that were dropped."""


class Session(Struct, frozen=True):
    """Who asks, as the gateway sees it; on the event stream it comes first, and again when it changes."""

    principal: str
    """`owner` on the socket, else the token's principal."""
    may_steer: bool
    """Whether verbs are taken, or it may look alone."""


class NumberedFact(Struct, frozen=True):
    seq: int
    fact: Fact


class NumberedLine(Struct, frozen=True):
    seq: int
    line: LogLine


class LogPage(Struct, frozen=True):
    """Log lines, oldest first."""

    seq: int
    """Of the last line here, or what was asked for if there is none: where to go on."""
    lines: tuple[LogLine, ...] = ()


class NumberedExchange(Struct, frozen=True):
    seq: int
    """Where to go on from."""
    row: ExchangeRow


class ExchangePage(Struct, frozen=True):
    """Exchanges that began or changed, in that order."""

    seq: int
    """Where to go on."""
    rows: tuple[ExchangeRow, ...] = ()


class ReplayBody(Struct, frozen=True, forbid_unknown_fields=True):
    target: str | None = None
    """`server` or `server/replica`; none: as it was."""


class ErrorBody(Struct, frozen=True, omit_defaults=True):
    """The member `error` of an answer that is one."""

    type: str
    message: str
    server: str = ""
    """Which server failed."""
    kind: str = ""
    """In what way: that of `data["dev.only1mcp"]`, for a server's failure."""
    code: int | UnsetType = UNSET
    """The JSON-RPC code that the server answered."""
    data: Raw | UnsetType = UNSET
    """The `data` that came with it."""
    path: str = ""
    """The configuration file."""
    problems: tuple[ConfigProblem, ...] = ()


class ErrorAnswer(Struct, frozen=True):
    error: ErrorBody


class Drained(Struct, frozen=True, omit_defaults=True):
    """What became of one of several servers."""

    outcome: DrainOutcome | None = None
    error: ErrorBody | None = None


class Resumed(Struct, frozen=True, omit_defaults=True):
    error: ErrorBody | None = None


class Probed(Struct, frozen=True, omit_defaults=True):
    probe: Probe | None = None
    error: ErrorBody | None = None


_FAULTS: Final[dict[str, type[BackendFault]]] = {
    Kind.UNAVAILABLE: BackendUnavailable,
    Kind.TIMEOUT: BackendTimeout,
    Kind.EXITED: BackendExited,
    Kind.STREAM_LOST: BackendStreamLost,
    Kind.AUTH_REQUIRED: BackendAuthRequired,
    Kind.PROTOCOL: BackendProtocolError,
}
ERRORS: Final[dict[str, tuple[int, str]]] = {
    "unknown_server": (404, "No server has this id."),
    "unknown_replica": (404, "The server has no replica with this id."),
    "unknown_exchange": (404, "The recorded exchange is not kept any more."),
    "unknown_question": (409, "The question is not open any more; the message says what became of it."),
    "unknown_change": (409, "Nothing of that name waits for an approval, or it is another change by now."),
    "not_allowed": (403, "The configuration does not allow it; the message names the key."),
    "login_failed": (409, "The gateway could not log in at a server; the message says why."),
    "not_replayable": (409, "The recorded exchange cannot be made again as it was; the message says why."),
    "nothing_to_roll_back": (409, "No other configuration was in force before."),
    "bad_config": (
        422,
        "The configuration file cannot be used: `path`, `problems` with key, message, line.",
    ),
    "bad_request": (400, "The body, the query or a value in them is not what the route takes."),
    "server_error": (502, "A server answered with a JSON-RPC error: `server`, `code`, `data`."),
    "server_fault": (502, "A server could not be asked, or did not answer: `server`, `kind`."),
    "overloaded": (503, "A limit of the gateway is reached; the same may succeed later."),
    "internal": (500, "Anything else."),
}
"""Type -> HTTP status and meaning. What HTTP itself refuses is `refused`, with a status of its own."""


def encoded(value: object) -> bytes:
    """As one line of JSON. A path or a name that is no Unicode is shown as far as it is."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_whole(msgspec.to_builtins(value)))


def decoded(raw: bytes, kind: type[T]) -> T:
    """Raises: msgspec.DecodeError, and its ValidationError if it is JSON of another shape."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from error


def error_body(error: Only1Error) -> ErrorBody:
    match error:
        case UnknownReplica():
            return ErrorBody("unknown_replica", error.message)
        case UnknownServer():
            return ErrorBody("unknown_server", error.message)
        case UnknownExchange():
            return ErrorBody("unknown_exchange", error.message)
        case UnknownQuestion():
            return ErrorBody("unknown_question", error.message)
        case UnknownChange():
            return ErrorBody("unknown_change", error.message)
        case NotAllowed():
            return ErrorBody("not_allowed", error.message)
        case LoginFailed():
            return ErrorBody("login_failed", error.message)
        case NotReplayable():
            return ErrorBody("not_replayable", error.message)
        case NothingToRollBack():
            return ErrorBody("nothing_to_roll_back", error.message)
        case ConfigError():
            return ErrorBody("bad_config", error.message, path=error.path, problems=error.problems)
        case BackendError():
            data = Raw(error.raw_data) if error.raw_data else UNSET
            return ErrorBody("server_error", error.message, error.backend, code=error.code, data=data)
        case BackendFault():
            return ErrorBody("server_fault", error.message, error.backend, error.kind.value)
        case Overloaded():
            return ErrorBody("overloaded", error.message)
        case HttpRefusal():
            return ErrorBody("refused", error.message)
        case ClientFault():
            return ErrorBody("bad_request", error.message)
    return ErrorBody("internal", error.message)


def status_of(body: ErrorBody) -> int:
    """The HTTP status of an error that no rule of HTTP gave one."""
    return ERRORS[body.type][0]


def error_of(body: ErrorBody) -> Only1Error:
    """The exception that it was, or one that those who handle it take for it."""
    match body.type:
        case "unknown_server":
            return _saying(UnknownServer, body.message)
        case "unknown_replica":
            return _saying(UnknownReplica, body.message)
        case "unknown_exchange":
            return _saying(UnknownExchange, body.message)
        case "unknown_question":
            return UnknownQuestion(body.message)
        case "unknown_change":
            return UnknownChange(body.message)
        case "not_allowed":
            return NotAllowed(body.message)
        case "login_failed":
            return LoginFailed(body.message)
        case "not_replayable":
            return NotReplayable(body.message)
        case "nothing_to_roll_back":
            return NothingToRollBack()
        case "bad_config":
            return ConfigError(body.path, body.problems)
        case "server_error":
            code = -32603 if body.code is UNSET else body.code
            return BackendError(
                body.server, code, body.message, b"" if body.data is UNSET else bytes(body.data)
            )
        case "server_fault":
            return _FAULTS.get(body.kind, BackendFault)(body.server, body.message)
        case "overloaded":
            return Overloaded(body.message)
        case "bad_request":
            return InvalidParams(body.message)
    return Only1Error(body.message)


def _saying(kind: type[Only1Error], message: str) -> Only1Error:
    """One whose own constructor would make up the sentence that is here already."""
    error = kind.__new__(kind)
    Only1Error.__init__(error, message)
    return error


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_whole(key): _whole(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(item) for item in value]
    return value
