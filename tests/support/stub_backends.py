"""MCP servers in memory behind a real gateway: only the wire is replaced, and time if the test wants it.

`StubServer` answers the handshake of its era and its lists from a dict, calls as the test says. `House` is a
Gateway over a BackendRegistry whose channels lead to such servers.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Raw

from proxy_core.backends.backend import Backend
from proxy_core.backends.channel import Channel, Receiver
from proxy_core.backends.connection import TransportKind
from proxy_core.backends.guard import Guard
from proxy_core.backends.registry import BackendRegistry
from proxy_core.clock import Clock
from proxy_core.config.models import Config, ServerConfig, StdioTransport
from proxy_core.errors import ClientError, Only1Error
from proxy_core.facts import Fact, RequestFinished
from proxy_core.gateway.exchange import Caller, Exchange
from proxy_core.gateway.gateway import Gateway
from proxy_core.gateway.subscriptions import SubscriptionHub
from proxy_core.protocol.capabilities import FEATURES, ClientCapabilities
from proxy_core.protocol.methods import LIST_METHODS
from proxy_core.protocol.revisions import MODERN, Era, era_of
from proxy_core.telemetry.snapshot import ServerState
from tests.support.clock import FakeClock
from tests.support.scripted_channel import Asked, Reply, ScriptedServer, refuses, until

Item = dict[str, Any]
LEGACY = "2025-06-18"
FEATURE = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resources",
    "prompts/list": "prompts",
}
_SHELF = {"tools": "tools/list", "resources": "resources/list", "prompts": "prompts/list"} | {
    "templates": "resources/templates/list"
}


def tool(name: str, **more: Any) -> Item:
    return {"name": name, "inputSchema": {"type": "object"}} | more


def prompt(name: str, **more: Any) -> Item:
    return {"name": name} | more


def resource(uri: str, **more: Any) -> Item:
    return {"uri": uri, "name": uri.rpartition("/")[2] or "root"} | more


def template(uri_template: str, **more: Any) -> Item:
    return {"uriTemplate": uri_template, "name": "template"} | more


def raw_result(result: bytes) -> Reply:
    """Exactly these bytes as the result."""
    return lambda asked: asked.channel.later(
        lambda: asked.channel.says_bytes(b'{"jsonrpc":"2.0","id":%d,"result":%s}' % (asked.id, result))
    )


class StubServer(ScriptedServer):
    def __init__(
        self,
        revision: str = LEGACY,
        *,
        announces: bool = True,
        offers: Mapping[str, Any] | None = None,
        instructions: str = "",
        hints: Item | None = None,
        script: dict[str, Reply] | None = None,
        **shelves: list[Item],
    ) -> None:
        """`offers`: its capabilities beside those of the lists that it has. `hints` go with every list."""
        super().__init__()
        self.revision = revision
        self.announces = announces
        self.offers = dict(offers or {})
        self.instructions = instructions
        self.hints = hints or {}
        self.items = {_SHELF[shelf]: items for shelf, items in shelves.items()}
        self.on("server/discover", self._discover)
        self.on("initialize", self._initialize)
        self.on("logging/setLevel", lambda asked: asked.answer({}))
        self.on("ping", lambda asked: asked.answer({}))
        for method in LIST_METHODS:
            self.on(method, self._list)
        for method in ("notifications/initialized", "notifications/cancelled", "subscriptions/listen"):
            self.on(method, lambda asked: None)
        for method, reply in (script or {}).items():
            self.on(method, reply)

    @property
    def is_modern(self) -> bool:
        return era_of(self.revision) is Era.MODERN

    def on(self, method: str, *replies: Reply) -> None:
        self.script[method] = list(replies)

    def changes(self, shelf: str, items: list[Item]) -> None:
        """Other items from now on, and word of it."""
        self.items[_SHELF[shelf]] = items
        self.tells(f"notifications/{FEATURE[_SHELF[shelf]]}/list_changed")

    def tells(self, method: str, **params: Any) -> None:
        self.line.notifies(method, **params)

    def asks(self, request_id: Any, method: str, during: Asked | None = None, **params: Any) -> None:
        """A request of a legacy server to a client; `next("")` hands out the answer.

        `during`: the call on whose own stream it comes; else it is for the gateway to find out.
        """
        line, origin = (self.line, None) if during is None else (during.channel, during.id)
        line.says({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}, origin)

    def _capabilities(self) -> Item:
        features = {FEATURE[method]: {"listChanged": self.announces} for method in self.items}
        return features | self.offers

    def _discover(self, asked: Asked) -> None:
        if not self.is_modern:
            asked.refuse(-32601)
            return
        result: Item = {"supportedVersions": [MODERN], "capabilities": self._capabilities()}
        asked.answer(result | ({"instructions": self.instructions} if self.instructions else {}))

    def _initialize(self, asked: Asked) -> None:
        info = {"name": "stub", "version": "1"}
        result: Item = {
            "protocolVersion": self.revision,
            "capabilities": self._capabilities(),
            "serverInfo": info,
        }
        asked.answer(result | ({"instructions": self.instructions} if self.instructions else {}))

    def _list(self, asked: Asked) -> None:
        method = asked.message["method"]
        asked.answer({LIST_METHODS[method]: self.items.get(method, [])} | self.hints)


class _StubRegistry(BackendRegistry):
    """Every channel leads to a server in memory."""

    servers: Mapping[str, StubServer]

    def _channel(
        self, settings: ServerConfig, kind: TransportKind, receiver: Receiver, stderr: Callable[[str], None]
    ) -> Channel:
        return self.servers[settings.id].channel(kind, receiver)


class ClientQuestion:
    """One request that reached a legacy client."""

    def __init__(self, method: str, params: bytes) -> None:
        self.method = method
        self.params: Item = json.loads(params)
        self.result: asyncio.Future[Raw] = asyncio.get_running_loop().create_future()
        self.is_withdrawn = False

    def answer(self, value: Any) -> None:
        self.result.set_result(Raw(json.dumps(value).encode()))

    def fail(self, error: Only1Error) -> None:
        self.result.set_exception(error)

    def refuse(self, code: int, message: str = "no", data: Any = None) -> None:
        self.fail(ClientError(code, message, b"" if data is None else json.dumps(data).encode()))


class Outbox:
    """What a client was told while it waited, and what a legacy one was asked."""

    def __init__(self, **answers: Any) -> None:
        """`answers`: results by the word before the slash of the method; other questions wait for the test."""
        self.messages: list[Item] = []
        self.questions: list[ClientQuestion] = []
        self.times_let_go = 0
        self._answers = answers

    def let_go(self) -> None:
        self.times_let_go += 1

    async def request(self, method: str, params: bytes, *, timeout_s: float) -> Raw:
        assert b"\n" not in params
        question = ClientQuestion(method, params)
        self.questions.append(question)
        if (answer := self._answers.get(method.partition("/")[0])) is not None:
            question.answer(answer)
        try:
            return await question.result
        except asyncio.CancelledError:
            question.is_withdrawn = True
            raise

    async def asked(self) -> ClientQuestion:
        """The oldest question without an answer, once there is one."""
        found = await until(lambda: [each for each in self.questions if not each.result.done()])
        assert isinstance(found[0], ClientQuestion)
        return found[0]

    def notify(self, message: bytes) -> None:
        assert b"\n" not in message
        self.messages.append(json.loads(message))

    def of(self, method: str) -> list[Any]:
        return [each["params"] for each in self.messages if each["method"] == method]


def client(revision: str = MODERN, **more: Any) -> Caller:
    return Caller(era_of(revision), revision, **more)


class House:
    """`registry.start` runs the sweeper too, which asks for real time: deadlines stay the clock's."""

    def __init__(self, servers: Mapping[str, StubServer], clock: Clock | None = None, **config: Any) -> None:
        """`config`: sections of the configuration, `settings` of single servers by id, and what makes a `watch`
        over their tools of the function that publishes facts."""
        settings, make_watch = config.pop("settings", {}), config.pop("watch", None)
        self.servers = servers
        self.clock = clock or FakeClock()
        self.configs = tuple(
            ServerConfig(id=server, transport=StdioTransport(command="stub"), **settings.get(server, {}))
            for server in servers
        )
        self.config = Config(servers=self.configs, **config)
        self.facts: list[Fact] = []
        self.said: list[tuple[str, str, str]] = []
        self.hub = SubscriptionHub()
        watch = make_watch(self.facts.append) if make_watch is not None else None
        self.gateway = Gateway(lambda: self.config, self.hub, self.clock, self.facts.append, watch=watch)
        self.registry = _StubRegistry(
            self.gateway, self.clock, Guard(), says=lambda *words: self.said.append(words), on_state=_unheard
        )
        self.registry.servers = servers
        self.gateway.serve(self.registry)

    @asynccontextmanager
    async def open(self, *, settled: bool = True) -> AsyncIterator["House"]:
        """`settled`: every server has been reached, or found out of reach, before the block begins."""
        self.registry.start()
        self.registry.apply(self.configs, {}, 0)
        try:
            if settled:
                await until(lambda: not any(backend.is_settling for backend in self.registry))
            yield self
        finally:
            await self.registry.aclose()
            await self.gateway.aclose()

    def backend(self, server: str) -> Backend:
        return self.registry.get(server)

    async def reached(self, server: str, state: ServerState) -> None:
        await until(lambda: self.backend(server).state is state)

    async def bytes_of(
        self,
        method: str,
        params: Item | None = None,
        caller: Caller | None = None,
        outbox: Outbox | None = None,
    ) -> bytes:
        raw = Raw(json.dumps(params).encode()) if params is not None else Raw()
        exchange = Exchange(method, raw, caller or client(), outbox or Outbox())
        return await self.gateway.handle(exchange)

    async def ask(
        self,
        method: str,
        params: Item | None = None,
        caller: Caller | None = None,
        outbox: Outbox | None = None,
    ) -> Any:
        return json.loads(await self.bytes_of(method, params, caller, outbox))

    async def refused(self, method: str, params: Any, revision: str = MODERN) -> Only1Error:
        """The error of a request that must not succeed."""
        try:
            await self.ask(method, params, client(revision))
        except Only1Error as error:
            return error
        raise AssertionError(f"{method} was answered")

    def begin(
        self,
        method: str,
        params: Item | None = None,
        caller: Caller | None = None,
        outbox: Outbox | None = None,
    ) -> "asyncio.Task[Any]":
        """The same, without waiting; the test awaits or cancels it."""
        return asyncio.ensure_future(self.ask(method, params, caller, outbox))

    async def call(self, name: str, caller: Caller | None = None, **arguments: Any) -> Any:
        return await self.ask("tools/call", {"name": name, "arguments": arguments}, caller)

    async def names(self, method: str = "tools/list", caller: Caller | None = None) -> list[str]:
        page = await self.ask(method, {}, caller)
        member = {"resources/list": "uri", "resources/templates/list": "uriTemplate"}.get(method, "name")
        return [item[member] for item in page[LIST_METHODS[method]]]

    @property
    def finished(self) -> list[RequestFinished]:
        return [fact for fact in self.facts if isinstance(fact, RequestFinished)]


def _unheard(server: str, before: ServerState, now: ServerState, reason: str) -> None:
    return


def echo(asked: Asked) -> None:
    """Answers a tools/call with the name and the arguments that reached the server."""
    said = {"name": asked.params["name"], "arguments": asked.params.get("arguments")}
    asked.answer({"content": [{"type": "text", "text": json.dumps(said)}]})


def text_of(result: Item) -> Any:
    return json.loads(result["content"][0]["text"])


def searcher(revision: str = LEGACY, **more: Any) -> StubServer:
    """One tool, `search`, which echoes."""
    return StubServer(revision, tools=[tool("search")], script={"tools/call": echo}, **more)


def dead() -> StubServer:
    """A server whose handshake fails at once."""
    return StubServer(script={"server/discover": refuses(-32601), "initialize": refuses(-32603)})


def many_tools(count: int) -> list[Item]:
    return [tool(f"t{number:05d}") for number in range(count)]


# --- servers that ask ----------------------------------------------------------------------------------------

ALL = ClientCapabilities(FEATURES)
"""A client that can be asked everything."""
FORM: Item = {
    "message": "Name?",
    "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
}
PAGE: Item = {"mode": "url", "message": "Sign in", "url": "https://box.example/%7Ein"}
SAMPLE: Item = {"messages": [{"role": "user", "content": {"type": "text", "text": "hi"}}], "maxTokens": 9}
ANN: Item = {"action": "accept", "content": {"name": "Ann"}}
SAID: Item = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "x"}}
HOME: Item = {"roots": [{"uri": "file:///home"}]}


def entry(method: str, params: Item) -> Item:
    """One value of `inputRequests`."""
    return {"method": method, "params": params}


def asking_for(requests: Item | None = None, state: str | None = None, **more: Any) -> Item:
    """What a modern server answers that needs input."""
    found: Item = {"resultType": "input_required"} | more
    if requests is not None:
        found["inputRequests"] = requests
    return found | ({} if state is None else {"requestState": state})


def asker(revision: str = LEGACY, **more: Any) -> StubServer:
    """One tool, one prompt, one resource; the test answers each call, or asks first."""
    return StubServer(
        revision,
        tools=[tool("run"), tool("other")],
        prompts=[prompt("greet")],
        resources=[resource("file:///a")],
        **more,
    )
