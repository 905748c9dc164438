"""A backend's result, made right for the client's era.

Results stay JSON; one that has none of the members in question is not even taken apart.
Spec: 2026-07-28 basic, "Result type"; server/utilities/caching; 2025-11-25 schema (none of these exist there).
"""

import re
from typing import Final, TypeAlias

from msgspec import Raw

from proxy_core.errors import Only1Error, ParseError
from proxy_core.protocol import jsonrpc, methods

CacheHints: TypeAlias = tuple[int, str]
"""ttlMs and cacheScope."""

NO_CACHE: Final[CacheHints] = (0, "private")
COMPLETE: Final = b'"complete"'
_MODERN_MEMBERS: Final = ("resultType", "ttlMs", "cacheScope")
# One pattern that starts with a quote scans text far faster than a substring search for each name.
_FOR_LEGACY: Final = re.compile(rb'"(?:resultType|ttlMs|cacheScope|io\.modelcontextprotocol\\?/serverInfo)"')
_FOR_MODERN: Final = re.compile(rb'"(?:resultType|ttlMs|cacheScope|_meta)"')


class UnusableResult(Only1Error):
    """What a backend sent as a result is none that we can pass on."""


def result_for_legacy(result: Raw) -> Raw:
    """Without the members that only the modern era has; the very same object if there are none.

    Raises: UnusableResult.
    """
    check_is_object(result)
    if not _may_have(_FOR_LEGACY, bytes(result)):
        return result
    members = _members(result)
    _check_type(members)
    found = [name for name in _MODERN_MEMBERS if members.pop(name, None) is not None]
    is_stamped = _remove_server_info(members)
    return Raw(jsonrpc.encode(members)) if found or is_stamped else result


def result_for_modern(
    result: Raw, server_info: bytes, cache: CacheHints | None = None, keep_cache: bool = False
) -> bytes:
    """With a result type, our own serverInfo, and the cache hints that it should have.

    `cache` sets them; else `keep_cache` keeps the backend's, made valid; else there are none.
    Raises: UnusableResult.
    """
    check_is_object(result)
    body = bytes(result)
    hints = NO_CACHE if keep_cache and cache is None else cache
    if not _may_have(_FOR_MODERN, body):
        return _spliced(body, server_info, hints)
    members = _members(result)
    _check_type(members)
    if keep_cache and cache is None:
        hints = cache_hints(members)
    for name in _MODERN_MEMBERS:
        members.pop(name, None)
    meta = _meta(members) | {methods.SERVER_INFO: Raw(server_info)}
    return jsonrpc.encode(members | _stamp(meta, hints))


def cache_hints(members: dict[str, Raw]) -> CacheHints:
    """A result's own hints: a ttl that is no integer above zero is 0, a scope we do not know is private."""
    ttl_ms = _decoded(members.get("ttlMs", jsonrpc.NO_JSON))
    scope = _decoded(members.get("cacheScope", jsonrpc.NO_JSON))
    if not isinstance(ttl_ms, int) or isinstance(ttl_ms, bool):
        ttl_ms = 0
    return max(0, ttl_ms), "public" if scope == "public" else "private"


def _spliced(body: bytes, server_info: bytes, hints: CacheHints | None) -> bytes:
    head = jsonrpc.encode(_stamp({methods.SERVER_INFO: Raw(server_info)}, hints))
    rest = body[1:].lstrip()
    return head[:-1] + (b"}" if rest == b"}" else b"," + rest)


def _stamp(meta: dict[str, Raw], hints: CacheHints | None) -> dict[str, object]:
    members: dict[str, object] = {"resultType": Raw(COMPLETE), "_meta": meta}
    if hints is not None:
        members["ttlMs"], members["cacheScope"] = hints
    return members


def _remove_server_info(members: dict[str, Raw]) -> bool:
    meta = _meta(members)
    if meta.pop(methods.SERVER_INFO, None) is None:
        return False
    members["_meta"] = Raw(jsonrpc.encode(meta))
    if not meta:
        del members["_meta"]
    return True


def _meta(members: dict[str, Raw]) -> dict[str, Raw]:
    """The members of `_meta`; one that is no object says nothing."""
    try:
        return jsonrpc.members(members.get("_meta", jsonrpc.NO_JSON))
    except ParseError:
        return {}


def _members(result: Raw) -> dict[str, Raw]:
    try:
        return jsonrpc.members(result)
    except ParseError as error:
        raise UnusableResult("The result is not valid JSON.") from error


def _decoded(raw: Raw) -> object:
    try:
        value: object = jsonrpc.decode(raw)
    except ParseError:
        return None
    return value


def check_is_object(result: Raw) -> None:
    """Raises: UnusableResult."""
    if jsonrpc.is_empty(result) or memoryview(result)[0] != ord("{"):
        raise UnusableResult("The result is not an object.")


def _check_type(members: dict[str, Raw]) -> None:
    kind = _decoded(members.get("resultType", Raw(COMPLETE)))
    if kind != "complete":
        raise UnusableResult("The result is of a type that was not asked for.")


def _may_have(members: re.Pattern[bytes], body: bytes) -> bool:
    # A key may be spelled with \u escapes; a result that has any is looked at more closely.
    # Looking for the backslash first is what most results answer, and twenty times as fast.
    is_escaped = b"\\" in body and b"\\u" in body
    return is_escaped or members.search(body) is not None
