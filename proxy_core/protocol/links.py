"""The resources that a result points to: links and embedded resources, found and renamed. Pure.

Text is never touched, and a result that points nowhere is not even taken apart.
Spec: 2025-11-25 server/tools, "Resource Links", "Embedded Resources"; server/prompts, "PromptMessage".
"""

import re
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw

from proxy_core.errors import ParseError
from proxy_core.protocol import jsonrpc

_MAY_POINT: Final = re.compile(rb'"resource(?:_link)?"')
_LINK, _EMBEDDED = b'"resource_link"', b'"resource"'
_decode_list = msgspec.json.Decoder(list[Raw]).decode


def with_links(method: str, result: Raw, renamed: Callable[[str], str]) -> Raw:
    """The result with each URI that it points to as `renamed` has it; the very same object if all stay.

    Only tools/call and prompts/get point anywhere. What is not of the form it should have stays as it is.
    """
    member = _MEMBER_OF.get(method)
    if member is None or not _MAY_POINT.search(memoryview(result)):
        return result
    return _with_items(result, member, _BLOCK_OF[member], renamed)


def _with_items(holder: Raw, member: str, item_of: "_Part", renamed: Callable[[str], str]) -> Raw:
    try:
        members = jsonrpc.members(holder)
        items = _decode_list(members.get(member, Raw(b"[]")))
    except (ParseError, msgspec.DecodeError):
        # Not for us to mend: whoever reads the result refuses it.
        return holder
    changed = [item_of(item, renamed) for item in items]
    if all(new is old for new, old in zip(changed, items, strict=True)):
        return holder
    return Raw(jsonrpc.encode(members | {member: changed}))


def _message(message: Raw, renamed: Callable[[str], str]) -> Raw:
    return _with_member(message, "content", _block, renamed)


def _block(block: Raw, renamed: Callable[[str], str]) -> Raw:
    kind = bytes(_members(block).get("type", jsonrpc.NO_JSON))
    if kind == _LINK:
        return _pointer(block, renamed)
    if kind == _EMBEDDED:
        return _with_member(block, "resource", _pointer, renamed)
    return block


def _pointer(holder: Raw, renamed: Callable[[str], str]) -> Raw:
    return _with_member(holder, "uri", _uri, renamed)


def _uri(raw: Raw, renamed: Callable[[str], str]) -> Raw:
    try:
        uri = jsonrpc.decode(raw)
    except ParseError:
        return raw
    new = renamed(uri) if isinstance(uri, str) else uri
    return raw if new == uri else Raw(jsonrpc.encode(new))


def _with_member(holder: Raw, member: str, part_of: "_Part", renamed: Callable[[str], str]) -> Raw:
    members = _members(holder)
    old = members.get(member)
    if old is None or (new := part_of(old, renamed)) is old:
        return holder
    return Raw(jsonrpc.encode(members | {member: new}))


def _members(raw: Raw) -> dict[str, Raw]:
    try:
        return jsonrpc.members(raw)
    except ParseError:
        return {}


_Part = Callable[[Raw, Callable[[str], str]], Raw]
_MEMBER_OF: Final = {"tools/call": "content", "prompts/get": "messages"}
_BLOCK_OF: Final[dict[str, _Part]] = {"content": _block, "messages": _message}
