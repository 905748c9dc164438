"""What a backend answered, in the terms of the client that asked: results and errors, both eras. Pure.

Spec: 2026-07-28 basic, "Error Codes"; server/resources, "Error Handling"; basic/versioning.
"""

import re
from typing import Any, Final

from msgspec import Raw

from proxy_core import __version__
from proxy_core.errors import (
    BackendError,
    BackendProtocolError,
    ErrorCode,
    MissingCapability,
    Only1Error,
    ParseError,
    UnknownResource,
)
from proxy_core.gateway import completion
from proxy_core.gateway.exchange import Caller
from proxy_core.protocol import capabilities, contents, jsonrpc, results
from proxy_core.protocol.results import PlainResult
from proxy_core.protocol.revisions import MODERN, Era

SERVER_INFO_VALUE: Final[dict[str, Any]] = {"name": "only1mcp", "version": __version__}
SERVER_INFO: Final = jsonrpc.encode(SERVER_INFO_VALUE)
MAX_ERROR_DATA_BYTES: Final = 65_536
_MODERN_ERA: Final = Era.MODERN
"""Asked for once: an enumeration takes its time, and this is on the way of every call."""

_OUR_BUSINESS: Final = frozenset(
    {
        ErrorCode.PARSE_ERROR,
        ErrorCode.INVALID_REQUEST,
        ErrorCode.HEADER_MISMATCH,
        ErrorCode.UNSUPPORTED_VERSION,
    }
)
"""Faults of our own hop: the client could do nothing about them."""
_SPEC_RANGE: Final = range(-32099, -32019)
"""The specification's own: those that we know are dealt with by name, the rest no client can understand."""
_IS_ERROR: Final = re.compile(rb'"isError"\s*:\s*true')
_NO_CONTENTS: Final = re.compile(rb'"contents"\s*:\s*\[\s*\]')


def result_for(
    caller: Caller, method: str, result: Raw, era: Era, backend: str, is_after_input: bool = False
) -> bytes:
    """The result as `caller` must see it; the very bytes where nothing has to change.

    `is_after_input`: what the client brought with this request is in it, so it is good for no other.
    Raises: BackendProtocolError for a resultType that nobody asked for.
    """
    try:
        results.check_is_object(result)
        if method == completion.METHOD:
            result = completion.capped(result)
        if caller.era is Era.MODERN:
            is_read = method == "resources/read"
            cache = results.NO_CACHE if is_read and (era is Era.LEGACY or is_after_input) else None
            stamped = results.result_for_modern(result, SERVER_INFO, cache, keep_cache=is_read)
            return bytes(contents.result_for_revision(method, Raw(stamped), caller.revision))
        plain = results.result_for_legacy(result) if era is Era.MODERN else result
        return bytes(contents.result_for_revision(method, plain, caller.revision))
    except (results.UnusableResult, ParseError) as error:
        raise BackendProtocolError(
            backend, "The server's answer is not a valid result.", error.message
        ) from error


def plain_for(caller: Caller, plain: PlainResult, as_is: Raw | None = None) -> bytes | None:
    """What `result_for` makes of a plain result of a call; None: that has to look at it.

    `as_is`: the whole of it, of a legacy server.
    """
    if caller.era is _MODERN_ERA:
        return results.plain_for_modern(plain, SERVER_INFO)
    if not contents.is_object(plain.structuredContent):
        return None
    return results.plain_for_legacy(plain) if as_is is None else bytes(as_is)


def says_is_error(result: bytes) -> bool:
    """Whether a tool's result says that it failed; also if a structured value in it has such a member."""
    return b'"isError"' in result and _IS_ERROR.search(result) is not None


def has_no_contents(result: Raw) -> bool:
    """Whether a resources/read answered with nothing: how some servers say "not found"."""
    # The pattern may also stand inside a text; only then is a look at the members needed.
    if not _NO_CONTENTS.search(memoryview(result)):
        return False
    try:
        found = bytes(jsonrpc.members(result).get("contents", jsonrpc.NO_JSON))
        return jsonrpc.is_array(found) and not jsonrpc.array_items(found)
    except ParseError:
        return False


def with_uri(result: Raw, origin: str, uri: str) -> Raw:
    """The contents under the URI that the client asked for, where an alias stands for the backend's own."""
    if origin == uri:
        return result
    try:
        members = jsonrpc.members(result)
        found = jsonrpc.decode(members.get("contents", jsonrpc.NO_JSON))
    except ParseError:
        found = None
    if not isinstance(found, list):
        # Not for us to mend: whoever reads the result refuses it.
        return result
    own = [
        each | {"uri": uri} if isinstance(each, dict) and each.get("uri") == origin else each for each in found
    ]
    return Raw(jsonrpc.encode(members | {"contents": Raw(jsonrpc.encode(own))}))


def error_for(caller: Caller, method: str, error: BackendError, uri: str | None) -> Only1Error:
    """The backend's error as `caller` must see it. `uri` is what a resources/read asked for, in its words."""
    code = error.code
    if uri is not None and (code == ErrorCode.LEGACY_RESOURCE_NOT_FOUND or _names_uri(error)):
        return UnknownResource(uri)
    if code == ErrorCode.LEGACY_RESOURCE_NOT_FOUND and caller.era is Era.MODERN:
        return BackendError(error.backend, ErrorCode.INVALID_PARAMS, error.message, _capped(error.raw_data))
    if code == ErrorCode.MISSING_CLIENT_CAPABILITY:
        return _missing_capability(caller, error)
    if code == ErrorCode.LEGACY_URL_ELICITATION_REQUIRED:
        words = "The server needs a page to be visited first, which this client's revision cannot say."
        return BackendProtocolError(error.backend, words)
    if code in _OUR_BUSINESS or code in _SPEC_RANGE:
        detail = f"it answered {method} with error {code}: {error.message}"
        own = None if code in _OUR_BUSINESS else code
        return BackendProtocolError(error.backend, "The server refused the request.", detail, backend_code=own)
    return BackendError(error.backend, code, error.message, _capped(error.raw_data))


def _missing_capability(caller: Caller, error: BackendError) -> Only1Error:
    """Told to a client that can do something about it; if it declared all that, the fault is on our hop."""
    required = _required_capabilities(error)
    if caller.era is Era.MODERN and _lacks(caller, required):
        return MissingCapability(required)
    words = "The server needs a capability that was not declared to it."
    return BackendProtocolError(
        error.backend, words, f"it requires {jsonrpc.encode(required).decode()}", required=required or None
    )


def _required_capabilities(error: BackendError) -> dict[str, dict[str, Any]]:
    try:
        members = jsonrpc.members(_capped(error.raw_data))
        required = jsonrpc.decode(members.get("requiredCapabilities", jsonrpc.NO_JSON))
    except ParseError:
        return {}
    if not isinstance(required, dict):
        return {}
    return {name: wanted for name, wanted in required.items() if isinstance(wanted, dict)}


def _lacks(caller: Caller, required: dict[str, dict[str, Any]]) -> bool:
    wanted = capabilities.read(jsonrpc.encode(required), MODERN)
    if not wanted.features <= caller.capabilities.features:
        return True
    return any(not caller.capabilities.declares(name) for name, _ in wanted.extensions)


def _names_uri(error: BackendError) -> bool:
    if error.code != ErrorCode.INVALID_PARAMS or not error.raw_data:
        return False
    try:
        return "uri" in jsonrpc.members(error.raw_data)
    except ParseError:
        return False


def _capped(raw_data: bytes) -> bytes:
    return raw_data if len(raw_data) <= MAX_ERROR_DATA_BYTES else b""
