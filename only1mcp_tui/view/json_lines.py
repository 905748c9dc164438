"""JSON text as coloured lines, also where it is cut, nested too deep for a parser, or no JSON at all.

It is read token by token and never parsed, and its length, its lines and its indents are bounded, so that one
hostile body costs no more than any other.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from rich.cells import cell_len

from only1mcp_tui.view.text import Line, Span, safe

TEXT_SHOWN: Final = 65_536
"""Characters of one body that are made into lines."""
LINES_SHOWN: Final = 4000
INDENT: Final = 2
DEEPEST: Final = 20
"""Levels that are indented; what is nested deeper stands below them."""
NARROWEST: Final = 10

_TOKEN: Final = re.compile(
    r'(?P<string>"(?:[^"\\]|\\.)*+(?:"|\\?\Z))|(?P<open>[\[{])|(?P<close>[\]}])|(?P<comma>,)|(?P<colon>:)'
    r"|(?P<space>\s++)|(?P<other>[^\s\[\]{},:\"]++)",
    re.DOTALL,
)
_KEY: Final = re.compile(r"\s*+:")
_NUMBER: Final = re.compile(r"-?\d[\d.eE+-]*+\Z")
_EMPTY: Final = re.compile(r"\s*+[\]}]")


@dataclass(slots=True)
class _Pen:
    """Where the next token goes."""

    width: int
    depth: int = 0
    line: list[Span] = field(default_factory=list)
    used: int = 0
    lines: list[Line] = field(default_factory=list)

    def write(self, text: str, role: str) -> None:
        """Text at the end of the line, broken into further lines where it is longer than the room."""
        whole = self.width - self._indent
        room = self.width - self.used if self.line else whole
        for piece in _pieces(safe(text, len(text)), room, whole):
            if self.used + _cells(piece) > self.width:
                self.end_line()
            if not self.line:
                self._start_line()
            if self.line[-1:] and self.line[-1][1] == role:
                # Each span costs: a run of one role is one.
                self.line[-1] = (self.line[-1][0] + piece, role)
            else:
                self.line.append((piece, role))
            self.used += _cells(piece)

    @property
    def _indent(self) -> int:
        return min(self.depth, DEEPEST, max(0, self.width - NARROWEST) // INDENT) * INDENT

    def _start_line(self) -> None:
        if self._indent:
            self.line.append((" " * self._indent, "muted"))
        self.used = self._indent

    def end_line(self) -> None:
        if self.line:
            self.lines.append(tuple(self.line))
            self.line, self.used = [], 0


def json_lines(text: str, width: int) -> list[Line]:
    """`text` in lines of at most `width` cells, one member or item on each."""
    shown = text[:TEXT_SHOWN]
    pen = _Pen(max(NARROWEST, width))
    for match in _TOKEN.finditer(shown):
        _write_token(pen, match, shown)
        if len(pen.lines) >= LINES_SHOWN:
            break
    pen.end_line()
    if len(pen.lines) >= LINES_SHOWN or len(text) > len(shown):
        return [
            *pen.lines[:LINES_SHOWN],
            (("… more than is shown; y copies and x exports all that is kept", "warn"),),
        ]
    return pen.lines


def _write_token(pen: _Pen, match: "re.Match[str]", shown: str) -> None:
    token = match.group()
    match match.lastgroup:
        case "open":
            pen.write(token, "muted")
            pen.depth += 1
            if not _EMPTY.match(shown, match.end()):
                pen.end_line()
        case "close":
            if pen.line and not pen.line[-1][0].endswith(("{", "[")):
                pen.end_line()
            pen.depth = max(0, pen.depth - 1)
            pen.write(token, "muted")
        case "comma":
            pen.write(token, "muted")
            pen.end_line()
        case "colon":
            pen.write(": ", "muted")
        case "string":
            pen.write(token, "accent" if _KEY.match(shown, match.end()) else "good")
        case "other":
            pen.write(token, _role_of(token))
        case _:
            return


def _role_of(token: str) -> str:
    if token in ("true", "false", "null"):
        return "warn"
    return "info" if _NUMBER.match(token) else "text"


def text_lines(text: str, width: int, role: str = "text") -> Iterator[Line]:
    """`text` as it is, broken every `width` cells and nowhere else."""
    width = max(NARROWEST, width)
    shown = text[:TEXT_SHOWN]
    for number, piece in enumerate(_pieces(safe(shown, len(shown)), width, width)):
        if number >= LINES_SHOWN:
            break
        yield ((piece, role),)
    if len(text) > len(shown):
        yield (("… more than is shown; y copies and x exports all that is kept", "warn"),)


def _cells(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def _pieces(text: str, first: int, others: int) -> Iterator[str]:
    """`text` in pieces of at most `first`, then `others` cells; what fits into `others` is never broken."""
    if _cells(text) <= others:
        yield text
        return
    room = first if first >= NARROWEST else others
    at = 0
    while at < len(text):
        piece = text[at : at + room]
        while (over := _cells(piece) - room) > 0:
            # A wide character takes two cells: dropping half of what is over never drops too much.
            piece = piece[: -max(1, over // 2)]
        if not piece:
            return
        yield piece
        at += len(piece)
        room = others
