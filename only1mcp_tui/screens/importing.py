"""The servers of AI clients, shown first, chosen with space. What is written, and where, is not its affair."""

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from only1mcp_tui.view.found import COLUMNS, can_choose, found_cells
from only1mcp_tui.view.numbers import plural
from only1mcp_tui.view.text import Line, wrap
from only1mcp_tui.widgets.board import Board
from only1mcp_tui.widgets.live_table import LiveTable, Row
from proxy_core.config.importers import FoundServer

KEYS: Line = (
    *(("space", "key"), (" choose  ", "muted"), ("a", "key"), (" all  ", "muted")),
    *(("Enter", "key"), (" import  ", "muted"), ("Esc", "key"), (" cancel", "muted")),
)


class ImportScreen(ModalScreen[tuple[FoundServer, ...]]):
    """Ends with the chosen servers; with none when it is left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "choose", "Choose"),
        Binding("a", "choose_all", "Choose all"),
        Binding("escape,q", "cancel", "Cancel"),
    ]
    AUTO_FOCUS = "LiveTable"

    def __init__(self, found: Sequence[FoundServer]) -> None:
        super().__init__()
        self._found = found
        self._chosen = {at for at, each in enumerate(found) if each.is_preselected}

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -large"):
            yield Board(id="import-head")
            table = LiveTable(COLUMNS)
            table.empty = (("  No AI client on this machine has a server configured.", "muted"),)
            yield table
            yield Board(id="import-foot")

    def on_mount(self) -> None:
        self.call_after_refresh(self._draw)

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        table = self.query_one(LiveTable)
        shown = {column.key for column in table.shown}
        rows = enumerate(self._found)
        table.put([Row(str(at), found_cells(found, at in self._chosen, shown)) for at, found in rows])
        words = f"{plural(len(self._found), 'server')} found in your AI clients. Their files stay as they are."
        self.query_one("#import-head", Board).put(
            [
                (("Import servers", "strong"),),
                *[((part, "muted"),) for part in wrap(words, max(20, table.size.width))],
                (),
            ]
        )
        self.query_one("#import-foot", Board).put([(), ((f"{len(self._chosen)} chosen", "accent"),), KEYS])

    def action_choose(self) -> None:
        key = self.query_one(LiveTable).selected
        if key is not None and can_choose(self._found[int(key)]):
            self._chosen ^= {int(key)}
            self._draw()

    def action_choose_all(self) -> None:
        everything = {at for at, found in enumerate(self._found) if can_choose(found)}
        self._chosen = set() if self._chosen == everything else everything
        self._draw()

    def action_cancel(self) -> None:
        self.dismiss(())

    @on(LiveTable.Opened)
    def _import(self) -> None:
        self.dismiss(tuple(self._found[at] for at in sorted(self._chosen)))
