"""A backend over a scripted server, with all that stands around it: its gateway, its clock, its calls."""

import asyncio
from typing import Any

from msgspec import Raw

from proxy_core.backends.backend import Backend
from proxy_core.backends.call import Call
from proxy_core.backends.connection import Terms
from proxy_core.config.models import HttpTransport, ServerConfig, StdioTransport
from proxy_core.telemetry.snapshot import ServerState as S
from tests.support.clock import FakeClock
from tests.support.scripted_channel import (
    Gateway,
    Reply,
    ScriptedServer,
    Sink,
    initialized,
    result,
    silence,
    tools,
    until,
)

CHILD = StdioTransport(command="box")
REMOTE = HttpTransport(url="http://box.example/mcp")
ADD = Raw(b'{"name":"add","arguments":{}}')
FED = {"tools": {"listChanged": True}, "logging": {}}


def child(**script: Reply | list[Reply]) -> dict[str, Reply | list[Reply]]:
    """A legacy server with one tool; replies by method, `_` for the slash."""
    base: dict[str, Reply | list[Reply]] = {
        "initialize": initialized(capabilities=FED),
        "notifications/initialized": silence,
        "tools/list": tools("add"),
        "logging/setLevel": result({}),
    }
    return base | {method.replace("_", "/"): reply for method, reply in script.items()}


class Box:
    """A backend with all that stands around it."""

    def __init__(self, script: dict[str, Any], *, wire_batch: int = 0, **more: Any) -> None:
        self.server = ScriptedServer(script)
        self.clock = FakeClock()
        self.gateway = Gateway()
        self.states: list[S] = []
        self.sayings: list[tuple[str, str]] = []
        self.backend = Backend(
            ServerConfig(id="box", **{"transport": CHILD, "era": "legacy"} | more),
            lambda settings, kind, receiver, stderr: self.server.channel(kind, receiver),
            self.gateway,
            self.clock,
            says=lambda server, level, text: self.sayings.append((level, text)),
            on_state=lambda server, before, now, reason: self.states.append(now),
            terms=Terms(wire_batch=lambda: wire_batch),
        )
        self._tasks: list[asyncio.Task[Any]] = []

    def begin(self, awaitable: Any) -> "asyncio.Task[Any]":
        self._tasks.append(asyncio.ensure_future(awaitable))
        return self._tasks[-1]

    def call(self, sink: Sink | None = None, **more: Any) -> "asyncio.Task[Any]":
        return self.ask(Call("tools/call", ADD, name="add", sink=sink, **more))

    def ask(self, call: Call) -> "asyncio.Task[Any]":
        return self.begin(self.backend.call(call))

    async def wait(self, seconds: float) -> None:
        """Let time pass, as the registry's sweep sees it."""
        self.clock.advance(seconds)
        self.backend.sweep(self.clock.monotonic())
        await asyncio.sleep(0)

    @property
    def tools(self) -> list[str]:
        return [tool["name"] for tool in self.backend.lists.get("tools/list").items]

    def offers(self, *names: str) -> None:
        self.server.script["tools/list"] = [tools(*names)]

    async def reached(self, state: S) -> None:
        await until(lambda: self.backend.state is state)

    async def in_service(self) -> "Box":
        self.backend.start()
        await self.reached(S.HEALTHY)
        return self

    async def rest(self) -> None:
        """Until whatever is under way has come to nothing more."""
        for _ in range(50):
            await asyncio.sleep(0)

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.backend.aclose()
