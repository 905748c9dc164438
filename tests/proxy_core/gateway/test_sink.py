"""What a client is told while it waits for its answer."""

import asyncio
from typing import Any

import pytest

from proxy_core.protocol.revisions import MODERN
from tests.support.scripted_channel import until
from tests.support.stub_backends import (
    LEGACY,
    House,
    Outbox,
    StubServer,
    client,
    searcher,
    tool,
)

P = "io.modelcontextprotocol/"


@pytest.mark.requirement("P02")
@pytest.mark.parametrize("token", ["mine", 7, "g1-1"])
async def test_progress_comes_back_under_the_clients_own_token(token: Any):
    box, outbox = StubServer(tools=[tool("run")]), Outbox()
    async with House({"box": box}).open() as house:
        params = {"name": "box__run", "_meta": {"progressToken": token}}
        call = house.begin("tools/call", params, outbox=outbox)
        asked = await box.next("tools/call")
        assert asked.token != token
        for value in (1, 1, 0.5, 2):
            asked.progress(value)
        asked.progress(3, token=token)
        asked.answer({"content": []})
        await call
        asked.progress(4)
        told = outbox.of("notifications/progress")
        assert [(each["progressToken"], each["progress"]) for each in told] == [(token, 1), (token, 2)]


@pytest.mark.requirement("P02")
async def test_without_a_token_nothing_is_asked_for_and_nothing_comes():
    box, outbox = StubServer(tools=[tool("run")]), Outbox()
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", {"name": "box__run"}, outbox=outbox)
        asked = await box.next("tools/call")
        assert "_meta" not in asked.params
        asked.progress(1, token="g0-1")
        asked.answer({"content": []})
        await call
        assert outbox.messages == []


def says(box: StubServer, level: Any) -> None:
    box.tells("notifications/message", level=level, logger="l", data=level)


@pytest.mark.requirement("P06")
@pytest.mark.requirement("P07")
@pytest.mark.parametrize(
    ("caller", "heard"),
    [
        (client(), []),
        (client(log_level="warning"), ["warning", "error"]),
        (client(LEGACY), ["debug", "warning", "error", "odd"]),
        (client(LEGACY, log_level="error"), ["error"]),
    ],
)
async def test_a_client_hears_the_levels_that_it_asked_for(caller: Any, heard: list[str]):
    box, outbox = StubServer(tools=[tool("run")]), Outbox()
    async with House({"box": box}).open() as house:
        call = house.begin("tools/call", {"name": "box__run"}, caller, outbox)
        asked = await box.next("tools/call")
        for level in ("debug", "warning", "error", "odd"):
            says(box, level)
        asked.answer({"content": []})
        await call
        assert [each["data"] for each in outbox.of("notifications/message")] == heard


@pytest.mark.requirement("P10")
async def test_a_log_line_that_may_belong_to_either_of_two_calls_reaches_neither():
    box, outbox = StubServer(tools=[tool("run")]), Outbox()
    async with House({"box": box}).open() as house:
        calls = [house.begin("tools/call", {"name": "box__run"}, client(LEGACY), outbox) for _ in range(2)]
        asked = [await box.next("tools/call") for _ in range(2)]
        says(box, "error")
        for each in asked:
            each.answer({"content": []})
        await asyncio.gather(*calls)
        assert outbox.messages == []
        assert ("box", "info", '"error"') in house.said


@pytest.mark.requirement("W23")
@pytest.mark.parametrize("params", [{"level": "loud"}, {"level": 3}, {}, None])
async def test_a_level_that_there_is_not_is_refused(params: Any):
    async with House({"box": searcher()}).open() as house:
        assert (await house.refused("logging/setLevel", params, LEGACY)).code == -32602


@pytest.mark.requirement("P08")
async def test_a_server_is_told_the_most_verbose_level_that_any_client_wants():
    box = searcher(offers={"logging": {}})
    async with House({"box": box}).open() as house:
        for level in ("warning", "debug", "error"):
            await house.ask("logging/setLevel", {"level": level}, client(LEGACY))
        await until(lambda: box.count("logging/setLevel") == 2)
        told = [each.params["level"] for each in box.asked if each.message["method"] == "logging/setLevel"]
        assert told[-1] == "debug"
        assert "error" not in told


async def test_a_call_with_a_level_has_its_own_server_told_and_no_other():
    box, other = searcher(offers={"logging": {}}), searcher(offers={"logging": {}})
    async with House({"box": box, "other": other}).open() as house:
        await house.call("box__search", client(log_level="debug"))
        await until(lambda: box.count("logging/setLevel") == 1)
        assert other.count("logging/setLevel") == 0


@pytest.mark.requirement("P09")
async def test_a_modern_server_is_told_the_level_with_each_call():
    box = searcher(MODERN)
    async with House({"box": box}).open() as house:
        for caller, level in ((client(LEGACY), None), (client(LEGACY, log_level="error"), "error")):
            await house.call("box__search", caller)
            assert box.asked[-1].params["_meta"].get(P + "logLevel") == level
