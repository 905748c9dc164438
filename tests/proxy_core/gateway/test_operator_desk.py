"""Questions of servers that their client cannot be asked, answered by whoever watches over the gateway."""

import asyncio
import json
from typing import Any

import pytest

from proxy_core.config.models import ElicitationConfig, Timeouts
from proxy_core.errors import BackendError, BackendProtocolError, InvalidParams, Only1Error, UnknownQuestion
from proxy_core.facts import OperatorAnswered, OperatorAsked
from proxy_core.gateway.exchange import Caller
from proxy_core.gateway.operator_desk import MAX_OPEN
from proxy_core.protocol.capabilities import ClientCapabilities
from proxy_core.protocol.revisions import LATEST_LEGACY, MODERN
from proxy_core.telemetry.snapshot import OpenQuestion
from tests.support.clock import FakeClock
from tests.support.scripted_channel import until
from tests.support.stub_backends import (
    ALL,
    ANN,
    FORM,
    PAGE,
    SAID,
    SAMPLE,
    House,
    Item,
    Outbox,
    StubServer,
    asker,
    asking_for,
    client,
    entry,
)

RUN = {"name": "box__run", "arguments": {"q": 1}}
DONE = {"content": []}
CANCEL = {"action": "cancel"}
ON = {"elicitation": ElicitationConfig(answer_in_terminal=True)}
SAMPLES = ClientCapabilities(frozenset({"sampling"}))
FORMS = ClientCapabilities(frozenset({"elicitation.form"}))
ERAS = pytest.mark.parametrize("revision", [LATEST_LEGACY, MODERN])
"""Of the client."""


def house_of(box: StubServer, clock: FakeClock | None = None, **more: Any) -> House:
    return House({"box": box}, clock, **ON | more)


async def open_question(house: House) -> OpenQuestion:
    found = await until(lambda: house.gateway.desk.questions)
    assert len(found) == 1
    question = found[0]
    assert isinstance(question, OpenQuestion)
    return question


def answer(house: House, id: str, action: str = "accept", content: Item | None = None, by: str = "ada") -> None:
    house.gateway.desk.answer(id, action, content, by)


async def refusal(call: Any) -> Only1Error:
    try:
        await call
    except Only1Error as error:
        return error
    raise AssertionError("the call was answered")


async def said_to(box: StubServer) -> Any:
    """What the legacy server was answered."""
    message = (await box.next("")).message
    return message.get("result", message.get("error"))


# --- a legacy server ----------------------------------------------------------------------------------------


@ERAS
async def test_an_operator_answers_what_a_legacy_server_asks_and_the_call_goes_on(revision: str):
    box, outbox = asker(), Outbox()
    async with house_of(box).open() as house:
        call = house.begin("tools/call", RUN, client(revision, client="cron", principal="ci"), outbox)
        asked = await box.next("tools/call")
        box.asks("q", "elicitation/create", **FORM)
        question = await open_question(house)
        assert (question.server, question.client, question.principal) == ("box", "cron", "ci")
        assert (question.target, question.message, question.mode) == ("box__run", "Name?", "form")
        assert json.loads(question.schema) == FORM["requestedSchema"]
        answer(house, question.id, content={"name": "Ann"})
        assert await said_to(box) == ANN
        asked.answer(DONE)
        assert (await call)["content"] == []
        assert (outbox.questions, outbox.messages, house.gateway.desk.questions) == ([], [], ())


@ERAS
async def test_with_the_option_off_nothing_is_different(revision: str):
    box = asker()
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, client(revision))
        asked = await box.next("tools/call")
        box.asks("q", "elicitation/create", **FORM)
        assert (await said_to(box))["code"] == -32601
        asked.answer(DONE)
        await call
        assert house.gateway.desk.questions == ()


@ERAS
async def test_a_client_that_can_be_asked_is_asked_itself(revision: str):
    box, outbox = asker(), Outbox()
    async with house_of(box).open() as house:
        call = house.begin("tools/call", RUN, client(revision, capabilities=ALL), outbox)
        asked = await box.next("tools/call")
        box.asks("q", "elicitation/create", **FORM)
        if revision == MODERN:
            assert (await call)["resultType"] == "input_required"
        else:
            (await outbox.asked()).answer(ANN)
            assert await said_to(box) == ANN
            asked.answer(DONE)
            await call
        assert house.gateway.desk.questions == ()


async def test_only_the_mode_that_the_client_lacks_is_an_operators():
    box, outbox = asker(), Outbox(elicitation=ANN)
    async with house_of(box).open() as house:
        call = house.begin("tools/call", RUN, client(LATEST_LEGACY, capabilities=FORMS), outbox)
        asked = await box.next("tools/call")
        box.asks("f", "elicitation/create", **FORM)
        assert await said_to(box) == ANN
        box.asks("p", "elicitation/create", **PAGE)
        question = await open_question(house)
        assert (question.mode, question.url, question.schema) == ("url", PAGE["url"], "")
        answer(house, question.id)
        assert await said_to(box) == {"action": "accept"}
        asked.answer(DONE)
        await call


@pytest.mark.parametrize("method", ["sampling/createMessage", "roots/list"])
async def test_models_and_roots_are_no_operators_business(method: str):
    box = asker()
    async with house_of(box).open() as house:
        call = house.begin("tools/call", RUN, client(LATEST_LEGACY))
        asked = await box.next("tools/call")
        box.asks("q", method, **(SAMPLE if method.startswith("sampling") else {}))
        assert (await said_to(box))["code"] == -32601
        asked.answer(DONE)
        await call


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_no_reaches_the_server_as_such(action: str):
    box = asker()
    async with house_of(box).open() as house:
        call = house.begin("tools/call", RUN, client())
        asked = await box.next("tools/call")
        box.asks("q", "elicitation/create", **FORM)
        answer(house, (await open_question(house)).id, action)
        assert await said_to(box) == {"action": action}
        asked.answer(DONE)
        await call


async def test_a_question_that_nobody_answers_is_cancelled_after_the_calls_own_patience():
    box = asker()
    settings = {"box": {"timeouts": Timeouts(call_idle_s=0.05)}}
    async with house_of(box, settings=settings).open() as house:
        call = house.begin("tools/call", RUN, client())
        asked = await box.next("tools/call")
        box.asks("q", "elicitation/create", **FORM)
        question = await open_question(house)
        assert question.until - question.asked_at == pytest.approx(0.05)
        assert await said_to(box) == CANCEL
        asked.answer(DONE)
        await call
        with pytest.raises(UnknownQuestion, match="nobody answered in time"):
            answer(house, question.id, content={"name": "late"})


@ERAS
async def test_a_question_ends_with_its_call(revision: str):
    box = asker()
    async with house_of(box).open() as house:
        call = house.begin("tools/call", RUN, client(revision))
        await box.next("tools/call")
        box.asks("q", "elicitation/create", **FORM)
        question = await open_question(house)
        call.cancel()
        assert await said_to(box) == CANCEL
        await until(lambda: not house.gateway.desk.questions)
        with pytest.raises(UnknownQuestion, match="its call ended before"):
            answer(house, question.id, content={"name": "late"})


async def test_a_server_may_take_its_question_back():
    box = asker()
    async with house_of(box).open() as house:
        call = house.begin("tools/call", RUN, client())
        asked = await box.next("tools/call")
        box.asks("q", "elicitation/create", **FORM)
        await open_question(house)
        box.tells("notifications/cancelled", requestId="q")
        await until(lambda: not house.gateway.desk.questions)
        asked.answer(DONE)
        await call


async def test_a_form_that_is_no_form_is_refused_to_the_server():
    box = asker()
    deep = {"message": "?", "requestedSchema": {"properties": {"a": {"type": "object"}}}}
    async with house_of(box).open() as house:
        call = house.begin("tools/call", RUN, client())
        asked = await box.next("tools/call")
        box.asks("q", "elicitation/create", **deep)
        assert (await said_to(box))["code"] == -32602
        asked.answer(DONE)
        await call


async def test_only_so_many_questions_wait_at_once():
    boxes = {"box-a": asker(), "box-b": asker()}
    async with House(boxes, **ON).open() as house:
        desk = house.gateway.desk
        names = [f"{server}__run" for server in ("box-a", "box-a", "box-b", "box-b")]
        calls = [house.begin("tools/call", {"name": name}, client()) for name in names]
        asked = [(boxes[name[:5]], await boxes[name[:5]].next("tools/call")) for name in names]
        slots = [(box, each, number) for box, each in asked for number in range(10)]
        for box, each, number in slots[: MAX_OPEN + 1]:
            box.asks(f"{each.id}-{number}", "elicitation/create", during=each, **FORM)
        assert "for an operator" in (await said_to(boxes["box-b"]))["message"]
        assert len(desk.questions) == MAX_OPEN
        for call in calls:
            call.cancel()
        await until(lambda: not desk.questions)


async def test_what_strangers_say_is_bounded_in_the_picture():
    box = asker()
    async with house_of(box).open() as house:
        call = house.begin("tools/call", RUN, client(client="x" * 9999))
        asked = await box.next("tools/call")
        box.asks("q", "elicitation/create", **FORM | {"message": "m" * 99_999})
        question = await open_question(house)
        assert (len(question.message), len(question.client)) == (4096, 200)
        answer(house, question.id, "decline")
        asked.answer(DONE)
        await call


# --- a modern server ----------------------------------------------------------------------------------------


@ERAS
async def test_an_operator_gives_a_modern_server_what_it_needs(revision: str):
    box, outbox = asker(MODERN), Outbox()
    async with house_of(box).open() as house:
        call = house.begin("tools/call", RUN, client(revision), outbox)
        first = await box.next("tools/call")
        declared = first.params["_meta"]["io.modelcontextprotocol/clientCapabilities"]
        assert declared == {"elicitation": {"form": {}, "url": {}}}
        first.answer(asking_for({"k": entry("elicitation/create", FORM)}, "st"))
        question = await open_question(house)
        assert question.message == "Name?"
        answer(house, question.id, content={"name": "Ann"})
        second = await box.next("tools/call")
        assert (second.params["inputResponses"], second.params["requestState"]) == ({"k": ANN}, "st")
        assert second.params["arguments"] == {"q": 1}
        second.answer(DONE | {"resultType": "complete"})
        assert (await call)["content"] == []
        assert outbox.questions == []


async def test_with_the_option_off_a_modern_server_is_told_of_nobody_to_ask():
    box = asker(MODERN)
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, client())
        first = await box.next("tools/call")
        assert first.params["_meta"]["io.modelcontextprotocol/clientCapabilities"] == {}
        first.answer(asking_for({"k": entry("elicitation/create", FORM)}))
        assert isinstance(await refusal(call), BackendProtocolError)


@ERAS
async def test_each_is_asked_what_he_can_be_asked(revision: str):
    """A legacy client while the operator thinks, a modern one once the operator has answered."""
    box, outbox = asker(MODERN), Outbox(sampling=SAID)
    both = {"f": entry("elicitation/create", FORM), "s": entry("sampling/createMessage", SAMPLE)}
    async with house_of(box).open() as house:
        call = house.begin("tools/call", RUN, client(revision, capabilities=SAMPLES), outbox)
        (await box.next("tools/call")).answer(asking_for(both, "st"))
        answer(house, (await open_question(house)).id, content={"name": "Ann"})
        second = await box.next("tools/call")
        if revision == MODERN:
            assert second.params["inputResponses"] == {"f": ANN}
            second.answer(asking_for({"s": both["s"]}, "st2"))
            told = await call
            assert list(told["inputRequests"]) == ["s"]
            retry = RUN | {"inputResponses": {"s": SAID}, "requestState": told["requestState"]}
            call = house.begin("tools/call", retry, client(capabilities=SAMPLES))
            second = await box.next("tools/call")
            assert (second.params["inputResponses"], second.params["requestState"]) == ({"s": SAID}, "st2")
        else:
            assert second.params["inputResponses"] == {"f": ANN, "s": SAID}
        second.answer(DONE | {"resultType": "complete"})
        assert (await call)["content"] == []


async def test_a_server_that_forgets_what_it_was_told_does_not_ask_an_operator_without_end():
    box = asker(MODERN)
    both = {"f": entry("elicitation/create", FORM), "s": entry("sampling/createMessage", SAMPLE)}
    async with house_of(box).open() as house:
        call = house.begin("tools/call", RUN, client(capabilities=SAMPLES))
        (await box.next("tools/call")).answer(asking_for(both))
        answer(house, (await open_question(house)).id, content={"name": "Ann"})
        (await box.next("tools/call")).answer(asking_for(both))
        assert isinstance(await refusal(call), BackendProtocolError)


async def test_a_modern_client_that_hangs_up_takes_its_question_with_it():
    box = asker(MODERN)
    async with house_of(box).open() as house:
        call = house.begin("tools/call", RUN, client())
        (await box.next("tools/call")).answer(asking_for({"k": entry("elicitation/create", FORM)}))
        await open_question(house)
        call.cancel()
        await until(lambda: not house.gateway.desk.questions)


@ERAS
async def test_pages_that_a_server_wants_visited_first_are_an_operators_too(revision: str):
    box = asker(LATEST_LEGACY)
    data = {"elicitations": [PAGE | {"elicitationId": "e1"}]}
    async with house_of(box).open() as house:
        call = house.begin("tools/call", RUN, client(revision))
        (await box.next("tools/call")).refuse(-32042, data=data)
        question = await open_question(house)
        assert question.url == PAGE["url"]
        answer(house, question.id)
        (await box.next("tools/call")).answer(DONE)
        assert (await call)["content"] == []
        call = house.begin("tools/call", RUN, client(revision))
        (await box.next("tools/call")).refuse(-32042, data=data)
        answer(house, (await open_question(house)).id, "decline")
        assert (await call)["isError"] is True


async def test_a_legacy_client_gets_the_servers_error_where_nobody_may_answer():
    box = asker(LATEST_LEGACY)
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, client(LATEST_LEGACY))
        (await box.next("tools/call")).refuse(-32042, data={"elicitations": [PAGE | {"elicitationId": "e1"}]})
        error = await refusal(call)
        assert isinstance(error, BackendError)
        assert error.code == -32042


# --- answering ----------------------------------------------------------------------------------------------


async def test_of_two_operators_the_second_is_told_who_was_first():
    box = asker()
    async with house_of(box).open() as house:
        call = house.begin("tools/call", RUN, client())
        asked = await box.next("tools/call")
        box.asks("q", "elicitation/create", **FORM)
        question = await open_question(house)
        answer(house, question.id, content={"name": "Ann"}, by="ada")
        with pytest.raises(UnknownQuestion, match="it was accepted by ada"):
            answer(house, question.id, "decline", by="bob")
        assert await said_to(box) == ANN
        asked.answer(DONE)
        await call
        with pytest.raises(UnknownQuestion, match="it was accepted by ada"):
            answer(house, question.id, "decline", by="bob")


async def test_an_answer_that_does_not_fit_leaves_the_question_open():
    box = asker()
    async with house_of(box).open() as house:
        call = house.begin("tools/call", RUN, client())
        asked = await box.next("tools/call")
        box.asks("q", "elicitation/create", **FORM)
        id = (await open_question(house)).id
        wrong: list[tuple[str, Item | None, str]] = [
            ("accept", None, "'name' must be filled in"),
            ("accept", {"name": 1}, "'name' must be a text"),
            ("decline", {"name": "Ann"}, "Only a form that is accepted takes content"),
            ("perhaps", None, "accept, decline, cancel"),
        ]
        for action, content, words in wrong:
            with pytest.raises(InvalidParams, match=words):
                answer(house, id, action, content)
        answer(house, id, content={"name": "Ann"})
        assert await said_to(box) == ANN
        asked.answer(DONE)
        await call


async def test_an_id_that_never_was_is_said_to_be_unknown():
    async with house_of(asker()).open() as house:
        with pytest.raises(UnknownQuestion, match="there is none with this id"):
            answer(house, "nope")


async def test_what_was_asked_and_who_answered_is_told_without_what_was_said(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", logger="proxy_core.gateway.operator_desk")
    box = asker()
    async with house_of(box).open() as house:
        call = house.begin("tools/call", RUN, client(client="cron", principal="ci"))
        asked = await box.next("tools/call")
        box.asks("q", "elicitation/create", **FORM)
        question = await open_question(house)
        answer(house, question.id, content={"name": "a secret"}, by="ada")
        await said_to(box)
        asked.answer(DONE)
        await call
        told = [fact for fact in house.facts if isinstance(fact, OperatorAsked | OperatorAnswered)]
        id, at = question.id, question.asked_at
        assert told == [
            OperatorAsked(at, id, "box", "cron", "ci", "box__run", "form", ("name",)),
            OperatorAnswered(at, id, "box", "accept", "ada", ("name",)),
        ]
        assert "accepted by ada; fields: name" in caplog.text
        assert "a secret" not in caplog.text


async def test_the_option_switched_off_answers_what_waits():
    box = asker()
    async with house_of(box).open() as house:
        call = house.begin("tools/call", RUN, client())
        asked = await box.next("tools/call")
        box.asks("q", "elicitation/create", **FORM)
        await open_question(house)
        before = house.config
        house.config = before.model_copy(update={"elicitation": ElicitationConfig()})
        house.gateway.reloaded(before)
        assert await said_to(box) == CANCEL
        asked.answer(DONE)
        await call


async def test_a_stop_leaves_nobody_waiting():
    box = asker()
    async with house_of(box).open() as house:
        call = house.begin("tools/call", RUN, client())
        asked = await box.next("tools/call")
        box.asks("q", "elicitation/create", **FORM)
        await open_question(house)
        await asyncio.gather(house.gateway.aclose())
        assert await said_to(box) == CANCEL
        asked.answer(DONE)
        await call


async def test_a_client_that_sees_to_tasks_by_itself_gets_no_more_questions_of_theirs():
    box = asker(MODERN)
    tasks = ClientCapabilities(extensions=(("io.modelcontextprotocol/tasks", b"{}"),))
    async with house_of(box).open() as house:
        call = house.begin("tools/call", RUN, Caller(client().era, MODERN, capabilities=tasks))
        first = await box.next("tools/call")
        assert "elicitation" not in first.params["_meta"]["io.modelcontextprotocol/clientCapabilities"]
        first.answer(DONE | {"resultType": "complete"})
        await call
