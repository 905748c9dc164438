"""Read-only: nothing that changes something is offered, and nothing gets through."""

import pytest

from only1mcp_tui import messages
from only1mcp_tui.screens.palette import commands_of
from only1mcp_tui.screens.readonly import READS, REFUSAL, guarded
from proxy_core.config.models import TuiConfig
from proxy_core.control import Control
from proxy_core.errors import Only1Error
from tests.support.fake_control import FakeControl, row_of, snapshot_of
from tests.support.screens import busy_control, pulled, seen, shown, text_of


async def test_every_verb_of_the_front_door_is_refused_unless_it_only_looks() -> None:
    is_readonly = True
    control = guarded(FakeControl(snapshot_of([row_of("a")])), lambda: is_readonly)
    given = {"drain": ("a",), "call": ("a__b", {}), "replay": (1,), "set_log_level": ("debug",)}
    for verb in (
        name
        for name, of in vars(Control).items()
        if getattr(of, "__code__", None) and of.__code__.co_flags & 0x80
    ):
        if verb in READS:
            continue
        with pytest.raises(Only1Error, match="Read-only"):
            await getattr(control, verb)(*given.get(verb, ()))
    assert control.snapshot().servers[0].id == "a"
    assert (await control.probe("a")).error is None
    is_readonly = False
    assert (await control.drain("a")).finished == 2


async def test_keys_and_palette_offer_no_change_and_the_title_says_so() -> None:
    control = busy_control()
    async with shown(control, readonly=True) as (app, pilot):
        assert "READONLY" in text_of(app)
        footer = text_of(app).splitlines()[-1]
        assert "Probe" in footer
        assert not {"Drain", "Restart", "Disable", "Import"} & set(footer.split())
        await pilot.press("d", "D", "r", "e", "C", "i")
        await pulled(app, pilot)
        names = {command.name for command in commands_of(app, app.screen)}
        await pilot.press("p")
        await seen(app, pilot, "answered in")
    assert control.asked == [("probe", "github")]
    assert not [
        name for name in names if name.startswith(("Drain", "Restart", "Disable", "Clear", "Import", "Set the"))
    ]
    assert "Probe github" in names


@pytest.mark.parametrize(
    "wish",
    [
        messages.DrainRequested("github"),
        messages.RestartRequested("github"),
        messages.ClearCacheRequested("*"),
        messages.DrainAllRequested(),
        messages.ImportRequested(),
    ],
    ids=lambda wish: type(wish).__name__,
)
async def test_a_message_does_not_sneak_past(wish: messages.ServerIntent) -> None:
    control = busy_control()
    async with shown(control, tui=TuiConfig(readonly=True)) as (app, pilot):
        app.post_message(wish)
        await seen(app, pilot, REFUSAL)
        assert len(app.screen_stack) == 1
    assert control.asked == []


async def test_a_plan_is_shown_and_cannot_be_applied() -> None:
    control = busy_control()
    async with shown(control, readonly=True) as (app, pilot):
        await pilot.press("ctrl+r")
        await seen(app, pilot, "Close")
        await pilot.press("y", "b", "escape")
        await pulled(app, pilot)
    assert (control.reloads, control.rollbacks) == (0, 0)


async def test_it_follows_the_configuration_and_the_gateway_that_is_watched() -> None:
    control = busy_control()
    async with shown(control) as (app, pilot):
        assert not app.is_readonly
        app.use_tui(TuiConfig(readonly=True))
        await pulled(app, pilot)
        assert "READONLY" in text_of(app)
        app.use_tui(TuiConfig())
        await pulled(app, pilot)
        assert "READONLY" not in text_of(app)
        control.is_readonly = True  # type: ignore[attr-defined]
        await pulled(app, pilot)
        assert "READONLY" in text_of(app)
