"""A modern MCP server on HTTP whose every answer can be told from every other, to see who got what.

What belongs to a topic says `TOPIC-<n>-` in its text and `m<n>` in its name; what is for one client alone has a
mint too, `MINT-<n>-`, that no other answer has, and gives back what the client sent. Tasks end at once.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from proxy_core.protocol.methods import META, RESOURCE_UPDATED, SUBSCRIPTION_ID
from tests.support.backend_server import DISCOVERED, Handler, Seen, answers, event, event_stream, json_reply
from tests.support.backend_server import serving as serving_table

TASKS = META + "tasks"
UPDATES = "resourceSubscriptions"
TASK_TOOL = "task"
Json = dict[str, Any]


def topic(number: int) -> str:
    return f"TOPIC-{number}-"


def schema() -> Json:
    return {"type": "object", "properties": {"canary": {"type": "string"}}}


class MintingServer:
    _mints = itertools.count()
    """Of all servers: none is minted twice."""

    def __init__(self, topics: Sequence[int], *, is_private: bool = False, tools: Sequence[str] = ()) -> None:
        """`is_private`: its lists are one client's alone. `tools`: more of them, of no topic."""
        self.url = ""
        self._topics = topics
        self._is_private = is_private
        self._more = tools
        self._listens: dict[asyncio.Queue[bytes], tuple[Any, list[str]]] = {}
        self._tasks: dict[str, Json] = {}

    @property
    def table(self) -> dict[str, Handler | list[Handler]]:
        offers = {"tools": {}, "prompts": {}, "resources": {"subscribe": True}, "completions": {}}
        capabilities = offers | {"extensions": {TASKS: {}}}
        return {
            "server/discover": answers(DISCOVERED | {"capabilities": capabilities}),
            "tools/list": self._lists("tools", self._tools),
            "prompts/list": self._lists("prompts", self._prompts),
            "resources/list": self._lists("resources", self._resources),
            "resources/templates/list": self._lists("resourceTemplates", self._templates),
            "tools/call": self._call,
            "prompts/get": self._prompt,
            "resources/read": self._read,
            "completion/complete": self._complete,
            "tasks/get": self._task,
            "subscriptions/listen": self._listen,
        }

    def tell(self, uri: str) -> None:
        """Say that this resource was updated, on every listen that wants to know."""
        for queue, (subscription, uris) in self._listens.items():
            if uri in uris:
                params = {"uri": uri, "_meta": {SUBSCRIPTION_ID: subscription}}
                message = {"jsonrpc": "2.0", "method": RESOURCE_UPDATED, "params": params}
                queue.put_nowait(event(json.dumps(message).encode()))

    @property
    def wanted(self) -> set[str]:
        """Every URI that somebody listens for."""
        return {uri for _, uris in self._listens.values() for uri in uris}

    # --- lists

    def _lists(self, member: str, items: Any) -> Handler:
        async def handle(seen: Seen) -> web.StreamResponse:
            return _result(seen, "private" if self._is_private else "public", **{member: items()})

        return handle

    def _words(self, number: int) -> str:
        return f"{topic(number)} {self._mint()}" if self._is_private else topic(number)

    def _tools(self) -> list[Json]:
        of_topics = [
            {"name": f"t_m{n}", "description": self._words(n), "inputSchema": schema()} for n in self._topics
        ]
        return of_topics + [{"name": name, "inputSchema": schema()} for name in (TASK_TOOL, *self._more)]

    def _prompts(self) -> list[Json]:
        return [{"name": f"p_m{n}", "description": self._words(n)} for n in self._topics]

    def _resources(self) -> list[Json]:
        listed = [
            {"uri": f"doc://m{n}/main", "name": f"m{n}", "description": self._words(n)} for n in self._topics
        ]
        return [*listed, {"uri": "note://all/main", "name": "all"}]

    def _templates(self) -> list[Json]:
        listed = [
            {"uriTemplate": f"doc://m{n}/{{name}}", "name": f"m{n}", "description": self._words(n)}
            for n in self._topics
        ]
        return [*listed, {"uriTemplate": "note://{who}/{name}", "name": "notes"}]

    # --- one client's alone

    def _mint(self) -> str:
        return f"MINT-{next(self._mints)}-"

    def _said(self, seen: Seen, name: str) -> str:
        """What the client sent, what it is about, and what nobody else gets."""
        number = next((n for n in self._topics if f"m{n}" in name.replace("/", "_").split("_")), None)
        about = "" if number is None else topic(number)
        return f"{about} {self._mint()} {json.dumps(seen.message['params'].get('arguments'))} {name}"

    async def _call(self, seen: Seen) -> web.StreamResponse:
        params = seen.message["params"]
        content = [{"type": "text", "text": self._said(seen, params["name"])}]
        declared = params["_meta"][META + "clientCapabilities"].get("extensions", {})
        if params["name"] != TASK_TOOL or TASKS not in declared:
            return _result(seen, None, content=content)
        task_id = f"task-{len(self._tasks)}"
        about = {"taskId": task_id, "createdAt": "now", "ttlMs": 60_000, "pollIntervalMs": 50}
        result = {"resultType": "complete", "content": content}
        self._tasks[task_id] = about | {"status": "completed", "result": result}
        return await answers({"resultType": "task", "status": "working", **about})(seen)

    async def _task(self, seen: Seen) -> web.StreamResponse:
        return _result(seen, None, **self._tasks[seen.message["params"]["taskId"]])

    async def _prompt(self, seen: Seen) -> web.StreamResponse:
        text = self._said(seen, seen.message["params"]["name"])
        messages = [{"role": "user", "content": {"type": "text", "text": text}}]
        return _result(seen, None, messages=messages)

    async def _read(self, seen: Seen) -> web.StreamResponse:
        uri = seen.message["params"]["uri"]
        return _result(seen, "private", contents=[{"uri": uri, "text": self._said(seen, uri)}])

    async def _complete(self, seen: Seen) -> web.StreamResponse:
        ref = seen.message["params"]["ref"]
        values = [self._said(seen, ref.get("uri") or ref["name"])]
        return _result(seen, None, completion={"values": values})

    async def _listen(self, seen: Seen) -> web.StreamResponse:
        wanted = seen.message["params"]["notifications"]
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._listens[queue] = (seen.id, wanted.get(UPDATES, []))
        acknowledged = {
            "jsonrpc": "2.0",
            "method": "notifications/subscriptions/acknowledged",
            "params": {"notifications": wanted, "_meta": {SUBSCRIPTION_ID: seen.id}},
        }
        try:
            response = await event_stream(seen)
            await response.write(event(json.dumps(acknowledged).encode()))
            while True:
                await response.write(await queue.get())
        finally:
            del self._listens[queue]


def _result(seen: Seen, scope: str | None, **members: Any) -> web.StreamResponse:
    hints = {} if scope is None else {"ttlMs": 60_000, "cacheScope": scope}
    return json_reply(seen.result({"resultType": "complete", **hints, **members}))


@asynccontextmanager
async def minting(*topics: int, **how: Any) -> AsyncIterator[MintingServer]:
    """One that is served."""
    server = MintingServer(topics, **how)
    async with serving_table(server.table) as serving:
        server.url = serving.url
        yield server
