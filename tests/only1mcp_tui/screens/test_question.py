"""A server's question that its client cannot be asked: told of everywhere, answered by key."""

import json
from typing import Any

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from only1mcp_tui.app import Only1App
from only1mcp_tui.screens.question import QuestionScreen
from proxy_core.errors import UnknownQuestion
from proxy_core.telemetry.snapshot import OpenQuestion
from tests.support.fake_control import FakeControl
from tests.support.questions import FORM, PAGE, SCHEMA, URL
from tests.support.screens import busy_control, pulled, seen, shown, text_of


def small(**properties: Any) -> OpenQuestion:
    return replace(FORM, schema=json.dumps({"properties": properties, "required": list(properties)}))


def asked(*questions: OpenQuestion) -> FakeControl:
    control = busy_control()
    control.use(questions=questions)
    return control


async def opened(app: Only1App, pilot: Pilot[None]) -> QuestionScreen:
    await pilot.press("a")
    await pulled(app, pilot)
    assert isinstance(app.screen, QuestionScreen)
    return app.screen


async def press_button(app: Only1App, pilot: Pilot[None], id: str) -> None:
    app.screen.query_one(f"#{id}").focus()
    await pilot.press("enter")
    await app.workers.wait_for_complete()
    await pilot.pause()


async def test_every_screen_says_that_somebody_asks() -> None:
    async with shown(asked(FORM, PAGE), (80, 24)) as (app, pilot):
        for mode in ("overview", "servers", "metrics", "requests", "logs"):
            await app.switch_mode(mode)
            await pulled(app, pilot)
            assert "2 questions: press a" in text_of(app), mode


async def test_a_toast_tells_of_each_question_once() -> None:
    async with shown(asked(FORM)) as (app, pilot):
        await seen(app, pilot, "github asks something")
        app.clear_notifications()
        await pulled(app, pilot)
        assert len(app._notifications) == 0


async def test_without_a_question_the_key_says_so() -> None:
    async with shown(busy_control()) as (app, pilot):
        await pilot.press("a")
        await seen(app, pilot, "No server asks anything.")
        assert "press a" not in text_of(app)


async def test_what_is_typed_and_chosen_is_sent_when_it_is_accepted() -> None:
    control = asked(FORM)
    async with shown(control) as (app, pilot):
        await opened(app, pilot)
        await pilot.press(*"Ann", "tab", "tab", "tab", "down", "space")
        await press_button(app, pilot, "accept")
        content = {"name": "Ann", "age": 30, "topics": ["news", "offers"]}
        assert control.answers == [(FORM.id, "accept", content)]
        await seen(app, pilot, "github has your answer")


async def test_a_choice_is_made_from_its_list() -> None:
    control = asked(small(plan=SCHEMA["properties"]["plan"], agree={"type": "boolean"}))  # type: ignore[index]
    async with shown(control) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("enter", "down", "down", "enter", "tab", "enter", "down", "enter")
        await press_button(app, pilot, "accept")
        assert control.answers == [(FORM.id, "accept", {"plan": "p", "agree": True})]


async def test_enter_in_a_field_sends_nothing_and_goes_on() -> None:
    control = asked(small(one={"type": "string"}, two={"type": "string"}))
    async with shown(control) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("x", "enter", "y", "enter", "enter")
        await app.workers.wait_for_complete()
        assert control.answers == []
        assert not isinstance(app.screen, QuestionScreen)


async def test_what_does_not_fit_is_said_and_nothing_is_sent() -> None:
    control = asked(FORM)
    async with shown(control) as (app, pilot):
        screen = await opened(app, pilot)
        await pilot.press("A")
        screen.query_one("#accept").focus()
        await pilot.press("enter")
        await seen(app, pilot, "'name' must be at least 2 characters.")
        assert control.answers == []


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_no_is_told_to_the_server(action: str) -> None:
    control = asked(FORM)
    async with shown(control) as (app, pilot):
        await opened(app, pilot)
        await press_button(app, pilot, action)
        assert control.answers == [(FORM.id, action, None)]


async def test_leaving_answers_nothing() -> None:
    control = asked(FORM)
    async with shown(control) as (app, pilot):
        await opened(app, pilot)
        await pilot.press("escape")
        await app.workers.wait_for_complete()
        assert control.answers == []


async def test_a_page_is_shown_and_copied_and_never_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    opened_pages: list[str] = []
    control = asked(PAGE)
    async with shown(control, (80, 24)) as (app, pilot):
        monkeypatch.setattr(app, "open_url", lambda url, **more: opened_pages.append(url))
        await opened(app, pilot)
        assert URL in text_of(app)
        # The default is to leave it: Enter at once answers nothing.
        assert app.focused is app.screen.query_one("#later")
        await pilot.press("y")
        await pilot.pause()
        assert app.clipboard == URL
        await press_button(app, pilot, "accept")
        assert (control.answers, opened_pages) == ([(PAGE.id, "accept", None)], [])


async def test_a_field_that_asks_for_a_secret_is_marked_and_what_is_typed_is_hidden() -> None:
    async with shown(asked(small(api_key={"type": "string"}))) as (app, pilot):
        await opened(app, pilot)
        await pilot.press(*"hunter2")
        await pilot.pause()
        assert "This looks like a secret" in text_of(app)
        assert "hunter2" not in text_of(app)


async def test_a_question_that_somebody_else_answered_is_seen_to_be_over() -> None:
    control = asked(FORM)
    control.refusal = UnknownQuestion("It was accepted by ada.")
    async with shown(control) as (app, pilot):
        await opened(app, pilot)
        control.use(questions=())
        await pulled(app, pilot)
        assert "not open any more" in text_of(app)
        await press_button(app, pilot, "decline")
        await seen(app, pilot, "accepted by ada")


async def test_what_a_server_says_is_neither_obeyed_nor_endless() -> None:
    nasty = "[/red]\x1b[2J" + "x" * 5000 + "\n" * 500
    properties = {nasty[:60]: {"type": "string", "title": nasty, "description": nasty}}
    question = replace(small(**properties), message=nasty, client=nasty, target=nasty)
    async with shown(asked(question), (80, 24)) as (app, pilot):
        await opened(app, pilot)
        assert "\x1b" not in text_of(app)
        assert "Accept" in text_of(app)


async def test_from_afar_a_form_may_be_none_and_is_then_only_to_be_declined() -> None:
    control = asked(replace(FORM, schema="{"))
    async with shown(control) as (app, pilot):
        screen = await opened(app, pilot)
        assert "The form's schema is no JSON." in text_of(app)
        assert screen.query_one("#accept").disabled
        await press_button(app, pilot, "decline")
        assert control.answers == [(FORM.id, "decline", None)]


async def test_the_palette_knows_it() -> None:
    async with shown(asked(FORM)) as (app, _):
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert "Answer a server's question" in titles
