"""A tool called by hand: form, raw JSON, question, answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import Input, Select, TextArea

from only1mcp_tui.app import Only1App
from only1mcp_tui.screens import calling
from only1mcp_tui.screens.call_fields import FieldBox
from only1mcp_tui.screens.calling import CallScreen
from proxy_core.errors import BackendTimeout
from tests.only1mcp_tui.test_untrusted_text import EVIL
from tests.support.fake_control import FakeControl
from tests.support.screens import pulled, shown, text_of
from tests.support.server_scene import TOOLS, server_control, tool

CREATE, SEARCH, DELETE, ODD = range(4)


@pytest.fixture(autouse=True)
def steady_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock is 12 ms later."""
    ticks = count()
    monkeypatch.setattr(calling, "monotonic", lambda: next(ticks) * 0.012)


@asynccontextmanager
async def opened(
    number: int, control: FakeControl | None = None, size: tuple[int, int] = (120, 36)
) -> AsyncIterator[tuple[Only1App, Pilot[None], FakeControl]]:
    """The form of the tool with this place in the list."""
    control = control or server_control()
    async with shown(control, size) as (app, pilot):
        await pilot.press("2", "right_square_bracket", "l")
        await pulled(app, pilot)
        await pilot.press(*["j"] * number, "c")
        await ready(app, pilot)
        yield app, pilot, control


async def seen(app: Only1App, pilot: Pilot[None], words: str) -> None:
    """Wait until `words` stand on the screen, and fail if they never do."""
    for _ in range(200):
        if words in text_of(app):
            return
        await pilot.pause()
    raise AssertionError(text_of(app))


async def closed(app: Only1App, pilot: Pilot[None]) -> None:
    for _ in range(200):
        if not isinstance(app.screen, CallScreen):
            return
        await pilot.pause()
    raise AssertionError(text_of(app))


async def asked(app: Only1App, pilot: Pilot[None]) -> None:
    """Wait for the question."""
    await seen(app, pilot, "y  Call")


async def ready(app: Only1App, pilot: Pilot[None]) -> CallScreen:
    for _ in range(200):
        if isinstance(app.screen, CallScreen) and app.screen._tool is not None:
            break
        await pilot.pause()
    await pilot.pause()
    assert isinstance(app.screen, CallScreen)
    return app.screen


def field(app: Only1App, label: str) -> Any:
    box = next(box for box in app.screen.query(FieldBox) if box.field.label == label)
    return box.query_one("Input, Select, TextArea")


async def ended(app: Only1App, pilot: Pilot[None]) -> None:
    await app.workers.wait_for_complete()
    await pilot.pause()


async def test_a_tool_that_only_reads_is_called_at_once_with_its_defaults() -> None:
    async with opened(SEARCH) as (app, pilot, control):
        await pilot.press(*"mill", "f5")
        await seen(app, pilot, "It answered")
        assert control.called == [("github__search", {"words": "mill", "limit": 10})]


async def test_what_is_wrong_stands_at_the_field_and_nothing_is_called() -> None:
    async with opened(SEARCH) as (app, pilot, control):
        field(app, "limit").value = "many"
        await pilot.press("f5")
        await pilot.pause()
        assert "✖ It is required." in text_of(app)
        assert "✖ It must be a whole number." in text_of(app)
        assert "2 of the arguments are not right yet." in text_of(app)
        assert app.focused is field(app, "words")
        assert control.called == []


@pytest.mark.parametrize(("number", "key"), [(DELETE, "enter"), (ODD, "escape")])
async def test_a_tool_that_may_change_something_is_asked_about_and_the_default_is_no(
    number: int, key: str
) -> None:
    async with opened(number) as (app, pilot, control):
        await pilot.press("f5")
        await asked(app, pilot)
        await pilot.press(key)
        await ended(app, pilot)
        assert isinstance(app.screen, CallScreen)
        assert control.called == []


async def test_after_a_yes_it_is_called() -> None:
    async with opened(DELETE) as (app, pilot, control):
        await pilot.press("f5")
        await asked(app, pilot)
        assert "may destroy something" in text_of(app)
        await pilot.press("y")
        await seen(app, pilot, "It answered")
        assert control.called == [("github__delete_repo", {})]


async def test_a_call_that_runs_says_so_and_escape_ends_it() -> None:
    control = server_control()
    async with opened(SEARCH, control) as (app, pilot, _):
        control.held = asyncio.Event()
        await pilot.press(*"mill", "f5")
        await seen(app, pilot, "Running for")
        await pilot.press("f5")
        await pilot.press("escape")
        await seen(app, pilot, "Cancelled")
        assert isinstance(app.screen, CallScreen)
        assert control.asked == [("call", "github__search")], "a second F5 called nothing"
        control.held = None
        await pilot.press("f5")
        await seen(app, pilot, "It answered")


async def test_what_goes_wrong_is_a_sentence() -> None:
    control = server_control()
    control.refusal = BackendTimeout("github", "The server did not answer within 5 seconds.")
    async with opened(SEARCH, control) as (app, pilot, _):
        await pilot.press(*"mill", "f5")
        await seen(app, pilot, "✖ No result")
        assert "did not answer within 5 seconds" in text_of(app)


async def test_a_failure_nobody_thought_of_leaves_the_screen_standing() -> None:
    class Broken(FakeControl):
        async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
            raise ZeroDivisionError

    good = server_control()
    control = Broken(good.current)
    control.details, control.tools = good.details, good.tools
    async with opened(SEARCH, control) as (app, pilot, _):
        await pilot.press(*"mill", "f5")
        await seen(app, pilot, "The call could not be made (ZeroDivisionError).")


async def test_escape_leads_from_the_answer_to_the_arguments_and_out() -> None:
    async with opened(SEARCH) as (app, pilot, _):
        await pilot.press(*"mill", "f5")
        await seen(app, pilot, "It answered")
        await pilot.press("escape")
        await seen(app, pilot, "F5  Call")
        assert field(app, "words").value == "mill"
        await pilot.press("escape")
        await closed(app, pilot)


async def test_the_last_arguments_are_there_the_next_time() -> None:
    async with opened(SEARCH) as (app, pilot, _control):
        field(app, "limit").value = "3"
        await pilot.press(*"mill", "f5")
        await seen(app, pilot, "It answered")
        await pilot.press("escape", "escape")
        await pulled(app, pilot)
        await pilot.press("c")
        await ready(app, pilot)
        assert (field(app, "words").value, field(app, "limit").value) == ("mill", "3")


async def test_every_kind_of_field_is_typed_into() -> None:
    async with opened(CREATE) as (app, pilot, control):
        for label, kind, value in (
            ("repo", Input, "ada/engine"),
            ("title", Input, "It stops"),
            ("labels", TextArea, '["bug"]'),
            ("state", Select, '"closed"'),
            ("priority", Input, "5"),
            ("draft", Select, "true"),
            ("assignee.login", Input, "ada"),
        ):
            widget = field(app, label)
            assert isinstance(widget, kind)
            if isinstance(widget, TextArea):
                widget.text = value
            else:
                widget.value = value
        await pilot.press("f5")
        await asked(app, pilot)
        await pilot.press("y")
        await seen(app, pilot, "It answered")
        assert control.called[0][1] == {
            "repo": "ada/engine",
            "title": "It stops",
            "labels": ["bug"],
            "state": "closed",
            "priority": 5,
            "draft": True,
            "assignee": {"login": "ada"},
        }


async def test_raw_json_takes_over_what_was_typed_and_gives_it_back() -> None:
    async with opened(SEARCH) as (app, pilot, _control):
        await pilot.press(*"mill", "ctrl+t")
        await pilot.pause()
        raw = app.screen.query_one("#call-raw", TextArea)
        assert raw.has_focus and '"words": "mill"' in raw.text
        raw.text = '{"words": "engine", "limit": 2}'
        await pilot.press("ctrl+t")
        await pilot.pause()
        assert (field(app, "words").value, field(app, "limit").value) == ("engine", "2")


async def test_json_that_the_form_cannot_say_stays_json_and_is_sent_as_it_is() -> None:
    async with opened(SEARCH) as (app, pilot, control):
        await pilot.press("ctrl+t")
        await pilot.pause()
        raw = app.screen.query_one("#call-raw", TextArea)
        raw.text = '{"words": ["a", "b"]}'
        await pilot.press("ctrl+t")
        await seen(app, pilot, "The form cannot say these arguments")
        raw.text = '{"words": '
        await pilot.press("f5")
        await seen(app, pilot, "It is not valid JSON")
        raw.text = '{"words": ["a", "b"]}'
        await pilot.press("f5")
        await seen(app, pilot, "It answered")
        assert control.called == [("github__search", {"words": ["a", "b"]})]


async def test_a_schema_that_no_form_can_say_is_json_from_the_start() -> None:
    async with opened(ODD) as (app, _pilot, _):
        assert app.screen.query_one("#call-raw").has_focus
        assert "give the arguments as JSON" in text_of(app)
        assert not app.screen.query(FieldBox)


async def test_a_tool_without_arguments_says_so() -> None:
    async with opened(DELETE) as (app, _, __):
        assert "It takes no arguments." in text_of(app)


async def test_a_tool_that_has_gone_says_so_and_cannot_be_called() -> None:
    control = server_control()
    del control.tools["github__search"]
    async with shown(control) as (app, pilot):
        await pilot.press("2", "right_square_bracket", "l")
        await pulled(app, pilot)
        await pilot.press("j", "c")
        await seen(app, pilot, "There is no tool with this name now.")
        await pilot.press("f5")
        assert control.called == []


async def test_the_buttons_do_what_the_keys_do() -> None:
    async with opened(SEARCH) as (app, pilot, _control):
        await pilot.click("#toggle_raw")
        await pilot.pause()
        app.screen.query_one("#call-raw", TextArea).text = '{"words": "x"}'
        await pilot.click("#send")
        await seen(app, pilot, "It answered")
        await pilot.click("#back")
        await seen(app, pilot, "F5  Call")
        while app.screen.query_one("#back").has_class("-active"):
            # A button takes no second click while it shows the first.
            await pilot.pause()
        await pilot.click("#back")
        await closed(app, pilot)


async def test_no_cursor_blinks() -> None:
    async with opened(CREATE) as (app, _, __):
        typed = [*app.screen.query(Input), *app.screen.query(TextArea)]
        assert len(typed) > 4 and not any(each.cursor_blink for each in typed)


@pytest.mark.parametrize("size", [(80, 24), (40, 12)])
async def test_hostile_schemas_and_answers_are_drawn_harmlessly(size: tuple[int, int]) -> None:
    values = {"enum": [EVIL, 1], "default": EVIL, "description": EVIL}
    kinds = ("string", "boolean", "array", "object", "integer")
    properties = {EVIL + kind: {"type": kind, "description": EVIL, "default": EVIL} for kind in kinds}
    form = {"type": "object", "properties": {**properties, EVIL: values}, "required": [EVIL]}
    evil = tool("search", form, EVIL, title=EVIL, annotations=EVIL, output_schema=EVIL, read_only=True)
    control = server_control()
    control.tools["github__search"] = replace(evil, origin=EVIL)
    control.result = {
        "content": [
            {"type": "text", "text": EVIL},
            {"type": EVIL},
            {"type": "image", "mimeType": EVIL, "data": EVIL},
        ],
        "structuredContent": {EVIL: EVIL},
    }
    async with opened(SEARCH, control, size) as (app, pilot, _):
        _is_harmless(app)
        await pilot.press("f5")
        await pilot.pause()
        _is_harmless(app)
        await pilot.press("ctrl+t")
        await pilot.pause()
        _is_harmless(app)
        # What the schema gives as a default cannot be sent at all.
        app.screen.query_one("#call-raw", TextArea).text = "{}"
        await pilot.press("f5")
        await seen(app, pilot, "It answered")
        _is_harmless(app)
        await pilot.press("G")
        await pilot.pause()
        _is_harmless(app)


def _is_harmless(app: Only1App) -> None:
    assert app.is_running
    for character in text_of(app).replace("\n", ""):
        code = ord(character)
        assert code >= 0x20 and not 0x7F <= code < 0xA0, repr(character)
        assert code not in (0x202E, 0x2066, 0x200B, 0xD800, 0xE0041), repr(character)


def test_every_tool_of_the_scene_can_be_called() -> None:
    assert {each.name for each in TOOLS} == set(server_control().tools)
