"""JSON-RPC envelopes: bytes to messages and back, without decoding what is only relayed.

A body is parsed once into id, method and raw params; params and results stay bytes (`msgspec.Raw`).
Spec: basic, "Messages"; ids are strings or integers, their type is significant and echoed as it came.
"""

import re
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Raw, Struct

from proxy_core.errors import InvalidRequest, ParseError
from proxy_core.protocol.lines import CR, LF

RequestId: TypeAlias = str | int

NO_JSON: Final = Raw()
"""An absent member."""
EMPTY_OBJECT: Final = Raw(b"{}")

encode = msgspec.json.Encoder().encode
"""Compact JSON bytes of plain values; `Raw` values inside are copied as they are."""


class _Envelope(Struct, gc=False):
    jsonrpc: Raw = NO_JSON
    id: Raw = NO_JSON
    method: Raw = NO_JSON
    params: Raw = NO_JSON
    result: Raw = NO_JSON
    error: Raw = NO_JSON


class Request(Struct, frozen=True, gc=False):
    id: RequestId
    raw_id: bytes
    """The id's exact JSON, to be echoed."""
    method: str
    params: Raw
    """JSON of an object, or empty."""


class Notification(Struct, frozen=True, gc=False):
    method: str
    params: Raw


class Response(Struct, frozen=True, gc=False):
    """An answer; exactly one of `result` and `error` holds JSON. `id` None: the peer could not read ours."""

    id: RequestId | None
    result: Raw
    error: Raw


Message: TypeAlias = Request | Notification | Response


class RpcError(Struct, frozen=True):
    """The decoded error member of a response."""

    code: int
    message: str
    data: Raw = NO_JSON


class NotOneMessage(InvalidRequest):
    """JSON, but not one request, notification or response. `raw_id` is the id's JSON where it is usable."""

    def __init__(self, message: str, raw_id: bytes = b"", is_array: bool = False) -> None:
        super().__init__(message)
        self.raw_id = raw_id
        self.is_array = is_array


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_any = msgspec.json.Decoder().decode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_array = msgspec.json.Decoder(list[Raw]).decode
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)
_INTEGER = re.compile(rb"-?(0|[1-9][0-9]{0,39})\Z")


def is_empty(raw: Raw) -> bool:
    return memoryview(raw).nbytes == 0


def parse(body: bytes) -> Message:
    """One JSON-RPC message. Raises: ParseError, NotOneMessage."""
    try:
        return _message(_envelope(body))
    except ParseError:
        mended = without_lone_surrogates(body)
        if mended == body:
            raise
        return _message(_envelope(mended))


class _Answer(Struct, gc=False, forbid_unknown_fields=True):
    jsonrpc: str
    id: int
    result: Raw


_decode_answer = msgspec.json.Decoder(_Answer).decode


def parse_answer(body: bytes) -> Response | None:
    """What `parse` makes of an answer to an id of ours, if it is one and well; None of everything else."""
    try:
        answer = _decode_answer(body)
        if not body.isascii():
            body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return Response(answer.id, answer.result, NO_JSON) if answer.jsonrpc == "2.0" else None


def _envelope(body: bytes) -> _Envelope:
    try:
        if not body.isascii():
            # msgspec skips over raw members without looking at their encoding.
            body.decode()
        return _decode_envelope(body)
    except msgspec.ValidationError as error:
        raise NotOneMessage("The body must be one JSON-RPC object.", is_array=is_array(body)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ParseError("The body is not valid JSON.") from error


def without_lone_surrogates(body: bytes) -> bytes:
    r"""The same JSON with each `\ud83d` that lacks its other half replaced by U+FFFD.

    JavaScript writes such halves where it cuts a text inside an emoji; UTF-8 has no form for them.
    """
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found["lone"] else found[0], body)


def is_array(body: bytes) -> bool:
    return body.lstrip()[:1] == b"["


def _message(envelope: _Envelope) -> Message:
    raw_id = bytes(envelope.id)
    request_id = read_id(raw_id)
    echo = b"" if request_id is None else raw_id
    if bytes(envelope.jsonrpc) != b'"2.0"':
        raise NotOneMessage('"jsonrpc" must be "2.0".', echo)
    if is_empty(envelope.method):
        return _response(envelope, request_id, raw_id)
    method = _read_string(bytes(envelope.method))
    if method is None:
        raise NotOneMessage('"method" must be a string.', echo)
    if not is_empty(envelope.params) and memoryview(envelope.params)[0] != 0x7B:
        raise NotOneMessage('"params" must be an object.', echo)
    if not raw_id:
        return Notification(method, envelope.params)
    if request_id is None:
        raise NotOneMessage('"id" must be a string or an integer.')
    return Request(request_id, raw_id, method, envelope.params)


def _response(envelope: _Envelope, request_id: RequestId | None, raw_id: bytes) -> Response:
    has_result, has_error = not is_empty(envelope.result), not is_empty(envelope.error)
    null_id = raw_id in (b"", b"null")
    if has_result == has_error or (request_id is None and not (has_error and null_id)):
        echo = b"" if request_id is None else raw_id
        raise NotOneMessage("This is neither a request, a notification nor a response.", echo)
    return Response(request_id, envelope.result, envelope.error)


def read_id(raw_id: bytes) -> RequestId | None:
    """The id's value, or None for one that is absent, null or of a type that MCP forbids."""
    if raw_id[:1] == b'"':
        return _read_string(raw_id)
    # A float, even 1.0, is not an integer; a length bound keeps int() linear.
    return int(raw_id) if _INTEGER.match(raw_id) else None


def _read_string(raw: bytes) -> str | None:
    try:
        value = _decode_any(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
    return value if isinstance(value, str) else None


def members(raw: Raw | bytes) -> dict[str, Raw]:
    """The members of a JSON object, each still JSON. An absent object has none.

    Raises: ParseError if it is not an object.
    """
    if memoryview(raw).nbytes == 0:
        return {}
    try:
        return _decode_members(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ParseError("Not a JSON object.") from error


def decode(raw: Raw | bytes) -> Any:
    """Plain values of any JSON; None if absent. Raises: ParseError."""
    if memoryview(raw).nbytes == 0:
        return None
    try:
        return _decode_any(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ParseError("Not valid JSON.") from error


def array_items(body: bytes) -> list[bytes]:
    """The items of a JSON array, each still JSON; none if it is not an array."""
    try:
        return [bytes(item) for item in _decode_array(body)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []


def rpc_error(raw: Raw) -> RpcError:
    """The error member of a response; one that is malformed becomes an internal error that says so."""
    try:
        error = members(raw)
        code, message = decode(error.get("code", NO_JSON)), decode(error.get("message", NO_JSON))
    except ParseError:
        code = message = None
    if not isinstance(code, int) or isinstance(code, bool) or not isinstance(message, str):
        return RpcError(-32603, "The server answered with a malformed error.")
    return RpcError(code, message, error.get("data", NO_JSON))


def one_line(raw: bytes) -> bytes:
    """The same JSON without line ends, which stdio and SSE frame by. Raises: ParseError if it is not JSON."""
    if LF not in raw and CR not in raw:
        return raw
    try:
        line = msgspec.json.format(raw, indent=-1)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ParseError("Not valid JSON.") from error
    if LF in line or CR in line:
        raise ParseError("A raw line end inside a JSON string.")
    return line


def request(raw_id: bytes, method: str, params: Raw | bytes = NO_JSON) -> bytes:
    head = b'{"jsonrpc":"2.0","id":' + raw_id + b',"method":' + encode(method)
    return head + b',"params":' + bytes(params) + b"}" if memoryview(params).nbytes else head + b"}"


def notification(method: str, params: Raw | bytes = NO_JSON) -> bytes:
    head = b'{"jsonrpc":"2.0","method":' + encode(method)
    return head + b',"params":' + bytes(params) + b"}" if memoryview(params).nbytes else head + b"}"


def result(raw_id: bytes, value: Raw | bytes) -> bytes:
    # One copy of a value that may be long.
    return b"".join((b'{"jsonrpc":"2.0","id":', raw_id, b',"result":', value, b"}"))


def error(raw_id: bytes | None, code: int, message: str, raw_data: bytes = b"") -> bytes:
    """An error response. `raw_id` None leaves the member out, `b"null"` says null."""
    head = b'{"jsonrpc":"2.0",' + (b"" if raw_id is None else b'"id":' + raw_id + b",")
    body = b'"error":{"code":' + str(int(code)).encode() + b',"message":' + encode(message)
    return head + body + (b',"data":' + raw_data if raw_data else b"") + b"}}"
