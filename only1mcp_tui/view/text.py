"""The one place where untrusted text is made fit for a terminal, and the spans that lines are made of.

A terminal obeys what it is sent, and Textual passes ESC through: a tool's description could write the
clipboard, move the cursor or turn the reading direction. So each control character becomes a picture of itself.
"""

from collections.abc import Iterable
from typing import TypeAlias

from rich.cells import cell_len, set_cell_size

Span: TypeAlias = tuple[str, str] | tuple[str, str, str]
"""Text, the role that decides its style, and perhaps the action a click on it runs."""
Line: TypeAlias = tuple[Span, ...]

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
LIMIT = 500

_INVISIBLE = (
    *range(0x80, 0xA0),  # C1: a second alphabet of escapes
    0xAD,
    0x61C,
    0x180E,
    *range(0x200B, 0x2010),  # zero widths and direction marks
    *range(0x2028, 0x202F),  # line ends, direction embeddings
    *range(0x2060, 0x2070),  # word joiner, direction isolates
    *range(0xFE00, 0xFE10),  # variation selectors: they change a character's width in some terminals only
    0xFEFF,
    *range(0xFFF9, 0xFFFC),
    *range(0xD800, 0xE000),  # lone surrogates cannot be written as UTF-8 at all
    *range(0xE0000, 0xE0200),  # tags and more variation selectors: hidden text
)
_SAFE: dict[int, str] = {
    **{code: chr(0x2400 + code) for code in range(0x20)},
    **dict.fromkeys(_INVISIBLE, REPLACEMENT),
    0x09: " ",
    0x7F: "\N{SYMBOL FOR DELETE}",
}


def safe(text: str, limit: int = LIMIT) -> str:
    """`text` as one harmless line of at most `limit` characters, with an ellipsis where it was cut."""
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_SAFE)


def safe_lines(text: str, limit: int = LIMIT, most: int = 50) -> list[str]:
    """The first `most` lines of `text`, each made safe."""
    return [safe(line, limit) for line in text[: limit * most].splitlines()[:most]]


def fit(text: str, width: int, right: bool = False) -> str:
    """`text` padded or cut to exactly `width` cells; wide characters count as two."""
    if text.isascii():
        short = text if len(text) <= width else text[: max(0, width - 1)] + "…"[:width]
        return short.rjust(width) if right else short.ljust(width)
    cells = cell_len(text)
    if cells > width:
        return set_cell_size(set_cell_size(text, max(0, width - 1)).rstrip() + "…"[:width], width)
    return " " * (width - cells) + text if right else text + " " * (width - cells)


def cells(line: Iterable[Span]) -> int:
    """The width of a line."""
    return sum([_width_of(span[0]) for span in line])


def _width_of(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def spread(left: Line, right: Line, width: int) -> Line:
    """`left` and `right` at the two ends of a line; the right end gives way where both do not fit."""
    gap = width - cells(left) - cells(right)
    if gap < 1:
        return left
    return (*left, (" " * gap, "text"), *right)


def clip(line: Iterable[Span], width: int) -> Line:
    """`line` in exactly `width` cells, cut or padded."""
    spans: list[Span] = []
    room = width
    for span in line:
        if room < 1:
            break
        text, role, *action = span
        if (wide := _width_of(text)) > room:
            text, wide = fit(text, room), room
            span = (text, role, action[0]) if action else (text, role)
        spans.append(span)
        room -= wide
    return (*spans, (" " * room, "text"))


def wrap(text: str, width: int) -> list[str]:
    """`text` broken at spaces into lines of at most `width` cells; a word that is longer is broken as well."""
    lines: list[str] = []
    line = ""
    for word in (piece for whole in text.split() for piece in _pieces(whole, width)):
        joined = f"{line} {word}" if line else word
        if cell_len(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        line = word
    return [*lines, line] if line else lines


def _pieces(word: str, width: int) -> list[str]:
    if len(word) * 2 <= width or cell_len(word) <= width:
        return [word]
    # A character may take two cells: half as many always fit.
    step = width if word.isascii() else max(1, width // 2)
    return [word[at : at + step] for at in range(0, len(word), step)]


def first_line(text: str, limit: int = LIMIT) -> str:
    """The first line of `text`, made safe, and how many it is followed by."""
    lines = text[: limit * 200].splitlines() or [""]
    return safe(lines[0], limit) + (f" (and {len(lines) - 1} more)" if len(lines) > 1 else "")


def plain(line: Iterable[Span]) -> str:
    """A line without its styles, for the clipboard and for tests."""
    return "".join(span[0] for span in line).rstrip()
