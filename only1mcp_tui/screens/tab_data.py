"""What the tabs of a server show that no picture holds: costs of tools, orphans. Fetched by workers."""

from collections.abc import Hashable, Sequence

from textual.screen import Screen

from only1mcp_tui.screens.working import work_at
from only1mcp_tui.view.items import Costs
from only1mcp_tui.view.text import first_line
from proxy_core.control import Control
from proxy_core.errors import Only1Error
from proxy_core.telemetry.snapshot import OrphanRow


class TabData:
    def __init__(self, control: Control) -> None:
        self._control = control
        self._costs_key: Hashable = None
        self.costs: Costs = {}
        """Of every tool, as last counted."""
        self.orphans: Sequence[OrphanRow] | str | None = None
        """Or why they could not be looked for; None: not looked for yet."""

    def renew(self, screen: Screen[None], version: int, totals: Hashable) -> None:
        """Fetch the costs, if the list or their sum is another than when they were fetched last."""
        if self._costs_key != (version, totals):
            self._costs_key = (version, totals)
            work_at(screen.app, self._fetch_costs, "costs")

    async def _fetch_costs(self) -> None:
        try:
            bill = await self._control.context_bill()
        except (Only1Error, OSError):
            # The column stays as it was; a gateway that has gone is said by the notice.
            return
        self.costs = {cost.name: cost for cost in bill.tools}

    def find_orphans(self, screen: Screen[None]) -> None:
        work_at(screen.app, self._find_orphans, "orphans")

    async def _find_orphans(self) -> None:
        try:
            self.orphans = await self._control.orphans()
        except (Only1Error, OSError) as error:
            self.orphans = first_line(str(error), 200)
