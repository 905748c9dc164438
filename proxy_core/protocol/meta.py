"""The `_meta` of a request: reading it, and rebuilding params for the next hop in its era.

Values stay JSON; only members that must change are touched.
Spec: 2026-07-28 basic, "_meta" and "Per-request protocol fields"; basic/utilities/progress.
"""

from functools import lru_cache
from typing import Final

from msgspec import Raw

from proxy_core.errors import InvalidParams, ParseError
from proxy_core.protocol import jsonrpc, methods

PROGRESS_TOKEN: Final = "progressToken"
_NOT_FORWARDED: Final = frozenset(
    {
        PROGRESS_TOKEN,
        # W3C baggage carries what the caller's own systems say about the user; it stays on this side.
        "baggage",
    }
)
_OURS_TO_SET: Final = (
    "_meta",
    # We advertise no legacy tasks, so a `task` member is a stray one, and no backend may act on it.
    "task",
    # Answers and state go to a backend only where they were sealed for it: then they are in `replace`.
    "inputResponses",
    "requestState",
)
_MAX_TOKEN_BYTES: Final = 256
_MAX_CACHED_BYTES: Final = 1024
_TOKEN_STARTS: Final = b'"-0123456789'


def read_meta(params: Raw) -> dict[str, Raw]:
    """The members of `_meta`; none if it is absent or null. Raises: InvalidParams, ParseError."""
    return meta_of(jsonrpc.members(params))


def meta_of(members: dict[str, Raw]) -> dict[str, Raw]:
    """The same for params that are taken apart already."""
    raw = members.get("_meta", jsonrpc.NO_JSON)
    if bytes(raw) == b"null":
        return {}
    try:
        return jsonrpc.members(raw)
    except ParseError as error:
        raise InvalidParams("params._meta must be an object.") from error


def progress_token(meta: dict[str, Raw]) -> Raw:
    """The caller's progress token, or empty. One that is no string and no number is as good as absent."""
    token = meta.get(PROGRESS_TOKEN, jsonrpc.NO_JSON)
    view = memoryview(token)
    is_usable = 0 < view.nbytes <= _MAX_TOKEN_BYTES and view[0] in _TOKEN_STARTS
    return token if is_usable else jsonrpc.NO_JSON


def for_legacy_backend(params: Raw, replace: dict[str, bytes], progress_token: bytes | None) -> bytes:
    """Params with the members in `replace` set, and a `_meta` without the modern envelope.

    The client's progress token never leaves; `progress_token` is the JSON of ours.
    Raises: InvalidParams, ParseError.
    """
    members = jsonrpc.members(params)
    meta = _forwarded(meta_of(members), progress_token)
    return _rebuilt(members, replace, jsonrpc.encode(meta) if meta else b"")


def for_modern_backend(
    params: Raw,
    replace: dict[str, bytes],
    progress_token: bytes | None,
    version: str,
    capabilities: bytes,
    client_info: bytes,
    log_level: str | None,
) -> bytes:
    """The same with the envelope of this hop. `capabilities` and `client_info` are JSON objects.

    Raises: InvalidParams, ParseError.
    """
    members = jsonrpc.members(params)
    own = bytes(members.get("_meta", jsonrpc.NO_JSON))
    make = _modern_meta_cached if progress_token is None and len(own) <= _MAX_CACHED_BYTES else _modern_meta
    return _rebuilt(members, replace, make(own, progress_token, version, capabilities, client_info, log_level))


def of_modern_call(own: bytes, capabilities: bytes, client_info: bytes, version: str) -> bytes:
    """The `_meta` that it gives a request without progress token and log level. `own`: the client's, JSON."""
    return _modern_meta_cached(own, None, version, capabilities, client_info, None)


def of_legacy_call(own: bytes) -> bytes:
    """The `_meta` that `for_legacy_backend` gives a request without progress token; empty: it has none."""
    kept = _forwarded(meta_of({"_meta": Raw(own)}), None)
    return jsonrpc.encode(kept) if kept else b""


def envelope(
    version: str, capabilities: bytes, client_info: bytes, log_level: str | None = None
) -> dict[str, Raw]:
    """The `_meta` members that every modern request carries."""
    meta = {
        methods.PROTOCOL_VERSION: Raw(jsonrpc.encode(version)),
        methods.CLIENT_CAPABILITIES: Raw(capabilities),
        methods.CLIENT_INFO: Raw(client_info),
    }
    if log_level is not None:
        meta[methods.LOG_LEVEL] = Raw(jsonrpc.encode(log_level))
    return meta


def _forwarded(meta: dict[str, Raw], progress_token: bytes | None) -> dict[str, Raw]:
    """What of the client's `_meta` goes on (vendor and trace keys), and our token."""
    kept = {key: value for key, value in meta.items() if not _stays_here(key)}
    if progress_token is not None:
        kept[PROGRESS_TOKEN] = Raw(progress_token)
    return kept


def _stays_here(key: str) -> bool:
    return key in _NOT_FORWARDED or key.startswith(methods.META)


def _modern_meta(
    own: bytes,
    progress_token: bytes | None,
    version: str,
    capabilities: bytes,
    client_info: bytes,
    log_level: str | None,
) -> bytes:
    """The `_meta` for this hop, of a request that came with `own`."""
    kept = _forwarded(meta_of({"_meta": Raw(own)}), progress_token)
    return jsonrpc.encode(envelope(version, capabilities, client_info, log_level) | kept)


# Clients send the same one with each request, and then so do we.
_modern_meta_cached = lru_cache(maxsize=256)(_modern_meta)


def _rebuilt(members: dict[str, Raw], replace: dict[str, bytes], meta: bytes) -> bytes:
    """`meta`: JSON of an object, or empty for none."""
    for name in _OURS_TO_SET:
        members.pop(name, None)
    members.update((key, Raw(value)) for key, value in replace.items())
    if meta:
        members["_meta"] = Raw(meta)
    return jsonrpc.encode(members)
