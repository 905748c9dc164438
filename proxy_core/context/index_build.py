"""The search index of a catalog, made in steps so small that an event loop can go on in between. Pure.

Tools that are as they were before are not read again: their words are kept, by a key that the caller gives.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from proxy_core.context.postings import collecting
from proxy_core.context.search import SearchIndex
from proxy_core.context.tool_doc import ToolDoc, tokenising
from proxy_core.context.vocabulary import learning


@dataclass(frozen=True, slots=True)
class Source:
    """One tool to be found."""

    key: str
    """The same as before only if server, name and tool are: a hash of them."""
    server: str
    name: str
    """As clients call it."""
    tool: Mapping[str, Any]
    """With its whole texts."""


class IndexBuild:
    """One build: iterate over it to the end, pausing where you like, and `index` is there."""

    def __init__(self, sources: Iterable[Source], known: Mapping[str, ToolDoc] | None = None) -> None:
        """`known`: the `docs` of the build before, if there was one."""
        self._sources = sources
        self._known = known or {}
        self._index: SearchIndex | None = None
        self.docs: dict[str, ToolDoc] = {}
        """By key, of the tools of this build alone."""
        self.read = 0
        """Tools whose words were not known yet."""

    @property
    def index(self) -> SearchIndex:
        """Raises: RuntimeError while the build has not ended."""
        if self._index is None:
            raise RuntimeError("the index is not built yet")
        return self._index

    def __iter__(self) -> Iterator[None]:
        for source in self._sources:
            doc = self._known.get(source.key)
            if doc is None:
                doc = yield from tokenising(source.server, source.name, source.tool)
                self.read += 1
            self.docs[source.key] = doc
            yield
        docs = list(self.docs.values())
        numbers, postings = yield from collecting(docs)
        vocabulary = yield from learning(numbers)
        names = tuple(doc.name for doc in docs)
        yield
        servers = tuple(doc.server for doc in docs)
        yield
        self._index = SearchIndex(names, servers, vocabulary, postings)

    def run(self) -> SearchIndex:
        """Build without a pause."""
        for _ in self:
            pass
        return self.index
