"""Import: shown first, chosen, then written by whoever was injected."""

from collections.abc import Sequence
from pathlib import Path

from only1mcp_tui.screens.importing import ImportScreen
from proxy_core.config.importers import FoundServer
from proxy_core.config.models import HttpTransport, ServerConfig, StdioTransport
from proxy_core.errors import ConfigError, ConfigProblem
from tests.support.screens import busy_control, pulled, seen, shown

HOME = Path("/home/ada")


def server(name: str) -> ServerConfig:
    return ServerConfig(id=name, transport=StdioTransport(command="npx", args=("-y", f"@example/{name}")))


GIT = ServerConfig(id="github", transport=HttpTransport(url="https://api.example.com/mcp"))
FOUND = (
    FoundServer("Claude Desktop", HOME / "claude.json", "github", GIT, "https://api.example.com/mcp?key=***"),
    FoundServer("Cursor", HOME / "mcp.json", "files", server("files"), "npx -y @example/files"),
    FoundServer(
        "Cursor", HOME / "mcp.json", "github", GIT, "https://api.example.com/mcp?key=***", is_duplicate=True
    ),
    FoundServer("VS Code", HOME / "m.json", "odd", None, "", "has neither `command` nor `url`"),
    FoundServer(
        "Windsurf", HOME / "w.json", "gate", server("gate"), "http://127.0.0.1:8080/mcp", is_ourselves=True
    ),
)


class Writer:
    def __init__(self) -> None:
        self.written: list[str] = []

    def __call__(self, chosen: Sequence[FoundServer]) -> str:
        self.written = [found.server.id for found in chosen if found.server]
        return "/home/ada/only1mcp.yaml"


async def test_the_chosen_are_written_and_then_applied() -> None:
    control, write = busy_control(), Writer()
    async with shown(control, discover=lambda: FOUND, write=write) as (app, pilot):
        await pilot.press("i")
        await _opened(app, pilot)
        await pilot.press("space", "enter")
        await seen(app, pilot, "1 server written to /home/ada/only1mcp.yaml")
        assert write.written == ["files"]
        assert control.reloads == 1


async def test_neither_this_gateway_nor_a_broken_entry_can_be_chosen() -> None:
    write = Writer()
    async with shown(busy_control(), discover=lambda: FOUND, write=write) as (app, pilot):
        await pilot.press("i")
        await _opened(app, pilot)
        await pilot.press("a", "G", "space", "k", "space", "enter")
        await app.workers.wait_for_complete()
        assert write.written == ["github", "files", "github"]


async def test_leaving_writes_nothing() -> None:
    control, write = busy_control(), Writer()
    async with shown(control, discover=lambda: FOUND, write=write) as (app, pilot):
        await pilot.press("i")
        await _opened(app, pilot)
        await pilot.press("escape")
        await app.workers.wait_for_complete()
        assert (write.written, control.reloads) == ([], 0)


async def test_far_from_the_gateway_there_is_nothing_to_import() -> None:
    async with shown(busy_control()) as (app, pilot):
        await pilot.press("i")
        await seen(app, pilot, "Servers can be imported only where")


async def _opened(app, pilot) -> None:  # type: ignore[no-untyped-def]
    """Finding runs in a thread; the dialog comes when it is done."""
    while not isinstance(app.screen, ImportScreen):
        await pilot.pause()
    await pulled(app, pilot)


async def test_a_file_of_ours_that_cannot_be_read_is_a_toast_and_no_crash() -> None:
    """Looking for servers reads our own configuration too."""

    def discover() -> Sequence[FoundServer]:
        raise ConfigError("/home/ada/only1mcp.yaml", (ConfigProblem("servers", "is broken", 3),))

    async with shown(busy_control(), discover=discover, write=Writer()) as (app, pilot):
        await pilot.press("i")
        await seen(app, pilot, "only1mcp.yaml:3: servers: is broken")
        assert not isinstance(app.screen, ImportScreen)
