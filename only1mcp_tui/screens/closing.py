"""What is seen between the wish to quit and the end: the calls that still run."""

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen

from only1mcp_tui.screens.base import Picture
from only1mcp_tui.view.closing import closing_lines
from only1mcp_tui.widgets.board import Board


class ClosingScreen(ModalScreen[None]):
    """Shows the counts fall; takes no keys of its own: ctrl+q is the app's, and means more the second time."""

    def __init__(self, picture: Callable[[], Picture]) -> None:
        super().__init__()
        self._picture = picture
        self._is_forced = False

    def force(self) -> None:
        """It is waited no longer."""
        self._is_forced = True
        self.show(self._picture())

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Board()

    def on_mount(self) -> None:
        self.call_after_refresh(lambda: self.show(self._picture()))

    def show(self, picture: Picture) -> None:
        # Nothing to draw on before the first layout; a screen may be handed a picture that early.
        for board in self.query(Board):
            board.put(closing_lines(picture.snapshot, picture.now, self._is_forced))
