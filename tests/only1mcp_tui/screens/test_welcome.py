"""The welcome: once, with what was found, and three ways on."""

from pathlib import Path

import pytest

from only1mcp_tui.screens.importing import ImportScreen
from only1mcp_tui.screens.kept import Kept
from only1mcp_tui.screens.welcome import WelcomeScreen
from proxy_core.config.importers import FoundServer
from proxy_core.config.models import ServerConfig
from proxy_core.facts import StateChanged
from tests.support.fake_control import NOW, FakeControl, row_of, snapshot_of
from tests.support.screens import busy_control, pulled, seen, shown, text_of


def found(client: str, name: str) -> FoundServer:
    config = ServerConfig.model_validate({"id": name, "transport": {"type": "stdio", "command": "npx"}})
    return FoundServer(client, Path("/home/ada/file"), name, config, f"npx {name}")


FOUND = (found("Claude Desktop", "github"), found("Claude Desktop", "files"), found("Cursor", "time"))


def demo() -> FakeControl:
    return FakeControl(snapshot_of([row_of("clock"), row_of("notes")], demo=True, config_path=None))


async def test_it_comes_once(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "screen.json")
    async with shown(demo(), kept=kept, discover=lambda: FOUND, welcomes=True) as (app, pilot):
        await seen(app, pilot, "Welcome to only1mcp")
        await pilot.press("d")
        await pulled(app, pilot)
        assert not isinstance(app.screen, WelcomeScreen)
    async with shown(demo(), kept=Kept(tmp_path / "screen.json"), discover=lambda: FOUND, welcomes=True) as (
        app,
        pilot,
    ):
        await pulled(app, pilot)
        assert not isinstance(app.screen, WelcomeScreen)
        app.action_show("welcome")
        await seen(app, pilot, "Welcome to only1mcp")


async def test_i_leads_to_the_import(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "screen.json")
    options = {
        "kept": kept,
        "discover": lambda: FOUND,
        "welcomes": True,
        "write": lambda chosen: "/home/ada/only1mcp.yaml",
    }
    async with shown(demo(), **options) as (app, pilot):
        await seen(app, pilot, "Welcome to only1mcp")
        await pilot.press("i")
        await seen(app, pilot, "3 servers found")
        assert isinstance(app.screen, ImportScreen)


async def test_q_quits(tmp_path: Path) -> None:
    async with shown(demo(), kept=Kept(tmp_path / "screen.json"), discover=lambda: FOUND, welcomes=True) as (
        app,
        pilot,
    ):
        await seen(app, pilot, "Welcome to only1mcp")
        await pilot.press("q")
        await pilot.pause()
        assert app._exit


async def test_where_nothing_was_found_it_says_how_to_add(tmp_path: Path) -> None:
    async with shown(demo(), kept=Kept(tmp_path / "screen.json"), discover=lambda: (), welcomes=True) as (
        app,
        pilot,
    ):
        await seen(app, pilot, "only1mcp add")
        assert "i  Import" not in text_of(app)


async def test_with_a_configuration_nobody_is_welcomed(tmp_path: Path) -> None:
    async with shown(
        busy_control(), kept=Kept(tmp_path / "screen.json"), discover=lambda: FOUND, welcomes=True
    ) as (
        app,
        pilot,
    ):
        await pulled(app, pilot)
        assert not isinstance(app.screen, WelcomeScreen)


@pytest.mark.parametrize("key", ["3", "5"])
async def test_news_of_servers_reach_every_screen(key: str) -> None:
    control = busy_control()
    async with shown(control) as (app, pilot):
        await pilot.press(key)
        for after in (1, 3):
            control.tell(
                *(
                    StateChanged(NOW + 1, name, "healthy", "unhealthy", "")
                    for name in ("github", "time")[:after]
                )
            )
            control.use(at=NOW + after)
            await pulled(app, pilot)
        await seen(app, pilot, "2 servers are not well: github, time.")
