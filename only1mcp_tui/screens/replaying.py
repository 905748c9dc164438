"""Before a replay: where it shall go, and whether it shall be made at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from only1mcp_tui.screens.confirm import Question
from only1mcp_tui.view.exchanges import label_of
from only1mcp_tui.view.replay import ReplayTarget
from only1mcp_tui.view.text import safe
from only1mcp_tui.widgets.board import Board
from only1mcp_tui.widgets.live_table import LiveTable, Row
from proxy_core.telemetry.exchanges import ExchangeRow

MOST_LINES = 14


@dataclass(frozen=True, slots=True)
class _Column:
    key: str
    title: str
    width: int
    right: bool = False
    shown_from: int = 0
    flexible: bool = False


COLUMNS = (_Column("target", "ASK", 12, flexible=True), _Column("state", "STATE", 16))


def ask_replay(row: ExchangeRow, target: str | None) -> Question:
    """For what may change something: nobody has said that it only reads."""
    where = f" on {safe(target, 80)}" if target else ""
    body = (
        f"Its server is asked{where} once more, past every cache, and does once more what it did. "
        "Nobody has said that it only reads."
    )
    return Question(f"Make {label_of(row)} again?", body, "Replay")


class TargetScreen(ModalScreen[ReplayTarget | None]):
    """A list to choose from; Escape chooses nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "cancel", "Cancel")]
    AUTO_FOCUS = "LiveTable"

    def __init__(self, row: ExchangeRow, targets: Sequence[ReplayTarget]) -> None:
        super().__init__()
        self._row = row
        self._targets = targets

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(f"Make {label_of(self._row)} again on", markup=False, classes="dialog-title")
            yield LiveTable(COLUMNS, id="targets")
            yield Board(id="targets-foot")

    def on_mount(self) -> None:
        self.call_after_refresh(self._draw)

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        table = self.query_one("#targets", LiveTable)
        table.styles.height = min(len(self._targets) + 1, MOST_LINES, max(3, self.size.height - 8))
        rows = [Row(str(at), ((each.label, "text"), each.state)) for at, each in enumerate(self._targets)]
        table.put(rows)
        foot = (("Enter", "key"), (" replay  ", "muted"), ("j k", "key"), (" move  ", "muted"))
        self.query_one("#targets-foot", Board).put([(), (*foot, ("Esc", "key"), (" leave", "muted"))])

    @on(LiveTable.Opened)
    def _chosen(self, event: LiveTable.Opened) -> None:
        self.dismiss(self._targets[int(event.key)])

    def action_cancel(self) -> None:
        self.dismiss(None)
