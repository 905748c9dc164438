"""One of a few, chosen from a list: by its number, or with the arrows and Enter."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from only1mcp_tui.view.text import Line
from only1mcp_tui.widgets.board import Board
from only1mcp_tui.widgets.log_view import LogView


@dataclass(frozen=True, slots=True)
class Option:
    """Texts made safe by whoever offers it."""

    value: str
    label: str
    hint: str = ""


class ChoiceScreen(ModalScreen[str]):
    """Ends with the value of the option that was chosen; with an empty one when it is left."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "cancel", "Cancel")]
    AUTO_FOCUS = "LogView"

    def __init__(self, title: str, options: Sequence[Option], present: str = "") -> None:
        super().__init__()
        self._title = title
        self._options = options
        self._present = present

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Board(id="choice-head")
            view = LogView[Option](self._line, has_cursor=True, id="choices")
            view.styles.height = len(self._options)
            yield view
            yield Board(id="choice-foot")

    def on_mount(self) -> None:
        self.query_one("#choice-head", Board).put([((self._title, "strong"),), ()])
        keys: Line = (
            *(("Enter", "key"), (" choose  ", "muted")),
            *(
                (f"1-{len(self._options)}", "key"),
                (" at once  ", "muted"),
                ("Esc", "key"),
                (" cancel", "muted"),
            ),
        )
        self.query_one("#choice-foot", Board).put([(), keys])
        self.call_after_refresh(self._start)

    def _start(self) -> None:
        view = self.query_one(LogView)
        view.put(self._options)
        at = next((at for at, each in enumerate(self._options) if each.value == self._present), 0)
        view.action_scroll_by(at)

    def _line(self, option: Option) -> Line:
        mark = "●" if option.value == self._present else " "
        number = self._options.index(option) + 1
        head: Line = ((f" {number} ", "key"), (f"{mark} ", "good"), (option.label, "text"))
        return (*head, (f"  {option.hint}", "muted")) if option.hint else head

    def on_key(self, event: events.Key) -> None:
        if event.character and event.character in "123456789"[: len(self._options)]:
            event.stop()
            self.dismiss(self._options[int(event.character) - 1].value)

    def on_log_view_opened(self) -> None:
        if (option := self.query_one(LogView).selected) is not None:
            self.dismiss(option.value)

    def action_cancel(self) -> None:
        self.dismiss("")
