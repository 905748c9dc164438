"""The language of the filter: `a b` both, `!x` not, `key:value` one field, `key:>5` a number.

Case does not matter.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

WORDS = frozenset({"state", "status"})
"""Fields that hold one word of a fixed set."""
FLAGS = frozenset({"is"})
"""Fields that hold any number of words of a fixed set."""
NO_NUMBERS: Mapping[str, float | None] = MappingProxyType({})
NO_CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType({})

_NUMBER = re.compile(r"(>=|<=|>|<|=)?(-?\d{1,18}(?:\.\d{1,9})?)(ms|s|m|k|mb|b)?")
_SCALES = {None: 1.0, "ms": 1.0, "s": 1000.0, "b": 1.0, "k": 1e3, "m": 1e6, "mb": 1e6}
_COMPARE: dict[str | None, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    # A number is shown rounded, so what one reads is what one finds.
    "=": lambda found, wanted: round(found) == round(wanted),
}
_COMPARE[None] = _COMPARE["="]


@dataclass(frozen=True, slots=True)
class Term:
    text: str
    key: str
    negated: bool
    compare: Callable[[float, float], bool] | None = None
    """Of a number, with `number`."""
    number: float = 0.0

    def matches(self, fields: Mapping[str, str], numbers: Mapping[str, float | None] = NO_NUMBERS) -> bool:
        if self.compare is not None:
            value = numbers.get(self.key)
            return (value is not None and self.compare(value, self.number)) is not self.negated
        field = fields[self.key or "text"]
        if self.key in WORDS:
            # A state is named from its start: `healthy` must not find `unhealthy`.
            is_found = field.startswith(self.text)
        elif self.key in FLAGS:
            is_found = not self.text or any(word.startswith(self.text) for word in field.split())
        else:
            is_found = self.text in field
        return is_found is not self.negated


@dataclass(frozen=True, slots=True)
class Filter:
    """Terms that must all hold. An empty filter lets everything through."""

    terms: tuple[Term, ...] = ()
    unclear: tuple[str, ...] = ()
    """Words whose value means nothing for their key, as `ms:>abc`; they filter nothing."""

    def matches(self, fields: Mapping[str, str], numbers: Mapping[str, float | None] = NO_NUMBERS) -> bool:
        """Whether the lower-cased `fields` of one row satisfy every term; a bare word looks at `text`."""
        return all(term.matches(fields, numbers) for term in self.terms)


def parse_filter(
    expression: str,
    keys: frozenset[str],
    numbers: frozenset[str] = frozenset(),
    choices: Mapping[str, tuple[str, ...]] = NO_CHOICES,
) -> Filter:
    """Read what was typed. A word before a colon is a key only if it is the start of one that there is.

    So `http://host` stays a text, and `stat:healthy` means `state:healthy`. `choices` has, for keys of a fixed
    vocabulary, its words: another one is unclear.
    """
    terms: list[Term] = []
    unclear: list[str] = []
    for word in expression.lower().split():
        if word == "!":
            continue
        term = _term(word, keys | numbers, numbers, choices)
        if term is None:
            unclear.append(word)
        else:
            terms.append(term)
    return Filter(tuple(terms), tuple(unclear))


def _term(
    word: str, keys: frozenset[str], numbers: frozenset[str], choices: Mapping[str, tuple[str, ...]]
) -> Term | None:
    """None: it cannot be understood."""
    text = word.removeprefix("!")
    is_negated = word.startswith("!")
    key, colon, value = text.partition(":")
    named = min((name for name in keys if name.startswith(key)), default="") if colon and key else ""
    if not named:
        return Term(text, "", is_negated)
    if named in numbers:
        return _comparison(value, named, is_negated)
    if named in choices and not any(choice.startswith(value) for choice in choices[named]):
        return None
    return Term(value, named, is_negated)


def _comparison(value: str, key: str, is_negated: bool) -> Term | None:
    found = _NUMBER.fullmatch(value)
    if found is None:
        return None
    sign, digits, unit = found.groups()
    return Term(value, key, is_negated, _COMPARE[sign], float(digits) * _SCALES[unit])
