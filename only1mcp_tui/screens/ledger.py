"""Context ledger: what the lists of tools cost a model, and what each mode would save."""

from collections.abc import Callable, Iterator
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.widget import Widget

from only1mcp_tui.screens.base import Picture
from only1mcp_tui.screens.pushed import PushedScreen
from only1mcp_tui.view.ledger import ledger_lines
from only1mcp_tui.view.text import Line, plain, safe
from only1mcp_tui.widgets.log_view import LogView
from proxy_core.control import Control
from proxy_core.errors import Only1Error
from proxy_core.telemetry.context_bill import ContextBill, ContextTotals

AGAIN_S = 1.0
"""How soon a bill that is not complete is asked for again."""


def _as_it_is(line: Line) -> Line:
    return line


class LedgerScreen(PushedScreen):
    WORD = "Context ledger"
    AUTO_FOCUS = "LogView"
    FILTER_KEYS = frozenset()
    FILTER_HINT = "words, !not"
    HELP = """\
# Context ledger

What the tools cost a model before it has done anything, counted on the exact JSON that clients get.

**v** sorts and draws by what a model sees or by what goes over the wire. `/` keeps the lines that have a word.
The same as `only1mcp context`.
"""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("v", "turn", "Visible or wire")]

    def __init__(self, control: Control, picture: Callable[[], Picture]) -> None:
        super().__init__(control, picture)
        self._bill: ContextBill | None = None
        self._fault = ""
        self._asked_at = float("-inf")
        self._counted: ContextTotals | None = None
        self._by_visible = True

    def body(self) -> Iterator[Widget]:
        yield LogView(_as_it_is)

    def on_mount(self) -> None:
        self._by_visible = self.kept.get("ledger.visible", True)

    def draw(self, picture: Picture) -> None:
        is_old = picture.snapshot.context is not self._counted
        is_whole = self._bill is not None and self._bill.is_complete
        if is_old or (not is_whole and picture.now - self._asked_at >= AGAIN_S):
            self._counted, self._asked_at = picture.snapshot.context, picture.now
            self._ask()

    @work(group="bill", exclusive=True)
    async def _ask(self) -> None:
        try:
            self._bill, self._fault = await self.control.context_bill(), ""
        except (Only1Error, OSError) as error:
            self._fault = safe(str(error), 200)
        self._show_bill()
        self.show_nav()

    def _show_bill(self) -> None:
        lines: list[Line] = [((f"  ✖ {self._fault}", "bad"),)] if self._fault else []
        if self._bill is not None:
            lines += ledger_lines(self._bill, self.width, self._by_visible)
        elif not self._fault:
            lines = [(("  Asking the gateway.", "muted"),)]
        kept = [line for line in lines if self.filter.matches({"text": plain(line).lower()})]
        self.query_one(LogView).put(kept)

    def redraw(self) -> None:
        self._show_bill()
        super().redraw()

    def status(self) -> Line:
        return *super().status(), (f"by {'visible' if self._by_visible else 'wire'} ", "muted")

    def action_turn(self) -> None:
        self._by_visible = not self._by_visible
        self.kept.put("ledger.visible", self._by_visible)
        self.redraw()
