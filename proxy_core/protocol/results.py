"""A backend's result, made right for the client's era.

Results stay JSON; one that has none of the members in question is not even taken apart.
Spec: 2026-07-28 basic, "Result type"; server/utilities/caching; 2025-11-25 schema (none of these exist there).
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, field

from proxy_core.errors import Only1Error, ParseError
from proxy_core.protocol import jsonrpc, methods

CacheHints: TypeAlias = tuple[int, str]
"""ttlMs and cacheScope."""

NO_CACHE: Final[CacheHints] = (0, "private")
COMPLETE: Final = b'"complete"'
INPUT_REQUIRED: Final = "input_required"
_MODERN_MEMBERS: Final = ("resultType", "ttlMs", "cacheScope")
_NOT_KEPT: Final = frozenset({"ttlMs", "cacheScope", "inputRequests", "requestState"})
# One pattern that starts with a quote scans text far faster than a substring search for each name.
_FOR_LEGACY: Final = re.compile(rb'"(?:resultType|ttlMs|cacheScope|io\.modelcontextprotocol\\?/serverInfo)"')
_FOR_MODERN: Final = re.compile(rb'"(?:resultType|ttlMs|cacheScope|_meta)"')
_MAX_CACHED_BYTES: Final = 1024
_TEXT: Final = b'{"content":[{"type":"text","text":'
_AFTER_TEXT: Final = b'}],"resultType":"complete","_meta":'
_QUOTE: Final = ord('"')
_BACKSLASH: Final = ord("\\")
_NEEDS_INPUT: Final = re.compile(rb'"input_required"')


class UnusableResult(Only1Error):
    """What a backend sent as a result is none that we can pass on."""


class InputRequired(NamedTuple):
    """A server's word that it needs input before it can answer."""

    members: dict[str, Raw]
    requests: dict[str, Raw]
    state: str | None


def input_required(result: Raw) -> InputRequired | None:
    """What the server needs first; None of any other result. Raises: UnusableResult."""
    check_is_object(result)
    if not _may_have(_NEEDS_INPUT, bytes(result)):
        return None
    members = _members(result)
    if _decoded(members.get("resultType", jsonrpc.NO_JSON)) != INPUT_REQUIRED:
        return None
    state = _decoded(members.get("requestState", jsonrpc.NO_JSON))
    raw = members.get("inputRequests", jsonrpc.NO_JSON)
    requests = {} if bytes(raw) == b"null" else _members(raw)
    if not (state is None or isinstance(state, str)) or (state is None and not requests):
        raise UnusableResult("The result says neither what input it needs nor what to bring back.")
    return InputRequired(members, requests, state)


def needing_input(
    requests: Mapping[str, Any], state: str | None, server_info: bytes, members: Mapping[str, Raw] | None = None
) -> bytes:
    """The result for a modern client; the requests of a modern server come in its `members`.

    It has no cache hints, and no state where there is none to bring back.
    """
    kept = {name: value for name, value in (members or {}).items() if name not in _NOT_KEPT}
    own: dict[str, Any] = {"resultType": INPUT_REQUIRED, "_meta": restamped(members or {}, server_info)}
    if requests:
        own["inputRequests"] = requests
    if state is not None:
        own["requestState"] = state
    return jsonrpc.encode(kept | own)


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
    return jsonrpc.encode(members | _stamp(restamped(members, server_info), hints))


class TextBlock(Struct, gc=False, forbid_unknown_fields=True):
    """All that a text in a result has, each as JSON."""

    type: Literal["text"]
    text: Raw
    annotations: Raw = jsonrpc.NO_JSON
    meta: Raw = field(default=jsonrpc.NO_JSON, name="_meta")


class PlainResult(Struct, gc=False, forbid_unknown_fields=True):
    """A tool's result that is whole, holds text alone, and has nothing that would have to be looked at."""

    content: list[TextBlock]
    resultType: Literal["complete"] | UnsetType = UNSET
    isError: Raw = jsonrpc.NO_JSON
    structuredContent: Raw = jsonrpc.NO_JSON
    meta: Raw = field(default=jsonrpc.NO_JSON, name="_meta")

    @property
    def is_error(self) -> bool:
        return bytes(self.isError) == b"true"

    def is_well(self, size: int) -> bool:
        """Whether its parts are of the types that they have to be, as far as that is not known yet.

        `size`: of what it was read from, in bytes.
        """
        # On the way of every call, where a loop costs half of what an expression does.
        for block in self.content:
            if memoryview(block.text)[0] != _QUOTE:
                return False
        return size <= _MAX_CACHED_BYTES or memoryview(self.meta).nbytes <= _MAX_CACHED_BYTES


class PlainAnswer(Struct, gc=False, forbid_unknown_fields=True):
    """The answer to a request of ours that is such a result."""

    jsonrpc: Literal["2.0"]
    id: int
    result: PlainResult


_decode_plain_answer = msgspec.json.Decoder(PlainAnswer).decode
_decode_plain_result = msgspec.json.Decoder(PlainResult).decode


def plain_answer(body: bytes) -> PlainAnswer | None:
    """Read in one pass; None of everything else."""
    try:
        answer = _decode_plain_answer(body)
        if not body.isascii():
            # msgspec skips over raw members without looking at their encoding.
            body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return answer if answer.result.is_well(len(body)) else None


def plain_result(result: Raw) -> PlainResult | None:
    """None of everything else."""
    try:
        plain = _decode_plain_result(result)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return plain if plain.is_well(memoryview(result).nbytes) else None


def plain_whole(plain: PlainResult) -> Raw:
    """As its server has sent it, but for white space between members and their order."""
    parts = _plain_parts(plain)
    if plain.resultType is not UNSET:
        parts.append(b',"resultType":"complete"')
    if plain.meta is not jsonrpc.NO_JSON:
        parts += (b',"_meta":', plain.meta)
    parts.append(b"}")
    return Raw(b"".join(parts))


def plain_for_modern(plain: PlainResult, server_info: bytes) -> bytes:
    """What `result_for_modern` makes of it."""
    meta = _signed(bytes(plain.meta), server_info)
    if len(plain.content) == 1 and plain.structuredContent is jsonrpc.NO_JSON:
        block = plain.content[0]
        is_bare = block.annotations is jsonrpc.NO_JSON and block.meta is jsonrpc.NO_JSON
        if is_bare and plain.isError is jsonrpc.NO_JSON:
            # Nearly every one.
            return b"".join((_TEXT, block.text, _AFTER_TEXT, meta, b"}"))
    parts = _plain_parts(plain)
    parts += (b',"resultType":"complete","_meta":', meta, b"}")
    return b"".join(parts)


def plain_for_legacy(plain: PlainResult) -> bytes:
    """What `result_for_legacy` makes of it."""
    parts = _plain_parts(plain)
    if meta := _unsigned(bytes(plain.meta)):
        parts += (b',"_meta":', meta)
    parts.append(b"}")
    return b"".join(parts)


def _plain_parts(plain: PlainResult) -> list[bytes | Raw]:
    """All but what the eras write in their own ways, and the last brace."""
    parts: list[bytes | Raw] = [b'{"content":[']
    for block in plain.content:
        parts += (b'{"type":"text","text":', block.text)
        if block.annotations is not jsonrpc.NO_JSON:
            parts += (b',"annotations":', block.annotations)
        if block.meta is not jsonrpc.NO_JSON:
            parts += (b',"_meta":', block.meta)
        parts.append(b"},")
    if plain.content:
        parts[-1] = b"}"
    parts.append(b"]")
    if plain.isError is not jsonrpc.NO_JSON:
        parts += (b',"isError":', plain.isError)
    if plain.structuredContent is not jsonrpc.NO_JSON:
        parts += (b',"structuredContent":', plain.structuredContent)
    return parts


@lru_cache(maxsize=256)
def _signed(meta: bytes, server_info: bytes) -> bytes:
    # Servers sign all their results alike.
    return jsonrpc.encode(restamped({"_meta": Raw(meta)}, server_info))


@lru_cache(maxsize=256)
def _unsigned(meta: bytes) -> bytes:
    """Nothing, if there is none any more."""
    members = {"_meta": Raw(meta)} if meta else {}
    _remove_server_info(members)
    return bytes(members.get("_meta", jsonrpc.NO_JSON))


def restamped(members: Mapping[str, Raw], server_info: bytes) -> dict[str, Raw]:
    """The `_meta` of a modern result, signed by us in the backend's place."""
    return _meta(members) | {methods.SERVER_INFO: Raw(server_info)}


def without_server_info(result: Raw) -> Raw:
    """A result within another, without the backend's signature; the very same object if it has none.

    Raises: UnusableResult.
    """
    check_is_object(result)
    members = _members(result)
    return Raw(jsonrpc.encode(members)) if _remove_server_info(members) else result


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


def _meta(members: Mapping[str, Raw]) -> dict[str, Raw]:
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
    is_escaped = _BACKSLASH in body and b"\\u" in body
    return is_escaped or members.search(body) is not None
