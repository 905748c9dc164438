"""What is made of single tools for lists and searches: made once, and kept as long as the tool is what it was.

Sole owner of the compact forms. One form is good for every revision: what they read differently is left out.
"""

from collections.abc import Iterable
from typing import Final

from cachetools import LRUCache

from proxy_core.catalog.merge import ORIGIN_META, Entry, Item
from proxy_core.context.compaction import compact_tool
from proxy_core.context.slices import in_slices
from proxy_core.gateway.meta_tools import OURSELVES
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.revisions import MODERN
from proxy_core.protocol.translate import UnusableItem, normalise_tool

MAX_FORMS: Final = 20_000
"""Of all tools; more are made again and again, those first that were not asked for the longest."""


class ToolForms:
    def __init__(self) -> None:
        self._forms: LRUCache[str, tuple[Item, bytes]] = LRUCache(MAX_FORMS)
        """By exposed name: what it was made of, and the form."""

    def compact(self, entry: Entry) -> bytes:
        """The JSON of the item. Our own tools are small already. Raises: UnusableItem."""
        if entry.server == OURSELVES:
            return jsonrpc.encode(entry.item)
        item, form = self._forms.get(entry.exposed, (None, b""))
        if item is not None and item == entry.item:
            return form
        form = _made(entry.item)
        self._forms[entry.exposed] = (entry.item, form)
        return form

    async def prepare(self, entries: Iterable[Entry]) -> None:
        """Make the forms of all of them, without holding the loop."""
        async for entry in in_slices(entries):
            try:
                self.compact(entry)
            except UnusableItem:
                # Said where it is left out of a list.
                continue


def _made(item: Item) -> bytes:
    full = normalise_tool(item, MODERN)
    meta = full.get("_meta")
    if isinstance(meta, dict):
        # Whose it is stands in its name; the rest is the server's own, as the page that shows a result.
        own = {key: value for key, value in meta.items() if key != ORIGIN_META}
        full = {**full, "_meta": own} if own else {key: value for key, value in full.items() if key != "_meta"}
    return jsonrpc.encode(compact_tool(full))
