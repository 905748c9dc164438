"""Modern clients that are asked by legacy servers: the call is parked and goes on, and is never made twice."""

import asyncio
import json
import logging
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy_core.errors import (
    BackendError,
    BackendExited,
    InvalidRequestState,
    MissingCapability,
    Only1Error,
    Overloaded,
)
from proxy_core.gateway.exchange import Caller
from proxy_core.protocol.capabilities import ClientCapabilities
from proxy_core.protocol.revisions import MODERN
from tests.support.clock import FakeClock
from tests.support.scripted_channel import CRASHED, Asked, until
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
    Item,
    Outbox,
    StubServer,
    asker,
    asking_for,
    client,
    entry,
)

P = "io.modelcontextprotocol/"
RUN = {"name": "box__run", "arguments": {"q": 1, "r": [2]}}
DONE = {"content": []}
CANCEL = {"action": "cancel"}


def modern(**more: Any) -> Caller:
    return client(MODERN, **{"capabilities": ALL} | more)


def only(*features: Any) -> ClientCapabilities:
    return ClientCapabilities(frozenset(features))


def retry(asked_for: Item, responses: Any = None, params: Item = RUN) -> Item:
    """The client's next request, with what it was given and what it has to say."""
    kept = {"requestState": asked_for["requestState"]}
    return params | kept | ({} if responses is None else {"inputResponses": responses})


async def refusal(call: Any) -> Only1Error:
    try:
        await call
    except Only1Error as error:
        return error
    raise AssertionError("the request was answered")


async def parked(house: House, box: StubServer, caller: Caller | None = None) -> tuple[Asked, Item]:
    """A call whose server asks for a name: the server's side of it, and what the client was told."""
    call = house.begin("tools/call", RUN, caller or modern())
    asked = await box.next("tools/call")
    box.asks("q", "elicitation/create", asked, **FORM)
    return asked, await call


@pytest.mark.requirement("M06")
async def test_a_call_that_asks_is_answered_with_the_question_and_goes_on_with_the_answer():
    box = asker()
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, modern())
        await box.next("tools/call")
        box.asks("q", "elicitation/create", **FORM, _meta={"a": 1}, task={"ttl": 1})
        told = await call
        assert told.pop("requestState").startswith("o1.")
        assert told.pop("_meta")[P + "serverInfo"]["name"] == "only1mcp"
        requests = {"r1": entry("elicitation/create", FORM)}
        assert told == {"resultType": "input_required", "inputRequests": requests}


@pytest.mark.requirement("M06")
async def test_the_retry_completes_the_same_call():
    box = asker()
    async with House({"box": box}).open() as house:
        asked, told = await parked(house, box)
        again = house.begin("tools/call", retry(told, {"r1": ANN}), modern())
        assert (await box.next("")).message == {"jsonrpc": "2.0", "id": "q", "result": ANN}
        asked.answer(DONE)
        assert (await again)["resultType"] == "complete"
        assert box.count("tools/call") == 1
        assert box.count("notifications/cancelled") == 0


async def test_a_server_that_asks_several_things_in_one_breath_is_answered_in_one_round():
    box = asker()
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, modern())
        asked = await box.next("tools/call")
        box.asks(1, "elicitation/create", **PAGE, elicitationId="e1")
        box.asks(2, "sampling/createMessage", **SAMPLE)
        box.asks(3, "roots/list")
        told = await call
        assert told["inputRequests"] == {
            "r1": entry("elicitation/create", PAGE),
            "r2": entry("sampling/createMessage", SAMPLE),
            "r3": entry("roots/list", {}),
        }
        answers = {"r1": {"action": "accept"}, "r2": SAID, "r3": HOME}
        again = house.begin("tools/call", retry(told, answers), modern())
        replies = [(await box.next("")).message for _ in range(3)]
        assert {each["id"]: each["result"] for each in replies} == dict(
            zip((1, 2, 3), answers.values(), strict=True)
        )
        asked.answer(DONE)
        await again


@pytest.mark.requirement("M07")
async def test_each_round_has_its_own_state_and_the_old_one_is_refused():
    box = asker()
    async with House({"box": box}).open() as house:
        asked, first = await parked(house, box)
        again = house.begin("tools/call", retry(first, {"r1": ANN}), modern())
        await box.next("")
        box.asks("q2", "sampling/createMessage", **SAMPLE)
        second = await again
        assert second["inputRequests"] == {"r2": entry("sampling/createMessage", SAMPLE)}
        assert isinstance(
            await refusal(house.ask("tools/call", retry(first, {"r1": ANN}), modern())), InvalidRequestState
        )
        last = house.begin("tools/call", retry(second, {"r2": SAID}), modern())
        assert (await box.next("")).message["result"] == SAID
        asked.answer(DONE)
        await last
        for told in (first, second):
            error = await refusal(house.ask("tools/call", retry(told, {"r2": SAID}), modern()))
            assert isinstance(error, InvalidRequestState)
        assert box.count("tools/call") == 1


@pytest.mark.requirement("M08")
@pytest.mark.parametrize("bad", [None, 7, "x", [], {}, {"action": "accept"}, {"action": "yes"}])
async def test_only_what_is_missing_or_malformed_is_asked_for_again(bad: Any):
    box = asker()
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, modern())
        asked = await box.next("tools/call")
        box.asks(1, "elicitation/create", **FORM)
        box.asks(2, "roots/list")
        first = await call
        answers = {"r2": HOME, "extra": 1} | ({} if bad == {} else {"r1": bad})
        second = await house.ask("tools/call", retry(first, answers), modern())
        assert (await box.next("")).message == {"jsonrpc": "2.0", "id": 2, "result": HOME}
        assert second["inputRequests"] == {"r1": entry("elicitation/create", FORM)}
        assert second["requestState"] != first["requestState"]
        last = house.begin("tools/call", retry(second, {"r1": ANN}), modern())
        assert (await box.next("")).message["result"] == ANN
        asked.answer(DONE)
        await last


@pytest.mark.parametrize("responses", [7, "x", [], True])
async def test_answers_that_are_no_object_are_refused_and_the_call_waits_on(responses: Any):
    box = asker()
    async with House({"box": box}).open() as house:
        asked, told = await parked(house, box)
        assert (await refusal(house.ask("tools/call", retry(told, responses), modern()))).code == -32602
        again = house.begin("tools/call", retry(told, {"r1": ANN}), modern())
        await box.next("")
        asked.answer(DONE)
        await again


# --- whose state it is --------------------------------------------------------------------------------------


@pytest.mark.requirement("M09")
@pytest.mark.requirement("M15")
async def test_a_state_is_good_for_its_own_request_alone(clock: FakeClock):
    box, web = asker(), asker()
    async with House({"box": box, "web": web}, clock).open() as house:
        asked, told = await parked(house, box)
        state = told["requestState"]
        ann = {"inputResponses": {"r1": ANN}}
        wrong = [
            (RUN | {"requestState": state + "-TAMPERED"}, modern()),
            (RUN | {"requestState": state[:-2] + "AA"}, modern()),
            (RUN | {"requestState": ""}, modern()),
            (RUN | {"requestState": 7}, modern()),
            (RUN | {"requestState": {"a": state}}, modern()),
            (RUN | {"requestState": state}, modern(principal="eve")),
            (RUN | {"requestState": state, "name": "box__other"}, modern()),
            (RUN | {"requestState": state, "name": "web__run"}, modern()),
            (RUN | {"requestState": state, "arguments": {"q": 2, "r": [2]}}, modern()),
            ({"name": "box__run", "requestState": state}, modern()),
        ]
        for params, caller in wrong:
            error = await refusal(house.ask("tools/call", params | ann, caller))
            assert (error.code, error.message) == (-32602, "Invalid or expired requestState")
            assert error.data() == {"reason": "invalid_request_state"}
        prompt = {"name": "box__greet", "requestState": state} | ann
        assert isinstance(await refusal(house.ask("prompts/get", prompt, modern())), InvalidRequestState)
        # None of that has cost the call anything; the order of arguments says nothing.
        params = {"arguments": {"r": [2], "q": 1}, "name": "box__run"} | ann | {"requestState": state}
        again = house.begin("tools/call", params, modern())
        assert (await box.next("")).message["result"] == ANN
        asked.answer(DONE)
        await again
        assert web.count("tools/call") == 0


@pytest.mark.requirement("M09")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_state_that_was_changed_does_nothing_but_the_one_error(data: st.DataObject):
    async def play() -> None:
        box = asker()
        async with House({"box": box}).open() as house:
            _, told = await parked(house, box)
            state = told["requestState"]
            at = data.draw(st.integers(0, len(state) - 1))
            cut = data.draw(st.integers(0, 3))
            put = data.draw(st.text(st.characters(exclude_categories=("Cs",)), max_size=3))
            changed = state[:at] + put + state[at + cut :]
            if changed == state:
                return
            params = RUN | {"requestState": changed, "inputResponses": {"r1": ANN}}
            error = await refusal(house.ask("tools/call", params, modern()))
            assert type(error) is InvalidRequestState
            assert error.data() == {"reason": "invalid_request_state"}
            assert (box.count("tools/call"), box.count("answer")) == (1, 0)

    asyncio.run(play())


@pytest.mark.requirement("M10")
async def test_of_two_retries_of_one_state_exactly_one_goes_on():
    box = asker()
    async with House({"box": box}).open() as house:
        asked, told = await parked(house, box)
        calls = [house.begin("tools/call", retry(told, {"r1": ANN}), modern()) for _ in range(2)]
        await box.next("")
        asked.answer(DONE)
        came = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(each, InvalidRequestState) for each in came) == 1
        assert sum(isinstance(each, dict) for each in came) == 1
        assert box.count("tools/call") == 1


# --- clients that go ----------------------------------------------------------------------------------------


@pytest.mark.requirement("M12")
async def test_a_client_that_takes_its_time_is_waited_for(clock: FakeClock):
    box = asker()
    async with House({"box": box}, clock).open() as house:
        asked, told = await parked(house, box)
        clock.advance(599)
        again = house.begin("tools/call", retry(told, {"r1": ANN}), modern())
        assert (await box.next("")).message["result"] == ANN
        asked.answer(DONE)
        await again
        assert box.count("notifications/cancelled") == 0


@pytest.mark.requirement("M11")
async def test_a_call_whose_client_never_comes_back_is_cancelled(clock: FakeClock):
    box = asker()
    async with House({"box": box}, clock).open() as house:
        asked, told = await parked(house, box)
        clock.advance(601)
        assert (await box.next("")).message["result"] == CANCEL
        await until(lambda: box.count("notifications/cancelled"))
        assert box.asked[-1].params["requestId"] == asked.id
        asked.answer(DONE)
        assert isinstance(
            await refusal(house.ask("tools/call", retry(told, {"r1": ANN}), modern())), InvalidRequestState
        )
        assert box.count("tools/call") == 1


@pytest.mark.requirement("M12")
async def test_a_client_that_goes_during_the_retry_has_cancelled():
    box = asker()
    async with House({"box": box}).open() as house:
        asked, told = await parked(house, box)
        again = house.begin("tools/call", retry(told, {"r1": ANN}), modern())
        await box.next("")
        again.cancel()
        await until(lambda: box.count("notifications/cancelled"))
        assert box.asked[-1].params["requestId"] == asked.id
        assert isinstance(await refusal(house.ask("tools/call", retry(told), modern())), InvalidRequestState)


async def test_a_client_that_goes_before_anything_was_asked_has_cancelled():
    box = asker()
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, modern())
        asked = await box.next("tools/call")
        call.cancel()
        await until(lambda: box.count("notifications/cancelled"))
        assert box.asked[-1].params["requestId"] == asked.id
        at_once = house.begin("tools/call", RUN, modern())
        await asyncio.sleep(0)
        at_once.cancel()
        await asyncio.wait((at_once,))


async def test_a_stop_cancels_what_is_parked_and_parks_no_more():
    box = asker()
    async with House({"box": box}).open() as house:
        going_on = house.begin("tools/call", RUN, modern())
        asked = await box.next("tools/call")
        await parked(house, box)
        await house.gateway.aclose()
        assert (await box.next("")).message["result"] == CANCEL
        await until(lambda: box.count("notifications/cancelled"))
        asked.answer(DONE)
        assert (await going_on)["resultType"] == "complete"
        late = house.begin("tools/call", RUN, modern())
        asked = await box.next("tools/call")
        box.asks(8, "elicitation/create", asked, **FORM)
        assert isinstance(await refusal(late), Overloaded)
        assert (await box.next("")).message["result"] == CANCEL


# --- while the client is away -------------------------------------------------------------------------------


async def test_what_a_server_tells_while_nobody_listens_is_dropped_and_then_goes_to_the_retry():
    box, first, second = asker(), Outbox(), Outbox()
    async with House({"box": box}).open() as house:
        call = house.begin(
            "tools/call", RUN | {"_meta": {"progressToken": "a"}}, modern(log_level="debug"), first
        )
        asked = await box.next("tools/call")
        asked.progress(1)
        box.tells("notifications/message", level="error", data="heard")
        box.asks("q", "elicitation/create", **FORM)
        told = await call
        asked.progress(2)
        box.tells("notifications/message", level="error", data="lost")
        params = retry(told, {"r1": ANN}) | {"_meta": {"progressToken": "b"}}
        again = house.begin("tools/call", params, modern(log_level="error"), second)
        await box.next("")
        asked.progress(3)
        for level in ("warning", "error"):
            box.tells("notifications/message", level=level, data=level)
        asked.answer(DONE)
        await again
        assert [each["method"] for each in first.messages] == [
            "notifications/progress",
            "notifications/message",
        ]
        assert second.of("notifications/progress") == [{"progressToken": "b", "progress": 3}]
        assert [each["data"] for each in second.of("notifications/message")] == ["error"]


async def test_questions_that_come_while_the_client_is_away_wait_for_the_next_round():
    box = asker()
    async with House({"box": box}).open() as house:
        asked, told = await parked(house, box)
        box.asks("late", "roots/list", during=asked)
        second = await house.ask("tools/call", retry(told, {"r1": ANN}), modern())
        assert second["inputRequests"] == {"r2": entry("roots/list", {})}
        last = house.begin("tools/call", retry(second, {"r2": HOME}), modern())
        replies = [(await box.next("")).message for _ in range(2)]
        assert {each["id"]: each["result"] for each in replies} == {"q": ANN, "late": HOME}
        asked.answer(DONE)
        await last


async def test_a_call_that_ends_while_the_client_is_away_keeps_its_result_for_it():
    box = asker()
    async with House({"box": box}).open() as house:
        asked, told = await parked(house, box)
        asked.answer(DONE | {"isError": False})
        await box.next("")
        answer = await house.ask("tools/call", retry(told, {"r1": ANN}), modern())
        assert answer["isError"] is False
        asked, told = await parked(house, box)
        box.line.ends(CRASHED)
        error = await refusal(house.ask("tools/call", retry(told, {"r1": ANN}), modern()))
        assert isinstance(error, BackendExited)


async def test_a_question_that_the_server_takes_back_is_not_asked():
    box = asker()
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, modern())
        asked = await box.next("tools/call")
        box.asks("q", "elicitation/create", **FORM)
        box.tells("notifications/cancelled", requestId="q")
        asked.answer(DONE)
        assert (await call)["resultType"] == "complete"


@pytest.mark.parametrize("revision", [MODERN, LEGACY])
async def test_a_server_whose_era_is_not_known_yet_may_ask_in_either_way(revision: str):
    box = asker(revision)
    async with House({"box": box}).open() as house:
        box.line.ends(CRASHED)
        await until(lambda: house.backend("box").peer is None)
        call = house.begin("tools/call", RUN, modern())
        asked = await box.next("tools/call")
        if revision == MODERN:
            asked.answer(asking_for({"r1": entry("elicitation/create", FORM)}, "s"))
        else:
            box.asks("q", "elicitation/create", **FORM)
        told = await call
        assert told["inputRequests"] == {"r1": entry("elicitation/create", FORM)}
        again = house.begin("tools/call", retry(told, {"r1": ANN}), modern())
        if revision == MODERN:
            asked = await box.next("tools/call")
            assert asked.params["requestState"] == "s"
        asked.answer(DONE)
        await again


@pytest.mark.requirement("M19")
async def test_a_question_that_may_be_either_clients_reaches_neither():
    box, outbox = asker(), Outbox()
    for caller in (modern(), client(LEGACY, capabilities=ALL)):
        async with House({"box": box}).open() as house:
            calls = [house.begin("tools/call", RUN, each, outbox) for each in (modern(), caller)]
            asked = [await box.next("tools/call") for _ in calls]
            box.asks("q", "elicitation/create", **FORM)
            assert (await box.next("")).message["error"]["code"] == -32603
            for each in asked:
                each.answer(DONE)
            await asyncio.gather(*calls)
    assert outbox.questions == []


# --- what the client did not declare ------------------------------------------------------------------------


@pytest.mark.requirement("M13")
@pytest.mark.requirement("W26")
@pytest.mark.parametrize(
    ("capabilities", "needed"),
    [
        (only(), {"elicitation": {"form": {}}}),
        (only("roots", "elicitation.url"), {"elicitation": {"form": {}}}),
    ],
)
async def test_a_server_that_cannot_ask_is_told_so_and_its_failure_names_what_was_missing(
    capabilities: ClientCapabilities, needed: Any
):
    box = asker()
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, modern(capabilities=capabilities))
        asked = await box.next("tools/call")
        box.asks("q", "elicitation/create", **FORM)
        assert (await box.next("")).message["error"]["code"] == -32601
        asked.refuse(-32603, "needs a form")
        error = await refusal(call)
        assert isinstance(error, MissingCapability)
        assert (error.code, error.http_status) == (-32021, 400)
        assert error.data() == {"requiredCapabilities": needed}


@pytest.mark.requirement("M13")
async def test_a_server_that_does_without_is_heard():
    box = asker()
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, modern(capabilities=only()))
        asked = await box.next("tools/call")
        box.asks("q", "elicitation/create", **FORM)
        await box.next("")
        asked.answer(DONE | {"isError": True})
        assert (await call)["isError"] is True


async def test_a_retry_that_declares_less_is_not_asked_for_it_again():
    box = asker()
    async with House({"box": box}).open() as house:
        asked, told = await parked(house, box)
        again = house.begin("tools/call", retry(told, {}), modern(capabilities=only("roots")))
        assert (await box.next("")).message["error"]["code"] == -32601
        asked.refuse(-32603)
        assert isinstance(await refusal(again), MissingCapability)


async def test_a_failure_for_another_reason_is_the_servers_own():
    box = asker()
    async with House({"box": box}).open() as house:
        asked, told = await parked(house, box)
        again = house.begin("tools/call", retry(told, {"r1": ANN}), modern())
        await box.next("")
        asked.refuse(-32000, "own")
        error = await refusal(again)
        assert isinstance(error, BackendError)
        assert (error.code, error.message) == (-32000, "own")


# --- bounds -------------------------------------------------------------------------------------------------


@pytest.mark.requirement("A11")
async def test_a_principal_may_have_so_many_calls_parked_and_the_next_one_is_ended():
    box, bob = asker(), modern(principal="bob")
    async with House({"box": box}, limits={"parked": 1}).open() as house:
        asked, told = await parked(house, box, bob)
        call = house.begin("tools/call", RUN, bob)
        refused = await box.next("tools/call")
        box.asks("too many", "elicitation/create", refused, **FORM)
        assert isinstance(await refusal(call), Overloaded)
        assert (await box.next("")).message == {"jsonrpc": "2.0", "id": "too many", "result": CANCEL}
        # Others are not affected, and on this machine alone there is no such bound.
        eves = house.begin("tools/call", RUN, modern(principal="eve"))
        box.asks("eves", "elicitation/create", await box.next("tools/call"), **FORM)
        assert (await eves)["resultType"] == "input_required"
        # A call that asks again keeps its place.
        again = house.begin("tools/call", retry(told, {"r1": ANN}), bob)
        await box.next("")
        box.asks("more", "roots/list", during=asked)
        more = await again
        last = house.begin("tools/call", retry(more, {"r2": HOME}), bob)
        await box.next("")
        asked.answer(DONE)
        await last
        await parked(house, box, bob)


async def test_on_this_machine_parked_calls_are_not_counted():
    box = asker()
    async with House({"box": box}, limits={"parked": 1}).open() as house:
        for number in range(3):
            call = house.begin("tools/call", RUN, modern())
            asked = await box.next("tools/call")
            box.asks(number, "elicitation/create", asked, **FORM)
            assert (await call)["resultType"] == "input_required"


async def test_a_server_may_ask_ten_times_in_one_call():
    box = asker()
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, modern())
        asked = await box.next("tools/call")
        for number in range(10):
            box.asks(number, "roots/list")
        told = await call
        again = house.begin("tools/call", retry(told, {f"r{n}": HOME for n in range(1, 11)}), modern())
        for _ in range(10):
            assert "result" in (await box.next("")).message
        box.asks(11, "roots/list")
        assert (await box.next("")).message["error"]["code"] == -32603
        asked.answer(DONE)
        await again


# --- prompts and resources ----------------------------------------------------------------------------------


@pytest.mark.requirement("M18")
@pytest.mark.requirement("C06")
@pytest.mark.parametrize(
    ("method", "params", "result"),
    [
        ("prompts/get", {"name": "box__greet"}, {"messages": []}),
        (
            "resources/read",
            {"uri": "file:///a"},
            {"contents": [{"uri": "file:///a", "text": "x"}], "ttlMs": 9000, "cacheScope": "public"},
        ),
    ],
)
@pytest.mark.parametrize("revision", [MODERN, LEGACY])
async def test_prompts_and_resources_may_ask_a_modern_client_too(
    method: str, params: Any, result: Any, revision: str
):
    box = asker(revision)
    async with House({"box": box}).open() as house:
        call = house.begin(method, params, modern())
        asked = await box.next(method)
        if revision == MODERN:
            asked.answer(asking_for({"r1": entry("elicitation/create", FORM)}, "s"))
        else:
            box.asks(7, "elicitation/create", **FORM)
        told = await call
        assert not {"ttlMs", "cacheScope"} & told.keys()
        again = house.begin(method, retry(told, {"r1": ANN}, params), modern())
        if revision == MODERN:
            asked = await box.next(method)
        asked.answer(result)
        answer = await again
        assert answer["resultType"] == "complete"
        if method == "resources/read":
            # What the client has said is in it: it is good for nobody else, and not for long.
            assert (answer["ttlMs"], answer["cacheScope"]) == (0, "private")


# --- what is not told ---------------------------------------------------------------------------------------


@pytest.mark.requirement("A12")
async def test_no_state_no_argument_and_no_answer_is_logged(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    box = asker()
    async with House({"box": box}).open() as house:
        asked, told = await parked(house, box)
        await refusal(house.ask("tools/call", retry(told) | {"arguments": {"secret": "s3cret"}}, modern()))
        again = house.begin("tools/call", retry(told, {"r1": ANN}), modern())
        await box.next("")
        asked.answer(DONE)
        await again
        said = caplog.text + json.dumps(house.said)
        for secret in (told["requestState"], "s3cret", "Ann"):
            assert secret not in said
