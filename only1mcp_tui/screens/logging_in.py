"""A login at a server, as the screens have it: a browser is sent off, and toasts say what comes of it."""

from collections.abc import Callable

from only1mcp_tui.view.text import safe
from proxy_core import logging_in
from proxy_core.control import Control
from proxy_core.logging_in import open_browser

__all__ = ["log_in", "open_browser", "waiting_words"]
URL_SHOWN = 400


async def log_in(control: Control, target: str, show: Callable[[str], None]) -> str:
    """The sentence for when it is done. Raises: LoginFailed."""
    await logging_in.log_in(control, target, show)
    return f"{safe(target, 80)}: logged in."


def waiting_words(url: str, is_open: bool) -> str:
    if is_open:
        return "Log in with the browser that was opened. If there is none: the address is on the clipboard."
    return f"Log in with a browser on this machine; the address is on the clipboard: {safe(url, URL_SHOWN)}"
