"""Listens that hear of tasks: their own, under their own names, from servers that agree."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy_core.gateway import task_updates
from proxy_core.protocol.capabilities import FEATURES, TASKS, ClientCapabilities
from tests.support.scripted_channel import Asked, acknowledge, acknowledges, news, result, silence, until
from tests.support.stub_backends import MODERN, House, StubServer, client, tool

TASK = {"taskId": "t1", "status": "working"}
ASKED = {"method": "elicitation/create", "params": {"message": "Name?", "requestedSchema": {"type": "object"}}}
CHANGED, LISTEN = "notifications/tasks", "subscriptions/listen"


def server(listens: Any = acknowledges) -> StubServer:
    script = {"tools/call": result({"resultType": "task"} | TASK), LISTEN: listens}
    offers = {"extensions": {TASKS: {}}}
    return StubServer(MODERN, announces=False, tools=[tool("run")], offers=offers, script=script)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with House({"box": server(), "other": server()}).open() as house:
        yield house


def knowing(principal: str = "ann") -> Any:
    declared = ClientCapabilities(FEATURES, extensions=((TASKS, b"{}"),))
    return client(principal=principal, capabilities=declared)


async def token_of(house: House, server: str = "box") -> str:
    return str((await house.call(f"{server}__run", knowing()))["taskId"])


async def listen(house: House, *tokens: str, principal: str = "ann") -> tuple[list[str], list[Any], Any]:
    """What was accepted, what is heard, and what ends it."""
    heard: list[Any] = []
    accepted, end = await house.gateway.task_updates.listen(knowing(principal), tokens, heard.append)
    return accepted, heard, end


def listens_of(house: House, server: str = "box") -> list[Asked]:
    return [each for each in house.servers[server].asked if each.message.get("method") == LISTEN]


async def test_a_listen_hears_of_its_tasks_in_the_clients_words(house: House):
    token = await token_of(house)
    accepted, heard, end = await listen(house, token, token, "nobodys")
    assert accepted == [token]
    upstream = listens_of(house)[-1]
    assert upstream.params["notifications"] == {"taskIds": ["t1"]}
    declared = upstream.params["_meta"]["io.modelcontextprotocol/clientCapabilities"]
    assert declared == {"extensions": {TASKS: {}}}
    news(upstream, CHANGED, **TASK, requestState="x")
    news(upstream, CHANGED, taskId="t1", status="input_required", inputRequests={"k": ASKED})
    news(upstream, CHANGED, taskId="t2", status="working")
    assert [each["taskId"] for each in heard] == [token] * 2
    assert heard[0].keys() == {"taskId", "status"}
    assert b"[box] Name?" in bytes(heard[1]["inputRequests"]["k"])
    end()
    end()
    news(upstream, CHANGED, **TASK)
    assert (len(heard), len(house.gateway.task_updates)) == (2, 0)


@pytest.mark.requirement("T03")
async def test_nobody_hears_of_another_principals_task(house: House):
    token = await token_of(house)
    accepted, _, _ = await listen(house, token, principal="bob")
    assert (accepted, listens_of(house)) == ([], [])


async def test_each_server_is_asked_for_its_own_tasks(house: House):
    tokens = [await token_of(house, each) for each in ("box", "other")]
    accepted, _, _ = await listen(house, *tokens)
    assert accepted == tokens
    assert [len(listens_of(house, each)) for each in ("box", "other")] == [1, 1]


@pytest.mark.parametrize("listens", [lambda asked: acknowledge(asked), silence], ids=["refused", "silent"])
async def test_a_server_that_does_not_agree_is_not_heard(listens: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(task_updates, "ACK_S", 0.05)
    async with House({"box": server(listens)}).open() as house:
        accepted, heard, _ = await listen(house, await token_of(house))
        news(listens_of(house)[-1], CHANGED, **TASK)
        assert (accepted, heard, len(house.gateway.task_updates)) == ([], [], 0)


async def test_a_listen_that_ends_while_it_waits_leaves_nothing():
    async with House({"box": server(silence)}).open() as house:
        opening = asyncio.ensure_future(listen(house, await token_of(house)))
        await until(lambda: listens_of(house))
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert len(house.gateway.task_updates) == 0


async def test_what_cannot_be_shown_is_dropped(house: House):
    _, heard, _ = await listen(house, await token_of(house))
    upstream = listens_of(house)[-1]
    news(upstream, CHANGED, **TASK, inputRequests={"k": {"method": "tools/call"}})
    news(upstream, CHANGED, taskId="t1", status="lost")
    news(upstream, CHANGED, **TASK)
    assert len(heard) == 1


async def test_a_listen_has_a_bounded_number_of_tasks(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(task_updates, "MAX_TASKS", 1)
    tokens = [await token_of(house, each) for each in ("box", "other")]
    accepted, _, _ = await listen(house, *tokens)
    assert accepted == tokens[:1]
