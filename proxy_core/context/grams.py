"""Words that look alike: what a misspelt or unknown word may have meant. Pure.

Only for words that the index does not have: a word that is there means itself.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

GRAM: Final = 3
WORDS_A_STEP: Final = 100
LEAST_LIKENESS: Final = 0.4
"""Below this two words share letters by chance."""

_MAX_CANDIDATES: Final = 2_000
"""Words looked at for one gram; one that more words have tells nothing."""


def grams_of(word: str) -> set[str]:
    """The runs of `GRAM` characters in a word; its begin and end count as characters."""
    padded = f"^{word}$"
    return {padded[at : at + GRAM] for at in range(len(padded) - GRAM + 1)}


def likeness(one: set[str], other: set[str]) -> float:
    """Share of grams that two words have in common: 0 to 1 (Dice)."""
    return 2 * len(one & other) / (len(one) + len(other)) if one or other else 0.0


class WordGrams:
    """Which words have a gram."""

    def __init__(self, words: Sequence[str]) -> None:
        """`words` is kept, not copied; nothing is found before `filling` has ended."""
        self._words = words
        self._with: dict[str, array[int]] = defaultdict(lambda: array("I"))

    def filling(self) -> Iterator[None]:
        for number, word in enumerate(self._words, start=1):
            for gram in grams_of(word):
                self._with[gram].append(number - 1)
            if number % WORDS_A_STEP == 0:
                yield

    def like(self, word: str, limit: int) -> list[tuple[int, float]]:
        """The words most like `word`: their numbers and how like they are, most like first."""
        wanted = grams_of(word)
        shared: Counter[int] = Counter()
        for gram in wanted:
            having = self._with.get(gram, ())
            if len(having) <= _MAX_CANDIDATES:
                shared.update(having)
        found = [
            (number, alike)
            for number, count in shared.items()
            if (alike := 2 * count / (len(wanted) + max(len(self._words[number]), 1))) >= LEAST_LIKENESS
        ]
        found.sort(key=lambda pair: (-pair[1], self._words[pair[0]]))
        return found[:limit]
