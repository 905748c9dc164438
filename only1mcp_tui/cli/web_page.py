"""The screen in a browser's tabs: a monitor's process for each, and a page that loads nothing from elsewhere.

textual-serve knows how a tab and a process speak; which process that is, and who may have one, is ours.
"""

import asyncio
import logging
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.server import Server, to_int

from only1mcp_tui.cli.web_door import Door

MOST_TABS: Final = 8
END_S: Final = 5.0
"""How long a process may take to leave."""
MOST_CELLS: Final = 1000
"""Of either side of a terminal."""
MAX_MESSAGE_BYTES: Final = 1 << 20
_PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>only1mcp</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/css/xterm.css">
<style>
@font-face {{ font-family: "Roboto Mono"; src: url("/static/fonts/RobotoMono-VariableFont_wght.ttf"); }}
@font-face {{
  font-family: "Roboto Mono"; font-style: italic;
  src: url("/static/fonts/RobotoMono-Italic-VariableFont_wght.ttf");
}}
html, body {{ margin: 0; height: 100%; background: #0f141b; color: #c8d0da; }}
body {{ font-family: "Roboto Mono", monospace; }}
.textual-terminal {{ width: 100vw; height: 100vh; }}
.said {{ position: absolute; inset: 0; display: flex; align-items: center; justify-content: center; }}
body.-first-byte .said.starting, .said.ended {{ display: none; }}
body.-closed .said.ended {{ display: flex; background: #0f141b; z-index: 10; }}
a {{ color: inherit; }}
</style>
<script src="/static/js/textual.js"></script>
<script src="/focus.js"></script>
</head>
<body>
<div class="said starting">Starting the monitor ...</div>
<div class="said ended"><p>The monitor has ended; the gateway runs on. <a href="/">Open it again</a></p></div>
<div class="textual-terminal" data-session-websocket-url="ws://{host}/ws" data-font-size="{size}"></div>
</body>
</html>
"""
_FOCUS: Final = """\
// Keys go to the terminal from the start, and again when the tab is come back to.
const focus = () => document.querySelector(".xterm-helper-textarea")?.focus();
window.addEventListener("load", focus);
window.addEventListener("focus", focus);
"""
log = logging.getLogger(__name__)


class Tab(AppService):
    """The process behind one tab."""

    def __init__(self, argv: Sequence[str], socket: web.WebSocketResponse, server: "MonitorServer") -> None:
        super().__init__(
            "",
            write_bytes=socket.send_bytes,
            write_str=socket.send_str,
            close=self._close,
            download_manager=server.download_manager,
        )
        self._argv = argv
        self._socket = socket

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        # Not through a shell, and in a session of its own: a ctrl+c in our terminal is for us.
        self._process = process = await asyncio.create_subprocess_exec(
            *self._argv,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=self._build_environment(width, height),
            start_new_session=True,
        )
        assert process.stdin is not None  # piped
        self._stdin = process.stdin
        return process

    async def _close(self) -> None:
        await self._socket.close()

    async def run(self) -> None:
        with suppress(ConnectionError):
            await super().run()
        # What ended by itself, or never began, has nothing more to show.
        await self._close()

    async def stop(self) -> None:
        task, process, self._task = self._task, self._process, None
        if task is None or process is None:
            return
        await self._download_manager.cancel_app_downloads(app_service_id=self.app_service_id)
        with suppress(TimeoutError):
            async with asyncio.timeout(END_S):
                await self.send_meta({"type": "quit"})
        # Not awaited with a deadline: it takes a cancellation for an ordinary end.
        await asyncio.wait([task], timeout=END_S)
        if process.returncode is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(END_S):
                    await process.wait()
        if process.returncode is None:
            log.warning("a monitor in a browser did not leave in time; it was ended")
            with suppress(ProcessLookupError):
                process.kill()
            # Its pipes are freed here, not by the collector.
            with suppress(TimeoutError):
                async with asyncio.timeout(END_S):
                    await process.wait()


class MonitorServer(Server):
    def __init__(self, argv: Sequence[str], door: Door) -> None:
        """`argv`: the command of each tab's process."""
        super().__init__("only1mcp monitor")
        self._argv = argv
        self._door = door
        self._tabs = 0

    async def _make_app(self) -> web.Application:
        app = web.Application(middlewares=[self._door.guard])
        app.on_response_prepare.append(self._door.add_headers)
        app.add_routes(
            [
                web.get("/", self.handle_index),
                web.get("/focus.js", self._focus),
                web.get("/ws", self.handle_websocket),
                web.get("/download/{key}", self.handle_download),
                web.static("/static", self.statics_path),
            ]
        )
        return app

    async def handle_index(self, request: web.Request) -> Any:
        size = min(max(8, to_int(request.query.get("fontsize", ""), 16)), 64)
        # The host is one of ours: the door looked at it.
        return web.Response(text=_PAGE.format(host=request.host, size=size), content_type="text/html")

    async def _focus(self, request: web.Request) -> web.Response:
        return web.Response(text=_FOCUS, content_type="text/javascript")

    async def handle_websocket(self, request: web.Request) -> Any:
        if self._tabs >= MOST_TABS:
            why = f"The monitor is open in {MOST_TABS} tabs already; close one.\n"
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text=why)
        self._tabs += 1
        try:
            return await self._serve_tab(request)
        finally:
            self._tabs -= 1

    async def _serve_tab(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=15, max_msg_size=MAX_MESSAGE_BYTES)
        width, height = (_cells(request.query.get(side, ""), side) for side in ("width", "height"))
        await socket.prepare(request)
        tab = Tab(self._argv, socket, self)
        try:
            await tab.start(width, height)
            await self._process_messages(socket, tab)
        except (AssertionError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            log.warning("a tab of the monitor sent what is no message: %s", type(error).__name__)
        finally:
            await tab.stop()
            await socket.close()
        return socket


def _cells(text: str, side: str) -> int:
    return min(max(1, to_int(text, 80 if side == "width" else 24)), MOST_CELLS)
