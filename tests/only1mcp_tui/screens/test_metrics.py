"""The Metrics screen: its plots at every size, its keys, and that it builds a plot only when it is seen."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot

from only1mcp_tui.app import Only1App
from only1mcp_tui.screens import metrics
from only1mcp_tui.screens.metrics import FAILED, MetricsScreen
from only1mcp_tui.view.history import Window
from only1mcp_tui.widgets import plot
from proxy_core.telemetry.snapshot import Totals
from tests.support.fake_control import NOW, FakeControl, row_of, snapshot_of
from tests.support.plots import MOVED_S, moving_app, moving_control, plotted
from tests.support.screens import pulled, svg_of, text_of

BRIEF_S = 125
"""A history that is long enough not to be called young."""


@asynccontextmanager
async def opened(
    control: FakeControl | None = None, size: tuple[int, int] = (120, 36), seconds: int = BRIEF_S
) -> AsyncIterator[tuple[Only1App, Pilot[None], MetricsScreen]]:
    app = moving_app(control or moving_control(), seconds)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pulled(app, pilot)
        await pilot.press("3")
        await pulled(app, pilot)
        await plotted(app, pilot)
        screen = app.screen
        assert isinstance(screen, MetricsScreen)
        yield app, pilot, screen


async def pressed(app: Only1App, pilot: Pilot[None], *keys: str) -> str:
    await pilot.press(*keys)
    await pulled(app, pilot)
    return await plotted(app, pilot)


# --- looks --------------------------------------------------------------------------------------------------


async def test_four_plots_or_one(size: tuple[int, int], picture: SnapshotAssertion) -> None:
    async with opened(size=size, seconds=MOVED_S) as (app, _, _):
        assert svg_of(app) == picture


async def test_one_plot_alone(picture: SnapshotAssertion) -> None:
    async with opened(seconds=MOVED_S) as (app, pilot, _):
        await pressed(app, pilot, "l", "z")
        assert svg_of(app) == picture


async def test_nothing_yet(picture: SnapshotAssertion) -> None:
    control = FakeControl(snapshot_of((row_of("clock", tools=3),)))
    async with opened(control, seconds=0) as (app, _, _):
        assert text_of(app).count("No traffic yet.") == 4
        assert svg_of(app) == picture


async def test_a_large_terminal_shows_all_of_them() -> None:
    async with opened(size=(200, 60)) as (app, _, screen):
        assert [cell.kind for cell in screen.grid.cells] == list(range(8))
        assert text_of(app).count("10 m ago") == 8


@pytest.mark.parametrize("theme", ["ansi-dark", "only1-light"])
async def test_other_themes_draw_the_same_text_in_other_colours(theme: str) -> None:
    async with opened() as (app, pilot, _):
        before, colours = text_of(app), svg_of(app)
        app.theme = theme
        await pulled(app, pilot)
        assert await plotted(app, pilot) == before
        assert svg_of(app) != colours


@pytest.mark.parametrize("size", [(60, 20), (30, 6)])
async def test_a_small_terminal_is_no_reason_to_fail(size: tuple[int, int]) -> None:
    async with opened(size=size) as (app, pilot, _):
        text = await pressed(app, pilot, "n", "w", "z")
        assert max(map(len, text.splitlines())) <= size[0]


# --- keys ---------------------------------------------------------------------------------------------------


async def test_w_goes_through_the_windows() -> None:
    async with opened() as (app, pilot, screen):
        assert "10 m ago" in text_of(app)
        text = await pressed(app, pilot, "w")
        assert screen.scope.window is Window.HOUR
        assert "1 h  of all servers  since 2m05s" in text
        assert "60 m ago" in text
        assert "60 s ago" in await pressed(app, pilot, "w")
        assert "10 m ago" in await pressed(app, pilot, "w")


async def test_brackets_go_through_the_servers_and_back_to_all() -> None:
    async with opened() as (app, pilot, _):
        text = await pressed(app, pilot, "right_square_bracket")
        assert "of github" in text
        assert "filesystem" not in text
        assert "of all servers" in await pressed(app, pilot, "left_square_bracket")
        assert "of slack" in await pressed(app, pilot, "left_square_bracket")
        assert "of all servers" in await pressed(app, pilot, "right_square_bracket")


async def test_what_is_counted_for_all_servers_alone_says_so_of_one() -> None:
    async with opened() as (app, pilot, _):
        text = await pressed(app, pilot, "right_square_bracket", "n")
        assert text.count("Counted for all servers together.") == 2


async def test_a_server_that_goes_leaves_the_scope() -> None:
    control = moving_control()
    async with opened(control) as (app, pilot, _):
        await pressed(app, pilot, "right_square_bracket")
        control.use(*control.current.servers[1:])
        await pulled(app, pilot)
        assert "of all servers" in await plotted(app, pilot)


async def test_z_shows_the_chosen_plot_alone_and_escape_goes_back() -> None:
    async with opened() as (app, pilot, screen):
        text = await pressed(app, pilot, "tab", "z")
        assert "› Latency, ms" in text
        assert "Calls by server" not in text
        assert [cell.kind for cell in screen.grid.cells] == [1]
        assert "Calls by server" in await pressed(app, pilot, "escape")
        assert app.screen is screen


async def test_the_choice_goes_round_and_its_page_with_it() -> None:
    async with opened() as (app, pilot, screen):
        for there, back in (("tab", "shift+tab"), ("l", "h"), ("right", "left")):
            await pilot.press(there)
            assert screen.chosen == 1
            await pilot.press(back, back)
            assert screen.chosen == 7
            await pilot.press(there)
            assert screen.chosen == 0
        text = await pressed(app, pilot, "h")
        assert "› Event loop delay" in text
        assert "plots 5-8 of 8" in text


async def test_n_shows_the_next_plots() -> None:
    async with opened() as (app, pilot, _):
        text = await pressed(app, pilot, "n")
        assert "plots 5-8 of 8" in text
        assert "› Calls saved, /s" in text
        assert "plots 1-4 of 8" in await pressed(app, pilot, "n")


async def test_on_a_small_terminal_n_shows_the_next_plot_and_the_others_are_lines() -> None:
    async with opened(size=(80, 24)) as (app, pilot, _):
        assert "› Calls by server" in text_of(app)
        assert "p95 ms" in text_of(app)
        text = await pressed(app, pilot, "n")
        assert "› Latency, ms" in text
        assert "calls /s" in text


async def test_a_click_chooses_a_plot() -> None:
    async with opened() as (app, pilot, screen):
        await pilot.click("PlotBoard", offset=(100, 25))
        await pulled(app, pilot)
        assert "› Cache and sharing" in await plotted(app, pilot)
        await pilot.click("PlotBoard", offset=(100, 0))
        assert screen.chosen == 3


async def test_the_filter_has_nothing_to_filter_here() -> None:
    async with opened() as (app, pilot, _):
        assert "Filter" not in text_of(app)
        await pilot.press("slash", "w")
        assert not app.screen.query("FilterBar")


# --- honest, and cheap --------------------------------------------------------------------------------------


async def test_seen_from_afar_it_says_since_when() -> None:
    control = moving_control()
    app = Only1App(control, clock=lambda: 0.0, pulls_by_itself=False)
    for second in range(12):
        app.history.sample(control.current, NOW - 12 + second)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("3")
        await pulled(app, pilot)
        assert "since 12s" in await plotted(app, pilot)


async def test_hostile_names_reach_no_line() -> None:
    rows = (
        row_of("\x1b]52;c;AAAA\x07[/bold]", calls_per_s=3.0, calls=1),
        row_of("日本" * 40, calls_per_s=2.0, calls=1),
    )
    control = FakeControl(snapshot_of(rows, totals=Totals(calls=9)))
    async with opened(control, seconds=30) as (app, pilot, _):
        assert "日本" in text_of(app)
        text = text_of(app) + await pressed(app, pilot, "right_square_bracket")
        assert "\x1b" not in text
        assert "\x07" not in text


async def test_three_hundred_servers_have_five_curves_and_one_for_the_others() -> None:
    rows = tuple(row_of(f"server-{number}", calls_per_s=number / 10, calls=1) for number in range(300))
    control = FakeControl(snapshot_of(rows, totals=Totals(calls=9)))
    async with opened(control, size=(200, 60), seconds=20) as (app, _, _):
        assert "a server-… 29.5" in text_of(app)
        assert "f others 4336" in text_of(app)


async def test_without_plotext_the_screen_has_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plot, "_has_failed", True)
    async with opened() as (app, _, _):
        text = text_of(app)
        assert "█" in text
        assert "⠒" not in text


class Counted:
    """How many plots were built, one at a time."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, *arguments: Any) -> Any:
        self.count += 1
        return plot.plot_lines(*arguments)


async def test_after_the_first_ones_one_plot_is_built_a_second_the_oldest_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built = Counted()
    monkeypatch.setattr(metrics, "plot_lines", built)
    now, control = [0.0], moving_control()
    app = Only1App(control, clock=lambda: now[0], pulls_by_itself=False, is_remote=False)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("3")
        await pulled(app, pilot)
        await plotted(app, pilot)
        before = built.count
        screen = app.screen
        assert isinstance(screen, MetricsScreen)
        for second in range(1, 4):
            now[0] += 1
            control.use(at=NOW + second)
            for _ in range(4):
                await pulled(app, pilot)
                await app.workers.wait_for_complete()
            assert built.count == before + second
        assert sorted(one.turn - NOW for one in screen._built.values()) == [0, 1, 2, 3]


@pytest.mark.parametrize("key", ["1", "space"])
async def test_nothing_is_built_while_another_screen_is_shown_or_this_one_is_paused(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = Counted()
    monkeypatch.setattr(metrics, "plot_lines", built)
    now = [0.0]
    app = Only1App(moving_control(), clock=lambda: now[0], pulls_by_itself=False, is_remote=False)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("3")
        await pulled(app, pilot)
        await plotted(app, pilot)
        before = built.count
        await pilot.press(key)
        for _ in range(3):
            now[0] += 1
            await pulled(app, pilot)
            await app.workers.wait_for_complete()
        assert built.count == before >= 4


async def test_a_plot_that_fails_says_so_in_its_place(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(metrics, "plot_lines", fails)
    async with opened() as (app, _, _):
        assert text_of(app).count(FAILED) == 4
        assert "could not be drawn" in caplog.text
