"""Arbitrary and mutated messages, from clients and from servers, at every state.

What must hold whatever is said: no unforeseen failure, no answer to the wrong caller, nothing that grows.
"""

import asyncio
import gc
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, NamedTuple

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy_core.backends.backend import Backend
from proxy_core.backends.connection import Connection
from proxy_core.clock import SystemClock
from proxy_core.config.models import Config, ProxyConfig
from proxy_core.errors import Only1Error
from proxy_core.frontend.frontend import Frontend
from proxy_core.protocol.revisions import LEGACY_REVISIONS, MODERN
from tests.support.clock import FakeClock
from tests.support.http_client import META, POST_HEADERS, SOON_S
from tests.support.mutations import GARBAGE, MUTATIONS, Mutation, mutated
from tests.support.scripted_channel import Asked, until
from tests.support.stub_backends import House, StubServer, client, prompt, resource, tool

FEW, MANY = 200, 20_000
CALM = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
ABLE = {"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {}}
FORM = {"type": "object", "properties": {"name": {"type": "string"}}}
PATIENCE_S = 0.1
"""After this a client hangs up; some calls wait for an answer that the script never gives."""
IN_TIME = aiohttp.ClientTimeout(total=SOON_S)
MANY_CALLS = 2000
"""Parked calls are given up by a sweep every half a second, which many examples may get ahead of."""
LATER_S = 700.0
"""After this, whoever was asked something has not answered."""
MARKS = ("mark-of-ada", "mark-of-bob")


@contextmanager
def nothing_unforeseen() -> Iterator[None]:
    """No failure is logged inside the block, and none goes unseen by the loop."""
    caught: list[str] = []

    class Catcher(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.ERROR:
                caught.append(self.format(record))

    catcher = Catcher()
    logging.getLogger().addHandler(catcher)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(catcher)
    assert not caught, caught[0]


@contextmanager
def on_one_loop(opened: Callable[[], Any]) -> Iterator[Callable[[Callable[[Any], Awaitable[None]]], None]]:
    """One house for all examples: what grows in it is seen at its end."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        thing = runner.run(stack.enter_async_context(opened()))
        try:
            yield lambda act: runner.run(_awaited(act(thing)))
        finally:
            runner.run(stack.aclose())


async def _awaited(work: Awaitable[None]) -> None:
    await work


# --- from clients --------------------------------------------------------------------------------------------


class Said(NamedTuple):
    """One message of a client: who, which of the templates, how it was spoilt."""

    who: int
    template: int
    era: str
    mutations: list[Mutation]
    header: tuple[int, str] | None
    raw: bytes | None


SAID = st.builds(
    Said,
    st.integers(0, 1),
    st.integers(0, 30),
    st.sampled_from((MODERN, *LEGACY_REVISIONS)),
    st.lists(MUTATIONS, max_size=3),
    st.none() | st.tuples(st.integers(0, 10), st.text("abc=?2 -/.", max_size=12)),
    st.none() | st.none() | st.none() | GARBAGE,
)


def templates(mark: str, state: str, server_ask: str) -> list[dict[str, Any]]:
    """What a client may say, with its own mark wherever something comes back."""
    form = {"action": "accept", "content": {"name": mark}}
    answers = {"inputResponses": {"r1": form}, "requestState": state}
    bare = [
        ("tools/call", {"name": "old__echo", "arguments": {"mark": mark}}),
        ("tools/call", {"name": "new__echo", "arguments": {"mark": mark}}),
        ("tools/call", {"name": "old__ask", "arguments": {"mark": mark}}),
        ("tools/call", {"name": "new__ask", "arguments": {"mark": mark}}),
        ("tools/call", {"name": "old__ask", "arguments": {"mark": mark}, **answers}),
        ("tools/call", {"name": "new__ask", "arguments": {"mark": mark}, **answers}),
        ("tools/list", {}),
        ("prompts/list", {}),
        ("prompts/get", {"name": "old__greet", "arguments": {"mark": mark}}),
        ("resources/list", {"cursor": state}),
        ("resources/templates/list", {}),
        ("resources/read", {"uri": "x://r"}),
        ("resources/subscribe", {"uri": "x://r"}),
        ("resources/unsubscribe", {"uri": "x://r"}),
        (
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "old__greet"}, "argument": {"name": "a"}},
        ),
        ("logging/setLevel", {"level": "debug"}),
        ("server/discover", {}),
        ("ping", {}),
        ("tasks/get", {"taskId": state}),
        ("initialize", {"protocolVersion": "2025-11-25", "capabilities": ABLE, "clientInfo": {"name": mark}}),
    ]
    said: list[dict[str, Any]] = [{"method": method, "params": params} for method, params in bare]
    return [
        *({"jsonrpc": "2.0", "id": 1, **each} for each in said),
        {"jsonrpc": "2.0", "id": server_ask, "result": form},
        {"jsonrpc": "2.0", "id": server_ask, "error": {"code": -1, "message": mark}},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"},
        {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}},
    ]


class Party:
    """One client: its mark, its session, and what it was given to keep."""

    def __init__(self, mark: str, http: aiohttp.ClientSession, url: str) -> None:
        self.mark = mark
        self._http = http
        self._url = url
        self._session: str | None = None
        self._sessions: set[str] = set()
        """Also those that a mutated message opened."""
        self._revision = LEGACY_REVISIONS[0]
        self._state = "o1.x.y.z"
        self._server_ask = "s-1"

    async def open(self, revision: str) -> None:
        params = {"protocolVersion": revision, "capabilities": ABLE, "clientInfo": {"name": self.mark}}
        body = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
        async with self._http.post(self._url, json=body, headers=POST_HEADERS, timeout=IN_TIME) as reply:
            self._session, self._revision = reply.headers["Mcp-Session-Id"], revision
            self._sessions.add(self._session)

    async def leave(self) -> None:
        for session in self._sessions:
            headers = {"Mcp-Session-Id": session}
            async with self._http.delete(self._url, headers=headers, timeout=IN_TIME):
                pass
        self._sessions.clear()
        self._session = None

    async def say(self, said: Said) -> None:
        if said.era != MODERN and self._session is None:
            await self.open(said.era)
        choices = templates(self.mark, self._state, self._server_ask)
        message = choices[said.template % len(choices)]
        headers = self._headers(said, message)
        body = mutated(message, said.mutations) if said.raw is None else said.raw
        try:
            async with self._http.post(self._url, data=body, headers=headers) as reply:
                await self._heard(reply, message)
        except (TimeoutError, aiohttp.ClientConnectionError):
            # A call that waits for our answer, or a subscription: we hang up.
            return

    def _headers(self, said: Said, message: dict[str, Any]) -> dict[str, str]:
        headers = dict(POST_HEADERS)
        if said.era == MODERN and "method" in message:
            params = message.setdefault("params", {})
            params["_meta"] = {META + "protocolVersion": MODERN, META + "clientCapabilities": ABLE}
            name = next((params[key] for key in ("name", "uri", "taskId") if key in params), None)
            headers |= {"Mcp-Protocol-Version": MODERN, "Mcp-Method": message["method"]}
            headers |= {"Mcp-Name": name} if isinstance(name, str) else {}
        elif self._session is not None:
            headers |= {"Mcp-Session-Id": self._session, "Mcp-Protocol-Version": self._revision}
        if said.header is not None:
            number, value = said.header
            headers[sorted(headers)[number % len(headers)]] = value
        return headers

    async def _heard(self, reply: aiohttp.ClientResponse, message: dict[str, Any]) -> None:
        assert reply.status < 500, await reply.text()
        self._sessions |= {reply.headers["Mcp-Session-Id"]} if "Mcp-Session-Id" in reply.headers else set()
        seen = bytearray()
        async for chunk in reply.content.iter_any():
            seen += chunk
            self._keep(bytes(seen))
            if b'"elicitation/create"' in seen and b'"resultType"' not in seen:
                break
        text = bytes(seen)
        other = next(mark for mark in MARKS if mark != self.mark).encode()
        assert other not in text
        assert b"Internal error" not in text

    def _keep(self, text: bytes) -> None:
        """A state to bring back, the id of a question to answer."""
        for line in text.replace(b"data: ", b"\n").splitlines():
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if not isinstance(message, dict):
                continue
            if message.get("method") == "elicitation/create":
                self._server_ask = message["id"]
            result = message.get("result")
            if isinstance(result, dict) and isinstance(result.get("requestState"), str):
                self._state = result["requestState"]


def echo(asked: Asked) -> None:
    asked.answer({"content": [{"type": "text", "text": json.dumps(asked.params)}]})


def legacy_call(asked: Asked) -> None:
    """`ask` wants to know a name before it answers; the question holds the mark of the call."""
    if asked.params["name"] != "ask":
        echo(asked)
        return
    mark = asked.params.get("arguments") or {}
    params = {"message": json.dumps(mark), "requestedSchema": FORM}
    question = {"jsonrpc": "2.0", "id": f"q{asked.id}", "method": "elicitation/create", "params": params}
    asked.channel.server.waiting[question["id"]] = asked  # type: ignore[attr-defined]  # of AskingServer
    asked.channel.later(lambda: asked.channel.says(question))


class AskingServer(StubServer):
    """A legacy server whose tool asks; the answer to its question ends the call that asked."""

    def __init__(self) -> None:
        super().__init__(
            "2025-11-25",
            tools=[tool("echo"), tool("ask")],
            prompts=[prompt("greet")],
            resources=[resource("x://r")],
            offers={"resources": {"subscribe": True}, "logging": {}},
            script={"tools/call": legacy_call},
        )
        self.waiting: dict[str, Asked] = {}
        self.on("", self._answered)
        self.on("prompts/get", lambda asked: asked.answer({"messages": []}))
        self.on("resources/read", lambda asked: asked.answer({"contents": [{"uri": "x://r", "text": "r"}]}))
        for method in ("resources/subscribe", "resources/unsubscribe"):
            self.on(method, lambda asked: asked.answer({}))
        for method in ("notifications/progress", "notifications/roots/list_changed"):
            self.on(method, lambda asked: None)

    def _answered(self, answer: Asked) -> None:
        asked = self.waiting.pop(str(answer.id), None)
        if asked is not None:
            echo(asked)


def modern_call(asked: Asked) -> None:
    if asked.params["name"] == "ask" and "inputResponses" not in asked.params:
        form = {"method": "elicitation/create", "params": {"message": "?", "requestedSchema": FORM}}
        asks = {"inputRequests": {"q": form}, "requestState": json.dumps(asked.params.get("arguments"))}
        asked.answer({"resultType": "input_required", **asks})
    else:
        said = {key: value for key, value in asked.params.items() if key != "_meta"}
        asked.answer({"resultType": "complete", "content": [{"type": "text", "text": json.dumps(said)}]})


def asking_servers() -> dict[str, StubServer]:
    tools = [tool("echo"), tool("ask")]
    return {"old": AskingServer(), "new": StubServer(MODERN, tools=tools, script={"tools/call": modern_call})}


class Square:
    """A gateway on a real listener, with two clients and two servers."""

    def __init__(self, house: House, clock: FakeClock, frontend: Frontend, parties: list[Party]) -> None:
        self.house = house
        self.clock = clock
        self.frontend = frontend
        self.parties = parties

    async def play(self, script: list[Said]) -> None:
        async with asyncio.TaskGroup() as group:
            for who in (0, 1):
                group.create_task(self._play(who, script))
        for party in self.parties:
            await party.leave()
        await until(lambda: self.frontend.session_count == self.frontend.in_flight == 0)
        self.clock.advance(LATER_S)
        assert sum(backend.members[0].replica.in_flight for backend in self.house.registry) < MANY_CALLS

    async def _play(self, who: int, script: list[Said]) -> None:
        for said in script:
            if said.who == who:
                await self.parties[who].say(said)


@asynccontextmanager
async def square() -> AsyncIterator[Square]:
    clock = FakeClock()
    house = House(asking_servers(), clock=clock)
    async with house.open(), aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S)) as http:
        frontend = Frontend(Config(proxy=ProxyConfig(port=0)), house.gateway, house.clock, house.facts.append)
        await frontend.start()
        try:
            yield Square(house, clock, frontend, [Party(mark, http, frontend.url) for mark in MARKS])
        finally:
            await house.gateway.aclose()
            await frontend.aclose()


def play_clients(examples: int) -> None:
    with nothing_unforeseen(), on_one_loop(square) as run:

        @settings(max_examples=examples, **CALM)
        @given(st.lists(SAID, min_size=1, max_size=6))
        def play(script: list[Said]) -> None:
            run(lambda place: place.play(script))

        play()


@pytest.mark.timeout(600)
def test_whatever_clients_say() -> None:
    play_clients(FEW)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_whatever_clients_say_twenty_thousand_times() -> None:
    play_clients(MANY)


# --- from servers --------------------------------------------------------------------------------------------


class Told(NamedTuple):
    """One message of a server while two calls wait for it."""

    template: int
    mutations: list[Mutation]
    on_stream_of: int | None
    raw: bytes | None


TOLD = st.builds(
    Told,
    st.integers(0, 30),
    st.lists(MUTATIONS, max_size=3),
    st.none() | st.integers(0, 2),
    st.none() | st.none() | st.none() | GARBAGE,
)


def server_templates(ids: list[int], tokens: list[Any]) -> list[Any]:
    """What a server may say; answers are for the calls by their ids and say whose they are."""
    notes = "notifications/"
    told: list[Any] = [
        {"method": notes + "progress", "params": {"progressToken": token, "progress": 1}} for token in tokens
    ]
    told += [
        {"method": notes + "message", "params": {"level": "info", "data": "x"}},
        {"method": notes + "tools/list_changed"},
        {"method": notes + "resources/updated", "params": {"uri": "x://r"}},
        {"method": notes + "cancelled", "params": {"requestId": ids[0]}},
        {"method": notes + "elicitation/complete", "params": {"elicitationId": "e"}},
        {"method": notes + "tasks", "params": {"taskId": "t", "status": "working"}},
        {
            "method": notes + "subscriptions/acknowledged",
            "params": {"_meta": {META + "subscriptionId": ids[1]}},
        },
        {"id": "q", "method": "ping"},
        {"id": "q", "method": "roots/list"},
        {"id": "q", "method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}},
        {"id": "q", "method": "elicitation/create", "params": {"message": "?", "requestedSchema": FORM}},
        {"id": 99_999, "result": {}},
        {"id": str(ids[0]), "result": {}},
        {"id": float(ids[0]), "result": {}},
    ]
    return [{"jsonrpc": "2.0", **each} for each in told]


def answer_of(asked: Asked) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": f"answer to {asked.params['arguments']['mark']}"}]}


class Bench:
    """One server in memory, in the middle of two calls of two clients."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def play(self, script: list[Told]) -> None:
        server = self._house.servers["box"]
        calls = [
            self._house.begin(
                "tools/call",
                {"name": "box__run", "arguments": {"mark": mark}, "_meta": {"progressToken": 1}},
                who,
            )
            for mark, who in zip(MARKS, (client(MODERN), client(LEGACY_REVISIONS[0])), strict=True)
        ]
        asked = [await server.next("tools/call") for _ in calls]
        for told in script:
            self._tell(asked, told)
            await asyncio.sleep(0)
        for each in asked:
            each.answer(answer_of(each))
        for mark, call in zip(MARKS, calls, strict=True):
            await self._check(mark, call)
        assert self._backend.members[0].replica.in_flight == 0

    @property
    def _backend(self) -> Backend:
        return self._house.backend("box")

    def _tell(self, asked: list[Asked], told: Told) -> None:
        channel = asked[0].channel
        choices = server_templates([each.id for each in asked], [each.token for each in asked])
        message = choices[told.template % len(choices)]
        body = mutated(message, told.mutations) if told.raw is None else told.raw
        origins = [asked[0].id, asked[1].id, 10**9]
        channel.says_bytes(body, None if told.on_stream_of is None else origins[told.on_stream_of])

    async def _check(self, mark: str, call: "asyncio.Task[Any]") -> None:
        try:
            result = await asyncio.wait_for(call, 30)
        except Only1Error:
            # A server may spoil its own calls, as by answering one with an error.
            return
        text = json.dumps(result)
        assert not any(other in text for other in MARKS if other != mark)


def box(revision: str) -> House:
    """A house of one server that answers calls when the test says."""
    server = StubServer(revision, tools=[tool("run")])
    for method in ("", "tools/call"):
        server.script.pop(method, None)
    server.on("", lambda asked: None)
    return House({"box": server}, clock=SystemClock())


def live_connections() -> int:
    gc.collect()
    return sum(isinstance(thing, Connection) for thing in gc.get_objects())


async def play_one(revision: str, script: list[Told]) -> None:
    # A new house each time: a server that has asked out of turn gets one call at a time from then on.
    async with box(revision).open() as house:
        await Bench(house).play(script)
        await house.gateway.aclose()


def play_servers(revision: str, examples: int) -> None:
    before = live_connections()
    with nothing_unforeseen(), asyncio.Runner() as runner:

        @settings(max_examples=examples, **CALM)
        @given(st.lists(TOLD, min_size=1, max_size=6))
        def play(script: list[Told]) -> None:
            runner.run(play_one(revision, script))

        play()
        assert live_connections() <= before + 2


@pytest.mark.timeout(600)
@pytest.mark.parametrize("revision", [MODERN, "2025-11-25"])
def test_whatever_servers_say(revision: str) -> None:
    play_servers(revision, FEW)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("revision", [MODERN, "2025-11-25"])
def test_whatever_servers_say_twenty_thousand_times(revision: str) -> None:
    play_servers(revision, MANY // 2)
