"""Logs: follow, hold, filter."""

from syrupy.assertion import SnapshotAssertion

from tests.support.screens import busy_control, log_lines, pulled, shown, svg_of, text_of


async def test_the_end_of_the_log(size: tuple[int, int], picture: SnapshotAssertion) -> None:
    control = busy_control()
    control.log(*log_lines(200))
    async with shown(control, size) as (app, pilot):
        await pilot.press("5")
        await pulled(app, pilot)
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
        assert "held" in text_of(app)
        await pilot.press("f")
        await pilot.pause()
        assert "line 299 " in text_of(app)
        assert "following" in text_of(app)


async def test_a_level_finds_what_is_worse_too() -> None:
    control = busy_control()
    control.log(*log_lines(12))
    async with shown(control) as (app, pilot):
        await pilot.press("5", "slash", *"level:warn !src:jira")
        await pulled(app, pilot)
        seen = [line.split()[1:3] for line in text_of(app).splitlines() if " line " in line]
    assert {level for level, _ in seen} == {"warning", "error"}
    assert "jira" not in {source for _, source in seen}


async def test_the_oldest_lines_make_room() -> None:
    control = busy_control()
    control.log(*log_lines(6000))
    async with shown(control) as (app, pilot):
        await pilot.press("5")
        await pulled(app, pilot)
        assert "5000 of 5000 lines" in text_of(app)


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
