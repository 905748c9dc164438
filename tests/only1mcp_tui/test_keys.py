"""Every key of every screen and dialog: it has an action and one meaning, and pressing it breaks nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.actions import parse
from textual.binding import Binding
from textual.dom import DOMNode
from textual.pilot import Pilot

from only1mcp_tui.app import SCREENS, Only1App
from only1mcp_tui.screens.servers import ServersScreen
from proxy_core.config.models import TuiConfig
from tests.support.dialogs import HOUSES, STEPPED, Opened, come, house, leave, stand
from tests.support.fake_control import FakeControl
from tests.support.key_map import OURS
from tests.support.scenes import healthy
from tests.support.screens import busy_control, pulled, shown, text_of

MODES = tuple(Opened(mode, (key,), "Overview") for key, mode in zip("12345", SCREENS, strict=True))
SHADOWED = {
    ("pagedown", "scroll_help(1)"): "only while the help is open, which has no focus of its own",
    ("pageup", "scroll_help(-1)"): "only while the help is open, which has no focus of its own",
    ("slash", "filter"): "in the tools of a server it searches them, and not the servers beside them",
    ("escape", "back"): "a dialog first goes back inside itself",
    ("enter", "leave"): "closes the log line that Enter has opened: there is nothing to open in it",
    ("ctrl+c", "help_quit"): "Textual's own: it copies what is selected, and says how to quit where nothing is",
}
"""Key, and the action that gives way to one nearer to the focus: why."""
LEAVING = {"ctrl+q"}
"""Quits at once, wherever one is: tested where quitting is."""


def bindings_of(app: Only1App) -> Iterator[tuple[DOMNode, Binding]]:
    """Ours that a key is looked up in now, those nearest to the focus first."""
    for node, bindings in app.screen._modal_binding_chain:
        for group in bindings.key_to_bindings.values():
            for binding in group:
                if type(node).__module__.startswith(OURS):
                    yield node, binding


async def arrive(app: Only1App, pilot: Pilot[None], name: str, place: Opened) -> None:
    """From Overview; in a house of steps over all that come before."""
    places = HOUSES[name].opened
    steps = places[: places.index(place)] if place in places and name in STEPPED else ()
    first_tab(app)
    for step in (*steps, place):
        await come(app, pilot, step)


def first_tab(app: Only1App) -> None:
    """Tabs stay as they are while one is elsewhere."""
    for screen in app._screen_stacks.get("servers", ()):
        if isinstance(screen, ServersScreen) and screen.is_mounted:
            screen.action_show_tab(0)


def faults_of(app: Only1App) -> list[str]:
    """Keys without an action, and keys with two meanings."""
    faults = []
    first: dict[str, tuple[DOMNode, Binding]] = {}
    for node, binding in bindings_of(app):
        target, name, _ = parse(binding.action)
        owner = {"app": app, "screen": app.screen}.get(target, node)
        if not (hasattr(owner, f"action_{name}") or hasattr(owner, f"_action_{name}")):
            faults.append(f"{type(node).__name__} has no action {name} for {binding.key}")
        nearest, other = first.setdefault(binding.key, (node, binding))
        if other.action != binding.action and (binding.key, binding.action) not in SHADOWED:
            owners = f"{type(nearest).__name__} {other.action}, {type(node).__name__} {binding.action}"
            faults.append(f"{binding.key}: {owners}")
    return faults


async def test_the_keys_of_the_main_screens_have_actions_and_one_meaning_each() -> None:
    async with house("well", (120, 36)) as (app, pilot):
        for place in MODES:
            await come(app, pilot, place)
            assert faults_of(app) == [], place.name


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in HOUSES if name not in ("closing", "welcome", "long")])
async def test_every_key_is_pressed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pressed: set[tuple[str, str]] = set()
    # A tool that is approved waits no more, and what the next keys are pressed on is gone with it.
    monkeypatch.setattr(FakeControl, "approve", approve_again_and_again)
    async with house(name, (120, 36)) as (app, pilot):
        for place in (*(MODES if name == "well" else ()), *HOUSES[name].opened):
            await arrive(app, pilot, name, place)
            assert faults_of(app) == [], place.name
            await press_all(app, pilot, name, place, pressed)
            await leave(app, pilot)


async def approve_again_and_again(
    self: FakeControl, server: str, tool: str | None = None, *_: str
) -> tuple[str]:
    return (tool or server,)


async def test_the_picture_of_a_screen_is_saved_where_one_is_and_a_failure_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether or not the home has a folder for downloads."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "bare"))
    async with house("well", (120, 36)) as (app, pilot):
        await pilot.press("ctrl+s")
        await app.workers.wait_for_complete()
        (saved,) = tmp_path.glob("only1mcp-screen-*.svg")
        assert saved.read_text().startswith("<svg ") and "github" in saved.read_text()
        assert saved.stat().st_mode & 0o777 == 0o600
        assert str(saved) in [note.message for note in app._notifications][-1]
        monkeypatch.setattr(Path, "cwd", lambda: tmp_path / "gone")
        await pilot.press("ctrl+s")
        await app.workers.wait_for_complete()
        assert "was not saved: [Errno 2] No such file" in [note.message for note in app._notifications][-1]


async def press_all(
    app: Only1App, pilot: Pilot[None], name: str, place: Opened, pressed: set[tuple[str, str]]
) -> None:
    keys = [(type(node).__name__, binding.key) for node, binding in bindings_of(app)]
    for owner, key in dict.fromkeys(keys):
        if (owner, key) in pressed or key in LEAVING or (key == "q" and place.name == "overview"):
            continue
        pressed.add((owner, key))
        screen = app.screen
        await pilot.press(key)
        await pulled(app, pilot)
        app.clear_notifications()
        where = f"{key} of {owner} on {place.name}"
        assert app.is_running, where
        assert "screen" not in app._alarms, where
        if app.screen is not screen or app.screen.query("HelpPanel") or app._is_paused:
            if app._is_paused:
                await pilot.press("space")
            await leave(app, pilot)
            await arrive(app, pilot, name, place)


@pytest.mark.parametrize(
    ("mode", "action", "before", "words"),
    [
        ("overview", "drain", (), "Drain github?"),
        ("servers", "turn-tab-1", (), "timeouts"),
        ("metrics", "zoom", (), ""),
        ("requests", "open", (), "Timeline"),
        ("logs", "set-level", (), "What the gateway writes"),
        ("names", "reverse", ("N",), ""),
    ],
)
async def test_a_key_of_ones_own_does_it_on_every_screen(
    mode: str, action: str, before: tuple[str, ...], words: str
) -> None:
    async with shown(healthy(), tui=TuiConfig(keys={action: "f8"})) as (app, pilot):
        await pilot.press(*(before or (str(list(SCREENS).index(mode) + 1),)))
        await pulled(app, pilot)
        assert "tui.keys" not in text_of(app)
        was = text_of(app)
        for _ in range(5 if mode == "servers" else 1):
            await pilot.press("f8")
            await pulled(app, pilot)
        assert text_of(app) != was
        await stand(app, pilot, words)


LEVELS = {
    "a tool of a server": ("2", "enter", "right_square_bracket", "enter"),
    "a filter": ("2", "slash", *"github", "enter"),
    "a request with words to find": ("4", "enter", "slash", *"id", "enter"),
    "a plot alone": ("3", "z"),
    "one source of the log": ("5", "s"),
    "names": ("N",),
    "names with a filter": ("2", "N", "slash", *"read", "enter"),
    "the help": ("5", "question_mark"),
}
DEEP = {
    "a tool of a server": 3,
    "a filter": 2,
    "a request with words to find": 3,
    "a plot alone": 2,
    "one source of the log": 2,
    "names": 1,
    "names with a filter": 3,
    "the help": 2,
}
"""How often one goes back until Overview is there as it was."""


@pytest.mark.parametrize("way", LEVELS)
async def test_back_is_one_level_at_a_time(way: str) -> None:
    async with shown(healthy(), (80, 24)) as (app, pilot):
        for back in ("escape", "q"):
            for key in LEVELS[way]:
                await pilot.press(key)
                await pulled(app, pilot)
            for step in range(DEEP[way]):
                assert not is_home(app), f"{back} {step} of {DEEP[way]}"
                await pilot.press(back)
                await pulled(app, pilot)
            assert is_home(app), text_of(app)
            first_tab(app)
        assert app.is_running


def is_home(app: Only1App) -> bool:
    return app.current_mode == app.DEFAULT_MODE and len(app.screen_stack) == 1 and not app.query("HelpPanel")


async def test_q_leaves_only_from_the_top_of_the_first_screen() -> None:
    control = busy_control()
    async with shown(control) as (app, pilot):
        await pilot.press("3", "q")
        await pulled(app, pilot)
        assert is_home(app) and app.is_running
        await pilot.press("q")
        await stand(app, pilot, "in flight")
        await pilot.press("y")
        await app.workers.wait_for_complete()
        assert app._exit


async def test_the_help_is_scrolled_by_keys_while_it_is_open() -> None:
    async with shown(healthy(), (80, 24)) as (app, pilot):
        await pilot.press("2", "question_mark")
        await pulled(app, pilot)
        await pulled(app, pilot)
        panel = app.screen.query_one("HelpPanel")
        await pilot.press("pagedown")
        await pulled(app, pilot)
        assert panel.scroll_offset.y > 0
        await pilot.press("pageup", "question_mark", "pagedown")
        await pulled(app, pilot)
        assert not app.screen.query("HelpPanel")
