"""The line that `/` opens: filters while one types, Enter keeps it, Escape clears it."""

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input


class FilterBar(Input):
    """Hidden until asked for, so that keys are never typed into it by surprise."""

    DEFAULT_CSS = """
    FilterBar {
        display: none; height: 1; width: 1fr; border: none; padding: 0 1; background: $surface;
        &:focus { border: none; background: $surface; }
        &.-open { display: block; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "clear", "Clear the filter", show=False),
    ]

    class Edited(Message):
        def __init__(self, expression: str) -> None:
            super().__init__()
            self.expression = expression

    class Left(Message):
        """The typing is over; the rows want the focus back."""

    def __init__(self, hint: str, *, id: str = "filter") -> None:
        super().__init__(placeholder=hint, compact=True, select_on_focus=False, id=id)
        self.cursor_blink = False

    def open(self) -> None:
        self.add_class("-open")
        self.focus()

    def action_clear(self) -> None:
        self.value = ""
        self.remove_class("-open")
        self.post_message(self.Left())

    @on(Input.Changed)
    def _edited(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Edited(self.value))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if not self.value:
            self.remove_class("-open")
        self.post_message(self.Left())
