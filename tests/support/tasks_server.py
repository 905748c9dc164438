"""A modern server with the tasks extension, which no SDK has yet: what the suite's task scenarios ask for.

    python -m tests.support.tasks_server --port P | --stdio

Tasks live in memory. A client that did not declare the extension gets plain results, but for
`test_tool_with_task`, which insists.
Spec: the extension io.modelcontextprotocol/tasks (SEP-2663); 2026-07-28 basic/patterns/mrtr.
"""

import argparse
import asyncio
import json
import secrets
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from proxy_core.errors import ErrorCode, InvalidParams, MissingCapability, Only1Error
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.classify import (
    ModernNotification,
    ModernRequest,
    Refused,
    classify_line,
    classify_post,
)
from proxy_core.protocol.methods import SERVER_INFO, SUBSCRIPTION_ID

TASKS: Final = "io.modelcontextprotocol/tasks"
NEEDS_TASKS: Final = {"extensions": {TASKS: {}}}
TTL_MS: Final = 60_000
POLL_MS: Final = 50
Json = dict[str, Any]
Send = Callable[[Json], Awaitable[None]]


def words(text: str, **more: Any) -> Json:
    return {"content": [{"type": "text", "text": text}], **more}


def question(message: str, **properties: Json) -> Json:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}}


@dataclass(eq=False)
class Task:
    """One task; `asks` are its open questions, each with who waits for the answer."""

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    status: str = "working"
    created_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat())
    updated_at: str = ""
    outcome: Json = field(default_factory=dict)
    asks: dict[str, tuple[Json, "asyncio.Future[Json]"]] = field(default_factory=dict)
    work: "asyncio.Task[None] | None" = None
    watchers: list[Send] = field(default_factory=list)

    def seen(self) -> Json:
        times = {"createdAt": self.created_at, "lastUpdatedAt": self.updated_at or self.created_at}
        return {"taskId": self.id, "status": self.status, **times, "ttlMs": TTL_MS, "pollIntervalMs": POLL_MS}

    def detailed(self) -> Json:
        open_asks = {key: ask for key, (ask, _) in self.asks.items()}
        return self.seen() | ({"inputRequests": open_asks} if open_asks else {}) | self.outcome

    async def move(self, status: str, **outcome: Json) -> None:
        self.status, self.outcome = status, outcome
        self.updated_at = datetime.now(UTC).isoformat()
        for tell in tuple(self.watchers):
            await tell(self.detailed())

    async def ask(self, **asks: Json) -> dict[str, Json]:
        """Wait for every answer; they may come one by one."""
        loop = asyncio.get_running_loop()
        self.asks = {key: (ask, loop.create_future()) for key, ask in asks.items()}
        waiting = {key: waiter for key, (_, waiter) in self.asks.items()}
        await self.move("input_required")
        answers = {key: await waiter for key, waiter in waiting.items()}
        await self.move("working")
        return answers


Tool = Callable[[Task, Json], Awaitable[Json]]
TEXT: Final = {"type": "string"}


async def slow_compute(task: Task, arguments: Json) -> Json:
    await asyncio.sleep(float(arguments.get("seconds", 0)))
    return words(f"computed {arguments.get('label', '')}")


async def confirm_delete(task: Task, arguments: Json) -> Json:
    answers = await task.ask(confirm=question("Delete it?", confirm={"type": "boolean"}))
    return words(f"{answers['confirm']['action']} {arguments.get('filename', '')}")


async def multi_input(task: Task, arguments: Json) -> Json:
    answers = await task.ask(first=question("First?", name=TEXT), second=question("Second?", name=TEXT))
    return words(" and ".join(answer.get("content", {}).get("name", "nobody") for answer in answers.values()))


async def failing_job(task: Task, arguments: Json) -> Json:
    await asyncio.sleep(0.1)
    return words("It failed, as it always does.", isError=True)


async def protocol_error_job(task: Task, arguments: Json) -> Json:
    raise Only1Error("It broke, as it always does.")


TOOLS: Final[dict[str, Tool]] = {
    "slow_compute": slow_compute,
    "confirm_delete": confirm_delete,
    "multi_input": multi_input,
    "failing_job": failing_job,
    "protocol_error_job": protocol_error_job,
}
NAMES: Final = ("greet", *TOOLS, "test_tool_with_task")


class TasksServer:
    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.calls = 0
        """How often a tool has really been run."""

    async def handle(self, asked: ModernRequest, send: Send) -> Json:
        """The result; `send` carries notifications. Raises: Only1Error."""
        params = jsonrpc.decode(asked.request.params) or {}
        declared = jsonrpc.decode(asked.capabilities).get("extensions", {})
        match asked.request.method:
            case "server/discover":
                capabilities = {"tools": {}, "extensions": {TASKS: {}}}
                hints = {"ttlMs": 1000, "cacheScope": "public"}
                return {"supportedVersions": ["2026-07-28"], "capabilities": capabilities, **hints}
            case "tools/list":
                tools = [{"name": name, "inputSchema": {"type": "object"}} for name in NAMES]
                return {"tools": tools, "ttlMs": 1000, "cacheScope": "public"}
            case "tools/call":
                return await self._call(params, TASKS in declared)
            case "subscriptions/listen":
                if "taskIds" in params["notifications"] and TASKS not in declared:
                    raise MissingCapability(NEEDS_TASKS)
                return await self._listen(asked, params, send)
            case "tasks/get" | "tasks/update" | "tasks/cancel" as method:
                if TASKS not in declared:
                    raise MissingCapability(NEEDS_TASKS)
                return await self._of_task(method, params)
        error = Only1Error("No such method.")
        error.code = ErrorCode.METHOD_NOT_FOUND
        raise error

    async def _call(self, params: Json, may_task: bool) -> Json:
        name, arguments = params.get("name"), params.get("arguments") or {}
        self.calls += 1
        if name == "greet":
            return words(f"Hello, {arguments.get('name')}!")
        if name == "test_tool_with_task":
            return self._insisting(params, may_task)
        if name not in TOOLS:
            raise InvalidParams("Unknown tool.")
        task = Task()
        if not may_task and name == "slow_compute":
            return await slow_compute(task, arguments)
        return self._begin(task, TOOLS[name], arguments) if may_task else self._refuse()

    def _insisting(self, params: Json, may_task: bool) -> Json:
        if not may_task:
            return self._refuse()
        answer = (params.get("inputResponses") or {}).get("user_name")
        if not isinstance(answer, dict):
            asks = {"user_name": question("Who are you?", name=TEXT)}
            return {"resultType": "input_required", "inputRequests": asks, "requestState": "who"}
        return self._begin(Task(), slow_compute, {"label": answer.get("content", {}).get("name")})

    def _refuse(self) -> Json:
        raise MissingCapability(NEEDS_TASKS)

    def _begin(self, task: Task, tool: Tool, arguments: Json) -> Json:
        self.tasks[task.id] = task
        task.work = asyncio.get_running_loop().create_task(self._run(task, tool, arguments))
        return {"resultType": "task", **task.seen()}

    async def _run(self, task: Task, tool: Tool, arguments: Json) -> None:
        try:
            await task.move("completed", result=await tool(task, arguments))
        except Only1Error as error:
            await task.move("failed", error={"code": int(error.code), "message": error.message})
        except asyncio.CancelledError:
            await task.move("cancelled")

    async def _of_task(self, method: str, params: Json) -> Json:
        task = self.tasks.get(str(params.get("taskId")))
        if task is None:
            raise InvalidParams("Unknown task.")
        if method == "tasks/get":
            return task.detailed()
        if method == "tasks/update":
            for key, answer in (params.get("inputResponses") or {}).items():
                _, waiter = task.asks.pop(key, (None, None))
                if waiter is not None and not waiter.done():
                    waiter.set_result(answer)
        elif task.work is not None:
            task.work.cancel()
        return {}

    async def _listen(self, asked: ModernRequest, params: Json, send: Send) -> Json:
        tag = {"_meta": {SUBSCRIPTION_ID: asked.request.id}}
        known = [each for each in params["notifications"].get("taskIds", []) if each in self.tasks]
        kept = {"taskIds": known} if known else {}
        acknowledged = {"method": "notifications/subscriptions/acknowledged"}
        await send(acknowledged | {"params": tag | {"notifications": kept}})

        async def tell(seen: Json) -> None:
            await send({"method": "notifications/tasks", "params": seen | tag})

        for each in known:
            self.tasks[each].watchers.append(tell)
        try:
            await asyncio.Event().wait()
        finally:
            for each in known:
                self.tasks[each].watchers.remove(tell)
        return {}


async def answer_to(server: TasksServer, asked: ModernRequest, send: Send) -> tuple[int, Json]:
    """HTTP status and response."""
    try:
        result = {"resultType": "complete"} | await server.handle(asked, send)
    except Only1Error as error:
        shown = {"code": int(error.code), "message": error.message, "data": error.data()}
        return error.http_status, {"jsonrpc": "2.0", "id": asked.request.id, "error": shown}
    result["_meta"] = {SERVER_INFO: {"name": "tasks", "version": "1.0"}}
    return 200, {"jsonrpc": "2.0", "id": asked.request.id, "result": result}


def app_of(server: TasksServer) -> web.Application:
    async def post(request: web.Request) -> web.StreamResponse:
        headers = [(name.lower(), value) for name, value in request.headers.items()]
        asked = classify_post(headers, await request.read())
        if isinstance(asked, ModernNotification):
            return web.Response(status=202)
        if not isinstance(asked, ModernRequest):
            error = (
                asked.error if isinstance(asked, Refused) else InvalidParams("Only the modern era is served.")
            )
            raw_id = asked.raw_id if isinstance(asked, Refused) else None
            body = jsonrpc.error(raw_id, error.code, error.message)
            return web.Response(status=error.http_status, body=body, content_type="application/json")
        if asked.request.method == "subscriptions/listen":
            return await _stream(server, asked, request)

        async def nowhere(message: Json) -> None:
            return

        status, answer = await answer_to(server, asked, nowhere)
        return web.json_response(answer, status=status)

    app = web.Application()
    app.router.add_post("/mcp", post)
    return app


async def _stream(server: TasksServer, asked: ModernRequest, request: web.Request) -> web.StreamResponse:
    stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await stream.prepare(request)

    async def send(message: Json) -> None:
        await stream.write(b"data: " + json.dumps({"jsonrpc": "2.0"} | message).encode() + b"\n\n")

    _, answer = await answer_to(server, asked, send)
    await send(answer)
    return stream


async def serve_stdio(server: TasksServer) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def send(message: Json) -> None:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0"} | message) + "\n")
        sys.stdout.flush()

    async def answered(asked: ModernRequest) -> None:
        await send((await answer_to(server, asked, send))[1])

    running: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        asked = classify_line(line)
        if isinstance(asked, ModernRequest):
            running.add(asyncio.get_running_loop().create_task(answered(asked)))


def main() -> None:
    parser = argparse.ArgumentParser(description="A server with tasks.")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", type=int)
    where.add_argument("--stdio", action="store_true")
    given = parser.parse_args()
    if given.stdio:
        asyncio.run(serve_stdio(TasksServer()))
    else:
        # A listen lasts as long as its client is there.
        app = app_of(TasksServer())
        web.run_app(app, host="localhost", port=given.port, print=None, handler_cancellation=True)


if __name__ == "__main__":
    main()
