"""Texts of tools and properties, made shorter: idle white space goes, cuts come after a sentence. Pure."""

import re
from collections.abc import Callable
from typing import Final

MAX_READ: Final = 20_000
"""Characters of a text that are looked at; what follows is dropped, since no budget reaches that far."""

_FENCES: Final = ("```", "~~~")
_BLANKS: Final = re.compile(r"(?<=\S)[^\S\n]{2,}")
# A full stop after these ends no sentence.
_SENTENCE_END: Final = re.compile(r"(?<!\be\.g)(?<!\bi\.e)(?<!\bvs)[.!?][)\"'`*\]]*(?=\s|$)|[^\s:](?=\n)")
_HEADING: Final = re.compile(r"#.*|.*:[*_]*")
_LEAST_SHARE: Final = 3
"""A sentence that ends before this part of the budget says too little: words are kept instead."""


def shortened(text: str, limit: int, then: Callable[[str], str] = str) -> str:
    """`text` tidied, put through `then` and cut to `limit` characters.

    So often that doing it again changes nothing. `then` must never make a text longer.
    """
    text = text[:MAX_READ]
    while True:
        shorter = cut(then(tidied(text)), limit)
        if shorter == text:
            return text
        text = shorter


def tidied(text: str) -> str:
    """`text` without white space that says nothing. Code between fences keeps its indentation."""
    lines = _dedented(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    tidy: list[str] = []
    is_code = False
    for line in lines:
        if line.lstrip().startswith(_FENCES):
            is_code = not is_code
        if not is_code:
            line = _BLANKS.sub(" ", line)
        if line or (tidy and tidy[-1]):
            tidy.append(line)
    return "\n".join(tidy).rstrip()


def _dedented(lines: list[str]) -> list[str]:
    """As a docstring is read: what all lines but the first are indented by is no part of the text."""
    lines = [line.rstrip() for line in lines]
    start = next((number for number, line in enumerate(lines) if line), len(lines))
    first, rest = lines[start : start + 1], lines[start + 1 :]
    margin = min((len(line) - len(line.lstrip()) for line in rest if line), default=0)
    return [line.lstrip() for line in first] + [line[margin:] for line in rest]


def cut(text: str, limit: int) -> str:
    """`text` up to the last sentence that ends within `limit` characters; if none does, up to the last word."""
    if len(text) <= limit:
        return text
    ends = [match.end() for match in _SENTENCE_END.finditer(text[: limit + 1]) if match.end() <= limit]
    if ends and ends[-1] * _LEAST_SHARE >= limit:
        whole = _without_loose_end(text[: ends[-1]])
        if len(whole) * _LEAST_SHARE >= limit:
            return whole
    return _cut_at_word(text, limit)


def _without_loose_end(text: str) -> str:
    """`text` without code that does not end, and without a heading of nothing."""
    lines = text.split("\n")
    fences = [number for number, line in enumerate(lines) if line.lstrip().startswith(_FENCES)]
    if len(fences) % 2:
        del lines[fences[-1] :]
    while lines and (not lines[-1].strip() or _HEADING.fullmatch(lines[-1].strip())):
        lines.pop()
    return "\n".join(lines)


def _cut_at_word(text: str, limit: int) -> str:
    head = text[: max(limit - 1, 0)]
    if not text[len(head)].isspace():
        head = head[: max(head.rfind(" "), head.rfind("\n"))] if len(head.split()) > 1 else head
    return head.rstrip(" \t\n.,;:-–—(") + "…" if limit > 0 else ""
