"""Who may come in to the screen in a browser: whoever holds the link first, and then that browser alone.

No other machine reaches it, no other name leads to it, and no other page may speak to it: loopback is shared by
every program and every web page on a machine. Knows nothing of what is shown.
"""

import secrets
from collections.abc import Awaitable, Callable
from hmac import compare_digest
from http import HTTPStatus
from typing import Final, TypeAlias

from aiohttp import hdrs, web

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
TOKEN: Final = "token"
_SAFE_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; "
    "img-src 'self' data:; connect-src 'self' {sockets}; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""What the page may load, all of it from here. xterm.js writes its styles into the page."""


class Door:
    def __init__(self, host: str, port: int) -> None:
        """`host`, `port`: those of the listener, which is on loopback."""
        self._name = f"[{host}]" if ":" in host else host
        names = {self._name, "localhost"}
        self._hosts = {f"{name}:{port}" for name in names} | (names if port == 80 else set())
        self._origins = {f"http://{name}" for name in self._hosts}
        self._policy = _POLICY.format(sockets=" ".join(sorted(f"ws://{name}" for name in self._hosts)))
        self._port = port
        self._token: str | None = secrets.token_urlsafe(32)
        """Of the link; None once it was used."""
        self._session = secrets.token_urlsafe(32)
        self._cookie = f"only1mcp-{port}"
        """Cookies know no ports: two of us must not take each other's."""

    @property
    def link(self) -> str:
        """To be shown to a person once, and nowhere else."""
        return f"http://{self._name}:{self._port}/?{TOKEN}={self._token}"

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if (refusal := self._foreign(request)) is not None:
            return refusal
        if TOKEN in request.query:
            return self._entered(request)
        if not compare_digest(request.cookies.get(self._cookie, "").encode(), self._session.encode()):
            return _refused("This page is for the browser that opened the link of only1mcp monitor --web.")
        return await handler(request)

    async def add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """On every response, as it is prepared."""
        response.headers.update(_SAFE_HEADERS)
        response.headers["Content-Security-Policy"] = self._policy

    def _foreign(self, request: web.Request) -> web.Response | None:
        if request.headers.get(hdrs.HOST, "") not in self._hosts:
            # A name that somebody else has led here.
            return _refused("This is not a name of this page.", HTTPStatus.MISDIRECTED_REQUEST)
        origin = request.headers.get(hdrs.ORIGIN)
        is_socket = request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"
        if (origin is not None or is_socket) and origin not in self._origins:
            return _refused("No other page may speak to this one.")
        return None

    def _entered(self, request: web.Request) -> web.Response:
        given = request.query.get(TOKEN, "").encode()
        if (
            request.method != hdrs.METH_GET
            or self._token is None
            or not compare_digest(given, self._token.encode())
        ):
            return _refused(
                "This link has been used, or is none. Start only1mcp monitor --web again for another."
            )
        self._token = None
        response = web.Response(status=HTTPStatus.SEE_OTHER, headers={hdrs.LOCATION: "/"})
        response.set_cookie(self._cookie, self._session, httponly=True, samesite="Strict", path="/")
        return response


def _refused(why: str, status: int = HTTPStatus.FORBIDDEN) -> web.Response:
    return web.Response(status=status, text=why + "\n")
