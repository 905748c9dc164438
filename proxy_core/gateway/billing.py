"""The lists that clients get, as texts to be counted: `BillSource` of the token ledger.

What everyone shares is billed; what a server lists for one principal alone is not. Texts are those of the
latest revision; older clients get the same but for a member or two.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from proxy_core.catalog.merge import Catalog, Entry
from proxy_core.context.bill import BilledList, BilledTool, visible_item
from proxy_core.context.compaction import compact_tool
from proxy_core.context.ledger import BillSource
from proxy_core.context.slices import in_slices
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.revisions import MODERN
from proxy_core.protocol.translate import UnusableItem, normalise_tool

_QUOTES: Final = 1


class Billing(BillSource):
    def __init__(
        self,
        catalog: Callable[[], Catalog],
        compact: Callable[[Mapping[str, Any]], dict[str, Any]] = compact_tool,
        search_list: Callable[[], bytes] = lambda: b"",
    ) -> None:
        """`compact`: how a tool is written in that mode. `search_list`: the JSON array of what is listed in
        search mode, empty as long as there is none.
        """
        self._catalog = catalog
        self._compact = compact
        self._search_list = search_list

    async def billed_lists(self) -> tuple[BilledList, ...]:
        """One: there are no profiles yet, and full is the mode in force."""
        tools = [tool async for entry in in_slices(self._catalog().tools) for tool in self._billed(entry)]
        return (BilledList("", "full", tuple(tools), self._search_list()),)

    def _billed(self, entry: Entry) -> tuple[BilledTool, ...]:
        """None for a tool that no client can use, which the views leave out, and say so."""
        try:
            full = normalise_tool(entry.item, MODERN)
        except UnusableItem:
            return ()
        compact = self._compact(full)
        return (
            BilledTool(
                server=entry.server,
                name=entry.exposed,
                full=jsonrpc.encode(full),
                compact=jsonrpc.encode(compact),
                visible_full=jsonrpc.encode(visible_item(full)),
                visible_compact=jsonrpc.encode(visible_item(compact)),
                description=jsonrpc.encode(full.get("description", ""))[_QUOTES:-_QUOTES],
            ),
        )
