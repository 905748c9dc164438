"""Results of calls whose content a client's revision cannot read, put in words that it can.

Results stay JSON; unless a type or a structured value could matter, nothing is taken apart.
Spec: server/tools, "Tool Result"; the schema of each revision, `ContentBlock`.
"""

import re
from typing import Any, Final

import msgspec
from msgspec import Raw

from proxy_core.errors import ParseError
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.results import UnusableResult, plain_result
from proxy_core.protocol.revisions import Era, era_of
from proxy_core.protocol.text import clean_text

_OLDEST: Final = frozenset({"text", "image", "resource"})
_WITH_AUDIO: Final = _OLDEST | {"audio"}
_ALL: Final = _WITH_AUDIO | {"resource_link"}
_TYPES_OF: Final = {"2024-11-05": _OLDEST, "2025-03-26": _WITH_AUDIO}
"""Content types a revision knows; those not named here know all."""

_TYPE: Final = re.compile(rb'"type"\s*:\s*"([^"]*)"')
_MAX_LABEL_BYTES: Final = 1024
_decode_list = msgspec.json.Decoder(list[Raw]).decode


def result_for_revision(method: str, result: Raw, revision: str) -> Raw:
    """The result as a client of `revision` can read it; the very same object if it can already.

    Raises: UnusableResult.
    """
    if method == "tools/call":
        return _tool_result(result, revision)
    if method == "prompts/get":
        return _prompt_result(result, revision)
    return result


def _tool_result(result: Raw, revision: str) -> Raw:
    is_legacy = era_of(revision) is Era.LEGACY
    plain = plain_result(result)
    if plain is not None and (not is_legacy or is_object(plain.structuredContent)):
        # Text, which everybody can read: most results, and read in one pass.
        return result
    body = bytes(result)
    may_be_structured = is_legacy and b"structuredContent" in body
    if b'"content"' in body and not may_be_structured and not _has_strange_type(body, revision):
        return result
    members = _members(result)
    content = _content(members)
    # Compared member by member: equal JSON in, the very same object out.
    changed = [_readable(block, revision) for block in content]
    dropped = is_legacy and _drop_structured(members, changed)
    is_same = all(new is old for new, old in zip(changed, content, strict=False))
    if "content" in members and is_same and not dropped:
        return result
    return Raw(jsonrpc.encode(members | {"content": changed}))


def is_object(raw: Raw) -> bool:
    """Whether a member is an object, or nothing at all."""
    return jsonrpc.is_empty(raw) or memoryview(raw)[0] == ord("{")


def _content(members: dict[str, Raw]) -> list[Raw]:
    raw = members.get("content", jsonrpc.NO_JSON)
    try:
        return [] if jsonrpc.is_empty(raw) else _decode_list(raw)
    except msgspec.DecodeError as error:
        raise UnusableResult("The content of the result is not an array.") from error


def _drop_structured(members: dict[str, Raw], content: list[Raw]) -> bool:
    """Take out a structured value that is no object, and see that a text block says the same."""
    raw = members.get("structuredContent", jsonrpc.NO_JSON)
    if is_object(raw):
        return False
    del members["structuredContent"]
    if not _is_told(_decode(raw), content):
        content.append(_text_block(bytes(raw).decode()))
    return True


def _is_told(value: object, content: list[Raw]) -> bool:
    for raw in content:
        block = _decode(raw)
        if isinstance(block, dict) and isinstance(text := block.get("text"), str):
            try:
                if jsonrpc.decode(text.encode()) == value:
                    return True
            except ParseError:
                continue
    return False


def _prompt_result(result: Raw, revision: str) -> Raw:
    if not _has_strange_type(bytes(result), revision):
        return result
    members = _members(result)
    try:
        messages = _decode_list(members.get("messages", Raw(b"[]")))
    except msgspec.DecodeError as error:
        raise UnusableResult("The messages of the result are not an array.") from error
    changed = [_readable_message(message, revision) for message in messages]
    if all(new is old for new, old in zip(changed, messages, strict=True)):
        return result
    return Raw(jsonrpc.encode(members | {"messages": changed}))


def _readable_message(message: Raw, revision: str) -> Raw:
    members = _members(message)
    content = members.get("content", jsonrpc.NO_JSON)
    if jsonrpc.is_empty(content) or (changed := _readable(content, revision)) is content:
        return message
    return Raw(jsonrpc.encode(members | {"content": changed}))


def _types_of(revision: str) -> frozenset[str]:
    return _TYPES_OF.get(revision, _ALL)


def _has_strange_type(body: bytes, revision: str) -> bool:
    """Whether any `type` member, wherever it is, holds what is no content type of this revision."""
    known = _types_of(revision)
    return any(found.decode(errors="replace") not in known for found in set(_TYPE.findall(body)))


def _readable(block: Raw, revision: str) -> Raw:
    members = _members(block)
    kind = _decode(members.get("type", jsonrpc.NO_JSON))
    if kind in _types_of(revision):
        return block
    if kind == "resource_link":
        return _text_block(f"{_label(members, 'name')}: {_label(members, 'uri')}")
    if kind == "audio":
        return _text_block(f"[audio: {_label(members, 'mimeType')}]")
    return _text_block(bytes(block).decode())


def _label(members: dict[str, Raw], key: str) -> str:
    value = _decode(members.get(key, jsonrpc.NO_JSON))
    return clean_text(value, _MAX_LABEL_BYTES) if isinstance(value, str) else "unknown"


def _text_block(text: str) -> Raw:
    return Raw(jsonrpc.encode({"type": "text", "text": text}))


def _members(raw: Raw) -> dict[str, Raw]:
    try:
        return jsonrpc.members(raw)
    except ParseError as error:
        raise UnusableResult("A part of the result is not an object.") from error


def _decode(raw: Raw) -> Any:
    try:
        return jsonrpc.decode(raw)
    except ParseError as error:
        raise UnusableResult("A part of the result cannot be read.") from error
