"""Search among tools: which of them a few words ask for, and which a wrong name may have meant. Pure.

BM25F: each word counts by the fields it stands in, and a rare word counts more than a common one. Who may
not see a tool gets neither the tool nor its name.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import Final

from proxy_core.context.grams import likeness
from proxy_core.context.postings import Postings
from proxy_core.context.vocabulary import MAX_CHARS, Vocabulary
from proxy_core.context.words import joined

MAX_QUERIES: Final = 3
"""Phrasings of one search that are looked at."""

_RARENESS_POWER: Final = 0.8
"""Below 1: in a sentence the rarest words (a name, a day of the week) are often none of the tool's business."""
_SHARE_OF_EACH_WORD: Final = 0.1
"""What each further word that a tool has adds to its score: many words say more than one that is rare."""

_CANDIDATES: Final = 50
"""Tools whose names are compared with a wrong one."""
_LEAST_LIKENESS: Final = 0.6


@dataclass(frozen=True, slots=True)
class Hit:
    """A tool that was found."""

    name: str
    """As clients call it."""
    server: str
    score: float
    """More is better; comparable within one search only."""


def _everyone(_name: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class SearchIndex:
    """All tools of a catalog, ready to be searched. Made by `index_build.IndexBuild`."""

    names: tuple[str, ...] = field(repr=False)
    """Tool number -> as clients call it."""
    servers: tuple[str, ...] = field(repr=False)
    """Tool number -> its server."""
    vocabulary: Vocabulary = field(repr=False)
    postings: Postings = field(repr=False)

    def search(
        self,
        queries: Sequence[str],
        *,
        server: str | None = None,
        limit: int = 5,
        is_visible: Callable[[str], bool] = _everyone,
    ) -> list[Hit]:
        """The best `limit` tools for any of up to three phrasings, best first; ties in the order of names.

        `server`: tools of this one alone. Of a phrasing its first 400 characters count.
        """
        scores: dict[int, float] = {}
        for query in queries[:MAX_QUERIES]:
            for tool, score in self._scores(query).items():
                scores[tool] = scores.get(tool, 0.0) + score
        found: list[Hit] = []
        for tool in sorted(scores, key=lambda tool: (-scores[tool], self.names[tool])):
            if len(found) >= limit:
                break
            if server in (None, self.servers[tool]) and is_visible(self.names[tool]):
                found.append(Hit(self.names[tool], self.servers[tool], scores[tool]))
        return found

    def nearest(self, name: str, limit: int = 3, is_visible: Callable[[str], bool] = _everyone) -> list[str]:
        """The names most like one that no tool has, most like first; a bounded number is looked at."""
        wanted = joined(name[:MAX_CHARS])
        found = self.search([name], limit=_CANDIDATES, is_visible=is_visible)
        # Letters alone do not know that removing is deleting, words alone do not tell long names apart.
        alike = [
            ((likeness(wanted, joined(hit.name)) + hit.score / found[0].score) / 2, hit.name) for hit in found
        ]
        alike.sort(key=lambda pair: (-pair[0], pair[1]))
        return [near for share, near in alike[:limit] if share >= _LEAST_LIKENESS]

    def _scores(self, query: str) -> dict[int, float]:
        """Tool number -> score, of every tool that has a word of `query` or one that stands for it."""
        scores: dict[int, float] = {}
        met: Counter[int] = Counter()
        for group in self.vocabulary.groups_of(query):
            best = self._best(group.weights)
            # Rareness is that of the word itself: what stands for it makes it no more common.
            having = len(best) if group.own is None else self.postings.tools_with(group.own)
            rareness = log(1 + (len(self.names) - having + 0.5) / (having + 0.5)) ** _RARENESS_POWER
            for tool, worth in best.items():
                scores[tool] = scores.get(tool, 0.0) + worth * rareness
            met.update(best.keys())
        return {tool: score * (1 + _SHARE_OF_EACH_WORD * met[tool]) for tool, score in scores.items()}

    def _best(self, weights: Mapping[int, float]) -> dict[int, float]:
        """Tool number -> what the best word of a group is worth in it."""
        best: dict[int, float] = {}
        for number, weight in weights.items():
            for tool, worth in self.postings.of(number):
                weighted = worth * weight
                if weighted > best.get(tool, 0.0):
                    best[tool] = weighted
        return best
