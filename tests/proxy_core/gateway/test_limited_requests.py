"""What counts as a request and when, of whatever the gateway does with one."""

import asyncio
from typing import Any

import pytest

from proxy_core.access.meters import Scope
from proxy_core.errors import BackendFault, InvalidParams, Only1Error, Overloaded
from proxy_core.gateway.gateway import BYTES_PER_TOKEN
from tests.support.scripted_channel import CRASHED
from tests.support.stub_backends import (
    ALL,
    ANN,
    FORM,
    House,
    StubServer,
    asker,
    client,
    echo,
    prompt,
    resource,
    tool,
)

SERVER = (Scope.SERVER, "box")
PRINCIPAL = (Scope.PRINCIPAL, "anon")
RUN = {"name": "box__run", "arguments": {}}
FEW = {"calls_per_s": 1, "burst": 3}


def box() -> StubServer:
    return StubServer(
        script={
            "tools/call": echo,
            "prompts/get": lambda asked: asked.answer({"messages": []}),
            "resources/read": lambda asked: asked.answer({"contents": [{"uri": "box:///a", "text": "a"}]}),
        },
        tools=[tool("run"), tool("walk")],
        prompts=[prompt("ask")],
        resources=[resource("box:///a")],
    )


def limited(server: StubServer | None = None, *, settings: Any = None, **sections: Any) -> House:
    servers = {"box": server or box()}
    house = House(servers, settings={"box": settings or {}}, **sections)
    house.gateway.reloaded(house.config)
    return house


async def let_in(house: House, method: str, params: Any = None) -> int:
    for count in range(100):
        try:
            await house.ask(method, params or {})
        except Overloaded:
            return count
    return 100


OTHERS = [
    ("tools/list", {}),
    ("prompts/get", {"name": "box__ask"}),
    ("resources/read", {"uri": "box:///a"}),
    ("server/discover", {}),
    ("completion/complete", {"ref": {"type": "ref/prompt", "name": "box__ask"}, "argument": {}}),
]


@pytest.mark.parametrize(("method", "params"), [("tools/call", RUN), *OTHERS])
async def test_everything_that_is_asked_is_a_request_of_its_principal(method: str, params: Any):
    async with limited(limits=FEW).open() as house:
        assert await let_in(house, method, params) == 3
        assert house.gateway.limits.held == {}


async def test_to_ask_whether_we_are_there_never_counts():
    async with limited(limits=FEW).open() as house:
        assert await let_in(house, "ping") == 100
        assert await let_in(house, "tools/call", RUN) == 3
        assert await let_in(house, "ping") == 100


@pytest.mark.parametrize(
    ("method", "params", "is_counted"),
    [
        ("tools/call", RUN, True),
        ("prompts/get", {"name": "box__ask"}, True),
        ("resources/read", {"uri": "box:///a"}, True),
        ("tools/list", {}, False),
        ("server/discover", {}, False),
    ],
)
async def test_what_reaches_a_server_counts_there_and_what_the_gateway_answers_does_not(
    method: str, params: Any, is_counted: bool
):
    async with limited(settings={"limits": FEW}).open() as house:
        assert await let_in(house, method, params) == (3 if is_counted else 100)


async def test_a_limit_of_a_tool_is_for_calls_of_it_alone():
    async with limited(settings={"tools": {"limits": {"run": FEW}}}).open() as house:
        assert await let_in(house, "tools/call", RUN) == 3
        assert await let_in(house, "tools/call", {"name": "box__walk"}) == 100
        assert await let_in(house, "prompts/get", {"name": "box__ask"}) == 100


async def test_a_name_that_nobody_has_is_a_request_all_the_same():
    async with limited(limits=FEW).open() as house:
        for _ in range(3):
            with pytest.raises(InvalidParams):
                await house.ask("tools/call", {"name": "box__none"})
        with pytest.raises(Overloaded):
            await house.ask("tools/call", {"name": "box__none"})


async def test_a_refusal_is_told_as_a_request_that_reached_no_server():
    box = asker()
    async with limited(box, settings={"limits": {"concurrent": 1}}).open() as house:
        running = house.begin("tools/call", RUN)
        asked = await box.next("tools/call")
        with pytest.raises(Overloaded):
            await house.ask("tools/call", RUN)
        told = house.finished[-1]
        assert (told.method, told.server, told.error_code) == ("tools/call", None, -32603)
        asked.answer({"content": []})
        await running


async def test_a_kept_answer_asks_nothing_of_its_server():
    cache = {"tools": {"box__run": {"ttl_seconds": 60}}}
    async with limited(settings={"limits": {"calls_per_s": 1}}, cache=cache).open() as house:
        assert await let_in(house, "tools/call", RUN) == 100


async def test_a_call_that_is_found_through_our_own_tool_counts_where_it_goes():
    context = {"mode": "search"}
    call = {"name": "call_tool", "arguments": {"name": "box__run", "arguments": {}}}
    async with limited(settings={"tools": {"limits": {"run": FEW}}}, context=context).open() as house:
        assert await let_in(house, "tools/call", call) == 3


# --- in flight ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["answer", "refuse", "crash", "cancel"])
async def test_however_a_call_ends_its_place_is_free_again(end: str):
    box = asker()
    concurrent = {"concurrent": 1}
    sections: Any = {"settings": {"limits": concurrent, "tools": {"limits": {"*": concurrent}}}}
    async with limited(box, **sections, limits={"calls_per_s": 100}).open() as house:
        running = house.begin("tools/call", RUN)
        asked = await box.next("tools/call")
        held = {PRINCIPAL: 1, SERVER: 1, (Scope.TOOL, "box/run"): 1}
        assert house.gateway.limits.held == held
        with pytest.raises(Overloaded, match="at once"):
            await house.ask("tools/call", RUN)
        assert house.gateway.limits.held == held
        match end:
            case "answer":
                asked.answer({"content": []})
                await running
            case "refuse":
                asked.refuse(-32000)
                with pytest.raises(Only1Error):
                    await running
            case "crash":
                box.line.ends(CRASHED)
                with pytest.raises(BackendFault):
                    await running
            case "cancel":
                running.cancel()
                await asyncio.wait((running,))
        assert house.gateway.limits.held == {}


async def test_a_call_that_waits_for_its_client_is_not_in_flight_and_its_return_is_one_more():
    box, caller = asker(), client(capabilities=ALL)
    async with limited(
        box, settings={"limits": {"concurrent": 1, "calls_per_s": 1, "burst": 2}}
    ).open() as house:
        call = house.begin("tools/call", RUN, caller)
        asked = await box.next("tools/call")
        assert house.gateway.limits.held == {SERVER: 1}
        box.asks("q", "elicitation/create", asked, **FORM)
        told = await call
        assert house.gateway.limits.held == {}
        come_back = RUN | {"requestState": told["requestState"], "inputResponses": {"r1": ANN}}
        other = house.begin("tools/call", RUN, caller)
        late = await box.next("tools/call")
        with pytest.raises(Overloaded):
            await house.ask("tools/call", come_back, caller)
        late.answer({"content": []})
        await other
        house.clock.advance(1)
        again = house.begin("tools/call", come_back, caller)
        await box.next("")
        assert house.gateway.limits.held == {SERVER: 1}
        asked.answer({"content": []})
        assert (await again)["resultType"] == "complete"
        assert house.gateway.limits.held == {}
        assert box.count("tools/call") == 2


# --- tokens of lists ------------------------------------------------------------------------------------------


async def test_a_list_whose_tokens_are_not_counted_yet_is_guessed_by_its_size():
    long = [tool(f"t{number}", description="x" * 400) for number in range(10)]
    size = 10 * 400 // BYTES_PER_TOKEN
    async with limited(StubServer(tools=long), limits={"tokens_per_day": 3 * size}).open() as house:
        assert await let_in(house, "tools/list") == 3
        assert await let_in(house, "prompts/list") == 100
        house.clock.advance(25 * 3600)
        await house.ask("tools/list")


async def test_further_pages_belong_to_the_list_that_was_let_in():
    many = [tool(f"t{number}", description="x" * 100) for number in range(1100)]
    async with limited(StubServer(tools=many), limits={"tokens_per_day": 1}).open() as house:
        first = await house.ask("tools/list")
        assert (await house.ask("tools/list", {"cursor": first["nextCursor"]}))["tools"]
        with pytest.raises(Overloaded, match="tokens"):
            await house.ask("tools/list")
