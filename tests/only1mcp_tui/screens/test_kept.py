"""What a person chose outlives the run, and nothing that is wrong with the file matters."""

from pathlib import Path

import pytest

from only1mcp_tui.screens.kept import MAX_KEYS, Kept, kept_path
from proxy_core.config.models import TuiConfig
from tests.support.screens import busy_control, pulled, shown


async def test_what_was_put_is_there_in_the_next_run_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "only1mcp" / "screen.json"
    kept = Kept(path)
    kept.put("theme", "nord")
    kept.put("a", 3)
    assert not path.exists()
    await kept.save()
    again = Kept(path)
    assert (again.get("theme", ""), again.get("a", 0), again.get("b", True)) == ("nord", 3, True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


async def test_nothing_is_written_where_nothing_changed(tmp_path: Path) -> None:
    path = tmp_path / "screen.json"
    kept = Kept(path)
    kept.put("a", 3)
    await kept.save()
    path.unlink()
    kept.put("a", 3)
    await kept.save()
    assert not path.exists()


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "\xff", '{"a": {"b": 1}}', '{"a": "' + "x" * 600 + '"}', "[" * 9999]
)
def test_a_foreign_file_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    (path := tmp_path / "screen.json").write_text(text, encoding="latin-1")
    assert Kept(path).get("a", "default") == "default"


def test_a_value_of_another_type_is_not_believed() -> None:
    kept = Kept()
    kept.put("a", "text")
    assert kept.get("a", 1) == 1
    kept.put("b", True)
    assert kept.get("b", 1) == 1


def test_it_is_bounded() -> None:
    kept = Kept()
    for number in range(MAX_KEYS + 10):
        kept.put(f"key {number}", number)
    kept.put("key 0", "x" * 1000)
    assert kept.get(f"key {MAX_KEYS}", -1) == -1
    assert kept.get("key 0", -1) == 0


async def test_a_folder_that_cannot_be_written_is_no_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    kept = Kept(tmp_path / "file" / "screen.json")
    for number in range(2):
        kept.put("a", number)
        await kept.save()
    assert len(caplog.records) == 1


def test_the_state_folder_is_the_platforms(tmp_path: Path) -> None:
    assert kept_path({"XDG_STATE_HOME": str(tmp_path)}) == tmp_path / "only1mcp" / "screen.json"
    assert kept_path({"HOME": "/home/ada", "XDG_STATE_HOME": "relative"}).name == "screen.json"


async def test_theme_screen_and_order_come_back() -> None:
    kept = Kept()
    async with shown(busy_control(), kept=kept) as (app, pilot):
        app.theme = "nord"
        await pilot.press("s", "s", "S", "2")
        await pulled(app, pilot)
    async with shown(busy_control(), kept=kept) as (app, pilot):
        await pilot.pause()
        assert (app.theme, app.current_mode) == ("nord", "servers")
        await pilot.press("1")
        await pulled(app, pilot)
        order = app.screen.order  # type: ignore[attr-defined]
        assert (order.column, order.is_reversed) == ("state", True)


async def test_what_the_configuration_says_wins() -> None:
    kept = Kept()
    kept.put("theme", "nord")
    kept.put("screen", "logs")
    async with shown(busy_control(), kept=kept, tui=TuiConfig(theme="gruvbox", screen="servers")) as (
        app,
        pilot,
    ):
        await pilot.pause()
        assert (app.theme, app.current_mode) == ("gruvbox", "servers")
    assert kept.get("theme", "") == "nord"


async def test_it_is_written_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "screen.json"
    async with shown(busy_control(), kept=Kept(path)) as (_, pilot):
        await pilot.press("5")
        await pilot.pause()
    assert Kept(path).get("screen", "") == "logs"
