"""The lists that clients get, as texts to be counted, and what was counted, as the modes go by it.

What everyone shares is billed; what a server lists for one principal alone is not. Texts are those of the
latest revision; older clients get the same but for a member or two.
"""

from collections.abc import Callable
from typing import Final

from proxy_core.access.policy import EVERYTHING
from proxy_core.backends.call import ANYONE
from proxy_core.catalog.merge import Entry
from proxy_core.config.models import Config
from proxy_core.context.bill import BilledList, BilledTool, visible_item
from proxy_core.context.ledger import BillSource
from proxy_core.context.slices import in_slices
from proxy_core.gateway.exchange import Viewer
from proxy_core.gateway.listing import Listing
from proxy_core.gateway.modes import Costs
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.revisions import MODERN
from proxy_core.protocol.translate import UnusableItem, normalise_tool
from proxy_core.telemetry.context_bill import ContextBill

_QUOTES: Final = 1


class Billing(BillSource):
    def __init__(self, listing: Callable[[], Listing], config: Callable[[], Config]) -> None:
        self._listing = listing
        self._config = config

    async def billed_lists(self) -> tuple[BilledList, ...]:
        """One for clients without a profile, and one for each profile of the configuration."""
        everything = self._listing().view(Viewer(ANYONE))
        tools = {
            entry.exposed: tool
            async for entry in in_slices(everything.catalog.tools)
            if (tool := self._billed(entry)) is not None
        }
        names = (EVERYTHING, *self._config().profiles)
        return tuple([self._list(name, tools) async for name in in_slices(names)])

    def _list(self, profile: str, tools: dict[str, BilledTool]) -> BilledList:
        """`tools`: every one that there is, by exposed name."""
        view = self._listing().view(Viewer(ANYONE, profile))
        # A tool that has come meanwhile is billed the next time.
        billed = tuple(tools[each.exposed] for each in view.part.tools if each.exposed in tools)
        return BilledList(profile, view.mode.value, billed, self._listing().search_list(view))

    def _billed(self, entry: Entry) -> BilledTool | None:
        """None for a tool that no client can use, which the views leave out, and say so."""
        try:
            full = normalise_tool(entry.item, MODERN)
            compact = self._listing().compact(entry)
        except UnusableItem:
            return None
        return BilledTool(
            server=entry.server,
            name=entry.exposed,
            full=jsonrpc.encode(full),
            compact=compact,
            visible_full=jsonrpc.encode(visible_item(full)),
            visible_compact=jsonrpc.encode(visible_item(jsonrpc.decode(compact))),
            description=jsonrpc.encode(full.get("description", ""))[_QUOTES:-_QUOTES],
        )


class Measured:
    """What the lists in force cost, while the bill is of them."""

    def __init__(self, bill: Callable[[], ContextBill]) -> None:
        self._bill = bill

    def __call__(self, profile: str) -> Costs | None:
        bill = self._bill()
        if not bill.is_complete:
            return None
        modes = next((each.modes for each in bill.profiles if each.profile == profile), None)
        if modes is None or modes.search is None:
            return None
        return Costs(modes.full.visible, modes.compact.visible, modes.search.visible)
