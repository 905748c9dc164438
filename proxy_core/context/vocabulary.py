"""The words of an index, and which of them a phrasing asks for. Pure.

A word stands for itself and for what people mean by it (`synonyms`). One that no tool has stands for its two
halves, or for the words that look like it.
"""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from proxy_core.context.grams import WordGrams
from proxy_core.context.synonyms import LINES
from proxy_core.context.words import stem, words_of

MAX_CHARS: Final = 400
"""Of a phrasing; what follows is not looked at."""
MAX_WORDS: Final = 32

_PAIR_WEIGHT: Final = 0.8
_ALIKE_WEIGHT: Final = 0.8
_SYNONYM_WEIGHT: Final = 0.7
_SYNONYM_POWER: Final = -0.25
"""A word that may mean many things is a weaker sign of each: weight = 0.7 * meanings ** -0.25."""
_MAX_ALIKE: Final = 3
_MIN_PART: Final = 3
"""Letters of either half of a word that is taken for two."""


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
        groups = [self._group(word) for word in words]
        # "pull request" also means pullrequest, if a tool has it.
        joined = {one + other for one, other in pairwise(words)}.intersection(self.numbers).difference(words)
        groups += [Group(self.numbers[word], {self.numbers[word]: _PAIR_WEIGHT}) for word in sorted(joined)]
        return [group for group in groups if group.weights]

    def _group(self, word: str) -> Group:
        own = self.numbers.get(word)
        meanings = self.meanings.get(word, {})
        if own is not None:
            return Group(own, {own: 1.0, **meanings})
        return Group(None, meanings or dict.fromkeys(self._halves(word), _PAIR_WEIGHT) or self._alike(word))

    def _halves(self, word: str) -> Iterator[int]:
        """The two words that an unknown one is put together of."""
        for at in range(_MIN_PART, len(word) - _MIN_PART + 1):
            halves = stem(word[:at]), stem(word[at:])
            if all(half in self.numbers for half in halves):
                yield from (self.numbers[half] for half in halves)
                return

    def _alike(self, word: str) -> dict[int, float]:
        return {number: _ALIKE_WEIGHT * share for number, share in self.grams.like(word, _MAX_ALIKE)}


def learning(numbers: dict[str, int]) -> Generator[None, None, Vocabulary]:
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
