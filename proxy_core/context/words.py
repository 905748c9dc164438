"""Words of tool names, descriptions and queries, as the search index has them. Pure, but for a memory of stems.

Identifiers are split (`createIssue`, `create_issue`) and kept joined too, so that either spelling finds either.
Not for several threads at once: the stemmer keeps state while it works.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import snowballstemmer

MAX_WORD_CHARS: Final = 40
"""Longer runs are data (keys, hashes, base64), not words."""

STOPWORDS: Final = frozenset(
    """
    a about above after again all also am an and any are as at be because been before being between both but
    by can could did do does doing down during each either few for from further had has have having he her
    here hers him his how i if in into is it its itself just let like made make may me might more most must
    my need neither no nor not of off on once one only onto or other our out over own per please same shall
    she should so some such than that the their them then there these they this those through thus to too
    under until up upon us use used using very via want was we were what when where whether which while who
    whom whose why will with within without would you your d don ll re s t ve
    """.split()
)

_RUN: Final = re.compile(r"[^\W_]+(?:_+[^\W_]+)*")
"""An identifier or a word, of whatever script."""
_WIDE_RANGES: Final = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_PART: Final = re.compile(
    rf"[{_WIDE_RANGES}]+|[0-9]+|[A-Z]+(?=[A-Z][a-z])|[A-Z]?[^\W\dA-Z_{_WIDE_RANGES}]+|[A-Z]+|[^\W_]"
)
_WIDE: Final = re.compile(f"[{_WIDE_RANGES}]{{2,}}")
"""Scripts without spaces between words: any two characters in a row count as a word."""

_STEMMER: Final = snowballstemmer.stemmer("english")


def words_of(text: str) -> Iterator[str]:
    """The words of `text` in order, stemmed and without stopwords; repeated as often as they are there."""
    for run in _RUN.finditer(text):
        count = 0
        for part in _PART.finditer(run[0]):
            count += 1
            yield from _words(part[0])
        if count > 1 and len(run[0]) <= 2 * MAX_WORD_CHARS:
            yield from _words(run[0].replace("_", ""))


def _words(part: str) -> Iterator[str]:
    if _WIDE.fullmatch(part):
        yield from (part[at : at + 2] for at in range(len(part) - 1))
    elif len(part) <= MAX_WORD_CHARS and (word := part.lower()) not in STOPWORDS:
        yield stem(word)


def joined(text: str) -> str:
    """Letters and digits of a name alone, in lower case."""
    return "".join(_RUN.findall(text)).replace("_", "").lower()


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """The stem of an English word in lower case; other words come out nearly as they went in."""
    return str(_STEMMER.stemWord(word))
