"""A whole gateway and its one HTTP server in this process, so that it can be told which way a call went."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from proxy_core.backends.direct_call import DirectCall
from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.protocol.revisions import Era
from proxy_core.proxy import Proxy
from tests.support.backend_server import INITIALIZED, BackendServer, Handler, accepts, answers, serving
from tests.support.http_client import Client, Reply, modern, request
from tests.support.scripted_channel import until

ERA = [Era.MODERN]
SERVER_ERA = [Era.MODERN]
TOOLS = {"resultType": "complete", "tools": [{"name": "run", "inputSchema": {"type": "object"}}]}
DISCOVERED = {"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
SESSION = "box-session"


def handshake() -> dict[str, Handler | list[Handler]]:
    """Of a server of the era that the tests are about."""
    if SERVER_ERA[0] is Era.MODERN:
        return {"server/discover": answers(DISCOVERED), "tools/list": answers(TOOLS)}
    return {
        "initialize": answers(INITIALIZED, Mcp_Session_Id=SESSION),
        "notifications/initialized": accepts,
        "tools/list": answers({"tools": TOOLS["tools"]}),
    }


@dataclass
class House:
    client: Client
    server: BackendServer
    proxy: Proxy
    begun: list[DirectCall]
    config: dict[str, Any]

    async def reload(self, **sections: Any) -> None:
        """Sections of the configuration that are others from now on; `box`: what is of its server's."""
        self.config["servers"][0] |= sections.pop("box", {})
        self.config |= sections
        await self.proxy.apply_reload()

    async def call(self, **more: Any) -> Reply:
        return await self.ask("tools/call", {"name": "box__run", "arguments": {"n": 1}} | more)

    async def ask(self, method: str, params: dict[str, Any]) -> Reply:
        """By a client of the era that the tests are about, a legacy one in its one session."""
        if ERA[0] is Era.MODERN:
            body, headers = modern(method, params)
            return await self.client.send("POST", body, headers=headers)
        if self.client.session_id is None:
            await self.client.initialize()
        return await self.client.post(request(method, params))

    @property
    def row(self) -> Any:
        return self.proxy.snapshot().servers[0]


@asynccontextmanager
async def house(
    direct: bool,
    begun: list[DirectCall],
    call: Any,
    through: Callable[[str], AbstractAsyncContextManager[str]] | None = None,
    also: Mapping[str, Handler | list[Handler]] | None = None,
    **more: Any,
) -> AsyncIterator[House]:
    """A gateway that records nothing, so that every call may go without a task, or one in which none does.

    `through`: stands before the server, at a URL of its own. `also`: what else its server answers.
    """
    table: dict[str, Handler | list[Handler]] = handshake() | {"tools/call": call} | dict(also or {})
    async with serving(table) as server, AsyncExitStack() as stack:
        url = server.url if through is None else await stack.enter_async_context(through(server.url))
        box = {"id": "box", "transport": {"type": "http", "url": url}} | more.pop("box", {})
        sections = {"proxy": {"port": 0, "grace_s": 1}, "inspect": {"exchanges": 0}} | more
        config = {"servers": [box]} | sections

        def load() -> LoadedConfig:
            return LoadedConfig(Config.model_validate(config), None, {})

        proxy = Proxy(load(), load, fast_path=direct)
        running = asyncio.ensure_future(proxy.run())
        try:
            await until(lambda: proxy.snapshot().url)
            await until(lambda: proxy.snapshot().servers[0].state == "healthy")
            async with aiohttp.ClientSession() as session:
                yield House(Client(session, proxy.snapshot().url), server, proxy, begun, config)
        finally:
            proxy.request_stop()
            await running
