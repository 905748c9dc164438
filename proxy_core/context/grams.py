"""Words that look alike: what a misspelt or unknown word may have meant. Pure.

Only for words that the index does not have: a word that is there means itself.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

WORDS_A_STEP: Final = 100

_RUN: Final = 3
"""Letters in a row that two words must share to be compared at all."""
_MAX_RUNS: Final = 8
"""Runs of one word that are looked up, the rarest first: common ones tell little and cost much."""
_MAX_HAVING: Final = 1_000
"""Words that have a run; one that more words have is not looked up."""
_MAX_COMPARED: Final = 50
_LEAST_LIKENESS: Final = 0.5
"""Below this two words share letters by chance."""
_NONE: Final = array("I")


def likeness(one: str, other: str) -> float:
    """Share of pairs of letters that two words have in common, 0 to 1 (Dice). Begin and end count as letters.

    Pairs, since two letters that have changed places leave no longer run whole.
    """
    pairs, others = runs_of(one, 2), runs_of(other, 2)
    return 2 * len(pairs & others) / (len(pairs) + len(others))


def runs_of(word: str, length: int) -> set[str]:
    """All runs of `length` characters in a word, its begin and its end being characters too."""
    padded = f"^{word}$"
    return {padded[at : at + length] for at in range(len(padded) - length + 1)}


class WordGrams:
    """Which words have three letters in a row."""

    def __init__(self, words: Sequence[str]) -> None:
        """`words` is kept, not copied; nothing is found before `filling` has ended."""
        self._words = words
        self._having: dict[str, array[int]] = defaultdict(lambda: array("I"))

    def filling(self) -> Iterator[None]:
        for number, word in enumerate(self._words, start=1):
            for run in runs_of(word, _RUN):
                self._having[run].append(number - 1)
            if number % WORDS_A_STEP == 0:
                yield

    def like(self, word: str, limit: int) -> list[tuple[int, float]]:
        """The words most like `word`: their numbers and how like they are, most like first."""
        lists = sorted((self._having.get(run, _NONE) for run in sorted(runs_of(word, _RUN))), key=len)
        shared: Counter[int] = Counter()
        for having in [having for having in lists if having][:_MAX_RUNS]:
            if len(having) <= _MAX_HAVING:
                shared.update(having)
        compared = (
            (number, likeness(word, self._words[number])) for number, _ in shared.most_common(_MAX_COMPARED)
        )
        found = [(number, share) for number, share in compared if share >= _LEAST_LIKENESS]
        found.sort(key=lambda pair: (-pair[1], self._words[pair[0]]))
        return found[:limit]
