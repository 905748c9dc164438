"""The parts of a docstring in a description: `Args:`, `Returns:`, `Raises:`, `Examples:`. Pure.

Many servers publish a function's whole docstring. What its `Args:` say belongs to the properties.
Source: Google Python Style Guide, 3.8.3; in Markdown as servers write it.
"""

import re
from collections.abc import Container, Iterator
from typing import Final, NamedTuple

_HEADER: Final = re.compile(
    r"(?P<indent>\s*)(?P<mark>(?:#{1,6}\s+)?[*_]{0,2})"
    r"(?P<name>args|arguments|parameters|params|returns?|yields|raises|examples?|example usage|usage examples?)"
    r"(?P<colon>:?[*_]{0,2}:?)(?P<text>(?<=:)\s+\S.*)?\s*",
    re.IGNORECASE,
)
_ARGUMENTS: Final = frozenset({"args", "arguments", "parameters", "params"})
_ITEM: Final = re.compile(
    r"(?P<indent>\s*)(?:[-*+•]\s+)?[`*_]{0,3}(?P<name>[A-Za-z_][\w.-]{0,127})[`*_]{0,3}"
    r"\s{0,4}(?:\([^()]{0,200}\)|\[[^\[\]]{0,200}\])?[`*_]{0,2}\s{0,4}(?::|–|—|-(?=\s))[*_]{0,2}\s*(?P<text>.*)"
)
_BULLET: Final = re.compile(r"\s*(?:[-*+•]|\d+[.)])\s")
_FENCES: Final = ("```", "~~~")


class Split(NamedTuple):
    """A description taken apart."""

    prose: str
    """Without the sections."""
    arguments: dict[str, str]
    """What the sections say of each argument."""


class _Section(NamedTuple):
    name: str
    begin: int
    """The line of its header."""
    body: int
    """Its first line after the header."""
    end: int


def split(description: str, arguments: Container[str]) -> Split:
    """The description without the sections, and what they say of `arguments`.

    A section of arguments that names none of them stays: it may be all that there is to know.
    """
    lines = description.split("\n")
    if not any(map(_header, lines)):
        return Split(description, {})
    prose: list[str] = []
    said: dict[str, str] = {}
    kept_to = 0
    for section in _sections(lines):
        if section.name in _ARGUMENTS:
            items = {
                name: text for name, text in _items(lines[section.body : section.end]) if name in arguments
            }
            if not items:
                continue
            said = items | said
        prose += lines[kept_to : section.begin]
        kept_to = section.end
    return Split("\n".join(prose + lines[kept_to:]).rstrip(), said)


def _header(line: str) -> re.Match[str] | None:
    match = _HEADER.fullmatch(line)
    # A word alone on its line is a section's only if it is marked as such.
    if match is None or not (match["colon"] or match["mark"]):
        return None
    if match["text"] and match["name"].lower() in _ARGUMENTS:
        return None
    return match


def _sections(lines: list[str]) -> Iterator[_Section]:
    number = 0
    while number < len(lines):
        header = _header(lines[number])
        if header is None:
            number += 1
            continue
        end = _end(lines, number + 1, _indent(lines[number]), has_text=bool(header["text"]))
        yield _Section(header["name"].lower(), number, number + 1, end)
        number = end


def _end(lines: list[str], begin: int, indent: int, *, has_text: bool) -> int:
    """Where the section ends whose header is indented by `indent` and stands before line `begin`."""
    end = begin
    is_code = False
    for number in range(begin, len(lines)):
        line = lines[number]
        is_fence = line.lstrip().startswith(_FENCES)
        if not line.strip():
            continue
        if not is_code and not is_fence and _indent(line) <= indent:
            is_part = not has_text and (_BULLET.match(line) or _ITEM.fullmatch(line))
            if not is_part or _header(line):
                break
        is_code ^= is_fence
        end = number + 1
    return end


def _items(lines: list[str]) -> Iterator[tuple[str, str]]:
    """The arguments that a section tells of; lines that are indented more belong to the one before."""
    name, texts, indent = "", [""], 0
    for line in lines:
        if name and (not line.strip() or _indent(line) > indent):
            texts.append(line.strip())
        elif item := _ITEM.fullmatch(line):
            if name:
                yield name, " ".join(filter(None, texts))
            name, texts, indent = item["name"], [item["text"].strip()], _indent(line)
    if name:
        yield name, " ".join(filter(None, texts))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
