"""The language of the filter: `a b` both, `!x` not, `key:value` one field. Case does not matter."""

from collections.abc import Mapping
from dataclasses import dataclass

WORDS = frozenset({"state"})
"""Fields that hold one word of a fixed set."""


@dataclass(frozen=True, slots=True)
class Term:
    text: str
    key: str
    negated: bool

    def matches(self, fields: Mapping[str, str]) -> bool:
        field = fields[self.key or "text"]
        # A state is named from its start: `healthy` must not find `unhealthy`.
        is_found = field.startswith(self.text) if self.key in WORDS else self.text in field
        return is_found is not self.negated


@dataclass(frozen=True, slots=True)
class Filter:
    """Terms that must all hold. An empty filter lets everything through."""

    terms: tuple[Term, ...] = ()

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Whether the lower-cased `fields` of one row satisfy every term; a bare word looks at `text`."""
        return all(term.matches(fields) for term in self.terms)


def parse_filter(expression: str, keys: frozenset[str]) -> Filter:
    """Read what was typed. A word before a colon is a key only if it is the start of one of `keys`.

    So `http://host` stays a text, and `stat:healthy` means `state:healthy`.
    """
    return Filter(tuple(_term(word, keys) for word in expression.lower().split() if word != "!"))


def _term(word: str, keys: frozenset[str]) -> Term:
    text = word.removeprefix("!")
    key, colon, value = text.partition(":")
    named = min((name for name in keys if name.startswith(key)), default="") if colon and key else ""
    return Term(value if named else text, named, word.startswith("!"))
