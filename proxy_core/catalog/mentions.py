"""Tools whose texts name a tool of another server: how one server has a model misuse another. Pure.

Flagged is an exposed name (`github__create_issue`), and a server's id beside one of its tools: joined
(`github.search`, `github/search`), or a few words apart, if the tool's name is no word of the language
(`the create_issue tool of github`). A hint for a person: there are good reasons for it too.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any, Final

from proxy_core.catalog.merge import Entry
from proxy_core.protocol.subschemas import TooDeep, every

MAX_NAMED: Final = 5
"""Names that are told of one tool."""
MAX_CHARS: Final = 16 << 10
"""Of one tool's texts that are looked through."""
NEAR_CHARS: Final = 40
"""Between an id and a tool's name that belong together."""
MAX_DEPTH: Final = 32
MAX_SCHEMAS: Final = 2000
_WORD: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_JOINTS: Final = (".", "/", ":", "::", "#")
_NO_PLAIN_WORD: Final = re.compile(r"[_\-0-9]|[a-z][A-Z]")


class Names:
    """What may be named: every server's tools, as clients and as their servers call them."""

    def __init__(self, tools: Iterable[Entry]) -> None:
        self._exposed: dict[str, str] = {}
        self._own: dict[str, set[str]] = {}
        for each in tools:
            if _NO_PLAIN_WORD.search(each.exposed):
                self._exposed[each.exposed] = each.server
            self._own.setdefault(each.server, set()).add(each.origin)
        self._telling = frozenset(self._exposed) | frozenset(self._own)
        """Words without which nothing is named."""

    def named_by(self, server: str, tool: Mapping[str, Any]) -> tuple[str, ...]:
        """Tools of others that the texts of a tool of `server` name, as `server/tool` or exposed, in order."""
        found: dict[str, None] = {}
        for text in _texts(tool):
            for name in self._found(server, text):
                found[name] = None
                if len(found) == MAX_NAMED:
                    return tuple(found)
        return tuple(found)

    def _found(self, server: str, text: str) -> Iterator[str]:
        if "__" not in text and self._telling.isdisjoint(_WORD.findall(text)):
            return
        words = list(_WORD.finditer(text))
        for number, word in enumerate(words):
            said = word[0]
            exposed = next((n for n in _forms(said) if self._exposed.get(n, server) != server), None)
            if exposed is not None:
                yield exposed
            elif said != server and (own := self._own.get(said)) is not None:
                yield from (f"{said}/{tool}" for tool in _beside(words, number, own, text))


def _forms(word: str) -> Iterator[str]:
    """A name, also without what some clients put before it, as `mcp__gateway__`."""
    yield word
    while "__" in (word := word.partition("__")[2]):
        yield word


def _beside(words: list[re.Match[str]], number: int, own: Set[str], text: str) -> Iterator[str]:
    """Tools of a server that are named where its id, the word of this number, stands."""
    start, end = words[number].span()
    if number + 1 < len(words):
        following = words[number + 1]
        if following[0] in own and text[end : following.start()].strip('`"') in _JOINTS:
            yield following[0]
            return
    for step in (-1, 1):
        at = number + step
        while 0 <= at < len(words):
            word = words[at]
            if (word.start() - end if step == 1 else start - word.end()) > NEAR_CHARS:
                break
            if word[0] in own and _NO_PLAIN_WORD.search(word[0]):
                yield word[0]
            at += step


def _texts(tool: Mapping[str, Any]) -> Iterator[str]:
    """What a model reads of it, up to a bound."""
    room = MAX_CHARS
    for text in _all_texts(tool):
        if room <= 0:
            return
        yield text[:room]
        room -= len(text)


def _all_texts(tool: Mapping[str, Any]) -> Iterator[str]:
    for text in (tool.get("title"), tool.get("description")):
        if isinstance(text, str):
            yield text
    try:
        for _, schema in every(tool.get("inputSchema"), MAX_DEPTH, MAX_SCHEMAS):
            if isinstance(text := schema.get("description"), str):
                yield text
    except TooDeep:
        return
