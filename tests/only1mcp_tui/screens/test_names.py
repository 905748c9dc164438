"""Names: measured as clients do, what was changed, what is hidden."""

from syrupy.assertion import SnapshotAssertion

from only1mcp_tui.screens.names import NamesScreen
from proxy_core.telemetry.snapshot import NamedItem, ServerDetail
from tests.support.fake_control import FakeControl, row_of, snapshot_of
from tests.support.screens import GITHUB, pulled, seen, shown, svg_of, text_of

LONG = "github__" + "search_code_in_all_repositories_of_this_organisation"


def control() -> FakeControl:
    rows = (GITHUB, row_of("files", tools=3))
    control = FakeControl(snapshot_of(rows))
    control.items = (
        NamedItem("tool", "github__create_issue", "create_issue", "github"),
        NamedItem("tool", LONG, LONG.removeprefix("github__"), "github"),
        NamedItem(
            "tool", "files__read_every_file_below_a_fol-3fa91c", "read every file below a folder", "files"
        ),
        NamedItem("tool", "files__read.text", "read.text", "files"),
        NamedItem("prompt", "files__" + "summary_" * 12, "summary_" * 12, "files"),
        NamedItem("resource", "file:///a", "file:///a", "files"),
    )
    control.details["github"] = ServerDetail(GITHUB, hidden=(("delete_repo", "tools.deny says so"),))
    return control


async def test_the_names(size: tuple[int, int], picture: SnapshotAssertion) -> None:
    async with shown(control(), size) as (app, pilot):
        await pilot.press("N")
        await pulled(app, pilot)
        assert svg_of(app) == picture


async def test_the_summary_counts_for_each_client() -> None:
    async with shown(control()) as (app, pilot):
        await pilot.press("N")
        await seen(app, pilot, "5 names, 1 over 60 (Cursor), 1 over 64 (Claude Code), 0 over 128 (MCP)")
        assert "1 with refused characters, 1 changed, 1 hidden" in " ".join(text_of(app).split())


async def test_the_longest_are_first_and_s_and_capital_s_sort_otherwise() -> None:
    async with shown(control()) as (app, pilot):
        await pilot.press("N")
        await seen(app, pilot, "5 names")
        assert isinstance(screen := app.screen, NamesScreen)
        assert screen.selected is not None and screen.selected.kind == "prompt"
        await pilot.press("s", "s", "s", "s", "s", "g")
        assert screen.selected.name == "delete_repo"
        await pilot.press("S", "g")
        assert screen.selected.name == LONG


async def test_the_filter_finds_what_a_client_refuses() -> None:
    async with shown(control()) as (app, pilot):
        await pilot.press("N")
        await seen(app, pilot, "5 names")
        await pilot.press("slash", *"why:cursor")
        await seen(app, pilot, "2 of 6")
        await pilot.press("escape", "slash", *"why:hidden")
        await seen(app, pilot, "hidden: tools.deny says so")


async def test_y_copies_the_name_and_escape_leads_back() -> None:
    async with shown(control()) as (app, pilot):
        await pilot.press("2", "N")
        await seen(app, pilot, "Servers › Names")
        await pilot.press("y")
        await pilot.pause()
        assert app.clipboard == "files__" + "summary_" * 12
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(app.screen, NamesScreen)
        assert app.current_mode == "servers"
        await pilot.press("N")
        await seen(app, pilot, "Servers › Names")
        await pilot.press("2")
        await pilot.pause()
        assert not isinstance(app.screen, NamesScreen)


async def test_names_that_change_are_seen() -> None:
    gateway = control()
    async with shown(gateway) as (app, pilot):
        await pilot.press("N")
        await seen(app, pilot, "5 names")
        gateway.items = gateway.items[:1]
        gateway.use(at=gateway.current.at + 60)
        await pulled(app, pilot)
        assert "1 name, 0 over 60" in text_of(app)
