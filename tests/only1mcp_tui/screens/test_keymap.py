"""Keys of one's own: they work, they are shown, and what is wrong with them is said."""

import pytest

from only1mcp_tui.screens.keymap import is_key, notice
from proxy_core.config.models import TuiConfig
from tests.support.screens import busy_control, pulled, seen, shown, text_of


async def test_another_key_does_it_and_the_footer_shows_it() -> None:
    control = busy_control()
    async with shown(control, tui=TuiConfig(keys={"probe": "x,ctrl+t"})) as (app, pilot):
        assert " x Probe" in text_of(app)
        await pilot.press("p")
        await pilot.press("x")
        await seen(app, pilot, "answered in")
        await pilot.press("ctrl+t")
        while len(control.asked) < 2:
            await pilot.pause()
    assert control.asked == [("probe", "github")] * 2


async def test_a_key_of_the_whole_app_and_one_of_a_list_change_too() -> None:
    keys = {"switch-mode-logs": "f5", "top": "home,ctrl+g"}
    async with shown(busy_control(), tui=TuiConfig(keys=keys)) as (app, pilot):
        await pilot.press("f5")
        await pilot.pause()
        assert app.current_mode == "logs"


async def test_an_unknown_action_is_named_with_the_nearest() -> None:
    async with shown(busy_control(), tui=TuiConfig(keys={"drian": "x"})) as (app, _):
        assert "tui.keys: there is no action drian (nearest: drain)." in text_of(app)


async def test_two_actions_on_one_key_are_told() -> None:
    async with shown(busy_control(), tui=TuiConfig(keys={"probe": "d"})) as (app, _):
        assert "drain and probe are both on d" in text_of(app)


async def test_what_is_no_key_is_told_and_the_rest_is_used() -> None:
    keys = {"probe": "strg+x", "restart": "R"}
    async with shown(busy_control(), tui=TuiConfig(keys=keys)) as (app, _):
        assert "strg+x for probe is no key" in text_of(app)
        assert " R Restart" in text_of(app)
        assert " p Probe" in text_of(app)


async def test_a_reload_changes_them_at_once() -> None:
    async with shown(busy_control(), tui=TuiConfig(keys={"nothing": "x"})) as (app, pilot):
        assert "no action nothing" in text_of(app)
        app.use_tui(TuiConfig(keys={"probe": "x"}))
        await pulled(app, pilot)
        assert "no action" not in text_of(app)
        assert " x Probe" in text_of(app)


async def test_our_own_keys_do_not_clash() -> None:
    async with shown(busy_control(), tui=TuiConfig(keys={"probe": "p", "drain": "d"})) as (app, _):
        assert "tui.keys" not in text_of(app)


@pytest.mark.parametrize("key", ["a", "A", "?", "f1", "ctrl+x", "shift+tab", "space", "question_mark", "enter"])
def test_keys_are_known(key: str) -> None:
    assert is_key(key)


@pytest.mark.parametrize("key", ["", "strg+x", "ctrl+", "hello", "f99"])
def test_other_words_are_none(key: str) -> None:
    assert not is_key(key)


def test_many_faults_become_one_sentence() -> None:
    assert notice([]) == ""
    assert notice([f"fault {number}" for number in range(6)]).endswith("fault 3; and 2 more.")
