"""Does a URI match a URI template? Linear in the URI's length, whatever the template. Pure.

No regular expression: `{a}-{b}-{c}-...` makes one backtrack without end, and both sides are hostile. Instead
the set of places in the URI that the template may have come to is one integer, a bit for each place, and each
part of the template moves the whole set at once (the bit-parallel scheme of the Parabix project).

Lenient where routing may be: variable names in a query are not compared, and a `{...}` that RFC 6570 does not
know matches anything, because the server that wrote it will judge the URI itself.
Spec: RFC 6570, sections 2 and 3.2; MCP server/resources, "Resource Templates".
"""

import re
from collections import defaultdict
from typing import Final, TypeAlias

from msgspec import Struct

MAX_URI_CHARS: Final = 8192

_EXPRESSION = re.compile(r"\{([^{}]*)\}")
_KNOWN = re.compile(r"([+#./;?&]?)((?:[\w.%]+(?::\d{1,4}|\*)?)(?:,[\w.%]+(?::\d{1,4}|\*)?)*)\Z", re.ASCII)


class Literal(Struct, frozen=True):
    text: str


class Run(Struct, frozen=True):
    """Any number of characters, none of `stops`. With `lead`: nothing at all, or that character first."""

    stops: str
    lead: str = ""


Part: TypeAlias = Literal | Run

SEGMENT_STOPS: Final = "/?#"
_RUNS: Final[dict[str, Run]] = {
    "": Run(SEGMENT_STOPS),
    "+": Run(""),
    "#": Run("", lead="#"),
    ".": Run(SEGMENT_STOPS, lead="."),
    ";": Run(SEGMENT_STOPS, lead=";"),
    "?": Run("#", lead="?"),
    "&": Run("#", lead="&"),
}
"""What one expression may expand to, by its operator; `/` depends on its variables too."""


class Uri:
    """A URI made ready to be matched: where each of its characters stands, as bits."""

    __slots__ = ("_at", "end", "text")

    def __init__(self, text: str) -> None:
        """`text` is at most MAX_URI_CHARS long."""
        self.text = text
        self.end: Final = 1 << len(text)
        """The place behind the last character."""
        self._at: defaultdict[str, int] = defaultdict(int)
        for index, character in enumerate(text):
            self._at[character] |= 1 << index

    def at(self, character: str) -> int:
        return self._at.get(character, 0)

    def without(self, stops: str) -> int:
        """The places of all characters that are not in `stops`."""
        places = self.end - 1
        for stop in stops:
            places &= ~self.at(stop)
        return places


class UriTemplate:
    """A URI template, compiled. Any text compiles; braces that do not pair are literal."""

    __slots__ = ("_parts", "prefix")

    def __init__(self, text: str) -> None:
        self._parts = _parts(text)
        self.prefix: Final = text.partition("{")[0]
        """What every matching URI begins with."""

    def matches(self, uri: Uri) -> bool:
        if not uri.text.startswith(self.prefix):
            return False
        places = 1
        for part in self._parts:
            places = (
                _past_literal(places, part, uri) if isinstance(part, Literal) else _past_run(places, part, uri)
            )
            if not places:
                return False
        return bool(places & uri.end)


def _past_literal(places: int, literal: Literal, uri: Uri) -> int:
    for character in literal.text:
        places = (places & uri.at(character)) << 1
        if not places:
            return 0
    return places


def _past_run(places: int, run: Run, uri: Uri) -> int:
    if not run.lead:
        return _past_any(places, uri.without(run.stops))
    return places | _past_any((places & uri.at(run.lead)) << 1, uri.without(run.stops))


def _past_any(places: int, allowed: int) -> int:
    """Every place that is reached from `places` over any number of `allowed` characters.

    Adding a place to the block of ones it stands in carries a one to the end of the block; what the sum changed
    in the block is what the place reaches.
    """
    return (((places & allowed) + allowed) ^ allowed) | places


def _parts(text: str) -> tuple[Part, ...]:
    pieces = _EXPRESSION.split(text)
    parts: list[Part] = []
    for literal, expression in zip(pieces[::2], [*pieces[1::2], None], strict=True):
        if literal:
            parts.append(Literal(literal))
        if expression is not None:
            parts.extend(_runs(expression))
    return tuple(parts)


def _runs(expression: str) -> tuple[Run, ...]:
    known = _KNOWN.match(expression)
    if known is None:
        return (Run(""),)
    operator, variables = known.groups()
    if operator != "/":
        return (_RUNS[operator],)
    if "*" in variables:
        return (Run("?#", lead="/"),)
    return tuple(Run(SEGMENT_STOPS, lead="/") for _ in variables.split(","))
