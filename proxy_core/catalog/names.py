"""The names that clients see. Pure: a name depends on its server's id, the server's own name for it and the
settings, never on neighbours or on what was seen before, so it survives restarts and additions.

Nothing here turns an exposed name back: that is the table's work (`routes`).
Spec: 2025-11-25 server/tools, "Tool Names" (1-128 characters of A-Z a-z 0-9 _ - .).
"""

import hashlib
import re
from typing import Final, Literal, Protocol, TypeAlias

from proxy_core.protocol.text import clean_text

Prefix: TypeAlias = Literal["always", "none"]
Charset: TypeAlias = Literal["plain", "sep986"]

SEPARATOR: Final = "__"
"""Between a server's id, which holds no underscore, and the server's own name."""
MAX_PROMPT_NAME: Final = 128
MARK_DIGITS: Final = 6

# Many model APIs refuse the dot that the spec allows, so it is legal only on request.
ILLEGAL: Final[dict[Charset, re.Pattern[str]]] = {
    "plain": re.compile(r"[^A-Za-z0-9_-]"),
    "sep986": re.compile(r"[^A-Za-z0-9_.-]"),
}


class Naming(Protocol):
    """The settings that names depend on."""

    @property
    def prefix(self) -> Prefix: ...

    @property
    def charset(self) -> Charset: ...

    @property
    def name_budget(self) -> int:
        """Longest exposed tool name, in characters."""
        ...


def exposed_tool_name(slug: str, tool: str, *, prefix: Prefix, charset: Charset, budget: int) -> str:
    """What clients call the tool that server `slug` calls `tool` (not empty)."""
    plain = _prefixed(slug, tool, prefix)
    legal = ILLEGAL[charset].sub("_", plain)
    if legal == plain and len(plain) <= budget:
        return plain
    return _marked(legal, slug, tool, budget)


def exposed_prompt_name(slug: str, name: str, *, prefix: Prefix = "always") -> str:
    """What clients call the prompt that server `slug` calls `name` (not empty).

    Its characters are kept, but for those that hide or act: lists go out without them.
    """
    plain = _prefixed(slug, name, prefix)
    clean = clean_text(plain, 4 * len(plain))
    if clean == plain and len(plain) <= MAX_PROMPT_NAME:
        return plain
    return _marked(clean, slug, name, MAX_PROMPT_NAME)


def slug_of(exposed: str) -> str | None:
    """The server id that an exposed name begins with. A guess, for names that the table does not have."""
    slug, separator, name = exposed.partition(SEPARATOR)
    return slug if separator and name else None


def _prefixed(slug: str, name: str, prefix: Prefix) -> str:
    return name if prefix == "none" else f"{slug}{SEPARATOR}{name}"


def _marked(stem: str, slug: str, name: str, budget: int) -> str:
    """`stem`, cut, and a mark that tells apart what cutting and replacing made equal."""
    # A lone surrogate is legal in a JSON string and must not stop us.
    identity = f"{slug}\0{name}".encode(errors="surrogatepass")
    mark = hashlib.sha256(identity).hexdigest()[:MARK_DIGITS]
    return f"{stem[: budget - MARK_DIGITS - 1]}-{mark}"
