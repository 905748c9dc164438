"""The search index of the tools in force: built beside the requests, a little at a time, once for each catalog.

Sole owner of the indexes: one of what everyone shares, and one for each principal that has lists of its own.
Tools that are as they were are not read again, whoever's index it is. Knows no profiles: who may not see a tool
is for whoever searches to say.
"""

import asyncio
import hashlib
from collections import ChainMap, OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from proxy_core.catalog.merge import Entry
from proxy_core.context.slices import in_slices
from proxy_core.protocol import jsonrpc
from proxy_core.tasks import Tasks

if TYPE_CHECKING:
    from proxy_core.context.index_build import Source
    from proxy_core.context.search import SearchIndex
    from proxy_core.context.tool_doc import ToolDoc

READY_S: Final = 5.0
"""How long a search waits for an index that is being built."""
MAX_INDEXES: Final = 16
"""Of principals; the least recently used goes."""

Tools = tuple[Entry, ...]


class _Built(Struct, frozen=True):
    tools: Tools
    index: "SearchIndex"
    docs: "dict[str, ToolDoc]"
    """By their keys: what the next build need not read again."""


class ToolIndex:
    def __init__(self) -> None:
        self._built: OrderedDict[str, _Built] = OrderedDict()
        """By principal, least recently used first."""
        self._wanted: dict[str, Tools] = {}
        self._builds: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()
        """One build at a time: several would hold the loop for a slice each."""
        self._tasks = Tasks("tool index")

    def want(self, principal: str, tools: Tools) -> None:
        """Have an index of these tools soon. Nothing happens if there is one, or it is being built."""
        built = self._built.get(principal)
        if built is not None and (built.tools is tools or built.tools == tools):
            # Equal ones are kept, so that the next look at them is a short one.
            self._built[principal] = replace(built, tools=tools)
            self._wanted.pop(principal, None)
            return
        self._wanted[principal] = tools
        if principal not in self._builds:
            build = self._builds[principal] = self._tasks.start(self._build(principal), "build")
            build.add_done_callback(lambda _: self._builds.pop(principal, None) and None)

    async def get(self, principal: str, tools: Tools) -> "SearchIndex | None":
        """The index of these tools; after `READY_S` the one before it, or None if there was none."""
        self.want(principal, tools)
        if (build := self._builds.get(principal)) is not None:
            await asyncio.wait({build}, timeout=READY_S)
        built = self._built.get(principal)
        if built is None:
            return None
        self._built.move_to_end(principal)
        return built.index

    def forget(self) -> None:
        """Nobody searches any more."""
        self._wanted.clear()
        self._built.clear()

    async def aclose(self) -> None:
        await self._tasks.aclose()

    async def _build(self, principal: str) -> None:
        # Stemmers and word lists, for those alone who search.
        from proxy_core.context.index_build import IndexBuild

        # What is wanted meanwhile is built next: with what was read for this one it takes little.
        while principal in self._wanted:
            async with self._turn:
                tools = self._wanted.pop(principal, None)
                if tools is None:
                    return
                # Most of it is in the newest one.
                known = ChainMap(*(built.docs for built in reversed(self._built.values())))
                build = IndexBuild(_sources(tools), known)
                async for _ in in_slices(build):
                    pass
            self._built[principal] = _Built(tools, build.index, build.docs)
            self._built.move_to_end(principal)
            if len(self._built) > MAX_INDEXES:
                self._built.popitem(last=False)


def _sources(tools: Tools) -> "Iterator[Source]":
    from proxy_core.context.index_build import Source

    for entry in tools:
        digest = hashlib.blake2b(jsonrpc.encode(entry.item), digest_size=16)
        yield Source(
            f"{entry.server}\0{entry.exposed}\0{digest.hexdigest()}", entry.server, entry.exposed, entry.item
        )
