"""The palette: complete, quick with 300 servers, and what it does."""

import time

from textual.command import CommandPalette

from only1mcp_tui.app import Only1App
from only1mcp_tui.screens.palette import MOST_HITS, Commands, commands_of, has_letters
from proxy_core.telemetry.snapshot import ServerState
from tests.support.fake_control import FakeControl, row_of, snapshot_of
from tests.support.screens import busy_control, pulled, seen, shown, text_of


def names(app: Only1App) -> set[str]:
    return {command.name for command in commands_of(app, app.screen)}


def chosen(app: Only1App, name: str) -> None:
    command = next(command for command in commands_of(app, app.screen) if command.name == name)
    command.run()


async def test_typing_finds_a_verb_on_a_server_and_enter_does_it() -> None:
    control = busy_control()
    async with shown(control) as (app, pilot):
        await pilot.press("colon")
        await pilot.pause()
        assert isinstance(app.screen, CommandPalette)
        await pilot.press(*"probe github")
        await seen(app, pilot, "Probe github")
        await pilot.press("enter")
        while not control.asked:
            await pilot.pause()
    assert control.asked == [("probe", "github")]


async def test_it_offers_screens_settings_clients_and_views() -> None:
    async with shown(busy_control()) as (app, _):
        found = names(app)
    wanted = {
        *(
            "Go to Overview",
            "Go to Logs",
            "Names",
            "Context ledger",
            "Theme ...",
            "Set fps 2",
            "Quit",
            "Pause the screen",
        ),
        *(
            "Copy client config for Claude Desktop",
            "Copy client config for Cursor",
            "Copy client config for VS Code",
        ),
        *(
            "Reload configuration ...",
            "Drain all servers",
            "Probe all servers",
            "Clear every cache",
            "Drain github",
        ),
        *("Set the gateway's log level ...", "Import servers ...", "Save the screen as SVG", "Welcome"),
    }
    assert wanted <= found


async def test_a_clients_config_is_copied_and_its_place_named() -> None:
    async with shown(busy_control()) as (app, pilot):
        chosen(app, "Copy client config for Cursor")
        await seen(app, pilot, "belongs into")
        assert '"url": "http://127.0.0.1:8080/mcp"' in app.clipboard


async def test_every_server_that_is_on_is_probed() -> None:
    control = FakeControl(snapshot_of([row_of("a"), row_of("b"), row_of("c", ServerState.DISABLED)]))
    async with shown(control) as (app, pilot):
        chosen(app, "Probe all servers")
        while len(control.asked) < 2:
            await pilot.pause()
    assert sorted(control.asked) == [("probe", "a"), ("probe", "b")]


async def test_the_pace_is_set() -> None:
    async with shown(busy_control()) as (app, pilot):
        chosen(app, "Set fps 2")
        await pulled(app, pilot)
        assert " 2 fps" in text_of(app)


async def test_what_a_screen_offers_is_there_too() -> None:
    done: list[str] = []
    async with shown(busy_control()) as (app, _):
        app.screen.commands = lambda: [("Export last 100", "to a file", lambda: done.append("exported"))]  # type: ignore[attr-defined]
        chosen(app, "Export last 100")
    assert done == ["exported"]


async def test_300_servers_are_searched_in_short_steps() -> None:
    control = FakeControl(snapshot_of([row_of(f"server-{number}") for number in range(300)]))
    async with shown(control) as (app, _):
        provider = Commands(app.screen)
        await provider.startup()
        begun = time.process_time()
        hits = [hit async for hit in provider.search("restart server-271")]
        took_ms = (time.process_time() - begun) * 1000
    print(f"{len(provider._commands)} commands searched in {took_ms:.0f} ms")
    assert hits[0].text == "Restart server-271"
    assert len(hits) <= MOST_HITS
    assert len(provider._commands) > 2000
    assert took_ms < 500


def test_letters_count_in_their_order() -> None:
    assert has_letters("Restart github", "rsgit")
    assert not has_letters("Restart github", "gitrs")
    assert not has_letters("Restart github", "githubb")


async def test_it_opens_the_views() -> None:
    async with shown(busy_control()) as (app, pilot):
        chosen(app, "Context ledger")
        await seen(app, pilot, "Overview › Context ledger")
        assert "MODE" in text_of(app)
