"""A screen that is opened over a main one and left again by Escape: names, ledger."""

from typing import ClassVar

from only1mcp_tui.screens.base import NAMES, CoreScreen


class PushedScreen(CoreScreen):
    MODE = ""
    WORD: ClassVar[str]
    """What it is called in the crumbs."""

    def crumbs(self) -> tuple[str, ...]:
        below = next((name for _, mode, name in NAMES if mode == self.app.current_mode), "")
        return below, self.WORD

    def go_back(self) -> bool:
        if not super().go_back():
            self.dismiss()
        return True
