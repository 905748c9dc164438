"""A tools/call or a list of a modern client that is ordinary in every way, read in two steps. Pure.

What is read here `classify_post` would read in the same way; what is anything else is left to it, faults too.
Spec: 2026-07-28 basic/transports/streamable-http, "Request Metadata"; server/tools, "Calling Tools".
"""

from functools import lru_cache
from typing import Final, NamedTuple

import msgspec
from msgspec import Raw, Struct, field

from proxy_core.errors import Only1Error
from proxy_core.protocol import capabilities, jsonrpc, meta, methods, revisions
from proxy_core.protocol.capabilities import ClientCapabilities
from proxy_core.protocol.classify import client_name
from proxy_core.protocol.headers import (
    MCP_PROTOCOL_VERSION,
    MCP_SESSION_ID,
    Headers,
    decode_value,
    routing_headers,
)

CALL: Final = "tools/call"
MAX_META_BYTES: Final = 1024
"""Of a `_meta` that is remembered, as it must be: one with a progress token of its own is not of this kind."""
_METHODS: Final = frozenset((CALL, *methods.LIST_METHODS))
_MAX_PLAIN_ID: Final = 16
_LEGACY: Final = frozenset(revisions.LEGACY_REVISIONS)


class Routed(Struct, frozen=True, gc=False):
    """What the headers of a request say of it."""

    method: str
    name: str
    """Of the tool; empty for a list."""


class DirectRequest(Struct, gc=False):
    raw_id: bytes
    """The id's exact JSON, to be echoed."""
    params: Raw
    arguments: Raw
    """As JSON, or empty."""
    own_meta: bytes
    """The JSON of `_meta`."""


class KnownMeta(NamedTuple):
    """What a `_meta` says of its client."""

    client: str
    """Self-reported and bounded: display only."""
    capabilities: ClientCapabilities


class _Request(Struct, gc=False, forbid_unknown_fields=True):
    jsonrpc: str
    id: Raw
    method: str
    params: Raw


class _Params(Struct, gc=False, forbid_unknown_fields=True):
    """All that such a call has; a list has `_meta` alone."""

    meta: Raw = field(name="_meta")
    name: str = ""
    arguments: Raw = jsonrpc.NO_JSON


class LegacyCall(Struct, gc=False):
    """A tools/call of the legacy era that has a name and arguments, and nothing else."""

    id: jsonrpc.RequestId
    raw_id: bytes
    """The id's exact JSON, to be echoed."""
    params: Raw
    name: str
    arguments: Raw
    """As JSON, or empty."""


class _LegacyParams(Struct, gc=False, forbid_unknown_fields=True):
    name: str
    arguments: Raw = jsonrpc.NO_JSON


_decode_legacy_params = msgspec.json.Decoder(_LegacyParams).decode
_decode_request = msgspec.json.Decoder(_Request).decode
_decode_params = msgspec.json.Decoder(_Params).decode


def routed_by(headers: Headers) -> Routed | None:
    """What these headers route a modern call or list by; None if they are of anything else, or amiss."""
    try:
        routing = routing_headers(headers)
        if routing.version != revisions.MODERN or routing.method not in _METHODS:
            return None
        if routing.method != CALL:
            return Routed(routing.method, "")
        name = "" if routing.name is None else decode_value(routing.name)
        return Routed(CALL, name) if name else None
    except Only1Error:
        return None


def read(body: bytes, routed: Routed) -> DirectRequest | None:
    """`routed`: what its headers say, which must be what it is. What its `_meta` says is still to be seen."""
    try:
        if not body.isascii():
            # msgspec skips over raw members without looking at their encoding.
            body.decode()
        request = _decode_request(body)
        params = _decode_params(request.params)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    raw_id = bytes(request.id)
    is_id = (raw_id.isdigit() and len(raw_id) <= _MAX_PLAIN_ID) or jsonrpc.read_id(raw_id) is not None
    if not is_id or request.method != routed.method or request.jsonrpc != "2.0" or params.name != routed.name:
        return None
    if not routed.name and params.arguments is not jsonrpc.NO_JSON:
        return None
    return DirectRequest(raw_id, request.params, params.arguments, bytes(params.meta))


def session_of(headers: Headers) -> str | None:
    """The session of a legacy request with these headers; None if they are of anything else, or amiss."""
    versions = [value.strip(" \t") for name, value in headers if name == MCP_PROTOCOL_VERSION]
    sessions = [value for name, value in headers if name == MCP_SESSION_ID]
    is_legacy = _LEGACY.issuperset(versions) and len(versions) <= 1
    return sessions[0] if is_legacy and len(sessions) == 1 and sessions[0] else None


def read_legacy(body: bytes) -> LegacyCall | None:
    """Of a request whose headers are of the legacy era: without `_meta` it is no other."""
    try:
        if not body.isascii():
            body.decode()
        request = _decode_request(body)
        if request.method != CALL or request.jsonrpc != "2.0":
            return None
        params = _decode_legacy_params(request.params)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    raw_id = bytes(request.id)
    is_plain = raw_id.isdigit() and len(raw_id) <= _MAX_PLAIN_ID
    request_id = int(raw_id) if is_plain else jsonrpc.read_id(raw_id)
    if request_id is None or not params.name:
        return None
    return LegacyCall(request_id, raw_id, request.params, params.name, params.arguments)


def known_meta(own: bytes) -> KnownMeta | None:
    """None if it says anything that the answer, or what goes before it, would have to heed; or much."""
    return _known_meta(own) if len(own) <= MAX_META_BYTES else None


@lru_cache(maxsize=256)
def _known_meta(own: bytes) -> KnownMeta | None:
    try:
        members = jsonrpc.members(own)
        version = jsonrpc.decode(members.get(methods.PROTOCOL_VERSION, jsonrpc.NO_JSON))
    except Only1Error:
        return None
    declared = bytes(members.get(methods.CLIENT_CAPABILITIES, jsonrpc.NO_JSON))
    is_ordinary = version == revisions.MODERN and declared[:1] == b"{" and methods.LOG_LEVEL not in members
    if not is_ordinary or meta.PROGRESS_TOKEN in members:
        return None
    client = client_name(members.get(methods.CLIENT_INFO, jsonrpc.NO_JSON))
    return KnownMeta(client, capabilities.read(Raw(declared), revisions.MODERN))
