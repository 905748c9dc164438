"""The plan of a reload: shown before anything is done, and done only if a person says so."""

import pytest
from syrupy.assertion import SnapshotAssertion

from only1mcp_tui.screens.plan import PlanScreen
from only1mcp_tui.widgets.log_view import LogView
from proxy_core.control import Action, PlannedServer, ReloadPlan
from proxy_core.errors import NothingToRollBack
from proxy_core.telemetry.snapshot import ConfigStatus
from tests.support.fake_control import FakeControl
from tests.support.screens import (
    FAULTS,
    PLAN,
    bad_file_control,
    pulled,
    replicated_control,
    seen,
    shown,
    svg_of,
    text_of,
)


def control_with(plan: ReloadPlan = PLAN, can_roll_back: bool = True) -> FakeControl:
    control = replicated_control(config=ConfigStatus(version=3, can_roll_back=can_roll_back))
    control.plan = plan
    return control


async def test_a_plan_of_nothing(size: tuple[int, int], picture: SnapshotAssertion) -> None:
    async with shown(control_with(ReloadPlan()), size) as (app, pilot):
        await pilot.press("ctrl+r")
        await pulled(app, pilot)
        assert svg_of(app) == picture


@pytest.mark.parametrize("mode", ["1", "2", "5"])
async def test_every_screen_shows_the_plan_and_y_applies_it(mode: str) -> None:
    control = control_with()
    async with shown(control) as (app, pilot):
        await pilot.press(mode, "ctrl+r")
        await seen(app, pilot, "Reload the configuration?")
        assert (control.plans, control.reloads) == (1, 0)
        await pilot.press("y")
        await seen(app, pilot, "added newcomer")
        assert control.reloads == 1
        assert not isinstance(app.screen, PlanScreen)


@pytest.mark.parametrize("key", ["n", "escape", "q", "enter"])
async def test_leaving_is_what_happens_by_default(key: str) -> None:
    control = control_with()
    async with shown(control) as (app, pilot):
        await pilot.press("ctrl+r", key)
        await app.workers.wait_for_complete()
        assert not isinstance(app.screen, PlanScreen)
        assert (control.reloads, control.rollbacks) == (0, 0)


async def test_enter_applies_once_its_button_has_the_focus() -> None:
    control = control_with()
    async with shown(control) as (app, pilot):
        await pilot.press("ctrl+r", "left", "enter")
        await app.workers.wait_for_complete()
        assert control.reloads == 1


async def test_b_rolls_back_where_there_is_something_to_go_back_to() -> None:
    control = control_with()
    async with shown(control) as (app, pilot):
        await pilot.press("ctrl+r", "b")
        await seen(app, pilot, "The earlier configuration is in force")
        assert (control.reloads, control.rollbacks) == (0, 1)


async def test_b_does_nothing_where_there_is_not() -> None:
    control = control_with(can_roll_back=False)
    async with shown(control) as (app, pilot):
        await pilot.press("ctrl+r", "b")
        await pulled(app, pilot)
        assert isinstance(app.screen, PlanScreen)
        assert "Roll back" not in text_of(app)
        assert control.rollbacks == 0


@pytest.mark.parametrize("control", [bad_file_control(), control_with(ReloadPlan())])
async def test_nothing_can_be_applied_where_there_is_nothing_to_apply(control: FakeControl) -> None:
    async with shown(control) as (app, pilot):
        await pilot.press("ctrl+r", "y")
        await pulled(app, pilot)
        assert isinstance(app.screen, PlanScreen)
        assert "Apply" not in text_of(app)
        assert control.reloads == 0


async def test_a_file_that_went_bad_meanwhile_is_told_with_its_first_fault() -> None:
    control = control_with()
    async with shown(control) as (app, pilot):
        await pilot.press("ctrl+r")
        await seen(app, pilot, "newcomer")
        control.fault = FAULTS
        await pilot.press("y")
        await seen(app, pilot, "(and 2 more)")
        assert control.reloads == 0


async def test_the_plan_is_asked_anew_each_time() -> None:
    control = control_with()
    async with shown(control) as (app, pilot):
        await pilot.press("ctrl+r", "escape")
        control.plan = ReloadPlan(settings=("limits.calls",))
        await pilot.press("ctrl+r")
        await seen(app, pilot, "limits.calls")
        assert "newcomer" not in text_of(app)
        assert control.plans == 2


async def test_a_second_ctrl_r_opens_no_second_plan() -> None:
    control = control_with()
    async with shown(control) as (app, pilot):
        await pilot.press("ctrl+r")
        app.action_reload()
        await pulled(app, pilot)
        assert sum(isinstance(screen, PlanScreen) for screen in app.screen_stack) == 1
        await pilot.press("escape")
        await pulled(app, pilot)
        assert not isinstance(app.screen, PlanScreen)


async def test_a_long_plan_scrolls_and_its_buttons_stay_in_sight() -> None:
    plan = ReloadPlan(servers=tuple(PlannedServer(f"server-{at:03}", Action.ADD) for at in range(200)))
    async with shown(control_with(plan), (80, 24)) as (app, pilot):
        await pilot.press("ctrl+r")
        await seen(app, pilot, "server-000")
        assert "y  Apply" in text_of(app)
        await pilot.press("G")
        await seen(app, pilot, "server-199")
        assert "y  Apply" in text_of(app)
        await pilot.press("k")
        await pulled(app, pilot)
        assert "server-199" not in text_of(app)
        await pilot.press("g")
        await seen(app, pilot, "server-000")


async def test_a_terminal_that_grows_shows_more_of_it() -> None:
    async with shown(control_with(), (80, 24)) as (app, pilot):
        await pilot.press("ctrl+r")
        await seen(app, pilot, "newcomer")
        before = app.screen.query_one(LogView).size.height
        await pilot.resize_terminal(120, 40)
        await pulled(app, pilot)
        assert app.screen.query_one(LogView).size.height > before
        assert "proxy.port" in text_of(app)


async def test_the_palette_has_reload_and_rollback() -> None:
    control = control_with()
    async with shown(control) as (app, pilot):
        commands = {command.title: command for command in app.get_system_commands(app.screen)}
        commands["Reload configuration ..."].callback()
        await seen(app, pilot, "newcomer")
        await pilot.press("escape")
        commands["Roll back to the previous configuration"].callback()
        await seen(app, pilot, "Roll back the configuration?")
        await pilot.press("y")
        await app.workers.wait_for_complete()
        assert control.rollbacks == 1


async def test_without_an_earlier_configuration_the_palette_offers_none() -> None:
    async with shown(control_with(can_roll_back=False)) as (app, _):
        titles = {command.title for command in app.get_system_commands(app.screen)}
    assert "Roll back to the previous configuration" not in titles
    assert "Reload configuration ..." in titles


async def test_a_refused_rollback_is_told() -> None:
    control = control_with()
    control.refusal = NothingToRollBack()
    async with shown(control) as (app, pilot):
        await pilot.press("ctrl+r", "b")
        await seen(app, pilot, "no earlier configuration")
