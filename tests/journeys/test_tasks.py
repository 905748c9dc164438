"""Tasks of both kinds, from real clients of both eras to real servers over HTTP and stdio."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.proxy import Proxy
from tests.support.gateway_process import remote, stdio
from tests.support.http_client import ENVELOPE, META, Client, Reply, Stream, modern, request
from tests.support.processes import MODULE_ENV, free_port, module_command
from tests.support.tasks_server import TasksServer, app_of
from tests.support.wire import ask, call, call_text, comes_true, connected, last_of, tool_names

TASKS = META + "tasks"
KNOWS_TASKS = {"extensions": {TASKS: {}}, "elicitation": {}}
CAN_BE_ASKED: dict[str, Any] = {"elicitation": {}}
NOTHING: dict[str, Any] = {}
BOTH = pytest.mark.parametrize("box", ["web", "pipe"])
METHODS = ("tasks/get", "tasks/update", "tasks/cancel")
YES = {"action": "accept", "content": {"confirm": True}}
TOKENS = {"ada": "o1_of-ada-0123456789-0123456789-abcdefgh", "bob": "o1_of-bob-0123456789-0123456789-abcdefgh"}


class House:
    """A gateway before servers with tasks: `web` (modern, HTTP), `pipe` (modern, stdio), `old` (legacy)."""

    def __init__(self, url: str, server: TasksServer) -> None:
        self.url = url
        self.server = server
        """The one behind `web`."""

    def tasks_of(self, status: str) -> list[str]:
        return [task.id for task in self.server.tasks.values() if task.status == status]


@asynccontextmanager
async def opened(*servers: dict[str, Any], **sections: Any) -> AsyncIterator[str]:
    config = Config.model_validate({"proxy": {"port": 0}, "servers": servers, **sections})
    proxy = Proxy(LoadedConfig(config))
    async with proxy.started():
        assert await proxy.wait_ready(60)
        yield proxy.snapshot().url


@asynccontextmanager
async def tasks_server() -> AsyncIterator[tuple[TasksServer, dict[str, Any]]]:
    """A server with tasks inside this process, and its place in a configuration."""
    server, port = TasksServer(), free_port()
    runner = web.AppRunner(app_of(server), handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield server, remote("web", f"http://127.0.0.1:{port}/mcp")
    finally:
        await runner.cleanup()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    pipe = stdio("pipe", module_command("tests.support.tasks_server", "--stdio"), env=MODULE_ENV)
    old = stdio("old", module_command("tests.support.legacy_tasks_server"), env=MODULE_ENV)
    async with tasks_server() as (server, at_web), opened(at_web, pipe, old) as url:
        yield House(url, server)


@pytest.fixture
async def client(house: House) -> AsyncIterator[Client]:
    async with connected(house.url) as client:
        yield client


def meta(capabilities: Any) -> dict[str, Any]:
    return ENVELOPE | {META + "clientCapabilities": capabilities}


async def asked(client: Client, method: str, params: Any, capabilities: Any = KNOWS_TASKS, **how: Any) -> Reply:
    return await client.ask(method, params, meta=meta(capabilities), **how)


async def result(client: Client, method: str, params: Any, capabilities: Any = KNOWS_TASKS) -> Any:
    answer = last_of(await asked(client, method, params, capabilities))
    assert "result" in answer, answer
    return answer["result"]


async def begun(client: Client, name: str, **arguments: Any) -> Any:
    created = await result(client, "tools/call", {"name": name, "arguments": arguments})
    assert created["resultType"] == "task"
    return created


async def reached(client: Client, token: str, status: str) -> Any:
    async def look() -> Any:
        task = await result(client, "tasks/get", {"taskId": token})
        return task if task["status"] == status else None

    return await comes_true(look, status)


def text(of_tool: Any) -> Any:
    return of_tool["content"][0]["text"]


# --- clients that know tasks ---------------------------------------------------------------------------------


@BOTH
@pytest.mark.requirement("T01")
async def test_who_did_not_declare_tasks_is_told_to_whatever_it_asks_of_them(client: Client, box: str):
    token = (await begun(client, f"{box}__slow_compute", seconds=0))["taskId"]
    for method in METHODS:
        reply = await asked(client, method, {"taskId": token}, CAN_BE_ASKED)
        assert (reply.status, reply.error_code) == (400, -32021)
        assert reply.json["error"]["data"] == {"requiredCapabilities": {"extensions": {TASKS: {}}}}
    reply = await asked(client, "subscriptions/listen", {"notifications": {"taskIds": [token]}}, CAN_BE_ASKED)
    assert (reply.status, reply.error_code) == (400, -32021)


@pytest.mark.requirement("T01")
async def test_an_unknown_task_and_a_method_that_is_no_more_are_refused(house: House, client: Client):
    for method in METHODS:
        reply = await asked(client, method, {"taskId": "nobodys"})
        assert (reply.status, reply.error_code) == (400, -32602)
    for method in ("tasks/list", "tasks/result"):
        reply = await asked(client, method, {"taskId": "nobodys"})
        assert (reply.status, reply.error_code) == (404, -32601)
    async with connected(house.url, "legacy") as legacy:
        for method in (*METHODS, "tasks/list", "tasks/result"):
            assert (await ask(legacy, method, {"taskId": "nobodys"}))["error"]["code"] == -32601


async def test_tasks_are_offered_as_an_extension_and_to_modern_clients_alone(house: House, client: Client):
    offered = (await result(client, "server/discover", {}))["capabilities"]
    assert offered["extensions"] == {TASKS: {}}
    assert "tasks" not in offered
    async with connected(house.url, "legacy") as legacy:
        handshake = (await legacy.initialize()).json["result"]["capabilities"]
        assert handshake.keys().isdisjoint({"tasks", "extensions"})


@BOTH
@pytest.mark.requirement("T02")
async def test_a_task_can_be_asked_for_at_once_under_an_id_of_ours(client: Client, box: str):
    created = await begun(client, f"{box}__slow_compute", seconds=0.2, label="seven")
    token = created["taskId"]
    assert token.startswith("o1.")
    assert (created["ttlMs"], created["pollIntervalMs"]) == (60_000, 50)
    assert created["_meta"][META + "serverInfo"]["name"] == "only1mcp"
    first = await result(client, "tasks/get", {"taskId": token})
    assert (first["taskId"], first["resultType"], first["ttlMs"]) == (token, "complete", 60_000)
    done = await reached(client, token, "completed")
    assert text(done["result"]) == "computed seven"
    wrong = await asked(client, "tasks/get", {"taskId": token}, headers={"Mcp-Name": "another"})
    assert (wrong.status, wrong.error_code) == (400, -32020)


@BOTH
@pytest.mark.requirement("T02")
async def test_a_task_gets_its_input_from_the_client_and_is_cancelled_by_it(client: Client, box: str):
    token = (await begun(client, f"{box}__confirm_delete", filename="a.txt"))["taskId"]
    waiting = await reached(client, token, "input_required")
    assert waiting["inputRequests"]["confirm"]["params"]["message"] == f"[{box}] Delete it?"
    given = {"taskId": token, "inputResponses": {"confirm": YES}}
    assert (await result(client, "tasks/update", given)).keys() == {"resultType", "_meta"}
    assert text((await reached(client, token, "completed"))["result"]) == "accept a.txt"

    other = (await begun(client, f"{box}__slow_compute", seconds=60))["taskId"]
    assert (await result(client, "tasks/cancel", {"taskId": other}))["resultType"] == "complete"
    await reached(client, other, "cancelled")


@BOTH
async def test_input_that_comes_before_a_task_and_the_task_go_together(client: Client, box: str):
    params = {"name": f"{box}__test_tool_with_task", "arguments": {}}
    first = await result(client, "tools/call", params)
    assert first["resultType"] == "input_required"
    answers = {"user_name": {"action": "accept", "content": {"name": "Ada"}}}
    created = await result(
        client, "tools/call", params | {"inputResponses": answers, "requestState": first["requestState"]}
    )
    assert created.keys().isdisjoint({"requestState", "inputRequests"})
    assert text((await reached(client, created["taskId"], "completed"))["result"]) == "computed Ada"


@asynccontextmanager
async def listening(client: Client, *tokens: str) -> AsyncIterator[Stream]:
    wanted = {"notifications": {"taskIds": tokens, "toolsListChanged": True}}
    body, headers = modern("subscriptions/listen", wanted, id="listen", meta=meta(KNOWS_TASKS))
    async with client.stream("POST", body, headers=headers) as stream:
        yield stream


async def next_of_tasks(stream: Any) -> Any:
    """A server that starts later than the others has its tools told of meanwhile."""
    while (told := await stream.next())["method"] == "notifications/tools/list_changed":
        pass
    assert told["method"] == "notifications/tasks"
    return told


@BOTH
async def test_a_listen_hears_of_its_own_tasks_and_no_others(client: Client, box: str):
    mine, others = [(await begun(client, f"{box}__confirm_delete"))["taskId"] for _ in range(2)]
    async with listening(client, mine, "nobodys") as stream, listening(client, others) as elsewhere:
        honoured = (await stream.next())["params"]["notifications"]
        assert honoured == {"taskIds": [mine], "toolsListChanged": True}
        await elsewhere.next()
        await result(client, "tasks/update", {"taskId": mine, "inputResponses": {"confirm": YES}})
        told = [await next_of_tasks(stream) for _ in range(2)]
        assert [each["params"]["status"] for each in told] == ["working", "completed"]
        assert {each["params"]["taskId"] for each in told} == {mine}
        assert told[-1]["params"]["_meta"] == {META + "subscriptionId": "listen"}
        assert text(told[-1]["params"]["result"]) == "accept "
        await result(client, "tasks/cancel", {"taskId": others})
        assert (await next_of_tasks(elsewhere))["params"]["taskId"] == others


@pytest.mark.requirement("T03")
async def test_a_task_is_its_own_principals_alone():
    hashed = [
        {"name": name, "sha256": hashlib.sha256(token.encode()).hexdigest()} for name, token in TOKENS.items()
    ]
    async with tasks_server() as (server, at_web), opened(at_web, auth={"tokens": hashed}) as url:
        async with connected(url, token=TOKENS["ada"]) as ada, connected(url, token=TOKENS["bob"]) as bob:
            token = (await begun(ada, "web__slow_compute", seconds=60))["taskId"]
            refusals = []
            for method in METHODS:
                for task in (token, "nobodys"):
                    reply = await asked(bob, method, {"taskId": task})
                    assert reply.status == 400
                    refusals.append(reply.json["error"])
            assert refusals == [{"code": -32602, "message": "Unknown task"}] * 6
            async with listening(bob, token) as stream:
                assert (await stream.next())["params"]["notifications"] == {"toolsListChanged": True}
            assert [task.status for task in server.tasks.values()] == ["working"]
            assert (await result(ada, "tasks/get", {"taskId": token}))["status"] == "working"


# --- clients that know none, and a modern server that insists ------------------------------------------------


@asynccontextmanager
async def legacy_client(house: House, capabilities: Any = CAN_BE_ASKED) -> AsyncIterator[Client]:
    async with connected(house.url, "legacy") as client:
        await client.initialize(capabilities=capabilities)
        yield client


@asynccontextmanager
async def legacy_call(client: Client, name: str, id: Any = 1, **arguments: Any) -> AsyncIterator[Stream]:
    body = request("tools/call", {"name": name, "arguments": arguments}, id)
    async with client.stream("POST", body, headers=client.legacy_headers()) as stream:
        yield stream


async def answered(client: Client, question: Any, answer: Any) -> None:
    assert question["method"] == "elicitation/create"
    reply = await client.post({"jsonrpc": "2.0", "id": question["id"], "result": answer})
    assert reply.status == 202


async def retried(client: Client, params: Any, first: Any, answer: Any) -> Any:
    """What comes of a modern call once everything that it asked for is answered so."""
    assert first["resultType"] == "input_required"
    answers = dict.fromkeys(first["inputRequests"], answer)
    more = {"inputResponses": answers, "requestState": first["requestState"]}
    return await result(client, "tools/call", params | more, CAN_BE_ASKED)


@BOTH
@pytest.mark.requirement("T04")
async def test_a_task_that_a_modern_client_knows_nothing_of_is_seen_through_with_its_input(
    client: Client, box: str
):
    params = {"name": f"{box}__confirm_delete", "arguments": {"filename": "b.txt"}}
    first = await result(client, "tools/call", params, CAN_BE_ASKED)
    assert [each["params"]["message"] for each in first["inputRequests"].values()] == [f"[{box}] Delete it?"]
    done = await retried(client, params, first, YES)
    assert (text(done), done["resultType"]) == ("accept b.txt", "complete")


@BOTH
@pytest.mark.requirement("T04")
async def test_a_task_that_a_legacy_client_knows_nothing_of_is_seen_through_with_its_input(
    house: House, box: str
):
    async with legacy_client(house) as client, legacy_call(client, f"{box}__confirm_delete") as stream:
        question = await stream.next()
        assert question["params"]["message"] == f"[{box}] Delete it?"
        await answered(client, question, YES)
        done = (await stream.next())["result"]
        assert done == {"content": [{"type": "text", "text": "accept "}]}


@BOTH
@pytest.mark.requirement("T04")
async def test_a_task_needs_no_input_to_be_seen_through(house: House, box: str):
    async with legacy_client(house, NOTHING) as client:
        failed = (await call(client, f"{box}__failing_job"))["result"]
        assert (failed["isError"], text(failed)) == (True, "It failed, as it always does.")
        broken = (await call(client, f"{box}__protocol_error_job"))["error"]
        assert (broken["code"], broken["message"]) == (-32603, "It broke, as it always does.")


@BOTH
@pytest.mark.requirement("T04")
async def test_input_before_the_task_is_asked_of_clients_that_know_none(house: House, client: Client, box: str):
    params = {"name": f"{box}__test_tool_with_task", "arguments": {}}
    named = {"action": "accept", "content": {"name": "Ada"}}
    first = await result(client, "tools/call", params, CAN_BE_ASKED)
    assert text(await retried(client, params, first, named)) == "computed Ada"
    async with legacy_client(house) as legacy, legacy_call(legacy, f"{box}__test_tool_with_task") as stream:
        await answered(legacy, await stream.next(), named)
        assert text((await stream.next())["result"]) == "computed Ada"


@BOTH
async def test_a_modern_client_that_cannot_be_asked_anything_hears_that_tasks_are_needed(
    client: Client, box: str
):
    reply = await asked(client, "tools/call", {"name": f"{box}__failing_job"}, NOTHING)
    assert (reply.status, reply.error_code) == (400, -32021)
    assert reply.json["error"]["data"] == {"requiredCapabilities": {"extensions": {TASKS: {}}}}


@pytest.mark.requirement("T04")
async def test_a_task_whose_input_nobody_can_give_is_cancelled(house: House, client: Client):
    async with legacy_client(house, NOTHING) as legacy:
        error = (await call(legacy, "web__confirm_delete"))["error"]
        assert error["code"] == -32603
        assert error["data"]["requiredCapabilities"] == {"extensions": {TASKS: {}}}
    roots_only = {"roots": {}}
    reply = await asked(client, "tools/call", {"name": "web__confirm_delete"}, roots_only)
    assert (reply.status, reply.error_code) == (400, -32021)
    await comes_true(lambda: len(house.tasks_of("cancelled")) == 2, "both tasks are cancelled")


@pytest.mark.requirement("T04")
async def test_who_cancels_a_call_that_is_a_task_cancels_the_task(house: House):
    async with legacy_client(house) as client, legacy_call(client, "web__confirm_delete", id=7) as stream:
        question = await stream.next()
        await client.post({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}})
        withdrawn = await stream.next()
        assert withdrawn["method"] == "notifications/cancelled"
        assert withdrawn["params"]["requestId"] == question["id"]
        await comes_true(lambda: house.tasks_of("cancelled"), "the task is cancelled")


# --- a legacy server whose tools must be run as tasks ---------------------------------------------------------


@pytest.mark.requirement("T05")
@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_a_tool_that_is_a_task_only_is_called_like_any_other(house: House, era: str):
    async with connected(house.url, era) as client:
        assert {"old__slow", "old__maybe", "old__plain"} <= await tool_names(client)
        listed = (await ask(client, "tools/list"))["result"]["tools"]
        assert all("execution" not in tool for tool in listed)
        ran = (await call(client, "old__slow"))["result"]
        assert text(ran) == "slow ran"
        assert META + "related-task" not in ran.get("_meta", {})
        assert await call_text(client, "old__maybe") == "maybe ran"
        assert await call_text(client, "old__plain") == "plain ran"
        broken = (await call(client, "old__broken"))["error"]
        assert (broken["code"], broken["message"]) == (-32000, "It broke.")
        assert await call_text(client, "old__diary") == (
            "task-1 began with ttl 3600000; task-2 began with ttl 3600000"
        )


@pytest.mark.requirement("T05")
async def test_what_a_legacy_task_asks_is_asked_of_the_client_whose_call_it_is(house: House):
    """Both tasks ask at once over one pipe: only the task that a question names tells whose it is."""
    async with legacy_client(house) as one, legacy_client(house) as two:
        async with (
            legacy_call(one, "old__confirm", what="one") as of_one,
            legacy_call(two, "old__confirm", what="two") as of_two,
        ):
            to_one, to_two = await asyncio.gather(of_one.next(), of_two.next())
            await answered(two, to_two, {"action": "decline"})
            await answered(one, to_one, YES)
            assert text((await of_one.next())["result"]) == "one: accept"
            assert text((await of_two.next())["result"]) == "two: decline"


@pytest.mark.requirement("T05")
async def test_a_legacy_task_asks_a_modern_client_too(client: Client):
    params = {"name": "old__confirm", "arguments": {"what": "it"}}
    first = await result(client, "tools/call", params, CAN_BE_ASKED)
    assert text(await retried(client, params, first, YES)) == "it: accept"
    assert text(await result(client, "tools/call", params, NOTHING)) == "it: refused"


@pytest.mark.requirement("T05")
async def test_who_cancels_a_call_of_a_legacy_task_cancels_the_task(house: House):
    async with legacy_client(house) as client:
        body = request("tools/call", {"name": "old__slow", "arguments": {"seconds": 60}}, 7)
        waiting = asyncio.ensure_future(client.send("POST", body, headers=client.legacy_headers()))
        await comes_true(lambda: _diary_says(client, "task-1 began"), "the task has begun")
        await client.post({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}})
        await comes_true(lambda: _diary_says(client, "task-1 was cancelled"), "the task is cancelled")
        await waiting


async def _diary_says(client: Client, words: str) -> bool:
    return words in await call_text(client, "old__diary")
