"""Tasks of modern servers on their way to clients that know tasks, and back."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy_core.errors import (
    BackendError,
    BackendProtocolError,
    InvalidParams,
    MethodNotFound,
    MissingCapability,
)
from proxy_core.gateway.task_tokens import UnknownTask
from proxy_core.protocol.capabilities import FEATURES, TASKS, ClientCapabilities
from tests.support.scripted_channel import Reply, refuses, result
from tests.support.stub_backends import MODERN, PAGE, House, StubServer, client, tool

P = "io.modelcontextprotocol/"
KNOWS_TASKS = ClientCapabilities(FEATURES, extensions=((TASKS, b"{}"),))
STAMP = {P + "serverInfo": {"name": "box", "version": "1"}, "a/b": 1}
TASK = {"taskId": "t1", "status": "working", "createdAt": "now", "ttlMs": None, "pollIntervalMs": 50}
METHODS = ("tasks/get", "tasks/update", "tasks/cancel")
ASKED = {"method": "elicitation/create", "params": {"message": "Name?", "requestedSchema": {"type": "object"}}}


def server(call: Reply | None = None, **more: Any) -> StubServer:
    """A call begins the task `t1`."""
    created = result({"resultType": "task", "_meta": STAMP, "requestState": "x", **TASK})
    script = {"tools/call": call or created}
    offers = {"extensions": {TASKS: {}}} | more.pop("offers", {})
    return StubServer(MODERN, tools=[tool("run")], offers=offers, script=script, **more)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with House({"box": server(), "other": server()}).open() as house:
        yield house


def knowing(principal: str = "ann") -> Any:
    return client(principal=principal, capabilities=KNOWS_TASKS)


async def begun(house: House) -> Any:
    return await house.call("box__run", knowing())


async def asked(house: House, method: str, principal: str = "ann", **params: Any) -> Any:
    return await house.ask(method, params, knowing(principal))


async def test_a_task_passes_as_it_is_but_for_its_id_and_our_name(house: House):
    created = await begun(house)
    assert created.pop("taskId").startswith("o1.")
    meta = created.pop("_meta")
    assert (meta[P + "serverInfo"]["name"], meta["a/b"]) == ("only1mcp", 1)
    rest = {name: value for name, value in TASK.items() if name != "taskId"}
    assert created == {"resultType": "task"} | rest


async def test_each_request_reaches_the_server_under_its_own_id(house: House):
    token = (await begun(house))["taskId"]
    box = house.servers["box"]
    box.on("tasks/get", result(TASK))
    for method in ("tasks/update", "tasks/cancel"):
        box.on(method, result({"resultType": "complete"}))
    answers = {"name": {"action": "cancel"}}
    assert (await asked(house, "tasks/get", taskId=token))["taskId"] == token
    await asked(house, "tasks/update", taskId=token, inputResponses=answers)
    assert (await asked(house, "tasks/cancel", taskId=token))["resultType"] == "complete"
    reached = [each for each in box.asked if each.message.get("method") in METHODS]
    assert [(each.params["taskId"], each.sent.name) for each in reached] == [("t1", "t1")] * 3
    assert reached[1].params["inputResponses"] == answers
    declared = reached[0].params["_meta"][P + "clientCapabilities"]
    assert declared["extensions"] == {TASKS: {}}
    assert house.finished[-1].server == "box"


async def test_what_a_task_needs_and_has_come_to_is_shown_to_the_client(house: House):
    token = (await begun(house))["taskId"]
    done = {"content": [{"type": "text", "text": "x"}], "_meta": {P + "serverInfo": {"name": "box"}}}
    house.servers["box"].on(
        "tasks/get",
        result(TASK | {"status": "input_required", "inputRequests": {"k": ASKED}, "requestState": "x"}),
        result(TASK | {"status": "completed", "result": done}),
        result(TASK | {"status": "failed", "error": {"code": -1, "message": "no", "data": [1]}}),
    )
    waiting = await asked(house, "tasks/get", taskId=token)
    assert waiting["inputRequests"]["k"]["params"]["message"] == "[box] Name?"
    assert (waiting["resultType"], "requestState" in waiting) == ("complete", False)
    ended = await asked(house, "tasks/get", taskId=token)
    assert ended["result"] == {"content": done["content"]}
    failed = await asked(house, "tasks/get", taskId=token)
    assert failed["error"] == {"code": -1, "message": "no", "data": [1]}


async def test_one_server_alone_need_not_say_who_asks():
    async with House({"box": server()}).open() as house:
        token = (await begun(house))["taskId"]
        house.servers["box"].on(
            "tasks/get", result(TASK | {"status": "input_required", "inputRequests": {"k": ASKED}})
        )
        assert (await asked(house, "tasks/get", taskId=token))["inputRequests"] == {"k": ASKED}


@pytest.mark.parametrize(
    "state",
    [
        pytest.param({"inputRequests": {"k": {"method": "tools/call"}}}, id="no-question"),
        pytest.param(
            {"inputRequests": {"k": {"method": "elicitation/create", "params": PAGE | {"url": "file:///x"}}}},
            id="no-safe-page",
        ),
        pytest.param({"inputRequests": 7}, id="no-questions"),
        pytest.param({"result": 7}, id="no-result"),
        pytest.param({"status": "lost"}, id="no-state"),
        pytest.param({"taskId": None}, id="no-task"),
    ],
)
async def test_what_no_client_could_read_is_the_servers_fault(house: House, state: Any):
    token = (await begun(house))["taskId"]
    house.servers["box"].on("tasks/get", result(TASK | state))
    with pytest.raises(BackendProtocolError):
        await asked(house, "tasks/get", taskId=token)


@pytest.mark.requirement("T01")
@pytest.mark.parametrize("method", METHODS)
async def test_who_did_not_declare_tasks_is_told_so_before_anything_else(house: House, method: str):
    for params in ({"taskId": (await begun(house))["taskId"]}, {"taskId": "nobodys"}, {}):
        with pytest.raises(MissingCapability) as caught:
            await house.ask(method, params, client(capabilities=ClientCapabilities(FEATURES)))
        assert caught.value.data() == {"requiredCapabilities": {"extensions": {TASKS: {}}}}
    assert not [each for each in house.servers["box"].asked if each.message.get("method") == method]


@pytest.mark.requirement("T01")
@pytest.mark.parametrize("method", METHODS)
async def test_a_legacy_client_has_no_such_method(house: House, method: str):
    with pytest.raises(MethodNotFound):
        await house.ask(method, {"taskId": "t1"}, client("2025-11-25", capabilities=KNOWS_TASKS))


@pytest.mark.requirement("T03")
@pytest.mark.parametrize("method", METHODS)
async def test_what_is_not_the_clients_own_task_is_unknown_in_the_same_words(house: House, method: str):
    token = (await begun(house))["taskId"]
    for task, principal in ((token, "bob"), ("t1", "ann"), (token[:-2] + "xx", "ann"), ("", "ann")):
        with pytest.raises(UnknownTask) as caught:
            await asked(house, method, principal, taskId=task)
        assert (caught.value.message, caught.value.data()) == ("Unknown task", None)
    with pytest.raises(InvalidParams):
        await asked(house, method, taskId=7)


async def test_the_task_of_a_server_that_has_gone_is_unknown(house: House):
    token = (await begun(house))["taskId"]
    async with House({"other": server()}, proxy={"seal_keys": ["k" * 32]}).open() as another:
        with pytest.raises(UnknownTask):
            await asked(another, "tasks/get", taskId=token)


async def test_a_server_that_has_forgotten_the_task_says_so_itself(house: House):
    token = (await begun(house))["taskId"]
    house.servers["box"].on("tasks/get", refuses(-32602))
    with pytest.raises(BackendError) as caught:
        await asked(house, "tasks/get", taskId=token)
    assert caught.value.code == -32602


@pytest.mark.requirement("B13")
@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
async def test_a_task_for_a_client_that_knows_none_is_no_answer(house: House, revision: str):
    with pytest.raises(BackendProtocolError):
        await house.call("box__run", client(revision))


@pytest.mark.requirement("B13")
async def test_a_task_of_a_server_that_was_told_of_none_is_no_answer():
    """It does not offer the extension, so what its client declared was not passed on."""
    async with House({"box": server(offers={"extensions": {}})}).open() as house:
        with pytest.raises(BackendProtocolError):
            await begun(house)


async def test_a_task_without_a_usable_id_is_no_answer():
    wrong = result({"resultType": "task", "status": "working", "taskId": "x" * 1025})
    async with House({"box": server(wrong)}).open() as house:
        with pytest.raises(BackendProtocolError):
            await begun(house)


async def test_extensions_are_told_to_modern_clients():
    async with House({"box": server()}).open() as house:
        assert (await house.ask("server/discover"))["capabilities"]["extensions"] == {TASKS: {}}
        assert "extensions" not in house.gateway.initialize("2025-11-25").decode()
    async with House({"box": StubServer(MODERN)}).open() as house:
        assert "extensions" not in (await house.ask("server/discover"))["capabilities"]
