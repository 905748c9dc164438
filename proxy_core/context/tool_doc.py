"""One tool as the search index has it: how often each word stands in each of its fields. Pure.

Made from the whole text, not from the compact one: what a model is spared is what people search by.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from proxy_core.context.steps import Steps, finished
from proxy_core.context.words import words_of
from proxy_core.protocol import subschemas
from proxy_core.protocol.subschemas import TooDeep

NAME, SERVER, TITLE, FIRST_SENTENCE, DESCRIPTION, PARAMETER_NAMES, PARAMETER_TEXTS = range(7)
FIELD_COUNT: Final = 7

MAX_WORDS: Final = 4_000
"""Of one tool, and those of one piece more; further ones are not found."""
MAX_TEXT: Final = 20_000
"""Characters of one text."""
WORDS_A_STEP: Final = 50
"""Words between two yields, and those of one piece more; a word not stemmed before takes some 20 µs."""

PIECE_CHARS: Final = 250
"""Of a text, between two looks at how much was done."""

_CHARS_A_WORD: Final = 10
"""Text that holds no words is work too."""
_MAX_SCHEMAS: Final = 1_000
_MAX_DEPTH: Final = 16
_MAX_COUNT: Final = 255
_SENTENCE: Final = re.compile(r"(.{1,400}?)(?:[.!?](?=\s)|\n|$)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ToolDoc:
    """The words of one tool."""

    server: str
    name: str
    """As clients call it."""
    words: tuple[str, ...]
    """Each word once."""
    counts: bytes
    """For each word, in the same order, how often each field has it: `FIELD_COUNT` bytes."""
    lengths: tuple[int, ...]
    """Words in each field."""


def tokenised(server: str, exposed_name: str, tool: Mapping[str, Any]) -> ToolDoc:
    """The words of a tool of `server` that clients call `exposed_name`."""
    return finished(tokenising(server, exposed_name, tool))


def tokenising(server: str, exposed_name: str, tool: Mapping[str, Any]) -> Steps[ToolDoc]:
    """As `tokenised`, in steps of some `WORDS_A_STEP` words."""
    found: dict[str, bytearray] = {}
    lengths = [0] * FIELD_COUNT
    work = 0
    for field, piece in _pieces(server, exposed_name, tool):
        if sum(lengths) >= MAX_WORDS:
            break
        work += 1 + len(piece) // _CHARS_A_WORD
        for word in words_of(piece):
            counts = found.get(word)
            if counts is None:
                counts = found[word] = bytearray(FIELD_COUNT)
            if counts[field] < _MAX_COUNT:
                counts[field] += 1
            lengths[field] += 1
            work += 1
        if work >= WORDS_A_STEP:
            work = 0
            yield
    return ToolDoc(server, exposed_name, tuple(found), b"".join(found.values()), tuple(lengths))


def _pieces(server: str, exposed_name: str, tool: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """The texts of a tool in pieces of whole words, so that no text makes a long step."""
    for field, text in _texts(server, exposed_name, tool):
        begin, length = 0, min(len(text), MAX_TEXT)
        while length - begin > PIECE_CHARS:
            end = text.rfind(" ", begin, begin + PIECE_CHARS) + 1 or begin + PIECE_CHARS
            yield field, text[begin:end]
            begin = end
        yield field, text[begin:length]


def _texts(server: str, exposed_name: str, tool: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """Every text of a tool and the field it belongs to; the most telling ones first."""
    yield NAME, exposed_name.removeprefix(f"{server}__")
    yield SERVER, server
    annotations = tool.get("annotations")
    for holder in (tool, annotations if isinstance(annotations, dict) else {}):
        if isinstance(title := holder.get("title"), str):
            yield TITLE, title
            break
    if isinstance(description := tool.get("description"), str):
        if sentence := _SENTENCE.match(description[:MAX_TEXT].lstrip()):
            yield FIRST_SENTENCE, sentence[1]
        yield DESCRIPTION, description
    try:
        for _, schema in subschemas.every(tool.get("inputSchema"), _MAX_DEPTH, _MAX_SCHEMAS):
            yield from _parameter_texts(schema)
    except TooDeep:
        pass  # What was seen until here is found.


def _parameter_texts(schema: dict[str, Any]) -> Iterator[tuple[int, str]]:
    if isinstance(properties := schema.get("properties"), dict):
        yield from ((PARAMETER_NAMES, name) for name in properties)
    if isinstance(text := schema.get("description"), str):
        yield PARAMETER_TEXTS, text
    if isinstance(values := schema.get("enum"), list):
        yield from ((PARAMETER_TEXTS, value) for value in values if isinstance(value, str))
