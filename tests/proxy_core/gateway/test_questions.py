"""Legacy clients that are asked: by legacy servers in the middle of a call, for modern ones that need input."""

import asyncio
import json
from typing import Any

import pytest
from msgspec import Raw

from proxy_core.config.models import ProfileConfig
from proxy_core.errors import BackendProtocolError, ClientError, ClientSilent, Kind, Only1Error, TooManyRounds
from proxy_core.gateway.exchange import Caller
from proxy_core.gateway.questions import MAX_PAGES, Questions
from proxy_core.protocol.capabilities import ClientCapabilities
from proxy_core.protocol.jsonrpc import Request
from proxy_core.protocol.revisions import LATEST_LEGACY, MODERN
from tests.support.scripted_channel import Asked, until
from tests.support.stub_backends import (
    ALL,
    ANN,
    FORM,
    HOME,
    LEGACY,
    PAGE,
    SAID,
    SAMPLE,
    House,
    Outbox,
    StubServer,
    asker,
    asking_for,
    client,
    entry,
    raw_result,
)

RUN = {"name": "box__run", "arguments": {"q": 1}}
DONE = {"content": []}
CANCEL = {"action": "cancel"}


def legacy(revision: str = LATEST_LEGACY, **more: Any) -> Caller:
    return client(revision, **{"capabilities": ALL} | more)


async def failure(call: "asyncio.Task[Any]") -> Only1Error:
    try:
        await call
    except Only1Error as error:
        return error
    raise AssertionError("the call was answered")


async def answer_of(box: StubServer) -> Any:
    return (await box.next("")).message


# --- a legacy server asks a legacy client -------------------------------------------------------------------


async def test_a_question_in_the_middle_of_a_call_goes_to_its_client_and_the_answer_back():
    box, outbox = asker(), Outbox()
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, legacy(), outbox)
        asked = await box.next("tools/call")
        box.asks("q1", "elicitation/create", **FORM, _meta={"progressToken": 1})
        question = await outbox.asked()
        assert (question.method, question.params) == ("elicitation/create", FORM)
        question.answer(ANN)
        assert await answer_of(box) == {"jsonrpc": "2.0", "id": "q1", "result": ANN}
        asked.answer(DONE)
        assert await call == DONE


@pytest.mark.parametrize(
    ("method", "params"), [("elicitation/create", FORM), ("sampling/createMessage", SAMPLE), ("roots/list", {})]
)
async def test_the_clients_own_error_reaches_the_server(method: str, params: Any):
    box, outbox = asker(), Outbox()
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, legacy(), outbox)
        asked = await box.next("tools/call")
        box.asks(7, method, **params)
        (await outbox.asked()).refuse(-1, "rejected", {"why": 1})
        error = (await answer_of(box))["error"]
        assert (error["code"], error["message"], error["data"]) == (-1, "rejected", {"why": 1})
        asked.answer(DONE)
        await call


@pytest.mark.parametrize(
    ("method", "params", "said"),
    [
        ("elicitation/create", FORM, {"result": CANCEL}),
        ("sampling/createMessage", SAMPLE, {"error": {"code": -32603, "message": "gone"}}),
        ("roots/list", {}, {"error": {"code": -32603, "message": "gone"}}),
    ],
)
async def test_a_client_that_says_nothing_has_cancelled(method: str, params: Any, said: Any):
    box, outbox = asker(), Outbox()
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, legacy(), outbox)
        asked = await box.next("tools/call")
        box.asks(7, method, **params)
        (await outbox.asked()).fail(ClientSilent("gone"))
        assert await answer_of(box) == {"jsonrpc": "2.0", "id": 7} | said
        asked.answer(DONE)
        await call


@pytest.mark.parametrize(
    ("method", "params", "features"),
    [
        ("elicitation/create", FORM, {"elicitation.url"}),
        ("elicitation/create", PAGE, {"elicitation.form"}),
        ("sampling/createMessage", SAMPLE | {"tools": []}, {"sampling"}),
        ("roots/list", {}, set()),
    ],
)
async def test_a_client_is_not_asked_what_it_did_not_declare(method: str, params: Any, features: Any):
    box, outbox = asker(), Outbox()
    caller = legacy(capabilities=ClientCapabilities(frozenset(features)))
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, caller, outbox)
        asked = await box.next("tools/call")
        box.asks(7, method, **params)
        assert (await answer_of(box))["error"]["code"] == -32601
        asked.refuse(-32000, "own")
        assert (await failure(call)).code == -32000
        assert outbox.questions == []


async def test_a_page_that_is_not_safe_is_refused_and_not_shown():
    box, outbox = asker(), Outbox()
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, legacy(), outbox)
        asked = await box.next("tools/call")
        box.asks(7, "elicitation/create", **PAGE | {"url": "javascript:alert(1)"})
        assert (await answer_of(box))["error"]["code"] == -32602
        asked.answer(DONE)
        await call
        assert outbox.questions == []


async def test_a_call_may_ask_ten_times():
    box, outbox = asker(), Outbox(elicitation=ANN)
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, legacy(), outbox)
        asked = await box.next("tools/call")
        for number in range(11):
            box.asks(number, "elicitation/create", **FORM)
            reply = await answer_of(box)
            assert ("result" in reply) is (number < 10)
        asked.answer(DONE)
        await call


@pytest.mark.requirement("L11")
async def test_a_client_that_cancels_its_call_is_not_asked_any_more():
    box, outbox = asker(), Outbox()
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, legacy(), outbox)
        asked = await box.next("tools/call")
        box.asks(7, "elicitation/create", **FORM)
        question = await outbox.asked()
        call.cancel()
        assert await answer_of(box) == {"jsonrpc": "2.0", "id": 7, "result": CANCEL}
        await until(lambda: box.count("notifications/cancelled"))
        assert box.asked[-1].params["requestId"] == asked.id
        assert question.is_withdrawn


async def test_at_a_stop_nobody_is_waited_for():
    box, outbox = asker(), Outbox()
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, legacy(), outbox)
        asked = await box.next("tools/call")
        box.asks(7, "elicitation/create", **FORM)
        question = await outbox.asked()
        await house.gateway.aclose()
        assert (await answer_of(box))["result"] == CANCEL
        assert question.is_withdrawn
        box.asks(8, "roots/list")
        assert (await answer_of(box))["error"]["code"] == -32603
        asked.answer(DONE)
        assert await call == DONE


async def test_a_form_for_an_older_client_has_no_modes_and_no_titled_choices():
    field = {"type": "string", "oneOf": [{"const": "r", "title": "Red"}]}
    schema = {"type": "object", "properties": {"c": field}}
    box, outbox = asker(), Outbox(elicitation=CANCEL)
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, legacy("2025-06-18"), outbox)
        asked = await box.next("tools/call")
        box.asks(7, "elicitation/create", mode="form", message="m", requestedSchema=schema)
        await answer_of(box)
        several = {"type": "object", "properties": {"c": {"type": "array"}}}
        box.asks(8, "elicitation/create", message="m", requestedSchema=several)
        assert (await answer_of(box))["error"]["code"] == -32603
        asked.answer(DONE)
        await call
        [question] = outbox.questions
        [shown] = question.params["requestedSchema"]["properties"].values()
        assert shown == {"type": "string", "enum": ["r"], "enumNames": ["Red"]}
        assert "mode" not in question.params


# --- who asks -----------------------------------------------------------------------------------------------


@pytest.mark.requirement("M20")
@pytest.mark.parametrize(
    ("names", "wanted", "shown"),
    [
        (("box",), "auto", "Name?"),
        (("box", "web"), "auto", "[The Box] Name?"),
        (("box",), True, "[The Box] Name?"),
        (("box", "web"), False, "Name?"),
    ],
)
async def test_a_question_to_a_person_begins_with_the_name_of_the_server(names: Any, wanted: Any, shown: str):
    box, outbox = asker(), Outbox(elicitation=ANN)
    settings = {"box": {"name": "The\u202e \x1b[31mBox\n", "elicitation_prefix": wanted}}
    async with House(
        {name: box if name == "box" else asker() for name in names}, settings=settings
    ).open() as house:
        call = house.begin("tools/call", RUN, legacy(), outbox)
        asked = await box.next("tools/call")
        box.asks(7, "elicitation/create", **FORM)
        await answer_of(box)
        asked.answer(DONE)
        await call
        assert outbox.questions[0].params == FORM | {"message": shown}


# --- pages that a server reports as done --------------------------------------------------------------------


async def test_word_that_a_page_is_done_reaches_the_session_that_was_sent_there_once():
    box, outbox, stream, other = asker(), Outbox(elicitation={"action": "accept"}), Outbox(), Outbox()
    caller = legacy(session="s1", stream=stream)
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, caller, outbox)
        asked = await box.next("tools/call")
        box.asks(7, "elicitation/create", **PAGE, elicitationId="e1")
        await answer_of(box)
        asked.answer(DONE)
        await call
        house.begin("tools/call", RUN, legacy(session="s2", stream=other), Outbox())
        for elicitation_id in ("unknown", "e1", "e1"):
            box.tells("notifications/elicitation/complete", elicitationId=elicitation_id)
        await until(lambda: stream.messages)
        assert stream.of("notifications/elicitation/complete") == [{"elicitationId": "e1"}]
        assert other.messages == []


def test_pages_are_remembered_within_bounds_and_forgotten_with_their_session():
    stream = Outbox()
    caller, questions = legacy(stream=stream), Questions(lambda: pytest.fail("no need"))
    for number in range(MAX_PAGES + 1):
        questions.sent_to_page("box", f"e{number}", caller)
    questions.sent_to_page("box", "x" * 2000, caller)
    questions.page_done("box", "e0")
    questions.page_done("web", "e1")
    assert stream.messages == []
    questions.page_done("box", "e1")
    questions.forget(caller)
    questions.page_done("box", "e2")
    assert len(stream.messages) == 1


# --- a server that serves one session alone -----------------------------------------------------------------


async def test_a_session_is_asked_on_its_own_stream():
    stream = Outbox(roots=HOME)
    async with House({"box": asker()}).open() as house:
        caller, gateway = legacy(session="s1", stream=stream), house.gateway
        gateway.notified(caller, "notifications/initialized", Raw())
        ask = Request(1, b"1", "roots/list", Raw())
        assert json.loads(await gateway.session_request("box", "s1", ask)) == HOME
        for session, method in (("s2", "roots/list"), ("s1", "tools/list")):
            other = Request(1, b"1", method, Raw())
            assert (await gateway.session_request("box", session, other)).code == -32601
        gateway.session_ended(caller)
        assert (await gateway.session_request("box", "s1", ask)).code == -32601


async def test_a_server_that_the_profile_of_a_session_shows_no_more_asks_it_nothing():
    stream = Outbox(roots=HOME)
    async with House({"box": asker()}, profiles={"review": ProfileConfig()}).open() as house:
        caller, gateway = legacy(session="s1", stream=stream, profile="review"), house.gateway
        gateway.notified(caller, "notifications/initialized", Raw())
        ask = Request(1, b"1", "roots/list", Raw())
        assert json.loads(await gateway.session_request("box", "s1", ask)) == HOME
        hidden = {"review": ProfileConfig(servers=("other",))}
        house.config = house.config.model_copy(update={"profiles": hidden})
        gateway.servers_changed()
        assert (await gateway.session_request("box", "s1", ask)).code == -32601


# --- a modern server needs input of a legacy client ---------------------------------------------------------


async def first_round(house: House, box: StubServer, outbox: Outbox, result: Any, **more: Any) -> Any:
    """The call and the server's second request, after its first was answered with `result`."""
    call = house.begin("tools/call", RUN, legacy(**more), outbox)
    (await box.next("tools/call")).answer(result)
    return call, await box.next("tools/call")


@pytest.mark.requirement("M01")
async def test_a_modern_servers_question_is_asked_and_the_call_made_again_with_the_answer():
    box, outbox = asker(MODERN), Outbox(elicitation=ANN)
    state = 'né\\u0000 "\\\\" ' + "=" * 9
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN | {"_meta": {"progressToken": 1}}, legacy(), outbox)
        first = await box.next("tools/call")
        first.progress(1)
        first.answer(asking_for({"name": entry("elicitation/create", FORM)}, state))
        second = await box.next("tools/call")
        second.progress(0.5)
        second.progress(2)
        assert second.id != first.id
        assert second.params["inputResponses"] == {"name": ANN}
        assert second.params["requestState"] == state
        assert (second.params["name"], second.params["arguments"]) == ("run", {"q": 1})
        second.answer(DONE | {"resultType": "complete"})
        assert await call == DONE
        assert outbox.questions[0].params == FORM
        assert [each["progress"] for each in outbox.of("notifications/progress")] == [1, 2]


@pytest.mark.requirement("M02")
async def test_several_questions_are_asked_at_once_and_each_answer_has_its_key():
    box, outbox = asker(MODERN), Outbox()
    requests = {
        "who": entry("elicitation/create", FORM),
        "what": entry("sampling/createMessage", SAMPLE),
        "where": {"method": "roots/list"},
    }
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, legacy(), outbox)
        (await box.next("tools/call")).answer(asking_for(requests))
        await until(lambda: len(outbox.questions) == 3)
        by_method = {each.method.partition("/")[0]: each for each in outbox.questions}
        by_method["roots"].answer(HOME)
        by_method["sampling"].answer(SAID)
        by_method["elicitation"].answer(ANN)
        second = await box.next("tools/call")
        assert second.params["inputResponses"] == {"who": ANN, "what": SAID, "where": HOME}
        assert "requestState" not in second.params
        second.answer(DONE)
        await call


@pytest.mark.requirement("M03")
async def test_a_server_that_only_wants_to_be_asked_again_is_asked_ten_times():
    box = asker(MODERN)
    count = 0

    def again(asked: Asked) -> None:
        nonlocal count
        count += 1
        asked.answer(asking_for(state=f"s{count}"))

    box.on("tools/call", again)
    async with House({"box": box}).open() as house:
        began = asyncio.get_running_loop().time()
        error = await failure(house.begin("tools/call", RUN, legacy(), Outbox()))
        assert isinstance(error, TooManyRounds)
        assert error.data()["dev.only1mcp"]["kind"] == Kind.TOO_MANY_ROUNDS
        calls = [each for each in box.asked if each.message.get("method") == "tools/call"]
        assert [each.params.get("requestState") for each in calls] == [None, *(f"s{n}" for n in range(1, 11))]
        # 50, 100, 200 ms, then 250 ms each.
        assert asyncio.get_running_loop().time() - began >= 2.0


@pytest.mark.requirement("M04")
async def test_a_page_has_an_id_for_the_client_that_wants_one_and_is_reported_done_with_the_call():
    box, outbox = asker(MODERN), Outbox(elicitation={"action": "accept"})
    async with House({"box": box}).open() as house:
        call, second = await first_round(
            house,
            box,
            outbox,
            asking_for({"p": entry("elicitation/create", PAGE | {"elicitationId": "theirs"})}),
        )
        [question] = outbox.questions
        minted = question.params.pop("elicitationId")
        assert question.params == PAGE
        assert minted != "theirs"
        assert outbox.messages == []
        second.answer(DONE)
        await call
        assert outbox.of("notifications/elicitation/complete") == [{"elicitationId": minted}]


@pytest.mark.requirement("M04")
async def test_a_client_that_knows_no_pages_is_never_sent_to_one():
    box, outbox = asker(MODERN), Outbox()
    caller = legacy("2025-06-18", capabilities=ClientCapabilities(frozenset({"elicitation.form"})))
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, caller, outbox)
        (await box.next("tools/call")).answer(asking_for({"p": entry("elicitation/create", PAGE)}))
        assert isinstance(await failure(call), BackendProtocolError)
        assert outbox.questions == []


@pytest.mark.requirement("M05")
@pytest.mark.parametrize("method", ["sampling/createMessage", "roots/list"])
async def test_a_client_that_rejects_fails_its_call_with_its_own_error(method: str):
    box, outbox = asker(MODERN), Outbox()
    asked = {"a": entry("elicitation/create", FORM), "b": entry(method, SAMPLE if "sampling" in method else {})}
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, legacy(), outbox)
        (await box.next("tools/call")).answer(asking_for(asked))
        await until(lambda: len(outbox.questions) == 2)
        form, other = sorted(outbox.questions, key=lambda each: each.method != "elicitation/create")
        other.refuse(-1, "User rejected")
        error = await failure(call)
        assert isinstance(error, ClientError)
        assert (error.code, error.message) == (-1, "User rejected")
        assert form.is_withdrawn
        assert box.count("tools/call") == 1


@pytest.mark.requirement("M05")
@pytest.mark.parametrize("error", [ClientError(-32602, "no form"), ClientSilent("late")])
async def test_a_form_that_nobody_fills_in_is_cancelled(error: Only1Error):
    box, outbox = asker(MODERN), Outbox()
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, legacy(), outbox)
        (await box.next("tools/call")).answer(asking_for({"a": entry("elicitation/create", FORM)}))
        (await outbox.asked()).fail(error)
        second = await box.next("tools/call")
        assert second.params["inputResponses"] == {"a": CANCEL}
        second.answer(DONE)
        await call


@pytest.mark.parametrize(
    "requests",
    [
        {"a": entry("tools/list", {})},
        {"a": 7},
        {"a": entry("elicitation/create", PAGE | {"url": "file:///x"})},
        {f"k{n}": entry("elicitation/create", FORM) for n in range(11)},
    ],
)
async def test_input_that_cannot_be_given_is_the_servers_fault(requests: Any):
    box, outbox = asker(MODERN), Outbox()
    for caller in (legacy(), client(capabilities=ALL)):
        async with House({"box": box}).open() as house:
            call = house.begin("tools/call", RUN, caller, outbox)
            (await box.next("tools/call")).answer(asking_for(requests, "s"))
            error = await failure(call)
            assert isinstance(error, BackendProtocolError)
            assert error.data()["dev.only1mcp"]["kind"] == Kind.PROTOCOL
    assert outbox.questions == []


async def test_a_form_that_an_older_client_cannot_show_ends_the_call():
    schema = {"type": "object", "properties": {"c": {"type": "array", "items": {"enum": ["a"]}}}}
    box, outbox = asker(MODERN), Outbox()
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, legacy("2025-06-18"), outbox)
        form = entry("elicitation/create", FORM | {"requestedSchema": schema})
        (await box.next("tools/call")).answer(asking_for({"a": form}))
        assert (await failure(call)).code == -32603


async def test_a_client_that_cancels_ends_the_questions_and_the_call():
    box, outbox = asker(MODERN), Outbox()
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, legacy(), outbox)
        (await box.next("tools/call")).answer(asking_for({"a": entry("elicitation/create", FORM)}))
        question = await outbox.asked()
        call.cancel()
        await until(lambda: question.is_withdrawn)
        call, second = await first_round(house, box, Outbox(elicitation=ANN), asking_for(state="s"))
        call.cancel()
        await until(lambda: box.count("notifications/cancelled"))
        assert box.asked[-1].params["requestId"] == second.id


async def test_answers_and_states_that_a_legacy_client_makes_up_reach_no_server():
    box = asker(MODERN)
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN | {"inputResponses": {"a": 1}, "requestState": "x"}, legacy())
        asked = await box.next("tools/call")
        assert not {"inputResponses", "requestState"} & asked.params.keys()
        asked.answer(DONE)
        await call


@pytest.mark.requirement("M17")
@pytest.mark.parametrize("caller", [legacy(), client(capabilities=ALL)])
async def test_a_completion_needs_no_input(caller: Caller):
    box = asker(MODERN, offers={"completions": {}})
    box.on("completion/complete", lambda asked: asked.answer(asking_for({"a": entry("roots/list", {})})))
    async with House({"box": box}).open() as house:
        params = {"ref": {"type": "ref/prompt", "name": "box__greet"}, "argument": {"name": "a", "value": "b"}}
        error = await failure(house.begin("completion/complete", params, caller, Outbox()))
        assert isinstance(error, BackendProtocolError)


@pytest.mark.requirement("M17")
async def test_a_list_needs_no_input():
    box = asker(MODERN)
    for method in ("tools/list", "server/discover"):
        box.on("tools/list", raw_result(b'{"resultType":"input_required","requestState":"s"}'))
        async with House({"box": box, "web": asker()}).open() as house:
            answer = await house.ask(method, {})
            assert answer["resultType"] == "complete"
            assert "requestState" not in answer
            if method == "tools/list":
                assert [each["name"] for each in answer["tools"]] == ["web__other", "web__run"]


# --- prompts and resources ----------------------------------------------------------------------------------

OTHERS = [
    ("prompts/get", {"name": "box__greet"}, {"messages": []}),
    ("resources/read", {"uri": "file:///a"}, {"contents": [{"uri": "file:///a", "text": "x"}]}),
]


@pytest.mark.requirement("M18")
@pytest.mark.parametrize(("method", "params", "result"), OTHERS)
@pytest.mark.parametrize("revision", [MODERN, LEGACY])
async def test_prompts_and_resources_may_ask_a_legacy_client_too(
    method: str, params: Any, result: Any, revision: str
):
    box, outbox = asker(revision), Outbox(elicitation=ANN)
    async with House({"box": box}).open() as house:
        call = house.begin(method, params, legacy(), outbox)
        asked = await box.next(method)
        if revision == MODERN:
            asked.answer(asking_for({"a": entry("elicitation/create", FORM)}, "s"))
            asked = await box.next(method)
            assert asked.params["inputResponses"] == {"a": ANN}
        else:
            box.asks(7, "elicitation/create", **FORM)
            assert (await answer_of(box))["result"] == ANN
        asked.answer(result)
        assert await call == result
