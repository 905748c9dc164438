"""Drains under load: what was begun is finished, nothing is begun, clients hear of it, then the server goes."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psutil
import pytest

from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.control import DrainOutcome
from proxy_core.proxy import Proxy
from proxy_core.telemetry.snapshot import ServerRow, ServerState
from tests.support.faults import journal, stdio_server
from tests.support.faults.load import Asked, Load, many_calls
from tests.support.faults.plain import instances_of, on_each_transport, on_stdio
from tests.support.http_client import Client, Stream, modern
from tests.support.processes import is_alive
from tests.support.wire import LEGACY_ERA, MODERN_ERA, Json, call, comes_true, connected, open_call, tool_names

CHANGED = "notifications/tools/list_changed"
GRACE_S = 20
PER_S = 20
LONG_CALLS, LONG_S = 4, 1.5
ON_THE_WAY_S = 0.1
"""A call that begins so close to a verb may reach the gateway on the other side of it."""
STDIO, HTTP, SSE = "stdio-1", "http-1", "sse-1"


@asynccontextmanager
async def gateway(servers: list[Json]) -> AsyncIterator[Proxy]:
    config = Config.model_validate({"proxy": {"port": 0}, "servers": servers})
    proxy = Proxy(LoadedConfig(config))
    async with proxy.started():
        assert await proxy.wait_ready(60)
        yield proxy


def row_of(proxy: Proxy, server: str) -> ServerRow:
    return next(row for row in proxy.snapshot().servers if row.id == server)


class Ears:
    """Two clients, one of each era, that are told when a list has changed."""

    def __init__(self, streams: dict[str, Stream]) -> None:
        self._streams = streams

    async def hear(self) -> None:
        """Wait until both were told."""
        for stream in self._streams.values():
            while (await stream.next()).get("method") != CHANGED:
                pass


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[Ears]:
    """A legacy client with a GET stream and a modern one with a listen."""
    async with AsyncExitStack() as stack:
        legacy = await stack.enter_async_context(connected(url, LEGACY_ERA))
        old = await stack.enter_async_context(legacy.stream("GET", headers=legacy.legacy_headers()))
        client = await stack.enter_async_context(connected(url, MODERN_ERA))
        body, headers = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        new = await stack.enter_async_context(client.stream("POST", body, headers=headers))
        assert (await new.next())["method"] == "notifications/subscriptions/acknowledged"
        yield Ears({LEGACY_ERA: old, MODERN_ERA: new})


@asynccontextmanager
async def under_load(client: Client, server: str) -> AsyncIterator[Load]:
    """Calls to it all the time inside the block; all have ended after it."""
    load = Load(client, server, PER_S)
    load.start()
    try:
        await comes_true(lambda: load.has_settled_since(0, 16), f"{server} serves")
        yield load
    finally:
        await load.stop()


def began_after(load: Load, at: float) -> list[Asked]:
    return [asked for asked in load.asked if asked.began_at > at]


async def long_call(client: Client, server: str, number: int, seconds: float = LONG_S) -> Json:
    key = f"call-long-{number}."
    return await call(client, f"{server}__slow", {"key": key, "seconds": seconds}, id=key)


@pytest.mark.parametrize("server", [STDIO, HTTP, SSE])
async def test_a_drain_under_load_lets_finish_what_was_begun_and_begins_nothing(
    tmp_path: Path, server: str
) -> None:
    """Both eras hear of it, the count goes to nothing, then the child exits; an undrain brings it back."""
    with on_each_transport(tmp_path) as servers:
        async with (
            gateway(servers) as proxy,
            many_calls(proxy.snapshot().url) as client,
            listening(proxy.snapshot().url) as ears,
            under_load(client, server) as load,
        ):
            child = psutil.Process(row_of(proxy, server).pid or 0) if server == STDIO else None
            begun = [asyncio.create_task(long_call(client, server, number)) for number in range(LONG_CALLS)]
            await comes_true(lambda: row_of(proxy, server).in_flight >= LONG_CALLS, "they are in flight")

            asked_at = time.monotonic()
            drain = asyncio.create_task(proxy.drain(server, GRACE_S))
            await comes_true(lambda: row_of(proxy, server).state is ServerState.DRAINING, "it drains")
            draining_at = time.monotonic()
            await ears.hear()
            assert not [name for name in await tool_names(client) if name.startswith(f"{server}__")]
            counts = await _counts(proxy, server, drain, child)
            outcome = await drain

            assert counts == sorted(counts, reverse=True), "none is added while it drains"
            assert row_of(proxy, server).in_flight == 0
            assert outcome.abandoned == 0 and outcome.finished >= LONG_CALLS
            assert not [answer for answer in await asyncio.gather(*begun) if "result" not in answer]
            await _is_gone(tmp_path, server, child)
            assert row_of(proxy, server).state is ServerState.DRAINED

            undrained_at = time.monotonic()
            await proxy.undrain(server)
            await ears.hear()
            assert f"{server}__add" in await tool_names(client)
            back_at = time.monotonic()
            await comes_true(lambda: load.has_settled_since(back_at, 8), "it is called again")
    # One that was on its way when the server came back may have found it either way.
    meanwhile = [asked for asked in began_after(load, draining_at) if asked.ended_at < undrained_at]
    ran = journal.executed(tmp_path, server)
    assert meanwhile and not [asked for asked in meanwhile if asked.is_answered or asked.key in ran]
    assert {asked.outcome for asked in load.asked if asked.began_at < asked_at - ON_THE_WAY_S} == {"answered"}
    assert {asked.outcome for asked in began_after(load, back_at + ON_THE_WAY_S)} == {"answered"}
    assert max(ran.values()) == 1


async def _counts(
    proxy: Proxy, server: str, drain: "asyncio.Task[DrainOutcome]", child: psutil.Process | None
) -> list[int]:
    """Calls in flight as a person sees them; the child may not go before the last of them."""
    counts = []
    while not drain.done():
        counts.append(row_of(proxy, server).in_flight)
        if child is not None and counts[-1]:
            assert is_alive(child)
        await asyncio.sleep(0.02)
    return counts


async def _is_gone(folder: Path, server: str, child: psutil.Process | None) -> None:
    if child is not None:
        await comes_true(lambda: not is_alive(child), "the child has gone", 5)
    elif server == SSE:
        await comes_true(lambda: not journal.open_sessions(folder, server), "its session has ended", 5)


async def test_a_drained_replica_fails_nothing_and_its_tools_stay(tmp_path: Path) -> None:
    """Its calls finish, others take the next ones, it goes; an undrain gives it calls again."""
    server = "box"
    async with (
        gateway([on_stdio(tmp_path, server, 3)]) as proxy,
        many_calls(proxy.snapshot().url) as client,
        under_load(client, server) as load,
    ):

        def ran_since(at: float) -> set[str]:
            ran = journal.executed(tmp_path, f"{server}-b")
            return {asked.key for asked in began_after(load, at) if asked.key in ran}

        listed = await tool_names(client)
        child = psutil.Process(stdio_server.pid_of(tmp_path, f"{server}-b"))
        drain = asyncio.create_task(proxy.drain(f"{server}/b", GRACE_S))
        await comes_true(lambda: _state(proxy, server, "b") is not ServerState.HEALTHY, "it drains")
        draining_at = time.monotonic()
        assert (await drain).abandoned == 0
        await comes_true(lambda: not is_alive(child), "its child has gone", 5)
        assert _state(proxy, server, "b") is ServerState.DRAINED
        assert await tool_names(client) == listed
        await comes_true(lambda: load.has_settled_since(draining_at, 20), "the others serve")
        assert not ran_since(draining_at)

        await proxy.undrain(f"{server}/b")
        back_at = time.monotonic()
        await comes_true(lambda: ran_since(back_at), "it is given calls again")
    assert {asked.outcome for asked in load.asked} == {"answered"}
    assert all(load.is_right(asked) for asked in load.asked)
    ran = [journal.executed(tmp_path, name) for name in instances_of(server, 3)]
    assert max(sum(ran, Counter[str]()).values()) == 1


def _state(proxy: Proxy, server: str, replica: str) -> ServerState:
    return next(row.state for row in row_of(proxy, server).replicas if row.id == replica)


async def test_the_last_replica_to_be_drained_takes_the_tools_with_it(tmp_path: Path) -> None:
    server = "box"
    async with gateway([on_stdio(tmp_path, server, 2)]) as proxy, connected(proxy.snapshot().url) as client:
        await proxy.drain(f"{server}/a", GRACE_S)
        assert f"{server}__add" in await tool_names(client)
        await proxy.drain(f"{server}/b", GRACE_S)
        assert await tool_names(client) == set()
        await proxy.undrain(f"{server}/a")
        await comes_true(lambda: _lists_add(client, server), "its tools are back")


async def _lists_add(client: Client, server: str) -> bool:
    return f"{server}__add" in await tool_names(client)


async def test_a_drain_that_waits_no_longer_lists_what_it_abandoned(tmp_path: Path) -> None:
    """By our id of it and the server's own name of the tool; the callers get a definite error."""
    async with gateway([on_stdio(tmp_path, "box")]) as proxy, AsyncExitStack() as stack:
        url = proxy.snapshot().url
        clients = [await stack.enter_async_context(connected(url)) for _ in range(2)]
        streams = []
        for number, client in enumerate(clients):
            arguments = {"key": f"call-long-{number}.", "seconds": 600}
            stream = await stack.enter_async_context(open_call(client, "box__slow", arguments))
            assert (await stream.next())["method"] == "notifications/progress"
            streams.append(stream)

        outcome = await proxy.drain("box", 0.3)

        assert (outcome.finished, outcome.abandoned) == (0, 2)
        assert [(one.method, one.target) for one in outcome.calls] == [("tools/call", "slow")] * 2
        assert len({one.id for one in outcome.calls}) == 2 and all(one.id for one in outcome.calls)
        for stream in streams:
            while "method" in (message := await stream.next()):
                pass
            assert message["error"]["data"]["dev.only1mcp"]["backend"] == "box"
