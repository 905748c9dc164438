"""A whole gateway with limits, and a client that asks it in either era, on either HTTP path or on a pipe."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiohttp import web

from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.facts import LimitReached
from proxy_core.proxy import Proxy
from tests.support import wire
from tests.support.backend_server import BackendServer, Seen, answers, event, event_stream, json_reply, serving
from tests.support.http_client import Client, Reply, modern, request
from tests.support.pipe_client import PipeClient, cancelled, piped
from tests.support.pipe_client import modern as modern_line

Json = dict[str, Any]
DISCOVERED = {"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
TOOLS = {
    "resultType": "complete",
    "tools": [{"name": name, "inputSchema": {"type": "object"}} for name in ("run", "walk")],
}
RESULT = {"resultType": "complete", "content": [{"type": "text", "text": "done"}]}
PROGRESS = b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"t","progress":1}}'


class Way(NamedTuple):
    """How a client asks."""

    front: str
    """fast, aiohttp or pipe"""
    era: str


WAYS = [Way(front, era) for front in ("fast", "aiohttp", "pipe") for era in ("modern", "legacy")]


class ShiftedClock:
    """The machine's own, ahead by what the test says."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s

    def wall(self) -> float:
        return time.time() + self.ahead_s


class Moody:
    """A server whose calls end as their argument `do` says."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.waiting = 0

    async def __call__(self, seen: Seen) -> web.StreamResponse:
        match seen.message["params"].get("arguments", {}).get("do", "answer"):
            case "wait":
                await self._wait()
            case "stream":
                response = await event_stream(seen)
                await response.write(event(PROGRESS))
                await self._wait()
                await response.write(event(seen.result(RESULT)))
                return response
            case "refuse":
                return json_reply(seen.error(-32000), 200)
            case "fail":
                return web.Response(status=500)
            case "drop":
                assert seen.request.transport is not None
                seen.request.transport.abort()
        return json_reply(seen.result(RESULT))

    async def _wait(self) -> None:
        self.waiting += 1
        try:
            await self.released.wait()
        finally:
            self.waiting -= 1


class PipeAsker:
    """Answers of a pipe, each to whom it belongs."""

    def __init__(self, client: PipeClient, era: str) -> None:
        self._client = client
        self._era = era
        self._ids = 0
        self._open: dict[int, asyncio.Future[Json]] = {}

    async def read(self) -> None:
        while (message := await self._client.next()) is not None:
            if (answer := self._open.pop(message.get("id"), None)) is not None and not answer.done():
                answer.set_result(message)

    async def ask(self, method: str, params: Json) -> Json:
        self._ids += 1
        id = self._ids
        answer = self._open[id] = asyncio.get_running_loop().create_future()
        make = modern_line if self._era == "modern" else request
        self._client.send(make(method, params, id))
        try:
            return await answer
        except asyncio.CancelledError:
            self._client.send(cancelled(id))
            raise


@dataclass
class LimitedHouse:
    proxy: Proxy
    clock: ShiftedClock
    server: BackendServer
    moody: Moody
    way: Way
    loaded: list[LoadedConfig]
    """What a reload finds."""
    url: str = ""
    pipe: PipeAsker | None = None
    clients: dict[str, Client] = field(default_factory=dict)
    replies: list[Reply] = field(default_factory=list)
    """Over HTTP, all so far."""
    ids: int = 1000

    async def ask(self, method: str, params: Json | None = None, token: str = "", path: str = "") -> Json:
        """The whole response. A client that is cancelled hangs up, or says so if that would not tell."""
        if self.pipe is not None:
            return await self.pipe.ask(method, params or {})
        client = self.clients[token + path]
        self.ids += 1
        if self.way.era == "modern":
            body, headers = modern(method, params, id=self.ids)
        else:
            body, headers = request(method, params, self.ids), client.legacy_headers()
        try:
            reply = await client.send("POST", body, headers=headers)
        except asyncio.CancelledError:
            if self.way.era == "legacy":
                await client.post(cancelled(body["id"]))
            raise
        self.replies.append(reply)
        return wire.last_of(reply)

    async def call(self, do: str = "answer", tool: str = "run", **how: Any) -> Json:
        return await self.ask("tools/call", {"name": f"box__{tool}", "arguments": {"do": do}}, **how)

    def begin(self, do: str = "wait", **how: Any) -> "asyncio.Task[Json]":
        return asyncio.ensure_future(self.call(do, **how))

    async def all_wait(self, count: int) -> None:
        """Until so many calls are held at the server."""
        await wire.comes_true(lambda: self.moody.waiting == count, f"{count} calls are in flight")

    async def nothing_is_held(self) -> None:
        await wire.comes_true(lambda: not self.held, f"nothing is in flight any more; there is {self.held}")

    @property
    def held(self) -> Any:
        return self.proxy._gateway.limits.held

    @property
    def refusals(self) -> list[tuple[str, str]]:
        """Whose limits were told of as events, and their kinds."""
        _, facts = self.proxy.events_after(0)
        return [(fact.limit, fact.kind) for fact in facts if isinstance(fact, LimitReached)]

    async def reload(self, **sections: Any) -> None:
        self.loaded[0] = loaded_config(self.server.url, self.way, **sections)
        await self.proxy.apply_reload()


def loaded_config(url: str, way: Way, **sections: Any) -> LoadedConfig:
    box = {"id": "box", "transport": {"type": "http", "url": url}} | sections.pop("box", {})
    general = {
        "proxy": {"port": 0, "grace_s": 1},
        "inspect": {"exchanges": 0},
        "circuit_breaker": {"failure_threshold": 1000},
    }
    return LoadedConfig(Config.model_validate({"servers": [box]} | general | sections), None, {})


def refused(answer: Json) -> Json | None:
    """What a refusal by a limit says in its data; None if it is none."""
    if (error := answer.get("error")) is None:
        return None
    data: Json = (error.get("data") or {}).get("dev.only1mcp", {})
    assert (error["code"], data.get("kind"), data.get("retryable")) == (-32603, "overloaded", True), answer
    return data


@asynccontextmanager
async def limited_house(
    way: Way, tokens: tuple[str, ...] = ("",), paths: tuple[str, ...] = ("",), **sections: Any
) -> AsyncIterator[LimitedHouse]:
    """`tokens`: bearer tokens of clients; `paths`: what follows the URL. Over a pipe there are neither."""
    moody, clock = Moody(), ShiftedClock()
    table: Any = {
        "server/discover": answers(DISCOVERED),
        "tools/list": answers(TOOLS),
        "tools/call": moody,
    }
    async with serving(table) as server, AsyncExitStack() as stack:
        loaded = [loaded_config(server.url, way, **sections)]
        ends = await stack.enter_async_context(piped()) if way.front == "pipe" else None
        proxy = Proxy(
            loaded[0],
            lambda: loaded[0],
            fast_path=way.front == "fast",
            clock=clock,
            pipe=None if ends is None else ends[1],
        )
        async with proxy.started():
            assert await proxy.wait_ready(wire.SOON_S)
            house = LimitedHouse(proxy, clock, server, moody, way, loaded, proxy.snapshot().url)
            if ends is None:
                for token in tokens:
                    for path in paths:
                        connected = wire.connected(house.url + path, way.era, token or None)
                        house.clients[token + path] = await stack.enter_async_context(connected)
                yield house
                # Legacy clients keep their sessions; what they have open must not hold up the end.
                moody.released.set()
                return
            if way.era == "legacy":
                await ends[0].initialize()
            house.pipe = PipeAsker(ends[0], way.era)
            reading = asyncio.ensure_future(house.pipe.read())
            try:
                yield house
                moody.released.set()
            finally:
                reading.cancel()
                await asyncio.wait((reading,))


def shown(answers: list[Json]) -> str:
    return json.dumps(answers)[:2000]
