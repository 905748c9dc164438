"""Decide which era a message belongs to, and whether a modern one is well formed.

Pure: headers and body in, a value out; a refusal is a value too. Knows no sessions and no sockets.
Spec: 2026-07-28 basic/transports/streamable-http, "Request Metadata"; basic/versioning.
"""

from functools import lru_cache
from typing import Final, TypeAlias

from msgspec import Raw, Struct

from proxy_core.errors import (
    HeaderMismatch,
    InvalidParams,
    InvalidRequest,
    MethodNotFound,
    Only1Error,
    ParseError,
    UnsupportedVersion,
)
from proxy_core.protocol import headers as http
from proxy_core.protocol import jsonrpc, meta, methods, revisions
from proxy_core.protocol.headers import Headers, RoutingHeaders
from proxy_core.protocol.revisions import Era

MAX_CLIENT_NAME: Final = 80
MAX_CACHED_META: Final = 1024
"""Bytes of a `_meta` that is remembered; one with a progress token of its own is not worth more."""
_LEGACY: Final = frozenset(revisions.LEGACY_REVISIONS)
_MODERN: Final = [revisions.MODERN]
_IDLESS_ERRORS: Final = frozenset({"2025-11-25"})
"""Legacy revisions whose error responses leave out an id that could not be read; older ones say null."""


class ModernRequest(Struct, frozen=True, gc=False):
    """A request whose envelope and headers agree and whose method exists."""

    request: jsonrpc.Request
    version: str
    log_level: str | None
    progress_token: Raw
    """JSON of a string or number, or empty."""
    client_name: str
    """Self-reported and bounded: display only."""
    capabilities: Raw
    """JSON of the client's capabilities object."""


class ModernNotification(Struct, frozen=True, gc=False):
    """To be accepted and, over HTTP, dropped: no core client notification exists there."""

    notification: jsonrpc.Notification


class LegacyPost(Struct, frozen=True, gc=False):
    """A message for the legacy era; whether its session exists is for the owner of the sessions to say."""

    message: jsonrpc.Message
    session_id: str | None = None
    version_header: str | None = None


class Refused(Struct, frozen=True):
    """The error to answer with. `raw_id` None: the answer has no `id` member; `b"null"`: it says null."""

    error: Only1Error
    raw_id: bytes | None
    era: Era
    is_array: bool = False
    """Whether the body is a JSON array of the legacy era, of which one revision makes a batch."""


Posted: TypeAlias = ModernRequest | ModernNotification | LegacyPost | Refused


def classify_post(headers: Headers, body: bytes) -> Posted:
    """What was POSTed: rungs 6 to 13, and the log level, of the modern ladder; the first failure wins."""
    versions = [value.strip(" \t") for name, value in headers if name == http.MCP_PROTOCOL_VERSION]
    era = Era.MODERN if versions == _MODERN else _era_of_headers(versions)
    try:
        message = jsonrpc.parse(body)
    except (ParseError, jsonrpc.NotOneMessage) as error:
        return Refused(error, _echo(error, era, versions), era, era is Era.LEGACY and _is_array(error))
    try:
        opened = _open(message)
        if opened.has_envelope:
            era = Era.MODERN
        if era is Era.MODERN:
            return _modern(message, opened, headers)
    except Only1Error as error:
        return Refused(error, _id_of(message), era)
    return LegacyPost(message, http.first(headers, http.MCP_SESSION_ID), next(iter(versions), None))


def classify_line(line: bytes) -> Posted:
    """The same for one line of a stdio pipe: no headers, and every message without an envelope is legacy."""
    era = Era.LEGACY
    try:
        message = jsonrpc.parse(line)
    except (ParseError, jsonrpc.NotOneMessage) as error:
        return Refused(error, _echo(error, era, []), era)
    try:
        opened = _open(message)
        if opened.has_envelope and not isinstance(message, jsonrpc.Response):
            era = Era.MODERN
            if isinstance(message, jsonrpc.Notification):
                return ModernNotification(message)
            return _modern_request(message, opened, None)
    except Only1Error as error:
        return Refused(error, _id_of(message), era)
    return LegacyPost(message)


def _era_of_headers(versions: list[str]) -> Era:
    # Not era_of: any value we do not know, an empty one too, asks for a revision newer than ours.
    return Era.LEGACY if _LEGACY.issuperset(versions) else Era.MODERN


class _Opened(Struct, gc=False):
    """Params one and two levels deep, read once."""

    params: dict[str, Raw]
    meta: dict[str, Raw] | None
    """None: absent, or not an object."""

    @property
    def has_envelope(self) -> bool:
        return self.meta is not None and methods.PROTOCOL_VERSION in self.meta


def _open(message: jsonrpc.Message) -> _Opened:
    if isinstance(message, jsonrpc.Response):
        return _Opened({}, None)
    params = jsonrpc.members(message.params)
    raw = params.get("_meta", jsonrpc.NO_JSON)
    return _Opened(params, _meta_of(raw) if _is_object(raw) else None)


def _meta_of(raw: Raw) -> dict[str, Raw]:
    """Not to be changed: clients send the same one with each request, so that it is read once."""
    body = bytes(raw)
    return _read_meta(body) if len(body) <= MAX_CACHED_META else jsonrpc.members(body)


_read_meta = lru_cache(maxsize=256)(jsonrpc.members)


def _is_object(raw: Raw) -> bool:
    return not jsonrpc.is_empty(raw) and memoryview(raw)[0] == ord("{")


def _echo(error: ParseError | jsonrpc.NotOneMessage, era: Era, versions: list[str]) -> bytes | None:
    if isinstance(error, jsonrpc.NotOneMessage) and error.raw_id:
        return error.raw_id
    leaves_out = era is Era.MODERN or any(version in _IDLESS_ERRORS for version in versions)
    return None if leaves_out else b"null"


def _is_array(error: Only1Error) -> bool:
    return isinstance(error, jsonrpc.NotOneMessage) and error.is_array


def _id_of(message: jsonrpc.Message) -> bytes | None:
    return message.raw_id if isinstance(message, jsonrpc.Request) else None


# --- the modern ladder ---------------------------------------------------------------------------------------


def _modern(message: jsonrpc.Message, opened: _Opened, headers: Headers) -> ModernRequest | ModernNotification:
    if isinstance(message, jsonrpc.Response):
        raise InvalidRequest("A response cannot be sent to a server in this revision.")
    if isinstance(message, jsonrpc.Notification):
        return _modern_notification(message, headers)
    return _modern_request(message, opened, http.routing_headers(headers))


def _modern_notification(message: jsonrpc.Notification, headers: Headers) -> ModernNotification:
    version = http.first(headers, http.MCP_PROTOCOL_VERSION)
    if version is None:
        raise HeaderMismatch(f"The header {http.MCP_PROTOCOL_VERSION} is missing.")
    _check_version(version)
    return ModernNotification(message)


def _modern_request(request: jsonrpc.Request, opened: _Opened, routing: RoutingHeaders | None) -> ModernRequest:
    """`routing` None: there are no headers to compare with."""
    if request.method == "initialize" and routing is not None and not opened.has_envelope:
        # The handshake never has an envelope: what is wrong with it here is the method, not its params.
        _check_version(routing.version or "")
        raise MethodNotFound("initialize does not exist in this revision.")
    if opened.meta is None:
        raise InvalidParams("params._meta must be an object that describes the request.")
    version = _required_version(opened.meta)
    capabilities = _required_capabilities(opened.meta)
    if routing is not None:
        _check_headers(request.method, opened.params, version, routing)
    _check_version(version)
    if request.method not in methods.MODERN_REQUESTS:
        raise MethodNotFound(f"There is no method {request.method[:MAX_CLIENT_NAME]!r} in this revision.")
    return ModernRequest(
        request,
        version,
        _log_level(opened.meta),
        meta.progress_token(opened.meta),
        client_name(opened.meta.get(methods.CLIENT_INFO, jsonrpc.NO_JSON)),
        capabilities,
    )


def _required_version(fields: dict[str, Raw]) -> str:
    version = jsonrpc.decode(fields.get(methods.PROTOCOL_VERSION, jsonrpc.NO_JSON))
    if not isinstance(version, str):
        raise InvalidParams(f"params._meta must have {methods.PROTOCOL_VERSION}, a string.")
    return version


def _required_capabilities(fields: dict[str, Raw]) -> Raw:
    capabilities = fields.get(methods.CLIENT_CAPABILITIES, jsonrpc.NO_JSON)
    if not _is_object(capabilities):
        raise InvalidParams(f"params._meta must have {methods.CLIENT_CAPABILITIES}, an object.")
    return capabilities


def _check_headers(method: str, params: dict[str, Raw], version: str, routing: RoutingHeaders) -> None:
    if routing.version != version:
        raise HeaderMismatch(f"The header {http.MCP_PROTOCOL_VERSION} and the version in _meta differ.")
    if routing.method != method:
        raise HeaderMismatch(f"The header {http.MCP_METHOD} and the method differ.")
    key = methods.NAME_HEADER_PARAM.get(method)
    name = None if key is None else jsonrpc.decode(params.get(key, jsonrpc.NO_JSON))
    # Params without the name are faulty by themselves; the method's own check says so better.
    if name is not None and (routing.name is None or http.decode_value(routing.name) != name):
        raise HeaderMismatch(f"The header {http.MCP_NAME} and params.{key} differ.")


def _check_version(version: str) -> None:
    if version == revisions.MODERN:
        return
    if version in revisions.LEGACY_REVISIONS:
        # Naming a legacy version as supported would have the client send it in an envelope again.
        message = f"Revision {version} opens with initialize, not with a request's _meta."
        raise UnsupportedVersion(message, version, (revisions.MODERN,))
    raise UnsupportedVersion("Unsupported protocol version", version[:MAX_CLIENT_NAME], revisions.SUPPORTED)


def _log_level(fields: dict[str, Raw]) -> str | None:
    raw = fields.get(methods.LOG_LEVEL)
    if raw is None:
        return None
    level = jsonrpc.decode(raw)
    if level not in methods.LOG_LEVELS:
        raise InvalidParams(f"{methods.LOG_LEVEL} must be one of {', '.join(methods.LOG_LEVELS)}.")
    return str(level)


def client_name(client_info: Raw) -> str:
    """The name in a clientInfo object, bounded; empty if there is none. Never a reason to refuse."""
    body = bytes(client_info)
    return _client_name_cached(body) if len(body) <= MAX_CACHED_META else _client_name(body)


def _client_name(client_info: bytes) -> str:
    try:
        name = jsonrpc.decode(jsonrpc.members(client_info).get("name", jsonrpc.NO_JSON))
    except ParseError:
        return ""
    return name[:MAX_CLIENT_NAME] if isinstance(name, str) else ""


_client_name_cached = lru_cache(maxsize=256)(_client_name)


def cancelled_id(params: Raw) -> jsonrpc.RequestId | None:
    """Which request a notifications/cancelled names, if it does."""
    try:
        request_id = jsonrpc.decode(jsonrpc.members(params).get("requestId", jsonrpc.NO_JSON))
    except ParseError:
        return None
    is_id = isinstance(request_id, str | int) and not isinstance(request_id, bool)
    return request_id if is_id else None
