"""A question before something that others will feel. The default is to leave things as they are."""

from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static


@dataclass(frozen=True, slots=True)
class Question:
    """Texts made safe by whoever asks."""

    title: str
    body: str
    yes: str
    """The verb on the button."""


class ConfirmScreen(ModalScreen[bool]):
    """Yes or no; Escape and Enter at once mean no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape,q", "answer(False)", "No"),
        Binding("left,right,h,l", "app.focus_next", "Other button", show=False),
    ]
    AUTO_FOCUS = "#no"

    def __init__(self, question: Question) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(self._question.title, markup=False, classes="dialog-title")
            yield Static(self._question.body, markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="no", compact=True)
                yield Button(f"y  {self._question.yes}", id="yes", compact=True)

    def action_answer(self, is_yes: bool) -> None:
        self.dismiss(is_yes)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")
