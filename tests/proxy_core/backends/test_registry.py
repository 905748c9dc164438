"""The set of servers and what a new configuration does to it, with real remote servers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from proxy_core.backends.backend import Backend
from proxy_core.backends.call import Call
from proxy_core.backends.connection import Terms
from proxy_core.backends.guard import Guard
from proxy_core.backends.http_channel import HttpChannel
from proxy_core.backends.lists import Listing, Lists
from proxy_core.backends.registry import BackendRegistry, Memory
from proxy_core.backends.remembered import RememberedLists
from proxy_core.backends.sse_channel import SseChannel
from proxy_core.backends.stdio_channel import StdioChannel
from proxy_core.clock import SystemClock
from proxy_core.config.models import HttpTransport, ServerConfig, SseTransport, StdioTransport
from proxy_core.control import AbandonedCall
from proxy_core.errors import BackendFault, BackendTimeout, BackendUnavailable, Overloaded, UnknownServer
from proxy_core.state import StateFolder
from proxy_core.telemetry.snapshot import ServerState as S
from tests.support.backend_server import DISCOVERED, BackendServer, Holds, answers, serving
from tests.support.scripted_channel import Gateway, Heard, until

ADD = Raw(b'{"name":"add","arguments":{}}')


class Set:
    """A registry whose servers all live in one process of ours."""

    def __init__(self, server: BackendServer, terms: Terms | None = None, memory: Memory | None = None) -> None:
        self.server = server
        self.states: dict[str, list[S]] = {}
        self.gateway = Gateway()
        self.registry = BackendRegistry(
            self.gateway,
            SystemClock(),
            Guard(),
            says=lambda server, level, text: None,
            on_state=lambda server, before, now, reason: self.states.setdefault(server, []).append(now),
            terms=terms,
            memory=memory,
        )
        self.calls: list[asyncio.Task[Any]] = []

    def config(self, server: str, **more: Any) -> ServerConfig:
        transport = HttpTransport(url=self.server.url)
        return ServerConfig(id=server, **{"era": "modern", "transport": transport} | more)

    @property
    def elsewhere(self) -> HttpTransport:
        """The same server, reached otherwise."""
        return HttpTransport(url=self.server.url, headers={"x-way": "other"})

    def apply(self, *servers: ServerConfig, grace_s: float = 30, **unset: str) -> None:
        self.registry.apply(servers, unset, grace_s)

    async def healthy(self, *servers: str) -> None:
        await until(lambda: all(self.registry.get(each).state is S.HEALTHY for each in servers))

    def call(self, server: str) -> "asyncio.Task[Any]":
        backend = self.registry.get(server)
        call = backend.call(Call("tools/call", ADD, name="add"))
        self.calls.append(asyncio.ensure_future(call))
        return self.calls[-1]


@pytest.fixture
async def servers() -> AsyncIterator[Set]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            serving(
                {"server/discover": answers(DISCOVERED), "tools/list": answers({"tools": [{"name": "add"}]})}
            )
        )
        made = Set(server)
        yield made
        await made.registry.aclose()
        await asyncio.gather(*made.calls, return_exceptions=True)


async def test_the_first_configuration_starts_its_servers_in_order(servers: Set) -> None:
    servers.apply(servers.config("two"), servers.config("one"))
    assert [backend.id for backend in servers.registry] == ["two", "one"]
    assert len(servers.registry) == 2
    await servers.healthy("one", "two")


async def test_a_server_that_is_not_configured_is_unknown(servers: Set) -> None:
    assert servers.registry.find("nobody") is None
    with pytest.raises(UnknownServer):
        servers.registry.get("nobody")


async def test_a_server_whose_settings_are_equal_stays_untouched(servers: Set) -> None:
    servers.apply(servers.config("kept"), servers.config("other"))
    await servers.healthy("kept", "other")
    backend, connection = servers.registry.get("kept"), servers.registry.get("kept").members[0].connection
    servers.apply(servers.config("new"), servers.config("kept"))
    assert [each.id for each in servers.registry] == ["new", "kept"]
    await servers.healthy("new")
    assert servers.registry.get("kept") is backend
    assert backend.members[0].replica.connection is connection
    assert servers.states["kept"] == [S.HEALTHY]


async def test_a_server_that_was_removed_ends_its_calls_first(servers: Set) -> None:
    hold = Holds()
    servers.server.table["tools/call"] = hold
    servers.apply(servers.config("gone"))
    await servers.healthy("gone")
    call = servers.call("gone")
    await hold.arrived.wait()
    servers.apply()
    assert servers.registry.find("gone") is None
    await until(lambda: servers.states["gone"][-1] is S.DRAINING)
    assert not call.done()
    servers.server.table["tools/call"] = answers({})
    hold.release.set()
    await asyncio.gather(call, return_exceptions=True)
    await until(lambda: servers.states["gone"] == [S.HEALTHY, S.DRAINING, S.DRAINED])


async def test_a_changed_server_takes_calls_while_the_old_one_ends_its_own(servers: Set) -> None:
    hold = Holds()
    servers.server.table["tools/call"] = [hold, answers({"new": True})]
    servers.apply(servers.config("box"))
    await servers.healthy("box")
    backend, call = servers.registry.get("box"), servers.call("box")
    (old,) = backend.members
    await hold.arrived.wait()
    servers.apply(servers.config("box", transport=servers.elsewhere))
    assert old.state is S.HEALTHY, "the new one is not there yet"
    await until(lambda: old.state is S.DRAINING)
    assert servers.registry.get("box") is backend
    assert servers.states["box"] == [S.HEALTHY], "clients never were without it"
    assert bytes((await servers.call("box"))[0]) == b'{"new": true}'
    assert not call.done()
    hold.release.set()
    await until(lambda: backend.all_members == backend.members)
    assert old.state is S.DRAINED


async def test_other_settings_keep_the_connection_and_the_calls(servers: Set) -> None:
    hold = Holds()
    servers.server.table["tools/call"] = hold
    servers.apply(servers.config("box"))
    await servers.healthy("box")
    call = servers.call("box")
    await hold.arrived.wait()
    (member,) = servers.registry.get("box").members
    connection = member.connection
    servers.apply(servers.config("box", name="Box", concurrency=1, timeouts={"call_idle_s": 7}))
    assert servers.registry.get("box").settings.title == "Box"
    assert (member.connection, member.settings.timeouts.call_idle_s) == (connection, 7)
    waiting = servers.call("box")
    await asyncio.sleep(0)
    assert servers.registry.get("box").queued == 1, "the new bound holds on the old connection"
    servers.server.table["tools/call"] = answers({})
    hold.release.set()
    await asyncio.gather(call, waiting, return_exceptions=True)


async def test_a_server_is_switched_off_and_on_where_it_is(servers: Set) -> None:
    servers.apply(servers.config("box"))
    await servers.healthy("box")
    servers.apply(servers.config("box", enabled=False))
    await until(lambda: servers.registry.get("box").state is S.DISABLED)
    servers.apply(servers.config("box"))
    await until(lambda: servers.registry.get("box").state is S.HEALTHY)
    assert servers.states["box"] == [S.HEALTHY, S.DRAINING, S.DISABLED, S.STARTING, S.HEALTHY]


async def test_what_outlasts_the_grace_is_cut_off(servers: Set) -> None:
    hold = Holds()
    servers.server.table["tools/call"] = hold
    servers.apply(servers.config("gone"))
    await servers.healthy("gone")
    call = servers.call("gone")
    await hold.arrived.wait()
    servers.apply(grace_s=0.01)
    with pytest.raises(BackendFault, match="connection to the server was"):
        await call


async def test_a_server_that_cannot_run_is_listed_as_disabled_with_the_reason(servers: Set) -> None:
    servers.apply(servers.config("box"), servers.config("fine"), box="the variable TOKEN is not set")
    backend = servers.registry.get("box")
    assert (backend.state, backend.members[0].replica.reason) == (S.DISABLED, "the variable TOKEN is not set")
    with pytest.raises(BackendUnavailable, match="disabled"):
        await servers.call("box")
    await servers.healthy("fine")
    assert {seen.key for seen in servers.server.seen} == {"server/discover", "tools/list"}
    assert backend.members[0].replica.connection is None


async def test_a_server_that_is_switched_off_is_built_and_not_started(servers: Set) -> None:
    servers.apply(servers.config("box", enabled=False))
    assert servers.registry.get("box").state is S.DISABLED
    servers.apply(servers.config("box", enabled=True))
    await servers.healthy("box")


async def test_the_sweep_ends_what_has_waited_too_long(servers: Set) -> None:
    servers.registry.start()
    servers.server.table["tools/call"] = Holds()
    servers.apply(servers.config("box", timeouts={"call_idle_s": 0.05}))
    await servers.healthy("box")
    with pytest.raises(BackendTimeout, match=r"0\.05 seconds"):
        await servers.call("box")


async def test_the_sweep_reaches_a_server_that_is_leaving(servers: Set) -> None:
    servers.registry.start()
    hold = Holds()
    servers.server.table["tools/call"] = hold
    servers.apply(servers.config("box", timeouts={"call_idle_s": 0.5}))
    await servers.healthy("box")
    call = servers.call("box")
    await hold.arrived.wait()
    servers.apply()
    with pytest.raises(BackendTimeout):
        await call


async def test_a_stop_drains_all_servers_and_waits_for_those_that_are_leaving(servers: Set) -> None:
    hold = Holds()
    servers.server.table["tools/call"] = hold
    servers.apply(servers.config("here"), servers.config("leaving"))
    await servers.healthy("here", "leaving")
    calls = [servers.call("here"), servers.call("leaving")]
    await until(lambda: len(servers.server.of("tools/call")) == 2)
    servers.apply(servers.config("here"), grace_s=0.3)
    await until(lambda: servers.states["leaving"][-1] is S.DRAINING)
    assert (await servers.registry.drain_all(grace_s=0.01)).abandoned == 2
    assert all(call.done() for call in calls)


@pytest.mark.parametrize(
    ("transport", "kind", "channel"),
    [
        (StdioTransport(command="box"), "stdio", StdioChannel),
        (HttpTransport(url="http://box.example/mcp"), "http", HttpChannel),
        (HttpTransport(url="http://box.example/mcp"), "sse", SseChannel),
        (SseTransport(type="sse", url="http://box.example/sse"), "sse", SseChannel),
    ],
)
async def test_each_transport_has_its_channel(servers: Set, transport: Any, kind: Any, channel: type) -> None:
    settings = ServerConfig(id="box", transport=transport)
    assert type(servers.registry._channel(settings, kind, Heard(), lambda line: None)) is channel


async def test_as_many_calls_wait_for_a_server_as_the_configuration_in_force_says() -> None:
    bound = 1
    table: dict[str, Any] = {
        "server/discover": answers(DISCOVERED),
        "tools/list": answers({"tools": []}),
        "tools/call": Holds(),
    }
    async with serving(table) as server:
        made = Set(server, Terms(server_queue=lambda: bound))
        made.apply(made.config("box", concurrency=1))
        await made.healthy("box")
        for _ in range(2):
            made.call("box")
        await until(lambda: server.of("tools/call"))
        with pytest.raises(Overloaded):
            await made.call("box")
        bound = 2
        waiting = made.call("box")
        await asyncio.sleep(0)
        assert not waiting.done()
        await made.registry.aclose()
        await asyncio.gather(*made.calls, return_exceptions=True)


async def test_the_calls_at_all_servers_are_known_those_that_leave_included(servers: Set) -> None:
    servers.server.table["tools/call"] = Holds()
    servers.apply(servers.config("here"), servers.config("leaving"))
    await servers.healthy("here", "leaving")
    for each in ("here", "leaving"):
        servers.call(each)
    await until(lambda: len(servers.server.of("tools/call")) == 2)
    servers.apply(servers.config("here"), grace_s=0.05)
    assert [(call.method, call.target) for call in servers.registry.calls] == [("tools/call", "add")] * 2
    assert servers.registry.in_flight == 2
    calls = servers.registry.calls
    assert all(isinstance(call, AbandonedCall) for call in calls)
    outcome = await servers.registry.drain_all(grace_s=0.01)
    assert (outcome.abandoned, set(outcome.calls)) == (2, set(calls))
    assert servers.registry.calls == ()


# --- lists of an earlier run --------------------------------------------------------------------------------


class Recalling:
    """Remembers one tool of every server, and what it was asked."""

    def __init__(self) -> None:
        self.recalled: list[tuple[str, S, bool]] = []
        self.kept: list[tuple[str, list[str]]] = []

    def recall(self, backend: Backend) -> None:
        (member,) = backend.members
        self.recalled.append((backend.id, backend.state, member.connection is not None))
        member.remember(Lists({"tools/list": Listing(({"name": "old"},))}))
        backend.remembered()

    def keep(self, backend: Backend) -> None:
        self.kept.append((backend.id, names(backend)))


def names(backend: Backend) -> list[str]:
    return [tool["name"] for tool in backend.lists.get("tools/list").items]


@pytest.fixture
async def recalling(servers: Set) -> AsyncIterator[tuple[Set, Recalling]]:
    memory = Recalling()
    made = Set(servers.server, memory=memory)
    yield made, memory
    await made.registry.aclose()


async def test_a_new_server_has_its_earlier_lists_before_it_starts(recalling: tuple[Set, Recalling]) -> None:
    servers, memory = recalling
    servers.apply(servers.config("box"))
    backend = servers.registry.get("box")
    assert memory.recalled == [("box", S.STARTING, False)]
    assert (names(backend), backend.is_listed, backend.is_remembered) == (["old"], True, True)
    await servers.healthy("box")
    assert (names(backend), backend.is_remembered) == (["add"], False)


async def test_what_a_server_lists_is_kept(recalling: tuple[Set, Recalling]) -> None:
    servers, memory = recalling
    servers.apply(servers.config("box"))
    await servers.healthy("box")
    assert memory.kept == [("box", ["add"])]
    servers.server.table["tools/list"] = answers({"tools": [{"name": "sub"}]})
    await servers.registry.get("box").refresh(("tools/list",))
    assert memory.kept[-1] == ("box", ["sub"])


async def test_a_server_that_stays_is_not_asked_for_its_earlier_lists(recalling: tuple[Set, Recalling]) -> None:
    servers, memory = recalling
    servers.apply(servers.config("box"))
    await servers.healthy("box")
    servers.apply(servers.config("box", name="Box"), servers.config("new"))
    assert [server for server, _, _ in memory.recalled] == ["box", "new"]
    await servers.healthy("new")
    assert names(servers.registry.get("box")) == ["add"]


async def test_a_server_that_cannot_run_shows_nothing_of_an_earlier_run(
    recalling: tuple[Set, Recalling],
) -> None:
    servers, memory = recalling
    servers.apply(servers.config("box"), box="the variable TOKEN is not set")
    assert (memory.recalled, servers.registry.get("box").is_listed) == ([], False)


async def test_a_server_that_is_switched_off_is_not_listed_for_its_earlier_lists(
    recalling: tuple[Set, Recalling],
) -> None:
    servers, _ = recalling
    servers.apply(servers.config("box", enabled=False))
    assert not servers.registry.get("box").is_listed


async def test_the_next_run_shows_what_this_one_saw(servers: Set, tmp_path: Path) -> None:
    memory = RememberedLists(StateFolder(tmp_path))
    first = Set(servers.server, memory=memory)
    first.apply(first.config("box"))
    await first.healthy("box")
    await first.registry.aclose()
    await memory.aclose()
    servers.server.table["server/discover"] = Holds()
    second = Set(servers.server, memory=RememberedLists(StateFolder(tmp_path)))
    second.apply(second.config("box"), second.config("new"))
    assert names(second.registry.get("box")) == ["add"]
    assert not second.registry.get("new").is_listed
    await second.registry.aclose()


async def test_of_a_reload_only_the_servers_hear_that_changed(servers: Set) -> None:
    """Counted, since with hundreds of servers what is done for each of them holds everybody's calls."""
    same = servers.config("one"), servers.config("two")
    servers.apply(*same, servers.config("three"))
    await servers.healthy("one", "two", "three")
    servers.gateway.changes.clear()
    servers.apply(*same, servers.config("three", name="Third"))
    assert servers.gateway.changes == ["three"]
