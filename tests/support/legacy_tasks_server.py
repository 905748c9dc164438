"""A 2025-11-25 server on stdio whose tools can, must or must not be run as tasks; no SDK does that any more.

    python -m tests.support.legacy_tasks_server

`diary` tells what happened to the tasks. Spec: 2025-11-25 basic/utilities/tasks.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

RELATED: Final = "io.modelcontextprotocol/related-task"
POLL_MS: Final = 50
SUPPORT: Final = {"slow": "required", "confirm": "required", "broken": "required", "maybe": "optional"}
TOOLS: Final = (*SUPPORT, "plain", "diary")
FORM: Final = {"type": "object", "properties": {"yes": {"type": "boolean"}}}
Json = dict[str, Any]


def words(text: str) -> Json:
    return {"content": [{"type": "text", "text": text}]}


@dataclass(eq=False)
class Task:
    id: str
    status: str = "working"
    answer: Json = field(default_factory=dict)
    """The members of the response to `tasks/result`."""
    has_ended: asyncio.Event = field(default_factory=asyncio.Event)

    def seen(self) -> Json:
        times = {"createdAt": "2025-11-25T10:00:00Z", "lastUpdatedAt": "2025-11-25T10:00:00Z"}
        return {"taskId": self.id, "status": self.status, "ttl": 60_000, "pollInterval": POLL_MS} | times

    def end(self, status: str, **answer: Json) -> None:
        if not self.has_ended.is_set():
            self.status, self.answer = status, answer
            self.has_ended.set()


class Server:
    def __init__(self, send: Callable[[Json], None]) -> None:
        self._send = send
        self._tasks: dict[str, Task] = {}
        self._asked: dict[str, asyncio.Future[Json]] = {}
        self._works: set[asyncio.Task[None]] = set()
        self._diary: list[str] = []

    def take(self, message: Json) -> None:
        if "method" not in message:
            self._asked.pop(message["id"]).set_result(message.get("result", {}))
        elif "id" in message:
            self._start(self._answer(message))

    def _start(self, work: Any) -> None:
        self._works.add(asyncio.get_running_loop().create_task(work))

    async def _answer(self, request: Json) -> None:
        answer = await self._response(request["method"], request.get("params") or {})
        self._send({"id": request["id"]} | answer)

    async def _response(self, method: str, params: Json) -> Json:
        match method:
            case "initialize":
                tasks = {"requests": {"tools": {"call": {}}}, "cancel": {}}
                info = {"name": "legacy tasks", "version": "1"}
                opened = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}, "tasks": tasks}}
                return {"result": opened | {"serverInfo": info}}
            case "ping":
                return {"result": {}}
            case "tools/list":
                return {"result": {"tools": [_listed(name) for name in TOOLS]}}
            case "tools/call":
                return self._call(params)
            case "tasks/get" | "tasks/result" | "tasks/cancel":
                return await self._of_task(method, self._tasks.get(params["taskId"]))
        return {"error": {"code": -32601, "message": "No such method."}}

    def _call(self, params: Json) -> Json:
        name, is_task = params["name"], "task" in params
        if name == "diary":
            return {"result": words("; ".join(self._diary))}
        if is_task is not (SUPPORT.get(name) == "required"):
            return {"error": {"code": -32601, "message": "It is not run like that."}}
        if not is_task:
            return {"result": words(f"{name} ran")}
        task = Task(f"task-{len(self._tasks) + 1}")
        self._tasks[task.id] = task
        self._diary.append(f"{task.id} began with ttl {params['task']['ttl']}")
        self._start(RUNS[name](self, task, params.get("arguments") or {}))
        return {"result": {"task": task.seen()}}

    async def _of_task(self, method: str, task: Task | None) -> Json:
        if task is None:
            return {"error": {"code": -32602, "message": "Unknown task."}}
        if method == "tasks/cancel":
            self._diary.append(f"{task.id} was cancelled")
            task.end("cancelled", error={"code": -32603, "message": "Cancelled."})
        if method == "tasks/result":
            await task.has_ended.wait()
            return task.answer
        return {"result": task.seen()}

    async def slow(self, task: Task, arguments: Json) -> None:
        await asyncio.sleep(float(arguments.get("seconds", 0.1)))
        task.end("completed", result=words("slow ran") | {"_meta": {RELATED: {"taskId": task.id}}})

    async def confirm(self, task: Task, arguments: Json) -> None:
        task.status = "input_required"
        params = {"message": "Sure?", "requestedSchema": FORM, "_meta": {RELATED: {"taskId": task.id}}}
        waiting = self._asked[f"ask-{task.id}"] = asyncio.get_running_loop().create_future()
        self._send({"id": f"ask-{task.id}", "method": "elicitation/create", "params": params})
        answer = await waiting
        task.end("completed", result=words(f"{arguments.get('what')}: {answer.get('action', 'refused')}"))

    async def broken(self, task: Task, arguments: Json) -> None:
        task.end("failed", error={"code": -32000, "message": "It broke."})


RUNS: Final[dict[str, Callable[[Server, Task, Json], Awaitable[None]]]] = {
    "slow": Server.slow,
    "confirm": Server.confirm,
    "broken": Server.broken,
}


def _listed(name: str) -> Json:
    tool: Json = {"name": name, "inputSchema": {"type": "object"}}
    return tool | ({"execution": {"taskSupport": SUPPORT[name]}} if name in SUPPORT else {})


async def serve() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    def send(message: Json) -> None:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0"} | message) + "\n")
        sys.stdout.flush()

    server = Server(send)
    while line := await reader.readline():
        server.take(json.loads(line))


if __name__ == "__main__":
    asyncio.run(serve())
