"""The screen in a browser: who gets in, what a tab is given, and that nothing of it stays behind."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from click.testing import CliRunner

from only1mcp_tui.cli import only1mcp, web_page
from only1mcp_tui.cli.web_door import Door
from only1mcp_tui.cli.web_page import MOST_TABS, MonitorServer
from tests.support.processes import living_children

CHILD = """
import sys
def send(kind, data):
    sys.stdout.buffer.write(kind + len(data).to_bytes(4, "big") + data)
    sys.stdout.buffer.flush()
print("__GANGLION__", flush=True)
send(b"D", b"a screen of " + " ".join(sys.argv[1:]).encode())
while head := sys.stdin.buffer.read(5):
    data = sys.stdin.buffer.read(int.from_bytes(head[1:], "big"))
    if head[:1] == b"M" and b'"quit"' in data:
        break
    send(b"D", b"heard " + data)
"""


class Served:
    def __init__(self, door: Door, port: int, session: aiohttp.ClientSession) -> None:
        self.door = door
        self.origin = f"http://127.0.0.1:{port}"
        self._session = session

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        async with self._session.get(self.origin + path, headers=headers, allow_redirects=False) as answer:
            self.headers = answer.headers
            return answer.status, await answer.text()

    async def enter(self) -> None:
        status, _ = await self.get(self.door.link.removeprefix(self.origin))
        assert status == 303

    def tab(self, **headers: str) -> Any:
        return self._session.ws_connect(f"{self.origin}/ws", headers={"Origin": self.origin} | headers)


@asynccontextmanager
async def serving(argv: list[str]) -> AsyncIterator[Served]:
    import socket

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    door = Door("127.0.0.1", port)
    runner = web.AppRunner(await MonitorServer(argv, door)._make_app(), access_log=None, shutdown_timeout=20)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    # Cookies of an address that is no name are taken by few clients unless told.
    jar = aiohttp.CookieJar(unsafe=True)
    try:
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            yield Served(door, port, session)
    finally:
        await runner.cleanup()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving([sys.executable, "-c", CHILD, "a;b $(id)", "c d"]) as served:
        yield served


async def children_are_gone() -> None:
    async with asyncio.timeout(20):
        while living_children():
            await asyncio.sleep(0.01)


# --- the door -------------------------------------------------------------------------------------------------


async def test_the_link_works_once_and_the_browser_that_used_it_stays_in(served: Served):
    assert (await served.get("/"))[0] == 403
    await served.enter()
    cookie = served.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert (await served.get("/"))[0] == 200
    status, why = await served.get("/?token=" + served.door.link.partition("=")[2])
    assert (status, "has been used" in why) == (403, True)


@pytest.mark.parametrize("path", ["/", "/ws", "/static/js/textual.js", "/focus.js", "/download/1", "/nothing"])
async def test_without_the_cookie_nothing_is_given(served: Served, path: str):
    assert (await served.get(path))[0] == 403
    assert (await served.get(path, Cookie="only1mcp=1"))[0] == 403


async def test_a_wrong_token_does_not_use_the_link_up(served: Served):
    for token in ("", "x", "\u00e9"):
        assert (await served.get(f"/?token={token}"))[0] == 403
    await served.enter()


async def test_no_other_name_leads_here_and_no_other_page_may_ask(served: Served):
    await served.enter()
    for host in ("evil.example", "evil.example:80", "127.0.0.1", ""):
        assert (await served.get("/", Host=host))[0] == 421, host
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1"):
        assert (await served.get("/", Origin=origin))[0] == 403, origin
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await served.tab(Origin=origin)
        assert refused.value.status == 403


async def test_a_web_socket_without_an_origin_is_refused(served: Served):
    await served.enter()
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    assert (await served.get("/ws", **upgrade))[0] == 403


async def test_the_page_loads_nothing_from_elsewhere(served: Served):
    await served.enter()
    _, page = await served.get("/")
    assert "https:" not in page and "//" not in page.replace(f"ws://{served.origin[7:]}", "")
    policy = served.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self';" in policy and "http" not in policy
    for path in ("/static/js/textual.js", "/static/css/xterm.css", "/focus.js"):
        assert (await served.get(path))[0] == 200
    assert (await served.get("/static/"))[0] in (403, 404)


# --- a tab ----------------------------------------------------------------------------------------------------


async def test_a_tab_is_a_process_with_exactly_our_command_and_what_is_typed_reaches_it(served: Served):
    await served.enter()
    async with served.tab() as tab:
        assert await tab.receive_bytes(timeout=20) == b"a screen of a;b $(id) c d"
        await tab.send_str(json.dumps(["stdin", "q\u00e9"]))
        assert await tab.receive_bytes(timeout=20) == "heard q\u00e9".encode()
    await children_are_gone()


@pytest.mark.parametrize(
    "message", ["{", "{}", "[]", '["stdin"]', '["stdin", 7]', '["resize", {}]', '["resize", 1]']
)
async def test_what_is_no_message_ends_the_tab_alone(served: Served, message: str):
    await served.enter()
    async with served.tab() as tab, served.tab() as other:
        for one in (tab, other):
            await one.receive_bytes(timeout=20)
        await tab.send_str(message)
        assert (await tab.receive(timeout=20)).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        await other.send_str('["stdin", "x"]')
        assert await other.receive_bytes(timeout=20) == b"heard x"
    await children_are_gone()


async def test_there_are_only_so_many_tabs(served: Served, monkeypatch: pytest.MonkeyPatch):
    assert MOST_TABS == 8
    monkeypatch.setattr(web_page, "MOST_TABS", 2)
    await served.enter()
    async with served.tab(), served.tab():
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await served.tab()
        assert refused.value.status == 503
    await children_are_gone()
    async with await when_there_is_room(served) as tab:
        assert await tab.receive_bytes(timeout=20)
    await children_are_gone()


async def when_there_is_room(served: Served) -> Any:
    """A tab counts until all of it is put away, a moment after its process has gone."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await served.tab()
            except aiohttp.WSServerHandshakeError as refused:
                assert refused.status == 503
                await asyncio.sleep(0.01)


async def test_a_process_that_ends_closes_its_tab_and_one_that_does_not_is_ended(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(web_page, "END_S", 0.5)
    async with serving([sys.executable, "-c", "raise SystemExit(3)"]) as served:
        await served.enter()
        async with served.tab() as tab:
            assert (await tab.receive(timeout=20)).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
    deaf = "import time\nprint('__GANGLION__', flush=True)\ntime.sleep(60)"
    async with serving([sys.executable, "-c", deaf]) as served:
        await served.enter()
        async with served.tab():
            pass
        await children_are_gone()


# --- the command ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", "127.0.0.1.example.com"])
def test_it_is_served_on_loopback_alone(host: str):
    result = CliRunner().invoke(only1mcp, ["monitor", "--web", "--host", host, "/x.sock"])
    assert result.exit_code == 2
    assert "loopback alone" in result.stderr
