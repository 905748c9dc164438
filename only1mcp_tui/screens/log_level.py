"""Asks from which level on the gateway writes to its log, and sets it."""

from textual.app import App

from only1mcp_tui.screens.choice import ChoiceScreen, Option
from only1mcp_tui.view.text import safe
from proxy_core.control import Control
from proxy_core.errors import Only1Error

HINTS = {
    "debug": "everything, for finding faults",
    "info": "what servers and people do",
    "warning": "what somebody should look at",
    "error": "what has failed",
}


async def ask_log_level(app: App[None], control: Control) -> None:
    """To be awaited in a worker."""
    options = [Option(level, f"{level:<8}", hint) for level, hint in HINTS.items()]
    level = await app.push_screen_wait(ChoiceScreen("What the gateway writes to its log", options))
    if not level:
        return
    try:
        await control.set_log_level(level)
    except (Only1Error, OSError) as error:
        app.notify(safe(str(error)), severity="error", markup=False)
        return
    app.notify(f"The gateway logs from {level} on, until the next reload.", markup=False)
