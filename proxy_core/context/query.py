"""What a phrasing asks for: for each of its words the words of the index that may stand for it. Pure."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Final, TypeAlias

from proxy_core.context.grams import WordGrams
from proxy_core.context.synonyms import GROUPS, WEIGHT
from proxy_core.context.words import stem, words_of

MAX_CHARS: Final = 400
MAX_WORDS: Final = 32

_PAIR_WEIGHT: Final = 0.8
_ALIKE_WEIGHT: Final = 0.8
_MAX_ALIKE: Final = 3
_MIN_PART: Final = 3
"""Letters of either part of a word that is taken for two."""

OrGroup: TypeAlias = dict[int, float]
"""Word number -> weight: any of these words, the best one counts."""


def groups_of(phrasing: str, numbers: Mapping[str, int], grams: WordGrams) -> list[OrGroup]:
    """One group for each word of `phrasing` that the index knows something about."""
    words = list(dict.fromkeys(words_of(phrasing[:MAX_CHARS])))[:MAX_WORDS]
    groups = [group for word in words if (group := _group(word, numbers, grams))]
    # "pull request" also means pullrequest, if a tool has it.
    pairs = (
        {numbers[joined]: _PAIR_WEIGHT} for one, other in pairwise(words) if (joined := one + other) in numbers
    )
    return groups + [pair for pair in pairs if pair not in groups]


def _group(word: str, numbers: Mapping[str, int], grams: WordGrams) -> OrGroup:
    group = {numbers[other]: weight for other, weight in _synonyms().get(word, {}).items() if other in numbers}
    if word in numbers:
        group[numbers[word]] = 1.0
    elif not group:
        group = dict.fromkeys(_parts(word, numbers), _PAIR_WEIGHT) or {
            number: _ALIKE_WEIGHT * likeness for number, likeness in grams.like(word, _MAX_ALIKE)
        }
    return group


def _parts(word: str, numbers: Mapping[str, int]) -> Iterator[int]:
    """The two words that an unknown one is put together of."""
    for at in range(_MIN_PART, len(word) - _MIN_PART + 1):
        parts = stem(word[:at]), stem(word[at:])
        if all(part in numbers for part in parts):
            yield from (numbers[part] for part in parts)
            return


@lru_cache(maxsize=1)
def _synonyms() -> dict[str, dict[str, float]]:
    """Stem -> the stems that may stand for it."""
    found: dict[str, dict[str, float]] = {}
    for group in GROUPS:
        stems = [stem(word) for word in group]
        for word in stems:
            found.setdefault(word, {}).update({other: WEIGHT for other in stems if other != word})
    return found
