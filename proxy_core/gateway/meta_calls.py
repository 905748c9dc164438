"""Calls of the tools of search mode: what they find and describe for a viewer, and which call is meant by them.

Whatever a model asks wrongly is answered, so that it can ask better. Shows nothing that the viewer's own view
has not.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Raw, Struct

from proxy_core.catalog.merge import Entry
from proxy_core.context.bill import visible_item
from proxy_core.gateway import answers, meta_tools
from proxy_core.gateway.exchange import Exchange, Viewer
from proxy_core.gateway.listing import Listing
from proxy_core.gateway.meta_tools import BadArguments
from proxy_core.gateway.modes import Mode
from proxy_core.gateway.tool_forms import ToolForms
from proxy_core.gateway.tool_index import ToolIndex
from proxy_core.gateway.view import View
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.revisions import Era
from proxy_core.protocol.translate import UnusableItem, normalise_tool

if TYPE_CHECKING:
    from proxy_core.context.search import SearchIndex

MAX_NEAREST: Final = 3


class MeantCall(Struct, frozen=True):
    """The tools/call that a `call_tool` stands for."""

    name: str
    """The exposed name; there need not be such a tool."""
    params: Raw


class MetaCalls:
    def __init__(self, listing: Listing, index: ToolIndex, forms: ToolForms) -> None:
        self._listing = listing
        self._index = index
        self._forms = forms

    def means(self, name: str, viewer: Viewer) -> bool:
        """Whether this is one of our own tools for the viewer.

        In compact mode the whole definition of a tool is to be had, though the list says nothing of it; a
        server's own tool of that name goes before.
        """
        if name not in meta_tools.NAMES:
            return False
        view = self._listing.view(viewer)
        if view.mode is Mode.COMPACT:
            return name == meta_tools.DESCRIBE and view.routes.tool(name) is None
        return view.mode is Mode.SEARCH

    async def answer(self, exchange: Exchange, name: str) -> bytes | MeantCall:
        """The result, or the call that is to be made instead."""
        try:
            if name == meta_tools.CALL:
                call = meta_tools.called(exchange.params)
                return MeantCall(call.name, meta_tools.rewritten(exchange.params, call))
            await self._listing.ready("tools/list", exchange.caller.viewer)
            if name == meta_tools.SEARCH:
                return await self._found(exchange)
            return await self._described(exchange)
        except BadArguments as error:
            return _result(exchange, [error.message], is_error=True)

    async def unknown(self, exchange: Exchange, name: str) -> bytes:
        """The answer to a call of a name that no tool has."""
        view = self._listing.view(exchange.caller.viewer)
        index = await self._index_of(view)
        return _result(exchange, [meta_tools.unknown_tool(name, _nearest(index, view, name))], is_error=True)

    # --- search -----------------------------------------------------------------------------------------------

    async def _found(self, exchange: Exchange) -> bytes:
        search = meta_tools.search_of(exchange.params)
        view = self._listing.view(exchange.caller.viewer)
        if search.server is not None and search.server not in view.tool_servers:
            raise BadArguments(meta_tools.unknown_server(search.server, view.tool_servers))
        index = await self._index_of(view)
        if index is None:
            return _result(exchange, [meta_tools.NOT_READY], is_error=True)
        hits = index.search(
            search.queries, server=search.server, limit=search.limit, is_visible=view.tools.__contains__
        )
        lines = list(self._lines(view.tools[hit.name] for hit in hits))
        return _result(exchange, lines or [meta_tools.NOTHING_FOUND])

    def _lines(self, entries: Iterator[Entry]) -> Iterator[str]:
        chars = 0
        for entry in entries:
            try:
                item = visible_item(jsonrpc.decode(self._forms.compact(entry)))
            except UnusableItem:
                # In no list either.
                continue
            line = jsonrpc.encode(item).decode()
            if chars + len(line) > meta_tools.MAX_RESULT_CHARS:
                del item["inputSchema"]
                line = jsonrpc.encode(item).decode()
            chars += len(line)
            yield line

    async def _index_of(self, view: View) -> "SearchIndex | None":
        return await self._index.get(view.viewer.principal, view.catalog.tools)

    # --- describe ---------------------------------------------------------------------------------------------

    async def _described(self, exchange: Exchange) -> bytes:
        names = meta_tools.names_of(exchange.params)
        view = self._listing.view(exchange.caller.viewer)
        lines, unknown = [], []
        for name in names:
            line = _whole(view.tools.get(name), exchange.caller.revision)
            if line is None:
                unknown.append(name)
            else:
                lines.append(line)
        can_search = view.mode is Mode.SEARCH
        index = await self._index_of(view) if unknown and can_search else None
        told = [
            meta_tools.unknown_tool(name, _nearest(index, view, name), can_search=can_search)
            for name in unknown
        ]
        return _result(exchange, [*lines, *told], is_error=not lines)


def _whole(entry: Entry | None, revision: str) -> str | None:
    """As the list of full mode has it; None if there is no such tool that a client could use."""
    if entry is None:
        return None
    try:
        return jsonrpc.encode(normalise_tool(entry.item, revision)).decode()
    except UnusableItem:
        return None


def _nearest(index: "SearchIndex | None", view: View, name: str) -> Sequence[str]:
    return () if index is None else index.nearest(name, MAX_NEAREST, view.tools.__contains__)


def _result(exchange: Exchange, lines: Sequence[str], *, is_error: bool = False) -> bytes:
    result = meta_tools.text_result(lines, is_error=is_error)
    caller, ourselves = exchange.caller, meta_tools.OURSELVES
    return answers.result_for(caller, exchange.method, result, Era.LEGACY, ourselves)
