"""Faults on purpose from the screen: chosen in a dialog, marked in the table, ended by the same key."""

import pytest
from msgspec.structs import replace
from syrupy.assertion import SnapshotAssertion
from textual.widgets import Input, Select

from only1mcp_tui.app import Only1App
from only1mcp_tui.screens.drill import DrillScreen
from only1mcp_tui.view.targets import Target, reason_of
from proxy_core.errors import NotAllowed
from proxy_core.telemetry.snapshot import Notice
from tests.support.fake_control import FakeControl
from tests.support.screens import GITHUB, busy_control, pulled, replicated_control, seen, shown, svg_of, text_of

ON = "delay 500 ms, 42 s left"
NOTICE = Notice("warning", "FAULT DRILL at github (delay 500 ms): what fails there is made to fail.")


def allowed(control: FakeControl | None = None) -> FakeControl:
    control = control or busy_control()
    control.use(drills_allowed=True)
    return control


def drilled() -> FakeControl:
    control = allowed()
    first, *others = control.current.servers
    control.use(replace(first, drill=ON), *others, notices=(NOTICE,))
    return control


def fill(app: Only1App, kind: str, **values: str) -> None:
    app.screen.query_one("#kind", Select).value = kind
    for id, value in values.items():
        app.screen.query_one(f"#{id}", Input).value = value


async def test_the_table_while_a_drill_is_on(picture: SnapshotAssertion) -> None:
    async with shown(drilled(), (120, 36)) as (app, _):
        assert svg_of(app) == picture


async def test_without_leave_there_is_no_such_key() -> None:
    control = busy_control()
    async with shown(control) as (app, pilot):
        for mode in ("overview", "servers"):
            await app.switch_mode(mode)
            await pulled(app, pilot)
            assert "Fault drill" not in text_of(app)
            await pilot.press("F")
            await app.workers.wait_for_complete()
            assert (control.asked, isinstance(app.screen, DrillScreen)) == ([], False)
        assert not [each for each in app.get_system_commands(app.screen) if "drill" in each.title]


@pytest.mark.parametrize("key", ["enter", "escape"])
async def test_nothing_is_begun_by_default(key: str) -> None:
    control = allowed()
    async with shown(control) as (app, pilot):
        await pilot.press("F", key)
        await app.workers.wait_for_complete()
        assert control.asked == []


@pytest.mark.parametrize(
    ("kind", "values", "begun"),
    [
        ("delay", {"delay": "250", "for": "30"}, ("github", "delay", 250.0, 1.0, 30.0)),
        ("error", {"share": "25", "for": "10"}, ("github", "error", 0.0, 0.25, 10.0)),
        ("kill", {}, ("github", "kill", 0.0, 1.0, 60.0)),
    ],
)
async def test_the_chosen_fault_is_begun(kind: str, values: dict[str, str], begun: tuple[object, ...]) -> None:
    control = allowed()
    async with shown(control) as (app, pilot):
        await pilot.press("F")
        await pilot.pause()
        fill(app, kind, **values)
        await pilot.pause()
        app.screen.query_one("#yes").focus()
        await pilot.press("enter")
        await app.workers.wait_for_complete()
        assert control.drills == [begun]


async def test_only_what_the_kind_needs_is_asked_for() -> None:
    async with shown(allowed()) as (app, pilot):
        await pilot.press("F")
        await pulled(app, pilot)
        assert "delay of each call" in text_of(app)
        fill(app, "error")
        await pulled(app, pilot)
        assert "calls that fail" in text_of(app)
        assert "delay of each call" not in text_of(app)


@pytest.mark.parametrize(
    ("kind", "id", "value"), [("delay", "delay", "x"), ("error", "share", "101"), ("error", "for", "0")]
)
async def test_a_number_that_cannot_be_is_said(kind: str, id: str, value: str) -> None:
    control = allowed()
    async with shown(control) as (app, pilot):
        await pilot.press("F")
        await pilot.pause()
        fill(app, kind, **{id: value})
        await pilot.pause()
        app.screen.query_one("#yes").focus()
        await pilot.press("enter")
        await seen(app, pilot, "must be a number above 0")
        assert control.asked == []


async def test_the_same_key_ends_it_at_once() -> None:
    control = drilled()
    async with shown(control) as (app, pilot):
        assert "DRILL healthy" in text_of(app)
        assert "End drill" in text_of(app)
        await pilot.press("F")
        await app.workers.wait_for_complete()
        assert control.asked == [("end_drill", "github")]


async def test_a_replica_is_drilled_by_its_own_name() -> None:
    control = allowed(replicated_control())
    async with shown(control) as (app, pilot):
        await pilot.press("down", "F")
        await pilot.pause()
        app.screen.query_one("#yes").focus()
        await pilot.press("enter")
        await app.workers.wait_for_complete()
        assert [target for target, *_ in control.drills] == ["github/a"]


async def test_a_refusal_is_told() -> None:
    control = allowed()
    control.refusal = NotAllowed("Fault drills are not allowed here.")
    async with shown(control) as (app, pilot):
        await pilot.press("F")
        await pilot.pause()
        app.screen.query_one("#yes").focus()
        await pilot.press("enter")
        await seen(app, pilot, "not allowed here")


async def test_the_palette_begins_and_ends_them() -> None:
    async with shown(drilled()) as (app, _):
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert "End the fault drill at github" in titles
        assert "Fault drill at filesystem ..." in titles


def test_a_healthy_row_under_a_drill_is_no_good_news() -> None:
    row = replace(GITHUB, drill=ON)
    assert reason_of(row, 0.0) == f"DRILL {ON}"
    assert Target(row).look.word == "healthy"
