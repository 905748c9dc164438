"""Search among tools: which of them a few words ask for, and which a wrong name may have meant. Pure.

BM25F: each word counts by the fields it stands in, and a rare word counts more than a common one. Who may
not see a tool gets neither the tool nor its name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log
from typing import Final

from proxy_core.context.grams import WordGrams, grams_of, likeness
from proxy_core.context.postings import Postings
from proxy_core.context.query import MAX_CHARS, OrGroup, groups_of
from proxy_core.context.words import joined

MAX_QUERIES: Final = 3
"""Phrasings of one search that are looked at."""

_CANDIDATES: Final = 50
"""Tools whose names are compared with a wrong one."""
_LEAST_LIKENESS: Final = 0.3


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

    names: tuple[str, ...]
    """Tool number -> as clients call it."""
    servers: tuple[str, ...]
    """Tool number -> its server."""
    postings: Postings
    grams: WordGrams

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
        """The names most like one that no tool has, most like first. Looks at a bounded number of names."""
        name = name[:MAX_CHARS]
        wanted = grams_of(joined(name))
        candidates = self.search([name], limit=_CANDIDATES, is_visible=is_visible)
        alike = [(likeness(wanted, grams_of(joined(hit.name))), hit.name) for hit in candidates]
        alike.sort(key=lambda pair: (-pair[0], pair[1]))
        return [found for share, found in alike[:limit] if share >= _LEAST_LIKENESS]

    def _scores(self, query: str) -> dict[int, float]:
        """Tool number -> score, of every tool that has a word of `query` or one that stands for it."""
        scores: dict[int, float] = {}
        for group in groups_of(query, self.postings.numbers, self.grams):
            best = self._best(group)
            # Rareness is that of the group: a rare synonym of a common word tells no more than the word.
            rareness = log(1 + (len(self.names) - len(best) + 0.5) / (len(best) + 0.5))
            for tool, worth in best.items():
                scores[tool] = scores.get(tool, 0.0) + worth * rareness
        return scores

    def _best(self, group: OrGroup) -> dict[int, float]:
        """Tool number -> what the best word of the group is worth in it."""
        best: dict[int, float] = {}
        for number, weight in group.items():
            for tool, worth in self.postings.of(number):
                weighted = worth * weight
                if weighted > best.get(tool, 0.0):
                    best[tool] = weighted
        return best
