"""A connection to a scripted backend, with all that stands around it: its owner, its clock, its calls."""

import asyncio
from typing import Any

from msgspec import Raw

from proxy_core.backends.batch_support import BatchSupport
from proxy_core.backends.call import Call
from proxy_core.backends.connection import Connection, Terms
from proxy_core.config.models import HttpTransport, ServerConfig, StdioTransport
from proxy_core.protocol.capabilities import NONE, ClientCapabilities
from tests.support.clock import FakeClock
from tests.support.scripted_channel import Owner, Reply, ScriptedServer, Sink

CHILD = StdioTransport(command="box")
REMOTE = HttpTransport(url="http://box.example/mcp")
Script = dict[str, Reply | list[Reply]]


class Line:
    def __init__(
        self,
        script: Script,
        transport: StdioTransport | HttpTransport = CHILD,
        *,
        declared: ClientCapabilities = NONE,
        server_queue: int = 256,
        wire_batch: int = 0,
        batch_support: BatchSupport | None = None,
        **more: Any,
    ) -> None:
        """`more`: settings of the server."""
        self.server = ScriptedServer(script)
        self.owner = Owner()
        self.wire_batch = wire_batch
        self.clock = FakeClock()
        config = ServerConfig(id="box", transport=transport, **more)
        self.connection = Connection(
            config,
            self.server.channel,
            self.owner,
            self.clock,
            declared=declared,
            terms=Terms(server_queue=lambda: server_queue, wire_batch=lambda: self.wire_batch),
            batch_support=batch_support,
        )
        self._tasks: list[asyncio.Task[Any]] = []

    def begin(self, awaitable: Any) -> "asyncio.Task[Any]":
        self._tasks.append(asyncio.ensure_future(awaitable))
        return self._tasks[-1]

    def call(self, arguments: str = "{}", sink: Sink | None = None, **more: Any) -> "asyncio.Task[Any]":
        return self.ask(new_call(arguments, sink, **more))

    def ask(self, call: Call) -> "asyncio.Task[Any]":
        return self.begin(self.connection.call(call))

    async def wait(self, seconds: float) -> None:
        """Let time pass, as the registry's sweep sees it."""
        self.clock.advance(seconds)
        self.connection.sweep(self.clock.monotonic())
        await asyncio.sleep(0)

    async def rest(self) -> None:
        """Until whatever is under way has come to nothing more."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.connection.aclose()


def new_call(arguments: str = "{}", sink: Sink | None = None, **more: Any) -> Call:
    params = Raw(b'{"name":"add","arguments":%s}' % arguments.encode())
    return Call("tools/call", params, name="add", sink=sink, **more)
