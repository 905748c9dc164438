"""A person's side of a login: a browser is sent off, and what it comes back with is caught on this machine.

The gateway may be in this process or far away: it hears of the answer through the front door alone.
Spec: RFC 8252, sections 7.3 and 8.3 (loopback redirects).
"""

import asyncio
import hmac
import logging
import os
import sys
import threading
import webbrowser
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from proxy_core.control import Control
from proxy_core.errors import LoginFailed, Only1Error

PATTERN: Final = "http://127.0.0.1:{port}/callback"
USUAL_PORT: Final = 17829
"""Tried first, so that the gateway need not register anew at each login."""
LOGIN_S: Final = 300.0
_READ_S: Final = 10.0
_ANSWER_S: Final = 60.0
_MAX_HEAD: Final = 32_768
_MAX_AT_ONCE: Final = 16
_PAGE: Final = (
    "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {length}\r\n"
    "cache-control: no-store\r\nreferrer-policy: no-referrer\r\ncontent-security-policy: default-src 'none'\r\n"
    "x-content-type-options: nosniff\r\nconnection: close\r\n\r\n{body}"
)
_DONE: Final = "<!doctype html><title>Only1MCP</title><p>Logged in. You can close this page.</p>"
_FAILED: Final = "<!doctype html><title>Only1MCP</title><p>The login failed; Only1MCP says why.</p>"
_STRAY: Final = "<!doctype html><title>Only1MCP</title><p>There is nothing here.</p>"
_OPENABLE: Final = ("https://", "http://127.0.0.1", "http://localhost", "http://[::1]")
log = logging.getLogger(__name__)


async def log_in(
    control: Control, target: str, show: Callable[[str], None], timeout_s: float = LOGIN_S
) -> None:
    """Have a person log in for `target`. `show` gets the URL, and opens it or says it.

    Raises: LoginFailed, also if nobody came back in time; what the front door raises.
    """
    wanted = await control.login_port(target)
    catcher = await _caught(wanted)
    try:
        begun = await control.begin_login(target, PATTERN.format(port=catcher.port))
        if not begun.url.startswith(_OPENABLE):
            raise LoginFailed("The page to log in at is not one that a browser should be sent to.")
        catcher.state = begun.state
        show(begun.url)
        try:
            async with asyncio.timeout(min(timeout_s, begun.for_s)):
                answer = await catcher.answer
        except TimeoutError as error:
            raise LoginFailed(f"Nobody logged in within {timeout_s:g} seconds.") from error
        try:
            await control.finish_login(target, answer)
        except Only1Error:
            await catcher.tell(is_done=False)
            raise
        await catcher.tell(is_done=True)
    finally:
        await catcher.aclose()


def open_browser(url: str) -> bool:
    """In a thread of its own, which some browsers keep until they are closed; False: there is none to be seen.

    One that would draw in this terminal counts for none.
    """
    shown = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in shown):
        return False
    threading.Thread(target=_opened, args=(url,), name="browser", daemon=True).start()
    return True


def _opened(url: str) -> None:
    try:
        if not webbrowser.open(url):
            log.info("no browser could be opened")
    except (webbrowser.Error, OSError) as error:
        log.info("no browser could be opened: %s", error)


class _Catcher:
    """Listens on this machine for the one answer with `state`; everything else gets nothing."""

    def __init__(self) -> None:
        self.port = 0
        self.state = ""
        self.answer: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
        self._told: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def listen(self, port: int) -> None:
        """Raises: OSError."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=_MAX_HEAD)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._open) >= _MAX_AT_ONCE:
            writer.close()
            return
        self._open.add(task)
        try:
            await self._answer(reader, writer)
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            # Whatever knocks here besides the browser.
            log.debug("something else came to the login's port")
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_READ_S):
            head = await reader.readuntil(b"\r\n\r\n")
        given = self._ours(head.split(b"\r\n", 1)[0].decode("latin-1"))
        if given is None:
            status, body = "404 Not Found", _STRAY
        else:
            self.answer.set_result(given)
            async with asyncio.timeout(_ANSWER_S):
                status, body = "200 OK", _DONE if await self._told else _FAILED
        writer.write(_PAGE.format(status=status, length=len(body.encode()), body=body).encode())
        async with asyncio.timeout(_READ_S):
            await writer.drain()

    def _ours(self, line: str) -> Mapping[str, str] | None:
        method, _, rest = line.partition(" ")
        target = urlsplit(rest.rpartition(" ")[0])
        if method != "GET" or target.path != "/callback" or self.answer.done():
            return None
        given = dict(parse_qsl(target.query, keep_blank_values=True, max_num_fields=32))
        is_ours = self.state and hmac.compare_digest(given.get("state", "").encode(), self.state.encode())
        return given if is_ours else None

    async def tell(self, *, is_done: bool) -> None:
        """The person, in the browser, how it ended."""
        self._told.set_result(is_done)
        if self._open:
            await asyncio.wait(self._open, timeout=_READ_S)

    async def aclose(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._open):
            task.cancel()
        if self._open:
            await asyncio.wait(self._open, timeout=_READ_S)
        self.answer.cancel()
        self._told.cancel()


async def _caught(wanted: int) -> _Catcher:
    """Raises: LoginFailed, if the port that is configured is not free."""
    catcher = _Catcher()
    if wanted:
        try:
            await catcher.listen(wanted)
        except OSError as error:
            raise LoginFailed(
                f"Port {wanted} of this machine (redirect_port) cannot be listened on: {error.strerror}."
            ) from error
        return catcher
    with suppress(OSError):
        await catcher.listen(USUAL_PORT)
        return catcher
    await catcher.listen(0)
    return catcher
