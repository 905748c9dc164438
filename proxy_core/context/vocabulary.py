"""The words of an index, and which of them a phrasing asks for. Pure.

A word stands for itself and for what people mean by it (`synonyms`). One that no tool has stands for its two
halves, or for the words that look like it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from proxy_core.context.grams import WordGrams
from proxy_core.context.steps import Steps
from proxy_core.context.synonyms import LINES
from proxy_core.context.words import stem, words_of

MAX_CHARS: Final = 400
"""Of a phrasing; what follows is not looked at."""
MAX_WORDS: Final = 24
MAX_UNKNOWN: Final = 8
"""Words of a phrasing that are compared with those of the index; more of them are no misspellings."""

_PAIR_WEIGHT: Final = 0.8
_ALIKE_WEIGHT: Final = 0.8
_SYNONYM_WEIGHT: Final = 0.7
_SYNONYM_POWER: Final = -0.25
"""A word that may mean many things is a weaker sign of each: weight = 0.7 * meanings ** -0.25."""
_MAX_ALIKE: Final = 3
_MIN_HALF: Final = 3
"""Letters of either half of a word that is taken for two."""
_MAX_WHOLE: Final = 24
"""Letters of a word that may be two."""


class Group(NamedTuple):
    """One word of a query: the words of the index that may stand for it, of which the best one counts."""

    own: int | None
    """The number of the word itself, if the index has it."""
    weights: dict[int, float]
    """Word number -> what it is worth here, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words of an index by their numbers."""

    numbers: dict[str, int]
    """Word -> its number."""
    meanings: dict[str, dict[int, float]]
    """Word, also one that no tool has -> the words of the index that may stand for it, each with its worth."""
    grams: WordGrams

    def groups_of(self, phrasing: str) -> list[Group]:
        """A group for each word of `phrasing` that the index knows something about."""
        words = list(dict.fromkeys(words_of(phrasing[:MAX_CHARS])))[:MAX_WORDS]
        unknown = [word for word in words if word not in self.numbers and word not in self.meanings]
        guessed = unknown[:MAX_UNKNOWN]
        groups = [self._guess(word) if word in guessed else self._group(word) for word in words]
        # "pull request" also means pullrequest, if a tool has it.
        joined = {one + other for one, other in pairwise(words)}.intersection(self.numbers).difference(words)
        groups += [Group(self.numbers[word], {self.numbers[word]: _PAIR_WEIGHT}) for word in sorted(joined)]
        return [group for group in groups if group.weights]

    def _group(self, word: str) -> Group:
        own = self.numbers.get(word)
        weights = dict(self.meanings.get(word, {}))
        if own is not None:
            weights[own] = 1.0
        return Group(own, weights)

    def _guess(self, word: str) -> Group:
        """What an unknown word may be: two words, or one that is misspelt."""
        alike = self._halves(word) or {
            number: _ALIKE_WEIGHT * share for number, share in self.grams.like(word, _MAX_ALIKE)
        }
        return Group(None, alike)

    def _halves(self, word: str) -> dict[int, float]:
        for at in range(_MIN_HALF, min(len(word), _MAX_WHOLE) - _MIN_HALF + 1):
            first = self.numbers.get(stem(word[:at]))
            second = self.numbers.get(stem(word[at:])) if first is not None else None
            if first is not None and second is not None:
                return {first: _PAIR_WEIGHT, second: _PAIR_WEIGHT}
        return {}


def learning(numbers: dict[str, int]) -> Steps[Vocabulary]:
    """The vocabulary of an index with these words, in small steps."""
    grams = WordGrams(list(numbers))
    yield from grams.filling()
    others: dict[str, dict[str, None]] = {}
    for line in LINES:
        asked, _, told = line.partition(">")
        equal = [] if told else asked.split("=")
        meant = dict.fromkeys(stem(word.strip()) for word in equal or told.split())
        for word in equal or asked.split():
            others.setdefault(stem(word.strip()), {}).update(meant)
        yield
    meanings = {word: _weighed(word, meant, numbers) for word, meant in others.items()}
    return Vocabulary(numbers, {word: weights for word, weights in meanings.items() if weights}, grams)


def _weighed(word: str, meant: Mapping[str, None], numbers: Mapping[str, int]) -> dict[int, float]:
    others = [other for other in meant if other != word]
    return {
        numbers[other]: _SYNONYM_WEIGHT * len(others) ** _SYNONYM_POWER for other in others if other in numbers
    }
