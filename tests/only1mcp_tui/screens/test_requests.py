"""Requests: the list of exchanges and what can be done with it."""

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot

from only1mcp_tui.app import Only1App
from only1mcp_tui.screens.confirm import ConfirmScreen
from only1mcp_tui.screens.exchange import ExchangeScreen
from only1mcp_tui.screens.replaying import TargetScreen
from only1mcp_tui.screens.requests import RequestsScreen
from only1mcp_tui.widgets.filter_bar import FilterBar
from only1mcp_tui.widgets.source_table import SourceTable
from proxy_core.errors import NotReplayable
from proxy_core.telemetry.exchanges import ExchangeStatus
from tests.support.exchanges import exchanges_control, many_rows
from tests.support.fake_control import FakeControl, exchange_row
from tests.support.screens import busy_control, pulled, seen, shown, svg_of, text_of


async def pressed(app: Only1App, pilot: Pilot[None], *keys: str) -> None:
    """Press `keys`, the first of them on a picture of its own: it may have changed the screen."""
    await pilot.press(keys[0])
    if len(keys) > 1:
        await pulled(app, pilot)
        await pilot.press(*keys[1:])
    await pulled(app, pilot)


async def filtered(app: Only1App, pilot: Pilot[None], words: str) -> None:
    """As if typed at once."""
    await pilot.press("slash")
    app.screen.query_one(FilterBar).value = words
    await pressed(app, pilot, "enter")


def table_of(app: Only1App) -> SourceTable:
    return app.screen.query_one(SourceTable)


def toasts(app: Only1App) -> list[str]:
    return [toast.message for toast in app._notifications]


async def settled(app: Only1App, pilot: Pilot[None], what: Any) -> None:
    """Wait until `what()` holds."""
    async with asyncio.timeout(20):
        while not what():
            await pilot.pause()


# --- looks --------------------------------------------------------------------------------------------------


async def test_the_list(size: tuple[int, int], picture: SnapshotAssertion) -> None:
    async with shown(exchanges_control(), size) as (app, pilot):
        await pressed(app, pilot, "4", "k", "k", "m")
        assert svg_of(app) == picture


async def test_a_filtered_list(picture: SnapshotAssertion) -> None:
    async with shown(exchanges_control()) as (app, pilot):
        await pressed(app, pilot, "4", "slash", *"ms:>10 ms:>x", "enter")
        assert svg_of(app) == picture


async def test_every_size_has_the_number_the_target_and_how_it_went() -> None:
    async with shown(exchanges_control()) as (app, pilot):
        await pressed(app, pilot, "4")
        for size in ((60, 20), (80, 24), (120, 36), (200, 60)):
            await pilot.resize_terminal(*size)
            await pulled(app, pilot)
            line = next(line for line in text_of(app).splitlines() if "8803" in line)
            assert "jira__get_issue" in line
            assert "✖ -32603 x3" in line
            assert "following" in text_of(app)
            assert ("SERVER" in text_of(app)) is (size[0] >= 112)


async def test_no_request_yet() -> None:
    async with shown(busy_control()) as (app, pilot):
        await pressed(app, pilot, "4")
        assert "No requests yet." in text_of(app)
        await pressed(app, pilot, "enter", "y", "R", "m", "s", "n")
        assert isinstance(app.screen, RequestsScreen)


# --- what moves ---------------------------------------------------------------------------------------------


async def test_new_ones_are_followed_until_one_moves_up() -> None:
    control = FakeControl()
    control.see(*many_rows(100))
    async with shown(control) as (app, pilot):
        await pressed(app, pilot, "4")
        assert table_of(app).selected == "100"
        await pressed(app, pilot, "k")
        control.see(*many_rows(12, first=101))
        await pulled(app, pilot)
        assert "held, +12 new, f follows" in text_of(app)
        assert table_of(app).selected == "99"
        await pressed(app, pilot, "f")
        assert "● following" in text_of(app)
        assert table_of(app).selected == "112"


async def test_an_open_one_grows_older_and_then_ends_in_its_place() -> None:
    control = FakeControl()
    opened = exchange_row(1, status=ExchangeStatus.OPEN, duration_ms=None)
    control.see(opened, exchange_row(2))
    async with shown(control) as (app, pilot):
        await pressed(app, pilot, "4")
        assert "◌ open" in text_of(app)
        control.see(replace(opened, status=ExchangeStatus.TOOL_ERROR, duration_ms=77.0))
        await pulled(app, pilot)
        lines = [line.split()[0] for line in text_of(app).splitlines() if "github__search" in line]
        assert lines == ["1", "2"]
        assert "◌ open" not in text_of(app)
        assert "▲ tool error" in text_of(app)


async def test_a_paused_list_counts_what_is_new_and_shows_it_at_once_when_released() -> None:
    control = FakeControl()
    control.see(*many_rows(3))
    async with shown(control) as (app, pilot):
        await pressed(app, pilot, "4", "space")
        control.see(*many_rows(120, first=4))
        await pulled(app, pilot)
        control.see(exchange_row(2, duration_ms=1.0), *many_rows(3, first=124))
        await pulled(app, pilot)
        assert "paused, +123 new" in text_of(app)
        await pressed(app, pilot, "k")
        assert "paused, +123 new" in text_of(app)
        await pilot.press("space")
        await pilot.pause()
        assert "126 kept" in text_of(app)


async def test_the_oldest_make_room() -> None:
    control = FakeControl()
    control.see(*many_rows(6000))
    async with shown(control) as (app, pilot):
        await pressed(app, pilot, "4")
        # The first look at a long history comes in pieces, none of which holds the loop for long.
        for _ in range(5):
            await pulled(app, pilot)
        assert "5000 kept" in text_of(app)
        await pressed(app, pilot, "g")
        assert table_of(app).selected == "1001"


async def test_the_filter_stays_while_one_is_elsewhere_and_escape_clears_it() -> None:
    async with shown(exchanges_control()) as (app, pilot):
        await pressed(app, pilot, "4")
        await filtered(app, pilot, "is:retried")
        await pressed(app, pilot, "1", "4")
        assert "2 of 9" in text_of(app)
        assert "filter: is:retried" in text_of(app)
        await pressed(app, pilot, "escape")
        assert "9 kept" in text_of(app)
        await filtered(app, pilot, "nosuch")
        assert "No request matches the filter." in text_of(app)


async def test_a_term_that_cannot_be_understood_is_named() -> None:
    async with shown(exchanges_control(), (80, 24)) as (app, pilot):
        await pressed(app, pilot, "4")
        await filtered(app, pilot, "ms:>abc")
        assert "ms:>abc?" in text_of(app)
        assert "9 of 9" in text_of(app)


async def test_sorting_by_each_column_and_back_to_following() -> None:
    async with shown(exchanges_control()) as (app, pilot):
        await pressed(app, pilot, "4", "S")
        first = next(line for line in text_of(app).splitlines() if "tools/call" in line)
        assert first.split()[0] == "8813"
        await pressed(app, pilot, "S")
        while "by ms" not in text_of(app):
            await pressed(app, pilot, "s")
        assert "MS▼" in text_of(app)
        first = next(line for line in text_of(app).splitlines() if "tools/call" in line)
        assert first.split()[0] == "8805"
        await pressed(app, pilot, "S")
        assert "MS▲" in text_of(app)
        await pressed(app, pilot, "f")
        assert "● following" in text_of(app)
        assert table_of(app).selected == "8813"


async def test_marks_are_kept_and_found() -> None:
    async with shown(exchanges_control()) as (app, pilot):
        await pressed(app, pilot, "4", "g", "m", "m")
        assert "*8801" in text_of(app)
        assert "*8802" in text_of(app)
        await filtered(app, pilot, "is:marked")
        assert "2 of 9" in text_of(app)


# --- copying and exporting ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "words"), [("y", '"target": "github__search_issues"'), ("c", "curl -sS"), ("Y", "Client(")]
)
async def test_copies_go_to_the_clipboard(key: str, words: str) -> None:
    async with shown(exchanges_control()) as (app, pilot):
        await pressed(app, pilot, "4", "k", key)
        await settled(app, pilot, lambda: words in app.clipboard)
        assert "Secrets in it were masked when it was recorded; ••• stands for them." in toasts(app)


async def test_what_cannot_be_copied_is_said() -> None:
    control = exchanges_control()
    for id, detail in control.exchanges.items():
        control.exchanges[id] = replace(detail, messages=())
    async with shown(control) as (app, pilot):
        await pressed(app, pilot, "4", "c")
        await settled(app, pilot, lambda: toasts(app))
        assert "Its body was not kept" in toasts(app)[0]
        assert app.clipboard == ""


async def test_one_that_is_not_kept_any_more_is_said() -> None:
    control = exchanges_control()
    control.exchanges.clear()
    async with shown(control) as (app, pilot):
        await pressed(app, pilot, "4", "y")
        await settled(app, pilot, lambda: toasts(app))
        assert "8813 is not kept any more" in toasts(app)[0]


async def test_an_export_has_the_marked_ones_and_is_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with shown(exchanges_control()) as (app, pilot):
        await pressed(app, pilot, "4", "g", "m", "m", "x")
        await settled(app, pilot, lambda: toasts(app))
    (file,) = tmp_path.glob("only1mcp-exchanges-*.jsonl")
    assert [json.loads(line)["row"]["id"] for line in file.read_text().splitlines()] == [8801, 8802]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert toasts(app)[0].startswith("2 requests written to ")
    assert file.name in toasts(app)[0]


async def test_without_marks_an_export_has_those_that_pass_the_filter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with shown(exchanges_control()) as (app, pilot):
        await pressed(app, pilot, "4")
        await filtered(app, pilot, "status:error")
        await pressed(app, pilot, "x")
        await settled(app, pilot, lambda: toasts(app))
    (file,) = tmp_path.glob("*.jsonl")
    assert [json.loads(line)["row"]["id"] for line in file.read_text().splitlines()] == [8803]


# --- making it again ----------------------------------------------------------------------------------------


async def test_what_only_reads_is_made_again_at_once_and_compared() -> None:
    control = exchanges_control()
    async with shown(control) as (app, pilot):
        await pressed(app, pilot, "4", "k", "R")
        await settled(app, pilot, lambda: isinstance(app.screen, ExchangeScreen))
        await seen(app, pilot, "No difference")
        assert control.replayed == [(8812, None)]


async def test_before_anything_else_one_is_asked_and_the_default_is_no() -> None:
    control = exchanges_control()
    async with shown(control) as (app, pilot):
        await pressed(app, pilot, "4", "g", "j", "j", "j", "R")
        await settled(app, pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pressed(app, pilot, "enter")
        assert isinstance(app.screen, RequestsScreen)
        assert control.replayed == []
        await pressed(app, pilot, "R")
        await settled(app, pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pressed(app, pilot, "y")
        await settled(app, pilot, lambda: control.replayed)
        assert control.replayed == [(8804, None)]


async def test_it_may_go_to_another_server() -> None:
    control = exchanges_control()
    async with shown(control) as (app, pilot):
        await pressed(app, pilot, "4", "k", "E")
        await settled(app, pilot, lambda: isinstance(app.screen, TargetScreen))
        assert "as before (github/a)" in text_of(app)
        await pressed(app, pilot, "j", "j", "enter")
        await settled(app, pilot, lambda: control.replayed)
        assert control.replayed == [(8812, "filesystem")]


async def test_a_choice_that_is_left_makes_nothing() -> None:
    control = exchanges_control()
    async with shown(control) as (app, pilot):
        await pressed(app, pilot, "4", "k", "E")
        await settled(app, pilot, lambda: isinstance(app.screen, TargetScreen))
        await pressed(app, pilot, "escape")
        assert isinstance(app.screen, RequestsScreen)
        assert control.replayed == []


async def test_why_it_cannot_be_made_again_is_said() -> None:
    control = exchanges_control()
    async with shown(control) as (app, pilot):
        await pressed(app, pilot, "4", "g", *"jjjj", "R")
        await settled(app, pilot, lambda: toasts(app))
        assert toasts(app) == ["It cannot be made again: Its body was cut when it was recorded."]
        control.refusal = NotReplayable("Its session has ended.")
        await pressed(app, pilot, "G", "k", "R")
        await settled(app, pilot, lambda: len(toasts(app)) > 1)
        assert "Its session has ended." in toasts(app)


async def test_the_palette_has_its_verbs() -> None:
    control = exchanges_control()
    async with shown(control) as (app, pilot):
        await pressed(app, pilot, "4")
        names = {command.title for command in app.get_system_commands(app.screen)}
        assert {"Copy the request as curl", "Replay the request", "Export requests"} <= names
        await pressed(app, pilot, "1")
        names = {command.title for command in app.get_system_commands(app.screen)}
        assert "Replay the request" not in names
