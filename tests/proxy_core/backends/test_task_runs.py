"""Calls that servers run as tasks: in flight until the task has ended, and cancelled with whoever made them."""

import asyncio
import json
from typing import Any

import pytest

from proxy_core.errors import BackendExited, BackendTimeout
from proxy_core.protocol import tasks
from proxy_core.protocol.revisions import Era
from tests.support.scripted_channel import CRASHED, Sink
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
    task,
    task_call,
)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MIN_PAUSE_S", 0.001)


@pytest.fixture
async def legacy(dial: Any) -> Line:
    return await line_with_tasks(dial, Era.LEGACY)


@pytest.fixture(params=Era)
async def line(request: pytest.FixtureRequest, dial: Any) -> Line:
    return await line_with_tasks(dial, request.param)


@pytest.mark.requirement("T05")
async def test_a_question_that_names_the_task_is_its_calls_even_in_the_same_breath(legacy: Line):
    """The answer that begins the task and the question may come in one piece."""
    mine, others = Sink(), Sink()
    legacy.call(sink=others)
    await legacy.server.next("tools/call")
    waiting, asked = await begun(legacy, task_call(mine))
    params = FORM | {"_meta": {RELATED: {"taskId": "t1"}}}
    asked.channel.says({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": params})
    question = await mine.asked()
    question.answer.set_result(ANN)
    assert (await legacy.server.next("")).message["result"] == json.loads(ANN)
    await looked(legacy, status="completed")
    (await legacy.server.next("tasks/result")).answer(DONE)
    await waiting
    assert others.questions == []


async def test_progress_goes_on_under_the_token_of_the_call(legacy: Line):
    sink = Sink(wants_progress=True)
    waiting, asked = await begun(legacy, task_call(sink))
    asked.progress(1)
    await looked(legacy)
    asked.progress(2)
    await looked(legacy, status="completed")
    (await legacy.server.next("tasks/result")).answer(DONE)
    await waiting
    asked.progress(3)
    assert sink.values == [1, 2]


async def test_who_leaves_has_the_task_cancelled_and_its_question_withdrawn(line: Line):
    waiting, _ = await begun(line, task_call())
    await line.server.next("tasks/get")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await line.rest()
    cancelled = [each.params for each in line.server.asked if each.message.get("method") == "tasks/cancel"]
    assert [each["taskId"] for each in cancelled] == ["t1"]
    assert line.connection.in_flight == 0


async def test_who_leaves_in_the_moment_of_the_answer_has_the_task_cancelled(line: Line):
    waiting, _ = await begun(line, task_call())
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await line.rest()
    assert line.server.count("tasks/cancel") == 1
    assert line.connection.in_flight == 0


async def test_a_task_has_no_more_time_than_any_call(line: Line):
    waiting, _ = await begun(line, task_call())
    for _ in range(124):
        look = await line.server.next("tasks/get")
        await line.wait(29)
        look.answer(task())
    await line.server.next("tasks/get")
    assert not waiting.done(), "a server that says how the task fares is not silent"
    await line.wait(29)
    assert isinstance(await failure(waiting), BackendTimeout)
    await line.rest()
    assert line.server.count("tasks/cancel") == 1


async def test_a_lost_connection_loses_the_task(line: Line):
    waiting, _ = await begun(line, task_call())
    await line.server.next("tasks/get")
    line.server.line.ends(CRASHED)
    assert isinstance(await failure(waiting), BackendExited)


async def test_a_connection_that_is_lost_in_the_moment_of_the_answer_loses_the_task(line: Line):
    waiting, asked = await begun(line, task_call())
    asked.channel.ends(CRASHED)
    assert isinstance(await failure(waiting), BackendExited)
