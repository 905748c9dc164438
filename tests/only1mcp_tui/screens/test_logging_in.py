"""L sends a browser off to log in at a server, where one wants it; the row turns when the gateway says so."""

import asyncio
from urllib.request import urlopen

import pytest

from only1mcp_tui.screens import logging_in
from only1mcp_tui.screens.palette import commands_of
from proxy_core.errors import LoginFailed
from proxy_core.telemetry.snapshot import ServerState
from tests.support.fake_control import FakeControl, row_of, snapshot_of
from tests.support.screens import pulled, seen, shown, text_of

SIZE = (120, 36)
WHY = "press L, or only1mcp login github"


def guarded_control(state: ServerState = ServerState.AUTH_REQUIRED) -> FakeControl:
    reason = f"login needed: {WHY}" if state is ServerState.AUTH_REQUIRED else ""
    return FakeControl(snapshot_of([row_of("github", state=state, reason=reason, login=WHY), row_of("files")]))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pages that a browser was sent to."""
    urls: list[str] = []

    def open_browser(url: str) -> bool:
        urls.append(url)
        return True

    monkeypatch.setattr(logging_in, "open_browser", open_browser)
    return urls


async def come_back(page: str, query: str) -> str:
    """The browser, after the person has logged in: what it shows then."""

    def get() -> str:
        with urlopen(page.partition("?back=")[2] + query, timeout=20) as answer:
            return str(answer.read().decode())

    return await asyncio.to_thread(get)


async def test_a_person_logs_in_with_the_browser(opened: list[str]):
    control = guarded_control()
    async with shown(control, SIZE) as (app, pilot):
        assert WHY in text_of(app)
        assert "Log in" in text_of(app).splitlines()[-1]
        await pilot.press("L")
        await seen(app, pilot, "Log in with the browser")
        assert "Logged in" in await come_back(opened[0], "?code=c&state=the-state&iss=i")
        await seen(app, pilot, "github: logged in.")
    assert control.logins == [("github", {"code": "c", "state": "the-state", "iss": "i"})]


async def test_a_login_that_fails_is_said_to_the_person_on_both_sides(opened: list[str]):
    control = guarded_control()
    async with shown(control, SIZE) as (app, pilot):
        await pilot.press("L")
        await seen(app, pilot, "Log in with the browser")
        control.refusal = LoginFailed("The authorization server did not let us in: access_denied.")
        assert "The login failed" in await come_back(opened[0], "?error=access_denied&state=the-state")
        await seen(app, pilot, "access_denied")


async def test_a_browser_is_sent_to_no_page_that_is_none(opened: list[str]):
    control = guarded_control()
    control.login_page = "file:///etc/passwd"
    async with shown(control, SIZE) as (app, pilot):
        await pilot.press("L")
        await seen(app, pilot, "The page to log in")
    assert opened == []


async def test_only_a_server_that_wants_a_login_has_the_key_and_the_command(opened: list[str]):
    control = guarded_control(ServerState.HEALTHY)
    async with shown(control, SIZE) as (app, pilot):
        names = {command.name for command in commands_of(app, app.screen)}
        assert "Log in at github ..." in names
        assert "Log in at files ..." not in names
        assert "log in" in text_of(app)
        await pilot.press("j", "L")
        await pulled(app, pilot)
        assert "Log in" not in text_of(app).splitlines()[-1]
    assert ("login_port", "files") not in control.asked


async def test_a_screen_that_may_only_look_logs_in_nowhere(opened: list[str]):
    control = guarded_control()
    async with shown(control, SIZE, readonly=True) as (app, pilot):
        await pilot.press("L")
        await pulled(app, pilot)
        assert "Log in" not in text_of(app).splitlines()[-1]
    assert opened == []
    assert control.asked == []
