"""Logs: follow, hold, choose, open, copy, export; and 50,000 lines of it."""

import time
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot

from only1mcp_tui.app import Only1App
from only1mcp_tui.screens.kept import Kept
from only1mcp_tui.screens.logs import LogsScreen
from proxy_core.telemetry.logs import RING_LINES
from tests.support.fake_control import FakeControl
from tests.support.screens import busy_control, log_lines, pulled, seen, shown, svg_of, text_of

PER_FRAME = 200


async def logs(app: Only1App, pilot: Pilot[None]) -> LogsScreen:
    await pilot.press("5")
    await pulled(app, pilot)
    assert isinstance(app.screen, LogsScreen)
    return app.screen


async def test_the_end_of_the_log(size: tuple[int, int], picture: SnapshotAssertion) -> None:
    control = busy_control()
    control.log(*log_lines(200))
    async with shown(control, size) as (app, pilot):
        await logs(app, pilot)
        assert svg_of(app) == picture


async def test_new_lines_are_followed_until_one_moves_up() -> None:
    control = busy_control()
    async with shown(control) as (app, pilot):
        await pilot.press("5")
        control.log(*log_lines(100))
        await pulled(app, pilot)
        assert "line 99 " in text_of(app)
        await pilot.press("k")
        control.log(*log_lines(300)[100:])
        await pulled(app, pilot)
        assert "line 299 " not in text_of(app)
        assert "held, +200 new" in text_of(app)
        await pilot.press("f")
        await pilot.pause()
        assert "line 299 " in text_of(app)
        assert "following" in text_of(app)


async def test_a_pause_counts_what_comes_and_shows_it_afterwards() -> None:
    control = busy_control()
    async with shown(control) as (app, pilot):
        await logs(app, pilot)
        await pilot.press("space")
        for end in (10, 30):
            control.log(*log_lines(end)[end // 3 :])
            await pulled(app, pilot)
        assert "paused, +27 new" in text_of(app)
        assert " line 9 " not in text_of(app)
        await pilot.press("space")
        await pulled(app, pilot)
        assert " line 9 " in text_of(app)
        assert "27 of 27 lines" in text_of(app)


async def test_a_level_finds_what_is_worse_too() -> None:
    control = busy_control()
    control.log(*log_lines(12))
    async with shown(control) as (app, pilot):
        await pilot.press("5", "slash", *"level:warn !src:jira")
        await pulled(app, pilot)
        found = [line.split()[1:3] for line in text_of(app).splitlines() if " line " in line]
    assert {level for level, _ in found} == {"warning", "error"}
    assert "jira" not in {source for _, source in found}


async def test_v_turns_the_level_that_is_shown_and_keeps_it() -> None:
    control, kept = busy_control(), Kept()
    control.log(*log_lines(12))
    async with shown(control, kept=kept) as (app, pilot):
        await logs(app, pilot)
        for words in ("9 of 12 lines", "6 of 12 lines", "3 of 12 lines", "12 of 12 lines", "9 of 12 lines"):
            await pilot.press("v")
            await seen(app, pilot, words)
    async with shown(control, kept=kept) as (app, pilot):
        await logs(app, pilot)
        assert "info and worse" in text_of(app)
        assert "9 of 12 lines" in text_of(app)


async def test_s_shows_the_source_under_the_cursor_alone_and_escape_all() -> None:
    control = busy_control()
    control.log(*log_lines(12))
    async with shown(control) as (app, pilot):
        await logs(app, pilot)
        await pilot.press("k", "s")
        await seen(app, pilot, "source gateway  4 of 12 lines")
        await pilot.press("escape")
        await seen(app, pilot, "12 of 12 lines")
        assert app.current_mode == "logs"


async def test_capital_l_sets_what_the_gateway_writes() -> None:
    control = busy_control()
    async with shown(control) as (app, pilot):
        await logs(app, pilot)
        await pilot.press("L")
        await seen(app, pilot, "What the gateway writes")
        await pilot.press("j", "j", "enter")
        await seen(app, pilot, "logs from warning on")
        await pilot.press("L")
        await seen(app, pilot, "What the gateway writes")
        await pilot.press("1")
        await seen(app, pilot, "logs from debug on")
        await pilot.press("L")
        await seen(app, pilot, "What the gateway writes")
        await pilot.press("escape")
        await pilot.pause()
    assert control.level == "debug"


async def test_y_copies_the_line_under_the_cursor() -> None:
    control = busy_control()
    control.log(*log_lines(12))
    async with shown(control) as (app, pilot):
        await logs(app, pilot)
        await pilot.press("k", "k", "y")
        await pilot.pause()
        assert app.clipboard == "2026-01-01T00:00:09.000Z warning github line 9 try=9"


async def test_a_click_moves_the_cursor_and_holds_the_list() -> None:
    control = busy_control()
    control.log(*log_lines(12))
    async with shown(control) as (app, pilot):
        screen = await logs(app, pilot)
        await pilot.click("LogView", offset=(20, 3))
        await pilot.pause()
        assert screen.view.selected == log_lines(12)[3]
        assert "held" in text_of(app)


async def test_x_writes_what_is_shown_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    control = busy_control()
    control.log(*log_lines(12))
    async with shown(control) as (app, pilot):
        await logs(app, pilot)
        await pilot.press("v", "v", "v")
        await seen(app, pilot, "3 of 12 lines")
        await pilot.press("x")
        await seen(app, pilot, "3 lines written")
        await pilot.press("x")
        while len(list(tmp_path.iterdir())) < 2:
            await pilot.pause()
    first, second = sorted(tmp_path.iterdir())
    assert first.stat().st_mode & 0o777 == 0o600
    assert first.read_text() == second.read_text()
    assert first.read_text().splitlines()[0] == "2026-01-01T00:00:02.000Z error   jira line 2 try=2"


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (gone := tmp_path / "gone").mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    async with shown(busy_control()) as (app, pilot):
        await logs(app, pilot)
        await pilot.press("x")
        await seen(app, pilot, "could not be written")


async def test_the_filter_holds_to_its_last_character_and_escape_brings_everything_back() -> None:
    control = busy_control()
    control.log(*log_lines(12))
    async with shown(control) as (app, pilot):
        await pilot.press("5", "slash", *"line 1x")
        await pulled(app, pilot)
        assert "0 of 12 lines" in text_of(app)
        await pilot.press("escape")
        await pulled(app, pilot)
        assert "12 of 12 lines" in text_of(app)
        assert "line 11 " in text_of(app)


# --- 50,000 lines -------------------------------------------------------------------------------------------


async def cost_of_frames(app: Only1App, pilot: Pilot[None], control: FakeControl, frames: int = 12) -> float:
    """Processor milliseconds of the cheapest of some frames with PER_FRAME new lines each."""
    best = float("inf")
    for _ in range(frames):
        control.log(*log_lines(PER_FRAME))
        begun = time.process_time()
        app.pull()
        await pilot.pause()
        best = min(best, time.process_time() - begun)
    return best * 1000


async def test_a_frame_costs_what_is_new_however_long_the_log_is() -> None:
    control = busy_control()
    async with shown(control) as (app, pilot):
        screen = await logs(app, pilot)
        control.log(*log_lines(PER_FRAME))
        await pulled(app, pilot)
        short_ms = await cost_of_frames(app, pilot, control)
        control.log(*log_lines(RING_LINES))
        await pulled(app, pilot)
        long_ms = await cost_of_frames(app, pilot, control)
        assert len(screen.book.lines) == RING_LINES
    print(f"{PER_FRAME} new lines: {short_ms:.1f} ms in a short log, {long_ms:.1f} ms in one of {RING_LINES:,}")
    assert long_ms < 2 * short_ms + 5


async def test_the_oldest_lines_make_room_and_a_held_list_stays_where_it_is() -> None:
    control = busy_control()
    control.log(*log_lines(RING_LINES))
    async with shown(control) as (app, pilot):
        screen = await logs(app, pilot)
        await pilot.press("k")
        held = screen.view.selected
        control.log(*log_lines(PER_FRAME))
        await pulled(app, pilot)
        assert screen.view.selected is held
        assert "50,000 of 50,000 lines" in text_of(app)
        await pilot.press("slash", *"line 49998")
        await seen(app, pilot, " 1 of 50,000 lines")


async def test_a_pause_holds_the_lines_though_the_terminal_becomes_another_size() -> None:
    control = FakeControl()
    control.log(*log_lines(10))
    async with shown(control) as (app, pilot):
        await pilot.press("5")
        await pulled(app, pilot)
        await pilot.press("space")
        control.log(*log_lines(3))
        await pilot.resize_terminal(100, 30)
        await pulled(app, pilot)
        assert "10 of 10 lines" in text_of(app)
        assert "+3 new" in text_of(app)


async def test_what_an_empty_list_says_is_painted_even_if_the_list_was_before() -> None:
    async with shown(FakeControl()) as (app, pilot):
        screen = await logs(app, pilot)
        assert "Nothing was logged yet." in text_of(app)
        screen.view.empty = (("  Nothing at all.", "muted"),)
        await pilot.pause()
        assert "Nothing at all." in text_of(app)


async def test_a_log_without_lines_says_so() -> None:
    async with shown(FakeControl()) as (app, pilot):
        await pilot.press("5")
        await seen(app, pilot, "Nothing was logged yet.")
