"""A raw client of a real gateway, and its answers whether they came as JSON or as a stream."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.support.http_client import ENVELOPE, Client, Reply, Stream, modern, request
from tests.support.processes import SOON_S

Json = dict[str, Any]
MODERN_ERA, LEGACY_ERA = "modern", "legacy"


@asynccontextmanager
async def connected(url: str, era: str = MODERN_ERA, token: str | None = None) -> AsyncIterator[Client]:
    """A client with a connection pool of its own; a legacy one has its session."""
    timeout = aiohttp.ClientTimeout(total=SOON_S)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        client = Client(http, url, token)
        if era == LEGACY_ERA:
            await client.initialize()
            await client.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        yield client


async def ask(client: Client, method: str, params: Json | None = None, id: Any = 1) -> Json:
    """The response, in the client's era."""
    return last_of(await (_ask_legacy if client.session_id else _ask_modern)(client, method, params or {}, id))


async def call(client: Client, name: str, arguments: Json | None = None, id: Any = 1) -> Json:
    """The response of a tool."""
    return await ask(client, "tools/call", {"name": name, "arguments": arguments or {}}, id)


async def call_text(client: Client, name: str, arguments: Json | None = None) -> str:
    """What a tool says when all goes well."""
    answer = await call(client, name, arguments)
    assert "result" in answer, answer
    return str(answer["result"]["content"][0]["text"])


async def tool_names(client: Client) -> set[str]:
    answer = await ask(client, "tools/list")
    return {tool["name"] for tool in answer["result"]["tools"]}


async def once_listed(client: Client, name: str) -> None:
    """Wait until the gateway has this tool."""
    await comes_true(lambda: _lists(client, name), f"{name} is listed")


async def _lists(client: Client, name: str) -> bool:
    return name in await tool_names(client)


async def comes_true(look: Callable[[], Any], what: str, within_s: float = SOON_S) -> Any:
    """As `eventually`, for what has to be awaited or looked at while the loop runs."""
    deadline_at = time.monotonic() + within_s
    while True:
        found = look()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline_at, f"after {within_s:g} s still not: {what}"
        await asyncio.sleep(0.02)


def last_of(reply: Reply) -> Json:
    """The response in a reply, be it JSON or the end of a stream."""
    return messages_of(reply)[-1]


def messages_of(reply: Reply) -> list[Json]:
    is_stream = reply.headers.get("Content-Type", "").startswith("text/event-stream")
    return reply.events if is_stream else [reply.json]


def called(
    client: Client, name: str, arguments: Json, id: Any = 1, token: Any = "t"
) -> tuple[Json, dict[str, str]]:
    """Body and headers of a call that asks for progress, in the client's era."""
    params: Json = {"name": name, "arguments": arguments}
    if client.session_id:
        body = request("tools/call", params | {"_meta": {"progressToken": token}}, id)
        return body, client.legacy_headers()
    return modern("tools/call", params, id=id, meta=ENVELOPE | {"progressToken": token})


@asynccontextmanager
async def open_call(client: Client, name: str, arguments: Json, id: Any = 1) -> AsyncIterator[Stream]:
    """A call that asks for progress; leaving the block before its end hangs up."""
    body, headers = called(client, name, arguments, id)
    async with client.stream("POST", body, headers=headers) as stream:
        yield stream


async def _ask_modern(client: Client, method: str, params: Json, id: Any) -> Reply:
    return await client.ask(method, params, id=id)


async def _ask_legacy(client: Client, method: str, params: Json, id: Any) -> Reply:
    return await client.post(request(method, params, id))
