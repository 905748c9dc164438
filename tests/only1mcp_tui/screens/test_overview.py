"""The Overview: what it says, and that it acts through the app alone."""

import pytest
from rich.cells import cell_len
from syrupy.assertion import SnapshotAssertion
from textual.widgets import Input

from only1mcp_tui.app import Only1App
from only1mcp_tui.widgets.live_table import GAP, MARGIN, LiveTable
from proxy_core.facts import CatalogChanged
from proxy_core.telemetry.snapshot import Notice, ServerState, Totals
from tests.support.fake_control import NOW, FakeControl, row_of, snapshot_of
from tests.support.plots import moving_control
from tests.support.screens import (
    CLIENTS,
    FILES,
    GITHUB,
    TOTALS,
    bad_file_control,
    busy_control,
    pulled,
    replicated_control,
    seen,
    shown,
    svg_of,
    text_of,
)

DEMO = Notice("info", "No configuration file yet: three demo servers are running. Press i to import yours.")


LARGE = ((80, 24), (120, 36), (200, 60))
every_size = pytest.mark.parametrize("size", LARGE, ids=lambda size: f"{size[0]}x{size[1]}")


@every_size
async def test_a_healthy_gateway(size: tuple[int, int], picture: SnapshotAssertion) -> None:
    control = moving_control(FakeControl(snapshot_of((GITHUB, FILES), totals=TOTALS, clients=CLIENTS)))
    async with shown(control, size) as (app, _):
        assert svg_of(app) == picture


@every_size
async def test_every_state(size: tuple[int, int], picture: SnapshotAssertion) -> None:
    async with shown(moving_control(), size) as (app, _):
        assert svg_of(app) == picture


async def test_the_slowest_server_is_marked_by_more_than_a_colour() -> None:
    async with shown(busy_control(), (120, 36)) as (app, _):
        row = next(line for line in text_of(app).splitlines() if line.startswith(" search"))
        assert "! 410" in row
        assert text_of(app).count("! ") == 1


async def test_a_tall_terminal_tells_more_events_and_a_wide_one_who_asks_and_what_lists_cost() -> None:
    control = moving_control()
    control.tell(*(CatalogChanged(NOW - 100 + number, "tools", 900 + number) for number in range(20)))
    for size, events in (((80, 24), 3), ((120, 44), 8), ((200, 60), 14)):
        async with shown(control, size) as (app, _):
            text = text_of(app)
            assert text.count("clients now see") == events
            assert ("CLIENTS by requests" in text) is (size[0] == 200)
            assert ("CONTEXT by server" in text) is (size[0] == 200)


async def test_three_hundred_servers_with_long_and_wide_names() -> None:
    rows = tuple(row_of(f"日本語のサーバー-{number}-" + "x" * 60, calls_per_s=1.0) for number in range(300))
    app = Only1App(FakeControl(snapshot_of(rows, totals=TOTALS)), clock=lambda: 0.0, pulls_by_itself=False)
    async with app.run_test(size=(200, 60)) as pilot:
        await pilot.press("G")
        for width, height in ((200, 60), (60, 20)):
            await pilot.resize_terminal(width, height)
            await pulled(app, pilot)
            assert {cell_len(line) for line in text_of(app).splitlines()} == {width}
            assert app.screen.query_one(LiveTable).selected == rows[-1].id


async def test_the_demo_says_how_to_go_on(size: tuple[int, int], picture: SnapshotAssertion) -> None:
    control = FakeControl(snapshot_of((row_of("clock", tools=3),), demo=True, notices=(DEMO,)))
    async with shown(control, size) as (app, _):
        assert svg_of(app) == picture


async def test_no_server_at_all(size: tuple[int, int], picture: SnapshotAssertion) -> None:
    async with shown(FakeControl(), size) as (app, _):
        assert svg_of(app) == picture


async def test_a_very_narrow_terminal_keeps_name_state_and_rate() -> None:
    async with shown(busy_control(), (50, 20)) as (app, _):
        shown_columns = [column.key for column in app.screen.query_one(LiveTable).shown]
    assert shown_columns == ["server", "state", "rps"]


@pytest.mark.parametrize("width", [50, 60, 66, 78, 90, 96, 114, 132, 200])
async def test_at_no_width_is_the_last_column_cut_off(width: int) -> None:
    async with shown(busy_control(), (width, 24)) as (app, _):
        table = app.screen.query_one(LiveTable)
        used = MARGIN + sum(column.width + GAP for column in table.shown) - GAP
    assert used <= width


@pytest.mark.parametrize("theme", ["ansi-dark", "only1-light"])
async def test_other_themes_draw_the_same_text(theme: str) -> None:
    async with shown(busy_control()) as (app, pilot):
        before = text_of(app)
        app.theme = theme
        await pulled(app, pilot)
        assert text_of(app) == before


async def test_a_theme_recolours_lines_already_drawn() -> None:
    async with shown(busy_control()) as (app, pilot):
        before = svg_of(app)
        app.theme = "only1-light"
        await pilot.pause()
        assert svg_of(app) != before


async def test_the_reason_of_the_selected_server_is_in_full_under_the_table() -> None:
    async with shown(busy_control(), (80, 24)) as (app, pilot):
        await pilot.press("j", "j", "j")
        await pilot.pause()
        assert "4 of its last 100 calls failed" in text_of(app)


async def test_keys_are_not_typed_into_the_filter() -> None:
    control = busy_control()
    async with shown(control) as (app, pilot):
        await pilot.press("p", "slash", "escape", "p")
        await app.workers.wait_for_complete()
        assert app.screen.query_one(Input).value == ""
        assert [verb for verb, _ in control.asked] == ["probe", "probe"]


async def test_the_filter_narrows_while_typing_and_escape_clears_it_first() -> None:
    async with shown(busy_control()) as (app, pilot):
        await pilot.press("slash", *"state:heal")
        await pilot.pause()
        assert "filesystem" in text_of(app)
        assert "◐ draining" not in text_of(app)
        await pilot.press("enter", "escape")
        await pilot.pause()
        assert "◐ draining" in text_of(app)


async def test_the_cursor_stays_on_its_server_when_the_order_changes() -> None:
    async with shown(busy_control()) as (app, pilot):
        table = app.screen.query_one(LiveTable)
        await pilot.press("j")
        assert table.selected == "filesystem"
        await pilot.press("s", "S")
        await pilot.pause()
        assert table.selected == "filesystem"


async def test_sorting_by_a_number_shows_the_highest_first_and_says_so() -> None:
    async with shown(busy_control()) as (app, pilot):
        await pilot.press(*"sssss")
        await pilot.pause()
        lines = text_of(app).splitlines()
        head = next(at for at, line in enumerate(lines) if "RPS▼" in line)
        assert lines[head + 1].split()[0] == "github"


async def test_a_click_on_a_head_sorts_and_a_second_one_reverses() -> None:
    async with shown(busy_control()) as (app, pilot):
        await pilot.click(LiveTable, offset=(3, 0))
        await pilot.pause()
        assert "SERVER▲" in text_of(app)
        await pilot.click(LiveTable, offset=(3, 0))
        await pilot.pause()
        assert "SERVER▼" in text_of(app)


async def test_the_row_turns_only_when_the_snapshot_says_so() -> None:
    control = FakeControl(snapshot_of((GITHUB,), totals=TOTALS))
    async with shown(control) as (app, pilot):
        await pilot.press("d", "y")
        await pilot.pause()
        assert control.asked == [("drain", "github")]
        assert "draining" not in text_of(app).split("EVENTS")[0]
        control.use(row_of("github", ServerState.DRAINING, in_flight=1), totals=Totals(in_flight=1))
        await pulled(app, pilot)
        assert "◐ draining" in text_of(app)


async def test_pause_holds_the_picture_and_says_so() -> None:
    control = busy_control()
    async with shown(control) as (app, pilot):
        await pilot.press("space")
        control.use(row_of("newcomer"))
        await pulled(app, pilot)
        assert "PAUSED" in text_of(app)
        assert "newcomer" not in text_of(app)
        await pilot.press("space")
        await pulled(app, pilot)
        assert "newcomer" in text_of(app)


async def test_a_busy_loop_halves_the_pace_of_the_screen() -> None:
    control = FakeControl(snapshot_of((GITHUB,), totals=Totals(loop_lag_p99_ms=35.0)))
    async with shown(control) as (app, _):
        assert "2 fps" in text_of(app)


async def test_replicas_that_are_not_all_well(size: tuple[int, int], picture: SnapshotAssertion) -> None:
    async with shown(replicated_control(), size) as (app, _):
        assert svg_of(app) == picture


async def test_a_bad_configuration_file(size: tuple[int, int], picture: SnapshotAssertion) -> None:
    async with shown(bad_file_control(), size) as (app, _):
        assert svg_of(app) == picture


@pytest.mark.parametrize("mode", ["1", "2", "5"])
async def test_a_bad_configuration_file_is_told_on_every_screen(mode: str) -> None:
    async with shown(bad_file_control(), (80, 24)) as (app, pilot):
        await pilot.press(mode)
        await pulled(app, pilot)
        text = text_of(app)
        assert "cfg 3 FILE BAD" in text
        assert "only1mcp.yaml:12" in text
        assert "And 2 more. ctrl+r shows them." in text


async def test_replicas_that_are_all_well_take_no_rows_of_the_overview() -> None:
    async with shown(replicated_control()) as (app, pilot):
        assert "├ b" in text_of(app)
        assert "├ x" not in text_of(app)
        await pilot.press("2")
        await pulled(app, pilot)
        assert "├ x" in text_of(app)


async def test_a_drain_counts_down_while_nothing_else_changes() -> None:
    now = [0.0]
    app = Only1App(replicated_control(), clock=lambda: now[0], pulls_by_itself=False, is_remote=False)
    async with app.run_test(size=(160, 36)) as pilot:
        await pulled(app, pilot)
        assert "2 calls in flight, 27 s left" in text_of(app)
        now[0] += 20
        await pulled(app, pilot)
        assert "2 calls in flight, 7 s left" in text_of(app)


async def test_the_filter_counts_servers_not_replicas() -> None:
    async with shown(replicated_control()) as (app, pilot):
        await pilot.press("slash", *"github")
        await pulled(app, pilot)
        assert "1/4 " in text_of(app)


async def test_enter_on_a_replica_opens_its_server_at_that_replica() -> None:
    async with shown(replicated_control(), (80, 24)) as (app, pilot):
        await pilot.press("j", "j", "enter")
        await seen(app, pilot, "Servers › github/b")
        await pulled(app, pilot)
        await pilot.press("pagedown")
        await pulled(app, pilot)
        assert "› b " in text_of(app)
