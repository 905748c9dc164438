"""One task: looked at, given input, its result fetched."""

import json
from typing import Any

import pytest

from proxy_core.backends import task_work
from proxy_core.errors import BackendError, BackendProtocolError, TooManyRounds
from proxy_core.protocol import tasks
from proxy_core.protocol.capabilities import TASKS, ClientCapabilities
from proxy_core.protocol.jsonrpc import RpcError
from proxy_core.protocol.revisions import Era
from tests.support.scripted_channel import Sink
from tests.support.scripted_line import Line
from tests.support.task_calls import (
    ANN,
    DONE,
    FORM,
    RELATED,
    begun,
    failure,
    line_with_tasks,
    looked,
    task_call,
)

SAMPLE = {"messages": [], "maxTokens": 9}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MIN_PAUSE_S", 0.001)


@pytest.fixture
async def modern(dial: Any) -> Line:
    return await line_with_tasks(dial, Era.MODERN)


@pytest.fixture
async def legacy(dial: Any) -> Line:
    return await line_with_tasks(dial, Era.LEGACY)


# --- of the extension ----------------------------------------------------------------------------------------


@pytest.mark.requirement("T04")
async def test_the_server_is_told_of_tasks_and_asked_until_there_is_a_result(modern: Line):
    capabilities = ClientCapabilities(frozenset({"roots"}))
    waiting, asked = await begun(modern, task_call(capabilities=capabilities))
    declared = asked.params["_meta"]["io.modelcontextprotocol/clientCapabilities"]
    assert declared == {"roots": {}, "extensions": {TASKS: {}}}
    look = await looked(modern)
    assert (look.params["taskId"], look.sent.name) == ("t1", "t1")
    assert look.params["_meta"]["io.modelcontextprotocol/clientCapabilities"] == declared
    assert look.params.keys() == {"taskId", "_meta"}
    await looked(modern, status="completed", result=DONE)
    assert json.loads(bytes(await waiting)) == DONE
    assert modern.connection.in_flight == 0


async def test_a_task_that_has_ended_at_once_is_looked_at_for_its_result(modern: Line):
    waiting, _ = await begun(modern, task_call(), status="completed", pollIntervalMs=3_600_000)
    await looked(modern, status="completed", result=DONE)
    assert json.loads(bytes(await waiting)) == DONE


async def test_a_server_that_answers_a_task_call_plainly_has_answered_it(modern: Line):
    waiting = modern.ask(task_call())
    (await modern.server.next("tools/call")).answer(DONE)
    assert json.loads(bytes(await waiting)) == DONE


async def test_input_is_asked_of_the_client_once_for_each_key(modern: Line):
    sink = Sink()
    waiting, _ = await begun(modern, task_call(sink))
    entry = {"method": "elicitation/create", "params": FORM}
    await looked(modern, status="input_required", inputRequests={"name": entry})
    question = await sink.asked()
    assert (question.request.method, json.loads(bytes(question.request.params))) == ("elicitation/create", FORM)
    question.answer.set_result(ANN)
    await looked(modern, status="input_required", inputRequests={"name": entry})
    await looked(modern, status="completed", result=DONE)
    await waiting
    given = [each.params for each in modern.server.asked if each.message.get("method") == "tasks/update"]
    assert [each["inputResponses"] for each in given] == [{"name": json.loads(ANN)}]
    assert len(sink.questions) == 1


async def test_an_elicitation_that_fails_is_a_cancelled_one(modern: Line):
    sink = Sink()
    waiting, _ = await begun(modern, task_call(sink))
    entry = {"method": "elicitation/create", "params": FORM}
    await looked(modern, status="input_required", inputRequests={"name": entry})
    (await sink.asked()).answer.set_result(RpcError(-1, "no"))
    await looked(modern, status="completed", result=DONE)
    await waiting
    given = next(each for each in modern.server.asked if each.message.get("method") == "tasks/update")
    assert given.params["inputResponses"] == {"name": {"action": "cancel"}}


async def test_a_client_that_refuses_to_sample_fails_the_call_and_the_task_is_cancelled(modern: Line):
    sink = Sink()
    waiting, _ = await begun(modern, task_call(sink))
    entry = {"method": "sampling/createMessage", "params": SAMPLE}
    await looked(modern, status="input_required", inputRequests={"s": entry})
    (await sink.asked()).answer.set_result(RpcError(-1, "rejected"))
    error = await failure(waiting)
    assert (error.code, error.message) == (-1, "rejected")
    await modern.rest()
    assert modern.server.count("tasks/cancel") == 1


async def test_input_that_the_client_cannot_give_is_the_refusal_of_a_client_without_tasks(modern: Line):
    sink = Sink(may_be_asked=False)
    waiting, _ = await begun(modern, task_call(sink))
    entry = {"method": "elicitation/create", "params": FORM}
    await looked(modern, status="input_required", inputRequests={"name": entry})
    error = await failure(waiting)
    assert isinstance(error, BackendError)
    assert (error.code, json.loads(error.raw_data)) == (-32021, {"requiredCapabilities": tasks.NEEDED})
    await modern.rest()
    assert modern.server.count("tasks/cancel") == 1
    assert sink.questions == []


async def test_a_server_that_never_stops_asking_is_stopped(modern: Line, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(task_work, "MAX_ROUNDS", 2)
    sink = Sink(answers={"elicitation/create": ANN})
    waiting, _ = await begun(modern, task_call(sink))
    for key in "abc":
        entry = {"method": "elicitation/create", "params": FORM}
        await looked(modern, status="input_required", inputRequests={key: entry})
    assert isinstance(await failure(waiting), TooManyRounds)
    await modern.rest()
    assert modern.server.count("tasks/cancel") == 1


async def test_a_task_that_fails_fails_the_call_with_its_own_error(modern: Line):
    waiting, _ = await begun(modern, task_call())
    await looked(modern, status="failed", error={"code": -32000, "message": "boom", "data": {"a": 1}})
    error = await failure(waiting)
    assert isinstance(error, BackendError)
    assert (error.code, error.message, json.loads(error.raw_data)) == (-32000, "boom", {"a": 1})
    await modern.rest()
    assert modern.server.count("tasks/cancel") == 0


@pytest.mark.parametrize(
    "state",
    [
        pytest.param({"status": "cancelled"}, id="cancelled"),
        pytest.param({"status": "completed"}, id="no-result"),
        pytest.param({"status": "completed", "result": 7}, id="no-object"),
        pytest.param({"status": "completed", "result": {"resultType": "input_required"}}, id="asks-again"),
        pytest.param({"status": "lost"}, id="no-state"),
        pytest.param({"status": "input_required", "inputRequests": {"a": 7}}, id="no-question"),
        pytest.param({"status": "input_required", "inputRequests": 7}, id="no-questions"),
    ],
)
async def test_a_task_that_comes_to_nothing_is_the_servers_fault(modern: Line, state: Any):
    waiting, _ = await begun(modern, task_call())
    await looked(modern, **state)
    assert isinstance(await failure(waiting), BackendProtocolError)


async def test_an_error_about_a_task_is_no_word_of_the_tool(modern: Line):
    """Some would have the call made again, or blame the client."""
    waiting, _ = await begun(modern, task_call())
    (await modern.server.next("tasks/get")).refuse(-32020)
    assert isinstance(await failure(waiting), BackendProtocolError)


# --- of 2025-11-25 -------------------------------------------------------------------------------------------


@pytest.mark.requirement("T05")
async def test_a_legacy_call_is_made_as_a_task_and_its_result_fetched(legacy: Line):
    waiting, asked = await begun(legacy, task_call())
    assert asked.params["task"] == {"ttl": 3_600_000}
    look = await looked(legacy)
    assert look.params == {"taskId": "t1"}
    await looked(legacy, status="completed")
    related = {"_meta": {RELATED: {"taskId": "t1"}}}
    (await legacy.server.next("tasks/result")).answer(DONE | related)
    assert json.loads(bytes(await waiting)) == DONE
    assert legacy.connection.in_flight == 0


async def test_a_legacy_task_that_failed_answers_with_its_error(legacy: Line):
    waiting, _ = await begun(legacy, task_call(), status="failed")
    (await legacy.server.next("tasks/result")).refuse(-32000, "boom")
    assert (await failure(waiting)).code == -32000
    await legacy.rest()
    assert legacy.server.count("tasks/cancel") == 0


async def test_a_legacy_task_that_was_cancelled_has_no_result(legacy: Line):
    waiting, _ = await begun(legacy, task_call(), status="cancelled")
    assert isinstance(await failure(waiting), BackendProtocolError)


async def test_a_task_that_needs_input_is_asked_for_its_result_at_once(legacy: Line):
    """Its stream is where the server asks."""
    sink = Sink()
    waiting, _ = await begun(legacy, task_call(sink), status="input_required")
    asked = await legacy.server.next("tasks/result")
    asked.channel.says({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": FORM}, asked.id)
    (await sink.asked()).answer.set_result(ANN)
    await legacy.server.next("")
    asked.answer(DONE)
    assert json.loads(bytes(await waiting)) == DONE
