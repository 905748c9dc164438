"""Which tools name tools of other servers: looked for beside the requests, once for each catalog.

Flags alone come of it; nothing is withheld for them.
"""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from proxy_core.catalog.mentions import Names
from proxy_core.catalog.merge import Catalog
from proxy_core.context.slices import in_slices
from proxy_core.gateway.tool_news import ToolNews
from proxy_core.tasks import Tasks

Mentions: TypeAlias = Mapping[tuple[str, str], tuple[str, ...]]
"""Server and its own name of a tool -> the names that stand in its texts."""
NONE: Final[Mentions] = MappingProxyType({})


class MentionWatch:
    def __init__(self, news: ToolNews) -> None:
        self._news = news
        self._tasks = Tasks("mention watch")
        self._wanted: Catalog | None = None
        self.found: Mentions = NONE
        """Of the last catalog that was looked through; another object whenever it is another."""
        self.counts: Mapping[str, int] = {}
        """By server."""
        self._last: Catalog | None = None
        """That was wanted, looked through or not yet."""

    def want(self, catalog: Catalog) -> None:
        """Look through these tools soon."""
        self._wanted = self._last = catalog
        if not self._tasks:
            self._tasks.start(self._look(), "look")

    async def _look(self) -> None:
        while (catalog := self._wanted) is not None:
            self._wanted = None
            found = await _mentions(catalog)
            news = {place: named for place, named in found.items() if self.found.get(place) != named}
            if news or len(found) != len(self.found):
                self.found = MappingProxyType(found)
                self.counts = Counter(server for server, _ in found)
            for (server, tool), named in news.items():
                self._news.names_others(server, tool, named)

    def of(self, server: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """By the server's own names."""
        return tuple((tool, named) for (owner, tool), named in self.found.items() if owner == server)

    def named_in(self, server: str, tool: Mapping[str, Any]) -> tuple[str, ...]:
        """What a definition names that clients do not have: it is withheld."""
        return () if self._last is None else Names(self._last.tools).named_by(server, tool)

    async def aclose(self) -> None:
        """It may be used again afterwards."""
        await self._tasks.aclose()


async def _mentions(catalog: Catalog) -> dict[tuple[str, str], tuple[str, ...]]:
    if len({each.server for each in catalog.tools}) < 2:
        return {}
    names = Names(catalog.tools)
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    async for tool in in_slices(catalog.tools):
        if named := names.named_by(tool.server, tool.item):
            found[tool.server, tool.origin] = named
    return found
