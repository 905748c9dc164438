"""What stands in the place of a screen that failed. Uses nothing of ours that may be what failed."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Static


class FailedScreen(Screen[None]):
    """Says so, and which keys lead on. The gateway does not notice."""

    DEFAULT_CSS = """
    FailedScreen { align: center middle; }
    FailedScreen Static { width: auto; max-width: 90%; height: auto; padding: 1 2; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("r", "app.try_again", "Try again")]

    def __init__(self, words: str) -> None:
        """`words`: what failed and why, made safe."""
        super().__init__()
        self._words = words

    def compose(self) -> ComposeResult:
        keys = "r tries again, 1 to 5 go elsewhere, q quits. The log has the details."
        yield Static(f"✖ {self._words}\n\n{keys}", markup=False)
