"""Modern clients that are asked by modern servers, and pages that a legacy server wants visited first."""

import asyncio
import json
from typing import Any

import pytest

from proxy_core.errors import (
    BackendError,
    BackendProtocolError,
    ElicitationDeclined,
    InvalidRequestState,
    MissingCapability,
    Only1Error,
)
from proxy_core.gateway.exchange import Caller
from proxy_core.protocol.capabilities import ClientCapabilities
from proxy_core.protocol.revisions import LATEST_LEGACY, MODERN
from tests.support.scripted_channel import until
from tests.support.stub_backends import (
    ALL,
    ANN,
    FORM,
    LEGACY,
    PAGE,
    SAMPLE,
    House,
    Item,
    Outbox,
    StubServer,
    asker,
    asking_for,
    client,
    entry,
    raw_result,
)

P = "io.modelcontextprotocol/"
RUN = {"name": "box__run", "arguments": {"q": 1}}
DONE = {"content": []}


def modern(**more: Any) -> Caller:
    return client(MODERN, **{"capabilities": ALL} | more)


async def refusal(call: Any) -> Only1Error:
    try:
        await call
    except Only1Error as error:
        return error
    raise AssertionError("the request was answered")


async def told_by(house: House, box: StubServer, result: Any, caller: Caller | None = None) -> Item:
    """What the client is told when its call is answered with `result`."""
    call = house.begin("tools/call", RUN, caller or modern())
    (await box.next("tools/call")).answer(result)
    told = await call
    assert isinstance(told, dict)
    return told


# --- modern servers -----------------------------------------------------------------------------------------


@pytest.mark.requirement("M14")
async def test_a_modern_servers_requests_pass_verbatim_and_its_state_comes_back_to_the_letter():
    requests = (
        b'{"a b":{ "params":{"messages":[1.0e0],"x":null} , "method":"sampling\\/createMessage","vendor":1 },'
        b'"c":{"method":"roots/list"}}'
    )
    state = 'né "\\ \u0001' + "=" * 100
    box = asker(MODERN)
    body = b'{"resultType":"input_required","inputRequests":%s,"requestState":%s,"x/y":2,"ttlMs":5}'
    box.on("tools/call", raw_result(body % (requests, json.dumps(state).encode())))
    async with House({"box": box}).open() as house:
        raw = await house.bytes_of("tools/call", RUN, modern())
        assert (
            b'{ "params":{"messages":[1.0e0],"x":null} , "method":"sampling\\/createMessage","vendor":1 }'
            in raw
        )
        told = json.loads(raw)
        assert told["resultType"] == "input_required"
        assert told["_meta"][P + "serverInfo"]["name"] == "only1mcp"
        assert told["x/y"] == 2
        assert not {"ttlMs", "cacheScope"} & told.keys()
        assert told["requestState"] != state
        box.on("tools/call", lambda asked: asked.answer(DONE))
        responses = {"a b": {"any": ["thing", None]}, "extra": 7}
        back = RUN | {"requestState": told["requestState"], "inputResponses": responses}
        assert (await house.ask("tools/call", back, modern()))["resultType"] == "complete"
        params = box.asked[-1].params
        assert (params["requestState"], params["inputResponses"]) == (state, responses)
        assert (params["name"], params["arguments"]) == ("run", {"q": 1})


@pytest.mark.requirement("M14")
async def test_a_server_that_gives_no_state_gets_the_answers_and_none():
    box = asker(MODERN)
    async with House({"box": box}).open() as house:
        told = await told_by(house, box, asking_for({"a": entry("elicitation/create", FORM)}))
        assert "requestState" not in told
        again = house.begin("tools/call", RUN | {"inputResponses": {"a": ANN}}, modern())
        asked = await box.next("tools/call")
        assert asked.params["inputResponses"] == {"a": ANN}
        assert "requestState" not in asked.params
        asked.answer(DONE)
        await again


async def test_a_server_that_only_wants_to_be_asked_again_is_passed_on():
    box = asker(MODERN)
    async with House({"box": box}).open() as house:
        told = await told_by(house, box, asking_for(state="s"))
        assert "inputRequests" not in told
        again = house.begin("tools/call", RUN | {"requestState": told["requestState"]}, modern())
        asked = await box.next("tools/call")
        assert asked.params["requestState"] == "s"
        assert "inputResponses" not in asked.params
        asked.answer(DONE)
        await again


@pytest.mark.requirement("M20")
async def test_only_the_message_of_a_form_says_who_asks():
    box = asker(MODERN)
    requests = {
        "f": entry("elicitation/create", FORM),
        "p": entry("elicitation/create", PAGE),
        "s": entry("sampling/createMessage", SAMPLE),
    }
    async with House({"box": box, "web": asker()}).open() as house:
        told = await told_by(house, box, asking_for(requests))
        assert told["inputRequests"] == {
            "f": entry("elicitation/create", FORM | {"message": "[box] Name?"}),
            "p": entry("elicitation/create", PAGE | {"message": "[box] Sign in"}),
            "s": requests["s"],
        }


@pytest.mark.requirement("M14")
@pytest.mark.parametrize(
    ("asked", "features"),
    [
        (entry("elicitation/create", FORM), {"elicitation.url"}),
        (entry("elicitation/create", PAGE), {"elicitation.form"}),
        (entry("sampling/createMessage", SAMPLE | {"tools": []}), {"sampling"}),
        (entry("roots/list", {}), set()),
    ],
)
async def test_what_the_client_did_not_declare_is_not_passed_on(asked: Any, features: Any):
    box = asker(MODERN)
    async with House({"box": box}).open() as house:
        caller = modern(capabilities=ClientCapabilities(frozenset(features)))
        error = await refusal(told_by(house, box, asking_for({"a": asked}, "s"), caller))
        assert isinstance(error, BackendProtocolError)
        assert error.code == -32603


async def test_a_state_too_large_to_be_kept_is_the_servers_fault():
    box = asker(MODERN)
    async with House({"box": box}).open() as house:
        assert "requestState" in await told_by(house, box, asking_for(state="s" * 40_000))
        error = await refusal(told_by(house, box, asking_for(state="s" * 66_000)))
        assert isinstance(error, BackendProtocolError)


@pytest.mark.requirement("M15")
@pytest.mark.requirement("M09")
async def test_a_wrapped_state_reaches_its_own_server_alone():
    box, web = asker(MODERN), asker(MODERN)
    async with House({"box": box, "web": web}).open() as house:
        told = await told_by(house, box, asking_for(state="s"))
        for params, caller in (
            (RUN | {"name": "web__run"}, modern()),
            (RUN | {"arguments": {}}, modern()),
            (RUN, modern(principal="eve")),
        ):
            back = params | {"requestState": told["requestState"]}
            assert isinstance(await refusal(house.ask("tools/call", back, caller)), InvalidRequestState)
        assert (box.count("tools/call"), web.count("tools/call")) == (1, 0)


async def test_a_wrapped_state_is_of_no_use_to_a_server_that_has_changed_its_era():
    box = asker(MODERN)
    async with House({"box": box}).open() as house:
        told = await told_by(house, box, asking_for(state="s"))
        box.revision = LEGACY
        await house.backend("box").restart(0)
        await until(lambda: (peer := house.backend("box").peer) is not None and peer.revision == LEGACY)
        back = RUN | {"requestState": told["requestState"]}
        assert isinstance(await refusal(house.ask("tools/call", back, modern())), InvalidRequestState)


@pytest.mark.parametrize(
    "more", [{"inputResponses": {"r1": ANN}}, {"inputResponses": None}, {"requestState": None}]
)
async def test_answers_without_a_state_are_nothing_to_a_legacy_server(more: Any):
    box = asker()
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN | more, modern())
        asked = await box.next("tools/call")
        assert asked.params.keys() == {"name", "arguments"}
        asked.answer(DONE)
        assert (await call)["resultType"] == "complete"


async def test_a_retry_does_not_make_a_result_of_a_read_last():
    box = asker(MODERN, hints={"ttlMs": 0})
    read = {"contents": [{"uri": "file:///a", "text": "x"}], "ttlMs": 9000, "cacheScope": "public"}
    box.on("resources/read", lambda asked: asked.answer(read))
    async with House({"box": box}).open() as house:
        plain = await house.ask("resources/read", {"uri": "file:///a"}, modern())
        assert (plain["ttlMs"], plain["cacheScope"]) == (9000, "public")
        after = await house.ask("resources/read", {"uri": "file:///a", "inputResponses": {"a": ANN}}, modern())
        assert (after["ttlMs"], after["cacheScope"]) == (0, "private")


# --- capabilities that a modern server requires (-32021) ----------------------------------------------------


async def refused_with(required: Any, caller: Caller) -> Only1Error:
    box = asker(MODERN)
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, caller, Outbox())
        (await box.next("tools/call")).refuse(-32021, "needs it", {"requiredCapabilities": required})
        return await refusal(call)


@pytest.mark.requirement("W26")
async def test_a_capability_that_the_client_really_lacks_is_named_to_it():
    error = await refused_with({"sampling": {}, "x": 7}, modern(capabilities=ClientCapabilities()))
    assert isinstance(error, MissingCapability)
    assert (error.http_status, error.data()) == (400, {"requiredCapabilities": {"sampling": {}}})
    error = await refused_with({"extensions": {P + "ui": {}}}, modern())
    assert isinstance(error, MissingCapability)


@pytest.mark.requirement("W26")
@pytest.mark.parametrize("required", [{"sampling": {}}, {}, {"future": {}}, [], "sampling", None])
async def test_a_capability_that_the_client_has_is_not_its_fault(required: Any):
    assert isinstance(await refused_with(required, modern()), BackendProtocolError)


async def test_a_legacy_client_cannot_declare_more_and_is_told_what_it_would_take():
    error = await refused_with({"sampling": {}}, client(LATEST_LEGACY))
    assert isinstance(error, BackendProtocolError)
    data = error.data()
    assert data["requiredCapabilities"] == {"sampling": {}}
    assert data["dev.only1mcp"]["kind"] == "backend_protocol"


# --- pages to be visited first (-32042) ---------------------------------------------------------------------

OTHER_PAGE = PAGE | {"url": "https://b.example"}
PAGES = {"elicitations": [PAGE | {"elicitationId": "e1"}, OTHER_PAGE | {"elicitationId": "e2"}]}


async def visit_first(house: House, box: StubServer, caller: Caller, data: Any = PAGES) -> Any:
    call = house.begin("tools/call", RUN, caller, Outbox())
    (await box.next("tools/call")).refuse(-32042, "visit", data)
    return await call


@pytest.mark.requirement("M16")
async def test_a_modern_client_is_asked_to_visit_and_its_retry_makes_the_call_anew():
    box = asker()
    async with House({"box": box}).open() as house:
        told = await visit_first(house, box, modern())
        assert told["inputRequests"] == {
            "r1": entry("elicitation/create", PAGE),
            "r2": entry("elicitation/create", OTHER_PAGE),
        }
        accepted = {"r1": {"action": "accept"}, "r2": {"action": "accept"}}
        back = RUN | {"requestState": told["requestState"], "inputResponses": accepted}
        again = house.begin("tools/call", back, modern())
        asked = await box.next("tools/call")
        assert asked.params == {"name": "run", "arguments": {"q": 1}}
        asked.answer(DONE)
        assert (await again)["resultType"] == "complete"


@pytest.mark.requirement("M16")
@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_page_that_was_declined_ends_the_call_without_another(action: str):
    box = asker()
    async with House({"box": box}).open() as house:
        told = await visit_first(house, box, modern())
        answers = {"r1": {"action": "accept"}, "r2": {"action": action}}
        back = RUN | {"requestState": told["requestState"], "inputResponses": answers}
        answer = await house.ask("tools/call", back, modern())
        assert (answer["resultType"], answer["isError"]) == ("complete", True)
        assert box.count("tools/call") == 1
        box.on("prompts/get", lambda asked: asked.refuse(-32042, "visit", PAGES))
        told = await house.ask("prompts/get", {"name": "box__greet"}, modern())
        back = {"name": "box__greet", "requestState": told["requestState"], "inputResponses": answers}
        error = await refusal(house.ask("prompts/get", back, modern()))
        assert isinstance(error, ElicitationDeclined)
        assert error.data()["dev.only1mcp"]["kind"] == "elicitation_declined"


@pytest.mark.requirement("M16")
@pytest.mark.parametrize("answers", [{}, {"r1": {"action": "accept"}}, {"r1": 7, "r2": None}])
async def test_a_page_left_unanswered_is_for_the_server_to_ask_for_again(answers: Any):
    box = asker()
    async with House({"box": box}).open() as house:
        told = await visit_first(house, box, modern())
        back = RUN | {"requestState": told["requestState"], "inputResponses": answers}
        again = house.begin("tools/call", back, modern())
        (await box.next("tools/call")).refuse(-32042, "visit", PAGES)
        more = await again
        assert more["resultType"] == "input_required"
        assert more["requestState"] != told["requestState"]


@pytest.mark.requirement("M16")
async def test_a_modern_client_that_knows_no_pages_is_told_what_it_lacks():
    box = asker()
    async with House({"box": box}).open() as house:
        caller = modern(capabilities=ClientCapabilities(frozenset({"elicitation.form"})))
        error = await refusal(visit_first(house, box, caller))
        assert isinstance(error, MissingCapability)
        assert error.data() == {"requiredCapabilities": {"elicitation": {"url": {}}}}


@pytest.mark.requirement("M16")
@pytest.mark.requirement("M20")
async def test_the_error_passes_to_the_revision_that_knows_it_and_its_pages_are_reported_done():
    box, stream = asker(), Outbox()
    async with House({"box": box, "web": asker()}).open() as house:
        caller = client(LATEST_LEGACY, session="s1", stream=stream)
        error = await refusal(visit_first(house, box, caller))
        assert isinstance(error, BackendError)
        assert (error.code, error.message) == (-32042, "visit")
        first, second = json.loads(error.raw_data)["elicitations"]
        assert first == PAGE | {"elicitationId": "e1", "message": "[box] Sign in"}
        assert second["url"] == "https://b.example"
        box.tells("notifications/elicitation/complete", elicitationId="e2")
        await until(lambda: stream.messages)
        assert stream.of("notifications/elicitation/complete") == [{"elicitationId": "e2"}]


@pytest.mark.requirement("M16")
@pytest.mark.parametrize("revision", ["2025-06-18", "2025-03-26", "2024-11-05"])
async def test_older_clients_get_words_for_it(revision: str):
    box = asker()
    async with House({"box": box}).open() as house:
        error = await refusal(visit_first(house, box, client(revision)))
        assert error.code == -32603
        assert "page" in error.message
        assert "example" not in error.message


@pytest.mark.requirement("M16")
@pytest.mark.parametrize("caller", [modern(), client(LATEST_LEGACY)])
@pytest.mark.parametrize(
    "data",
    [
        {"elicitations": [PAGE | {"url": "javascript:alert(1)"}]},
        {"elicitations": [FORM]},
        {"elicitations": [7]},
        {"elicitations": [PAGE] * 11},
        {"elicitations": [PAGE | {"message": "x" * 66_000}]},
        [],
    ],
)
async def test_pages_that_cannot_be_shown_are_the_servers_fault(caller: Caller, data: Any):
    box = asker()
    async with House({"box": box}).open() as house:
        assert isinstance(await refusal(visit_first(house, box, caller, data)), BackendProtocolError)


async def test_the_call_of_a_client_that_can_be_asked_is_cancelled_with_it_at_a_modern_server():
    box = asker(MODERN)
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", RUN, modern())
        asked = await box.next("tools/call")
        call.cancel()
        await asyncio.wait((call,))
        await until(lambda: box.count("notifications/cancelled"))
        assert box.asked[-1].params["requestId"] == asked.id
