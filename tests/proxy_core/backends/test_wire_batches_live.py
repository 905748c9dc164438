"""Batches to real servers of 2025-03-26, over HTTP and to a child: what arrives there, and what comes back."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from msgspec import Raw

from proxy_core.backends import resumption
from proxy_core.backends.batch_support import BatchSupport, Support
from proxy_core.backends.call import Call
from proxy_core.backends.connection import Connection, Terms
from proxy_core.backends.guard import Guard
from proxy_core.backends.http_channel import HttpChannel
from proxy_core.backends.stdio_channel import StdioChannel
from proxy_core.backends.wire_batches import TRIAL_S
from proxy_core.config.models import HttpTransport, ServerConfig, StdioTransport
from proxy_core.errors import (
    BackendError,
    BackendFailing,
    BackendHttpError,
    BackendProtocolError,
    BackendStreamLost,
    BackendUnavailable,
)
from tests.support import batching_server
from tests.support.backend_server import (
    BackendServer,
    Handler,
    Holds,
    Seen,
    accepts,
    event,
    event_stream,
    json_reply,
    refuses,
    serving,
    streams,
)
from tests.support.batching_server import NOT_READ, REVISION, BatchingServer
from tests.support.clock import FakeClock
from tests.support.scripted_channel import Owner, until


class Line:
    """A connection to a real server."""

    def __init__(self, transport: HttpTransport | StdioTransport, guard: Guard | None = None) -> None:
        config = ServerConfig(id="box", transport=transport, era="legacy", concurrency=64)
        self.support = BatchSupport()
        self.owner = Owner()
        self.clock = FakeClock()
        self._asking: list[asyncio.Task[Any]] = []

        def channel(kind: Any, receiver: Any) -> Any:
            if isinstance(transport, HttpTransport):
                return HttpChannel("box", transport, receiver, 30, lambda note: None)
            assert guard is not None
            return StdioChannel("box", transport, receiver, guard, lambda line: None)

        terms = Terms(wire_batch=lambda: 10)
        self.connection = Connection(
            config, channel, self.owner, self.clock, terms=terms, batch_support=self.support
        )

    def call(self, name: str = "echo", **arguments: Any) -> "asyncio.Task[Any]":
        params = json.dumps({"name": name, "arguments": arguments}).encode()
        call = Call("tools/call", Raw(params), name=name)

        async def ask() -> Any:
            return json.loads(bytes(await self.connection.call(call)))

        self._asking.append(asyncio.ensure_future(ask()))
        return self._asking[-1]

    async def trust(self) -> None:
        """Let the server show that it reads batches."""
        await asyncio.gather(self.call(), self.call())
        await until(lambda: self.support.state is Support.SHOWN)

    async def wait(self, seconds: float) -> None:
        """Let time pass, as the registry's sweep sees it."""
        self.clock.advance(seconds)
        self.connection.sweep(self.clock.monotonic())

    async def aclose(self) -> None:
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)
        await self.connection.aclose()


# --- over HTTP ------------------------------------------------------------------------------------------------


async def single(seen: Seen) -> web.StreamResponse:
    """One request's answer, as JSON."""
    (answer,) = BatchingServer("array").answers(seen.message)
    more = {"Mcp_Session_Id": "s-1"} if seen.key == "initialize" else {}
    return json_reply(json.dumps(answer).encode(), **more)


def answered(mode: str) -> Handler:
    """A batch's answers: an array as JSON, or apart as events."""

    async def handle(seen: Seen) -> web.StreamResponse:
        answers = BatchingServer(mode).answers(seen.message)
        if mode != "apart":
            return json_reply(json.dumps(answers[0]).encode())
        return await streams(*(event(json.dumps(answer).encode()) for answer in answers))(seen)

    return handle


def table(*batches: Handler, **more: Any) -> dict[str, Handler | list[Handler]]:
    """A server whose batches are answered so, one after the other; the first is the pings'."""
    base: dict[str, Handler | list[Handler]] = {
        "initialize": single,
        "notifications/initialized": accepts,
        "notifications/cancelled": accepts,
        "tools/call": single,
        "ping": single,
        "batch": list(batches),
        "DELETE": accepts,
    }
    return base | more


def rpc_error_without_id(code: int) -> Handler:
    async def handle(seen: Seen) -> web.StreamResponse:
        return json_reply(json.dumps(NOT_READ | {"error": {"code": code, "message": "no"}}).encode())

    return handle


@asynccontextmanager
async def http(*batches: Handler, **more: Any) -> AsyncIterator[tuple[Line, BackendServer]]:
    """A connection that trusts the server's batches, and the server, which has forgotten what it saw."""
    async with serving(table(answered("array"), *batches, **more)) as server:
        line = Line(HttpTransport(url=server.url))
        try:
            await line.connection.open()
            await line.trust()
            server.seen = [seen for seen in server.seen if seen.key == "GET"]
            yield line, server
        finally:
            await line.aclose()


def posts(server: BackendServer) -> list[Any]:
    """What arrived in POSTs: the method of each message, of a batch the methods."""
    return [
        [each["method"] for each in seen.message] if seen.key == "batch" else seen.key
        for seen in server.seen
        if seen.request.method == "POST"
    ]


CALLS = ["tools/call"] * 3


async def test_calls_that_wait_together_are_one_post_with_one_version_and_session() -> None:
    async with http(answered("array")) as (line, server):
        calls = [line.call(n=n) for n in range(3)]
        assert await asyncio.gather(*calls) == [{"echo": {"n": n}} for n in range(3)]
        assert posts(server) == [CALLS]
        headers = server.of("batch")[0].headers
        assert headers["MCP-Protocol-Version"] == REVISION and headers["Mcp-Session-Id"] == "s-1"
        assert await line.call(n=3) == {"echo": {"n": 3}}
        assert posts(server) == [CALLS, "tools/call"], "one alone is no batch"


async def test_the_first_calls_go_singly_beside_a_batch_of_pings() -> None:
    async with serving(table(answered("array"))) as server:
        line = Line(HttpTransport(url=server.url))
        await line.connection.open()
        await line.trust()
        assert sorted(map(str, posts(server)[2:])) == ["['ping', 'ping']", "tools/call", "tools/call"]
        await line.aclose()


async def test_answers_may_come_as_events_in_any_order() -> None:
    async with http(answered("apart")) as (line, server):
        calls = [line.call(n=n) for n in range(3)]
        assert await asyncio.gather(*calls) == [{"echo": {"n": n}} for n in range(3)]
        assert posts(server) == [CALLS]


@pytest.mark.parametrize("mode", ["array", "apart"])
async def test_an_error_is_its_own_members(mode: str) -> None:
    async with http(answered(mode)) as (line, server):
        calls = [line.call(n=0), line.call("fail"), line.call(n=2)]
        first, second, third = await asyncio.gather(*calls, return_exceptions=True)
        assert (first, third) == ({"echo": {"n": 0}}, {"echo": {"n": 2}})
        assert isinstance(second, BackendError) and second.message == "failed"
        assert posts(server) == [CALLS]
        assert line.support.state is Support.SHOWN


async def test_a_member_that_an_array_leaves_out_fails_alone_as_a_lost_stream() -> None:
    async with http(answered("missing")) as (line, server):
        *others, last = await asyncio.gather(*(line.call(n=n) for n in range(3)), return_exceptions=True)
        assert others == [{"echo": {"n": 0}}, {"echo": {"n": 1}}]
        assert isinstance(last, BackendStreamLost) and not last.nothing_sent
        assert posts(server) == [CALLS], "it may have been acted on, so it is not sent again"
        assert line.support.state is Support.LACKING


async def test_a_member_that_a_stream_ends_without_fails_alone() -> None:
    async def first_alone(seen: Seen) -> web.StreamResponse:
        (answer,) = BatchingServer("array").answers(seen.message[0])
        return await streams(event(json.dumps(answer).encode()))(seen)

    async with http(first_alone) as (line, _):
        first, second = await asyncio.gather(line.call(n=0), line.call(n=1), return_exceptions=True)
        assert first == {"echo": {"n": 0}}
        assert isinstance(second, BackendStreamLost)
        assert line.support.state is Support.SHOWN, "a stream may break for other reasons"


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(refuses(400), id="400"),
        pytest.param(refuses(422, b'{"detail":"not a dict"}', "application/json"), id="422"),
        pytest.param(refuses(400, json.dumps(NOT_READ).encode(), "application/json"), id="400-null"),
        pytest.param(
            refuses(
                400,
                b'{"jsonrpc":"2.0","id":"server-error","error":{"code":-32602,"message":"no"}}',
                "application/json",
            ),
            id="400-foreign-id",
        ),
        pytest.param(refuses(200, json.dumps(NOT_READ).encode(), "application/json"), id="200-null"),
        pytest.param(streams(event(json.dumps(NOT_READ).encode())), id="event-null"),
    ],
)
async def test_a_batch_that_was_not_understood_is_sent_singly_once(refusal: Handler) -> None:
    async with http(refusal) as (line, server):
        calls = [line.call(n=n) for n in range(3)]
        assert await asyncio.gather(*calls) == [{"echo": {"n": n}} for n in range(3)]
        assert posts(server) == [CALLS, *CALLS]
        assert line.support.state is Support.LACKING
        await asyncio.gather(line.call(), line.call())
        assert posts(server) == [CALLS, *CALLS, *CALLS[:2]]


async def test_a_batch_that_was_answered_in_part_is_not_sent_again() -> None:
    async def in_part(seen: Seen) -> web.StreamResponse:
        (answer,) = BatchingServer("array").answers(seen.message[0])
        return await streams(*(event(json.dumps(each).encode()) for each in (NOT_READ, answer)))(seen)

    async with http(in_part) as (line, server):
        first, *others = await asyncio.gather(*(line.call(n=n) for n in range(3)), return_exceptions=True)
        assert first == {"echo": {"n": 0}}
        assert all(isinstance(each, BackendStreamLost) for each in others)
        assert posts(server) == [CALLS]


async def test_an_error_that_does_not_say_that_it_was_not_read_is_every_members() -> None:
    async with http(rpc_error_without_id(-32603)) as (line, server):
        failures = await asyncio.gather(line.call(), line.call(), return_exceptions=True)
        assert [each.code for each in failures if isinstance(each, BackendError)] == [-32603, -32603]
        assert posts(server) == [CALLS[:2]]


@pytest.mark.parametrize(
    ("refusal", "fault"),
    [(refuses(503), BackendFailing), (refuses(202), BackendProtocolError), (refuses(429), BackendHttpError)],
)
async def test_a_post_that_fails_fails_every_member_and_is_not_repeated(
    refusal: Handler, fault: type[Exception]
) -> None:
    async with http(refusal) as (line, server):
        failures = await asyncio.gather(line.call(), line.call(), return_exceptions=True)
        assert [type(each) for each in failures] == [fault, fault]
        assert not any(getattr(each, "nothing_sent", True) for each in failures)
        assert posts(server) == [CALLS[:2]]


async def test_a_batch_that_cannot_reach_its_server_was_sent_to_nobody() -> None:
    async with serving(table(answered("array"))) as server:
        line = Line(HttpTransport(url=server.url))
        await line.connection.open()
        await line.trust()
    failures = await asyncio.gather(line.call(), line.call(), return_exceptions=True)
    assert [getattr(each, "nothing_sent", None) for each in failures] == [True, True]
    assert all(isinstance(each, BackendUnavailable) for each in failures)
    await line.aclose()


@pytest.mark.parametrize(
    "trial",
    [accepts, refuses(400), refuses(500), rpc_error_without_id(-32600)],
    ids=["202", "400", "500", "null"],
)
async def test_a_server_that_does_not_answer_the_pings_gets_no_batches(trial: Handler) -> None:
    async with serving(table(trial)) as server:
        line = Line(HttpTransport(url=server.url))
        await line.connection.open()
        await asyncio.gather(line.call(), line.call())
        await until(lambda: line.support.state is Support.LACKING)
        await asyncio.gather(line.call(), line.call())
        assert len(server.of("batch")) == 1 and len(server.of("tools/call")) == 4
        assert server.of("ping") == [], "a ping alone would show nothing"
        await line.aclose()


async def test_a_session_that_ended_is_renewed_for_all_members() -> None:
    async with http(refuses(404), answered("array")) as (line, server):
        calls = [line.call(n=n) for n in range(3)]
        assert await asyncio.gather(*calls) == [{"echo": {"n": n}} for n in range(3)]
        assert posts(server) == [CALLS, "initialize", "notifications/initialized", CALLS]
        assert line.owner.renewals == 1


async def test_a_stream_that_broke_off_is_resumed_for_those_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumption, "RETRY_MS", 1)
    monkeypatch.setattr(resumption, "MIN_PAUSE_S", 0.001)
    rest: list[bytes] = []

    async def breaks_off(seen: Seen) -> web.StreamResponse:
        first, *others = (BatchingServer("apart").answers(each)[0] for each in seen.message)
        rest[:] = [event(json.dumps(each).encode(), f"e-{n}") for n, each in enumerate(others, start=2)]
        return await streams(event(json.dumps(first).encode(), "e-1"))(seen)

    async def goes_on(seen: Seen) -> web.StreamResponse:
        return await streams(*rest)(seen) if "Last-Event-ID" in seen.headers else await refuses(405)(seen)

    async with http(breaks_off, GET=goes_on) as (line, server):
        calls = [line.call(n=n) for n in range(3)]
        assert await asyncio.gather(*calls) == [{"echo": {"n": n}} for n in range(3)]
        resumed = [
            seen.headers["Last-Event-ID"] for seen in server.of("GET") if "Last-Event-ID" in seen.headers
        ]
        assert resumed == ["e-1"]
        assert posts(server) == [CALLS]


async def test_a_member_that_is_cancelled_leaves_the_stream_to_the_others() -> None:
    cancelled = asyncio.Event()

    async def slow(seen: Seen) -> web.StreamResponse:
        response = await event_stream(seen)
        await cancelled.wait()
        for answer in BatchingServer("apart").answers(seen.message)[:2]:
            await response.write(event(json.dumps(answer).encode()))
        return response

    async def hears(seen: Seen) -> web.StreamResponse:
        cancelled.set()
        return await accepts(seen)

    async with http(slow, **{"notifications/cancelled": hears}) as (line, server):
        calls = [line.call(n=n) for n in range(3)]
        await until(lambda: server.of("batch"))
        calls[0].cancel()
        first, *others = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(first, asyncio.CancelledError)
        assert others == [{"echo": {"n": 1}}, {"echo": {"n": 2}}]
        assert posts(server) == [CALLS, "notifications/cancelled"]


async def test_a_batch_that_nobody_waits_for_ends_its_stream() -> None:
    hold = Holds(as_stream=True)
    async with http(hold) as (line, server):
        calls = [line.call(), line.call()]
        await hold.arrived.wait()
        for call in calls:
            call.cancel()
        async with asyncio.timeout(30):
            await hold.gone.wait()
        await until(lambda: len(server.of("notifications/cancelled")) == 2)


async def test_closing_the_connection_ends_the_batch() -> None:
    hold = Holds(as_stream=True)
    async with http(hold) as (line, _):
        calls = [line.call(), line.call()]
        await hold.arrived.wait()
        await line.connection.aclose()
        failures = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(each, BackendUnavailable) for each in failures)
        async with asyncio.timeout(30):
            await hold.gone.wait()


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-06-18", "2025-11-25"])
async def test_servers_of_other_revisions_see_no_batch_at_all(revision: str) -> None:
    async def initialize(seen: Seen) -> web.StreamResponse:
        result = {"protocolVersion": revision, "capabilities": {"tools": {}}}
        return json_reply(seen.result(result))

    async with serving(table(answered("array"), initialize=initialize)) as server:
        line = Line(HttpTransport(url=server.url))
        await line.connection.open()
        for _ in range(2):
            await asyncio.gather(*(line.call() for _ in range(3)))
        assert posts(server)[2:] == CALLS * 2
        await line.aclose()


# --- to a child -----------------------------------------------------------------------------------------------

SCRIPT = Path(batching_server.__file__)


@asynccontextmanager
async def child(mode: str) -> AsyncIterator[Line]:
    guard = Guard()
    await guard.start()
    line = Line(StdioTransport(command=sys.executable, args=(str(SCRIPT), mode)), guard)
    try:
        await line.connection.open()
        yield line
    finally:
        await line.aclose()
        await guard.aclose()


async def heard(line: Line) -> list[Any]:
    """What the child read after the handshake, the question for it left out."""
    lines: list[Any] = (await line.call("heard"))["heard"][2:-1]
    return lines


PINGS = ["ping", "ping"]


@pytest.mark.parametrize("mode", ["array", "apart"])
async def test_calls_to_a_child_that_wait_together_are_one_line(mode: str) -> None:
    async with child(mode) as line:
        await line.trust()
        calls = [line.call(n=0), line.call("fail"), line.call(n=2)]
        first, second, third = await asyncio.gather(*calls, return_exceptions=True)
        assert (first, third) == ({"echo": {"n": 0}}, {"echo": {"n": 2}})
        assert isinstance(second, BackendError)
        *begin, last = await heard(line)
        assert last == CALLS
        assert sorted(begin, key=str) == [PINGS, "tools/call", "tools/call"]


async def test_a_child_that_ignores_batches_is_sent_one_alone() -> None:
    async with child("ignore") as line:
        assert len(await asyncio.gather(line.call(), line.call())) == 2, "nothing real depends on it"
        await line.wait(TRIAL_S)
        await until(lambda: line.support.state is Support.LACKING)
        assert len(await asyncio.gather(line.call(), line.call(), line.call())) == 3
        lines = [each for each in await heard(line) if each != "notifications/cancelled"]
        assert sorted(lines, key=str) == [PINGS, *["tools/call"] * 5]


async def test_a_child_that_does_not_understand_a_later_batch_gets_its_members_singly() -> None:
    async with child("error") as line:
        await line.trust()
        assert await asyncio.gather(line.call(n=0), line.call(n=1)) == [{"echo": {"n": 0}}, {"echo": {"n": 1}}]
        assert (await heard(line))[3:] == [CALLS[:2], "tools/call", "tools/call"]
        assert line.support.state is Support.LACKING


async def test_a_member_that_a_child_never_answers_times_out_alone() -> None:
    async with child("missing") as line:
        await line.trust()
        calls = [line.call(n=n) for n in range(3)]
        assert await asyncio.gather(*calls[:2]) == [{"echo": {"n": 0}}, {"echo": {"n": 1}}]
        assert not calls[2].done()
        await line.wait(3600)
        (last,) = await asyncio.gather(calls[2], return_exceptions=True)
        assert "did not answer within" in str(last)


async def test_a_batch_goes_to_a_child_before_the_cancellation_of_its_member() -> None:
    async with child("array") as line:
        await line.trust()
        calls = [line.call(n=n) for n in range(3)]
        while not line.support.batches_sent:
            await asyncio.sleep(0)
        calls[0].cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        lines = await heard(line)
        assert lines.index(CALLS) < lines.index("notifications/cancelled")
