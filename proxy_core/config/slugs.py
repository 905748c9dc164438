"""Ids from the names that people and other programs gave their servers. Pure."""

import re
import unicodedata
from collections.abc import Container
from typing import Final

MAX_CHARS: Final = 24
_FALLBACK: Final = "server"


def slug(name: str) -> str:
    """`Sequential_Thinking 2` -> `sequential-thinking-2`; always a valid id."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    text = re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or _FALLBACK
    if not text[0].isalpha() or len(text) < 2:
        text = f"mcp-{text}"
    return text[:MAX_CHARS].rstrip("-")


def unique_slug(name: str, taken: Container[str]) -> str:
    """The slug of `name`, numbered from 2 if it is taken."""
    first = candidate = slug(name)
    number = 1
    while candidate in taken:
        number += 1
        tail = f"-{number}"
        candidate = first[: MAX_CHARS - len(tail)].rstrip("-") + tail
    return candidate
