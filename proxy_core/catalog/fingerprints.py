"""What a server says of a tool, as digests: equal ones mean equal tools. Pure.

What counts is what people and models go by: title, description, schemas and annotations. The order of members
is no difference, that of arrays is. `_meta`, icons and `execution` do not count: servers put there what is
another each time, and no client asks a model to read it.
Spec: 2025-11-25 server/tools, "Security Considerations"; the sorted form is near RFC 8785.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from proxy_core.telemetry.tool_changes import ToolText

PARTS: Final = {
    "title": "title",
    "description": "description",
    "inputSchema": "input schema",
    "outputSchema": "output schema",
    "annotations": "annotations",
}
"""Member of a tool -> what a person calls it."""
PART_CHARS: Final = 16
DIGEST_CHARS: Final = 32
"""128 bits: nobody finds another tool with the same one."""
MAX_TEXT_CHARS: Final = 32 << 10
"""Of a description or a schema that is kept to be compared."""
_ABSENT: Final = "-" * PART_CHARS
_encode: Final = msgspec.json.Encoder(order="sorted").encode


class Fingerprint(NamedTuple):
    digest: str
    """Of the whole, hex."""
    parts: str
    """PART_CHARS of each of PARTS: they only tell which part is another, and guard nothing."""


def fingerprint_of(tool: Mapping[str, Any]) -> Fingerprint:
    whole = hashlib.sha256()
    parts: list[str] = []
    for name in PARTS:
        value = tool.get(name)
        if value is None:
            # Clients are not shown the difference between null and absent either.
            whole.update(b"\0")
            parts.append(_ABSENT)
            continue
        digest = hashlib.sha256(canonical(value)).digest()
        whole.update(b"\1" + digest)
        parts.append(digest.hex()[:PART_CHARS])
    return Fingerprint(whole.hexdigest()[:DIGEST_CHARS], "".join(parts))


def changed_parts(before: str, now: str) -> tuple[str, ...]:
    """What is different between two `Fingerprint.parts`, in a person's words."""
    return tuple(
        words for number, words in enumerate(PARTS.values()) if _part(before, number) != _part(now, number)
    )


def text_of(tool: Mapping[str, Any]) -> ToolText:
    """The parts as text, to be compared line by line."""
    return ToolText(*(_text(tool.get(name)) for name in PARTS))


def list_digest(tools: object) -> bytes:
    """Of a whole list as it came; equal ones need no second look."""
    return hashlib.sha256(canonical(tools)).digest()


def canonical(value: object) -> bytes:
    """One spelling of a JSON value, whatever the order of its members."""
    try:
        return _encode(value)
    except (UnicodeEncodeError, OverflowError):
        # Half a surrogate pair, or a number of any length: legal in JSON, and msgspec writes neither.
        return json.dumps(value, sort_keys=True).encode()


def _part(parts: str, number: int) -> str:
    return parts[number * PART_CHARS : (number + 1) * PART_CHARS]


def _text(value: object) -> str:
    if value is None:
        return ""
    # What cannot be written as UTF-8 is shown, and kept, as far as it can.
    text = value if isinstance(value, str) else canonical(value).decode()
    text = text.encode(errors="replace").decode() if not text.isascii() else text
    return text if len(text) <= MAX_TEXT_CHARS else text[: MAX_TEXT_CHARS - 1] + "…"
