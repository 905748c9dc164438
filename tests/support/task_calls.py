"""Calls of a scripted line that its server runs as tasks, both forms."""

import asyncio
from typing import Any

import pytest

from proxy_core.backends.call import Call
from proxy_core.errors import Only1Error
from proxy_core.protocol.capabilities import TASKS
from proxy_core.protocol.methods import META
from proxy_core.protocol.revisions import Era
from tests.support.scripted_channel import Asked, Sink, discovered, initialized, result, silence
from tests.support.scripted_line import Line, Script, new_call

RELATED = META + "related-task"
DONE = {"content": [{"type": "text", "text": "done"}]}
FORM = {"message": "Name?", "requestedSchema": {"type": "object", "properties": {}}}
ANN = b'{"action":"accept","content":{}}'
MODERN_SCRIPT: Script = {
    "server/discover": discovered(capabilities={"tools": {}, "extensions": {TASKS: {}}}),
    "tasks/cancel": result({}),
    "tasks/update": result({}),
}
LEGACY_SCRIPT: Script = {
    "initialize": initialized("2025-11-25"),
    "notifications/initialized": silence,
    "tasks/cancel": result({}),
}


async def line_with_tasks(dial: Any, era: Era) -> Line:
    line: Line = dial(dict(MODERN_SCRIPT if era is Era.MODERN else LEGACY_SCRIPT), era=era.value)
    await line.connection.open()
    return line


def task_call(sink: Sink | None = None, **more: Any) -> Call:
    return new_call(sink=sink or Sink(), is_task=True, **more)


def task(status: str = "working", **more: Any) -> dict[str, Any]:
    return {"taskId": "t1", "status": status, "pollIntervalMs": 1} | more


async def begun(line: Line, call: Call, **more: Any) -> "tuple[asyncio.Task[Any], Asked]":
    """The call that has become a task, and the request that began it."""
    waiting = line.ask(call)
    asked = await line.server.next("tools/call")
    is_modern = line.connection.peer.era is Era.MODERN
    asked.answer(task(resultType="task", **more) if is_modern else {"task": task(**more)})
    return waiting, asked


async def looked(line: Line, **state: Any) -> Asked:
    """Answer the next look at the task."""
    asked = await line.server.next("tasks/get")
    asked.answer(task(**state))
    return asked


async def failure(waiting: "asyncio.Task[Any]") -> Any:
    with pytest.raises(Only1Error) as caught:
        await waiting
    return caught.value
