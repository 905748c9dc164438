"""What is painted: the lines that changed, of the screen that is seen, in as few steps as Textual allows."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest
from msgspec.structs import replace
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from only1mcp_tui.app import Only1App
from only1mcp_tui.screens.base import CoreScreen, Picture
from only1mcp_tui.view.servers import row_cells
from only1mcp_tui.widgets.board import Board
from only1mcp_tui.widgets.lines import Painted
from only1mcp_tui.widgets.live_table import LiveTable
from only1mcp_tui.widgets.log_view import LogView
from only1mcp_tui.widgets.source_table import SourceTable
from only1mcp_tui.widgets.steady_bar import SteadyBar
from proxy_core.config.models import TuiConfig
from proxy_core.telemetry.snapshot import LogLine
from tests.support.exchanges import many_rows
from tests.support.fake_control import WALL, FakeControl, row_of, snapshot_of
from tests.support.screens import TOTALS, busy_control, pulled, replicated_control, shown, text_of

SERVERS = 30


def log_line(number: int) -> LogLine:
    return LogLine(WALL + number, "info", "github", f"line {number}")


def many_servers(count: int = SERVERS) -> FakeControl:
    return FakeControl(snapshot_of([row_of(f"server-{number:02}") for number in range(count)], totals=TOTALS))


@contextmanager
def counted_lines() -> Iterator[list[tuple[str | None, int]]]:
    """Widget and line of each that is built meanwhile."""
    built: list[tuple[str | None, int]] = []

    def counting(kind: type[Board] | type[LiveTable]):  # type: ignore[no-untyped-def]
        real = kind.render_line

        def render_line(self: Board | LiveTable, y: int) -> Strip:
            built.append((self.id, y))
            return real(self, y)  # type: ignore[arg-type]

        return patch.object(kind, "render_line", render_line)

    with counting(Board), counting(LiveTable):
        yield built


async def test_of_thirty_rows_the_one_that_changed_is_built_anew() -> None:
    control = many_servers()
    async with shown(control, (120, 42)) as (app, pilot):
        rows = control.current.servers
        control.use(*rows[:7], replace(rows[7], in_flight=3), *rows[8:])
        with counted_lines() as built:
            await pulled(app, pilot)
        assert built == [(None, 8)]
        assert "server-07" in text_of(app).splitlines()[8 + app.screen.query_one(LiveTable).region.y]


async def test_while_nothing_changes_nothing_is_drawn_asked_for_or_painted() -> None:
    async with shown(many_servers(), (120, 42)) as (app, pilot):
        with counted_lines() as built, patch.object(Widget, "refresh") as refresh:
            for _ in range(3):
                app.pull()
            await pilot.pause()
        assert not refresh.called
        assert built == []


async def test_a_screen_that_is_not_seen_is_not_drawn() -> None:
    drawn: list[str] = []

    def show(self: CoreScreen, picture: Picture) -> None:
        drawn.append(self.MODE)

    control = many_servers()
    async with shown(control, (120, 42)) as (app, pilot):
        await pilot.press("2", "5")
        with patch.object(CoreScreen, "show", show):
            control.use(totals=replace(TOTALS, calls=1))
            app.pull()
        assert drawn == ["logs"]


async def test_of_three_hundred_rows_those_in_sight_are_made() -> None:
    control = many_servers(300)
    async with shown(control, (120, 42)) as (app, pilot):
        made: list[str] = []

        def cells(target, *rest):  # type: ignore[no-untyped-def]
            made.append(target.id)
            return row_cells(target, *rest)

        control.use(*(replace(row, in_flight=1) for row in control.current.servers))
        with patch("only1mcp_tui.view.servers.row_cells", cells):
            await pulled(app, pilot)
        assert 20 < len(made) < 42


async def test_of_a_row_that_stays_only_what_ages_is_made_anew() -> None:
    control = many_servers()
    async with shown(control, (120, 42)) as (app, pilot):
        with patch("only1mcp_tui.view.servers.row_cells", wraps=row_cells) as made:
            control.use(at=control.current.at + 5)
            await pulled(app, pilot)
            assert not made.called
            rows = control.current.servers
            control.use(*rows[:7], replace(rows[7], in_flight=3), *rows[8:])
            await pulled(app, pilot)
        assert [call.args[0].id for call in made.call_args_list] == ["server-07"]


@pytest.mark.parametrize(
    ("key", "kind", "builds"), [("4", SourceTable, "_strip"), ("5", LogView, "_strip_of_item")]
)
async def test_a_list_that_follows_its_end_builds_the_lines_that_are_new(
    key: str, kind: type[Painted], builds: str
) -> None:
    control = many_servers()
    control.see(*many_rows(200))
    control.log(*(log_line(number) for number in range(200)))
    async with shown(control, (120, 42)) as (app, pilot):
        await pilot.press(key)
        await pulled(app, pilot)
        control.see(*many_rows(3, 201))
        control.log(*(log_line(number) for number in range(200, 203)))
        before = text_of(app)
        with patch.object(kind, builds, autospec=True, side_effect=getattr(kind, builds)) as built:
            await pulled(app, pilot)
        assert text_of(app) != before
        # The three, the one that was under the cursor before, and perhaps the head.
        assert 3 <= built.call_count <= 5
        _look_alike(app)
        fresh = app.screen.query_one(kind)
        ours = [strip.text for strip in fresh.render_lines(fresh.size.region)]
        fresh.notify_style_update()
        assert [strip.text for strip in fresh.render_lines(fresh.size.region)] == ours


async def test_a_list_that_grows_lays_out_nothing_while_its_scrollbar_stays() -> None:
    control = many_servers()
    control.see(*many_rows(200))
    async with shown(control, (120, 42)) as (app, pilot):
        await pilot.press("4")
        await pulled(app, pilot)
        with patch.object(Screen, "_refresh_layout") as laid_out:
            control.see(*many_rows(3, 201))
            await pulled(app, pilot)
        assert not laid_out.called
        table = app.screen.query_one(SourceTable)
        assert table.virtual_size.height == 204
        assert table.vertical_scrollbar.window_virtual_size == 204


@pytest.mark.parametrize("theme", ["only1-dark", "ansi-dark"])
async def test_the_scrollbar_looks_as_textuals_own_wherever_it_stands(theme: str) -> None:
    async with shown(many_servers(200), (120, 30)) as (app, pilot):
        app.theme = theme
        await pulled(app, pilot)
        table = app.screen.query_one(LiveTable)
        bar = table.vertical_scrollbar
        assert isinstance(bar, SteadyBar)
        built = 0
        for number in range(60):
            bar.position = number * 2.6
            bar.window_virtual_size = 201 + number * 7
            bar.mouse_over = number % 7 == 0
            before = bar._built
            ours = bar.render_lines(bar.size.region)
            built += ours is not before
            theirs = Widget.render_lines(bar, bar.size.region)
            assert [list(strip) for strip in ours] == [list(strip) for strip in theirs]
        bar.window_virtual_size += 1
        assert bar.render_lines(bar.size.region) is ours
        assert built > 10


async def test_the_ground_of_a_screen_follows_its_theme() -> None:
    async with shown(many_servers(3), (120, 42)) as (app, pilot):
        for theme in ("only1-light", "only1-dark", "ansi-dark"):
            app.theme = theme
            await pulled(app, pilot)
            region = app.screen.size.region
            ours = app.screen.render_lines(region)
            assert app.screen.render_lines(region) is ours
            assert [list(strip) for strip in ours] == [
                list(strip) for strip in Screen.render_lines(app.screen, region)
            ]


@pytest.mark.parametrize("no_color", [False, True])
@pytest.mark.parametrize("theme", ["only1-dark", "only1-light", "ansi-dark"])
async def test_a_line_looks_as_it_would_by_textuals_own_way(
    theme: str, no_color: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    async with shown(replicated_control(), (120, 20)) as (app, pilot):
        app.theme = theme
        for key in ("1", "j", "2"):
            await pilot.press(key)
            await pulled(app, pilot)
            _look_alike(app)


def _look_alike(app: Only1App) -> None:
    for painted in app.screen.query(Painted):
        if not (region := painted.size.region):
            continue
        ours = painted.render_lines(region)
        theirs = Widget.render_lines(painted, region)
        width = painted.paper.width
        for one, other in zip(ours, theirs, strict=True):
            assert list(one.crop(0, width).simplify()) == list(other.crop(0, width).simplify()), painted


async def test_a_painted_widget_with_a_border_is_painted_with_it() -> None:
    async with shown(busy_control()) as (app, pilot):
        board = app.screen.query_one("#selected", Board)
        board.styles.border = ("round", "red")
        await pulled(app, pilot)
        assert "╭" in text_of(app) and "╯" in text_of(app)


async def test_a_busy_loop_halves_the_pace_and_an_idle_one_gives_it_back() -> None:
    """As the title says; the frames come at that pace."""
    control, now = many_servers(), 0.0
    app = Only1App(control, clock=lambda: now, pulls_by_itself=False, is_remote=False, tui=TuiConfig(fps=4))
    async with app.run_test(size=(120, 30)) as pilot:
        pulls: list[float] = []
        real = control.snapshot

        def snapshot():  # type: ignore[no-untyped-def]
            pulls.append(now)
            return real()

        control.snapshot = snapshot  # type: ignore[method-assign]
        for lag_ms, fps in ((1.0, 4), (25.0, 2), (80.0, 1), (25.0, 2), (19.0, 4)):
            control.use(totals=replace(TOTALS, loop_lag_p99_ms=lag_ms))
            await pulled(app, pilot)
            assert f"{fps} fps" in text_of(app)
            pulls.clear()
            for _ in range(16):
                now += 0.25
                await app._tick()
            assert len(pulls) == 4 * fps
