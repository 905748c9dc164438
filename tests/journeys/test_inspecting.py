"""The traffic inspector on a whole gateway with real children: what is told of each call, and made again."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config
from proxy_core.control_client import RemoteControl
from proxy_core.errors import NotReplayable, Only1Error, UnknownExchange, UnknownReplica, UnknownServer
from proxy_core.facts import VerbUsed
from proxy_core.proxy import Proxy
from proxy_core.telemetry.exchanges import (
    ExchangeDetail,
    ExchangeRow,
    ExchangeStatus,
    Hop,
    Message,
    MessageKind,
)
from tests.journeys.test_combinations import everything
from tests.support.asked_client import asked_client
from tests.support.http_client import Client
from tests.support.scripted_channel import until

SOON_S = 60
PLANTED = "Zq7Planted9xW"
FLAKY = {"type": "stdio", "command": sys.executable, "args": ["-m", "proxy_core.demo.flaky"]}
REPLICAS = [{"id": "a", "transport": FLAKY}, {"id": "b", "transport": FLAKY}]
Json = dict[str, Any]


@asynccontextmanager
async def gateway(*servers: Json, **sections: Any) -> AsyncIterator[Proxy]:
    config = Config.model_validate({"servers": servers, "proxy": {"port": 0}} | sections)
    proxy = Proxy(LoadedConfig(config, Path("/etc/only1mcp.yaml"), {}))
    async with proxy.started():
        assert await proxy.wait_ready(SOON_S)
        yield proxy


def flaky(id: str = "flaky", **more: Any) -> Json:
    return {"id": id} | ({} if "replicas" in more else {"transport": FLAKY}) | more


@asynccontextmanager
async def client_of(proxy: Proxy) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as http:
        yield Client(http, proxy.snapshot().url)


def rows(proxy: Proxy, target: str = "") -> list[ExchangeRow]:
    return [row for row in proxy.exchanges_after(0)[1] if target in row.target and row.target]


async def last(proxy: Proxy, target: str = "") -> ExchangeDetail:
    return await proxy.exchange(rows(proxy, target)[-1].id)


def steps(detail: ExchangeDetail) -> list[str]:
    return [step.name for step in detail.steps]


def at(detail: ExchangeDetail, hop: Hop) -> list[Message]:
    return [message for message in detail.messages if message.hop is hop]


# --- both hops, both eras -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["http", "http-legacy", "stdio", "stdio-legacy"])
async def test_a_call_is_told_on_both_hops_each_in_its_own_era(kind: str, tmp_path: Path) -> None:
    with everything(kind, tmp_path) as where:
        is_command = isinstance(where, tuple)
        transport = (
            {"type": "stdio", "command": where[0], "args": list(where[1:])}
            if isinstance(where, tuple)
            else {"type": "http", "url": where}
        )
        async with gateway({"id": "every", "transport": transport}) as proxy:
            server_era = "legacy" if kind.endswith("legacy") else "modern"
            for mode in ("legacy", "auto"):
                async with asked_client(proxy.snapshot().url, mode) as client:
                    await client.client.call_tool(
                        "every__test_tool_with_progress", {}, progress_callback=client.report
                    )
                    await client.client.call_tool("every__test_elicitation", {"message": "Who?"})
                era = "legacy" if mode == "legacy" else "modern"
                await _told_with_progress(proxy, era, server_era, is_command)
                await _told_with_question(proxy, era, server_era)
            assert {"initialize", "server/discover", "tools/call"} <= {
                row.method for row in proxy.exchanges_after(0)[1]
            }


async def _told_with_progress(proxy: Proxy, era: str, server_era: str, is_command: bool) -> None:
    detail = await last(proxy, "with_progress")
    client, server = at(detail, Hop.CLIENT), at(detail, Hop.SERVER)
    assert {message.era for message in client} == {era}
    assert {message.era for message in server} == {server_era}
    assert detail.row.is_translated is (era != server_era)
    assert (detail.row.status, detail.row.server, detail.row.replica) == (ExchangeStatus.OK, "every", "main")
    for hop in (client, server):
        assert [hop[0].kind, hop[-1].kind] == [MessageKind.REQUEST, MessageKind.RESPONSE]
        assert [each.method for each in hop[1:-1]] == ["notifications/progress"] * 3
    assert '"every__test_tool_with_progress"' in client[0].body
    assert '"test_tool_with_progress"' in server[0].body
    sent = dict(client[0].headers)
    assert sent["content-type"] == "application/json"
    assert ("mcp-session-id" in sent) is (era == "legacy")
    assert bool(server[0].headers) is not is_command
    assert steps(detail) == ["arrived", "routed", "sent", "answered", "ended"]


async def _told_with_question(proxy: Proxy, era: str, server_era: str) -> None:
    told = [await proxy.exchange(row.id) for row in rows(proxy, "test_elicitation") if row.era == era]
    asked = [step.name for detail in told for step in detail.steps]
    methods = [message.method for detail in told for message in detail.messages]
    match era, server_era:
        case "legacy", _:
            assert "asked" in asked
            assert told[0].row.rounds == 1
            assert (told[0].row.attempts, len(told)) == (1, 1)
            assert "elicitation/create" in methods
        case "modern", "legacy":
            # Parked while its client is away, and one call all the same.
            assert ("parked" in asked, "resumed" in asked) == (True, True)
            assert [detail.row.attempts for detail in told] == [1, 0]
            assert at(told[1], Hop.SERVER)[-1].replica == "every/main"
        case _:
            assert [(detail.row.attempts, detail.row.rounds) for detail in told] == [(1, 1), (1, 0)]
            assert "asked" in steps(told[0])


# --- what can happen to a call ------------------------------------------------------------------------------


async def test_a_call_that_fails_at_one_replica_is_told_with_both_tries() -> None:
    server = flaky(replicas=REPLICAS, tools={"retry": ["crash"]})
    async with gateway(server, retry={"budget_ratio": 1}) as proxy:
        await until(lambda: all(row.state == "healthy" for row in proxy.detail("flaky").row.replicas))
        with pytest.raises(Only1Error):
            await proxy.call("flaky__crash", {})
        detail = await last(proxy)
        assert (detail.row.attempts, detail.row.status) == (2, ExchangeStatus.ERROR)
        sent = [message for message in at(detail, Hop.SERVER) if message.kind is MessageKind.REQUEST]
        assert {message.replica for message in sent} == {"flaky/a", "flaky/b"}
        assert [message.attempt for message in sent] == [1, 2]
        assert ("retried" in steps(detail), steps(detail).count("failed")) == (True, 2)
        assert detail.messages[-1].is_error


async def test_the_kinds_of_failure_are_told_apart() -> None:
    async with gateway(flaky()) as proxy:
        await proxy.call("flaky__fail", {"message": "no"})
        assert (await last(proxy)).row.status is ExchangeStatus.TOOL_ERROR
        with pytest.raises(Only1Error):
            await proxy.call("flaky__error", {"code": -32050})
        detail = await last(proxy)
        assert detail.row.status is ExchangeStatus.ERROR
        assert detail.row.code is not None
        assert at(detail, Hop.SERVER)[-1].is_error


async def test_kept_and_joined_calls_say_so() -> None:
    saving = {
        "cache": {"tools": {"flaky__echo": {"ttl_seconds": 60}}},
        "batching": {"tools": ["flaky__delay"]},
    }
    async with gateway(flaky(), **saving) as proxy:
        for _ in range(2):
            await proxy.call("flaky__echo", {"text": "tea"})
        await asyncio.gather(*(proxy.call("flaky__delay", {"seconds": 0.2}) for _ in range(2)))
        told = [await proxy.exchange(row.id) for row in rows(proxy)]
        assert [detail.row.saved for detail in told] == ["", "hit", "", "joined"]
        assert [detail.row.attempts for detail in told] == [1, 0, 1, 0]
        assert [detail.row.server for detail in told] == ["flaky", "", "flaky", "flaky"]
        assert [step.text for detail in told for step in detail.steps if step.name == "cache"] == [
            "miss",
            "hit",
        ]
        replayed = await proxy.replay(told[1].row.id)
        assert (replayed.row.saved, replayed.row.attempts, replayed.row.server) == ("", 1, "flaky")


async def test_a_call_that_waits_for_a_place_says_so() -> None:
    async with gateway(flaky(concurrency=1)) as proxy:
        await asyncio.gather(*(proxy.call("flaky__delay", {"seconds": 0.1}) for _ in range(2)))
        told = [await proxy.exchange(row.id) for row in rows(proxy)]
        assert sorted("queued" in steps(detail) for detail in told) == [False, True]


async def test_a_call_that_its_client_gave_up_is_told_as_cancelled() -> None:
    async with gateway(flaky()) as proxy, client_of(proxy) as client:
        asking = asyncio.ensure_future(
            client.ask("tools/call", {"name": "flaky__delay", "arguments": {"seconds": 20}})
        )
        await until(lambda: any(row.attempts for row in rows(proxy)) or bool(proxy._registry.in_flight))
        asking.cancel()
        await until(lambda: proxy.exchanges_after(0)[1][-1].status is ExchangeStatus.CANCELLED)
        detail = await last(proxy)
        assert [message.kind for message in at(detail, Hop.CLIENT)] == [MessageKind.REQUEST]
        assert steps(detail)[-1] == "ended"


async def test_the_items_of_a_batch_are_exchanges_of_their_own() -> None:
    async with gateway(flaky()) as proxy, client_of(proxy) as client:
        await client.initialize("2025-03-26")
        items = [
            {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": _echo(str(number))}
            for number in range(2)
        ]
        await client.post(items)
        told = [await proxy.exchange(row.id) for row in rows(proxy)]
        assert [detail.steps[0].text for detail in told] == ["in a batch"] * 2


def _echo(text: str) -> Json:
    return {"name": "flaky__echo", "arguments": {"text": text}}


async def test_a_call_that_a_drain_cut_off_is_told_with_its_failure() -> None:
    async with gateway(flaky()) as proxy:
        asking = asyncio.ensure_future(proxy.call("flaky__delay", {"seconds": 20}))
        await until(lambda: proxy._registry.in_flight == 1)
        await proxy.drain("flaky", 0.0)
        with pytest.raises(Only1Error):
            await asking
        detail = await last(proxy)
        assert detail.row.status is ExchangeStatus.ERROR
        assert "failed" in steps(detail)


# --- replay -------------------------------------------------------------------------------------------------


async def test_a_call_is_made_again_at_the_same_another_replica_or_another_server() -> None:
    async with gateway(flaky("one", replicas=REPLICAS), flaky("two")) as proxy:
        await proxy.call("one__echo", {"text": "tea"})
        original = rows(proxy)[-1]
        same = await proxy.replay(original.id)
        assert (same.row.is_replay, same.replay_of, same.row.client) == (True, original.id, "only1mcp")
        assert same.messages[-1].body == (await proxy.exchange(original.id)).messages[-1].body
        assert (await proxy.replay(original.id, "one/a")).row.replica == "a"
        assert (await proxy.replay(original.id, "one/b")).row.replica == "b"
        other = await proxy.replay(original.id, "two")
        assert (other.row.server, other.row.status) == ("two", ExchangeStatus.OK)
        assert '"echo"' in at(other, Hop.SERVER)[0].body
        # What was recorded of a replay may be made again too.
        assert (await proxy.replay(other.row.id)).replay_of == other.row.id
        told = [fact for fact in proxy.events_after(0)[1] if isinstance(fact, VerbUsed)]
        assert [(fact.server, fact.verb) for fact in told][:4] == [
            ("one", "replay"),
            ("one", "replay"),
            ("one", "replay"),
            ("two", "replay"),
        ]


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_a_replay_is_answered_in_the_era_of_who_asked_first(era: str) -> None:
    async with gateway(flaky()) as proxy, client_of(proxy) as client:
        if era == "modern":
            await client.ask("tools/call", _echo("tea"))
        else:
            await client.initialize()
            await client.post({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": _echo("tea")})
        original = await last(proxy)
        again = await proxy.replay(original.row.id)
        assert (original.row.era, again.row.era, again.row.revision) == (era, era, original.row.revision)
        # A call that takes no task writes the members of its result in an order of its own.
        assert json.loads(again.messages[-1].body) == json.loads(original.messages[-1].body)


async def test_what_the_server_answers_to_a_replay_is_part_of_it() -> None:
    async with gateway(flaky()) as proxy:
        with pytest.raises(Only1Error):
            await proxy.call("flaky__error", {"code": -32050})
        again = await proxy.replay(rows(proxy)[-1].id)
        assert (again.row.status, again.messages[-1].is_error) == (ExchangeStatus.ERROR, True)


async def test_lists_are_read_and_told_again() -> None:
    async with gateway(flaky()) as proxy, client_of(proxy) as client:
        await client.ask("tools/list")
        row = proxy.exchanges_after(0)[1][-1]
        again = await proxy.replay(row.id)
        assert '"flaky__echo"' in again.messages[-1].body
        with pytest.raises(NotReplayable, match="no server can be chosen"):
            await proxy.replay(row.id, "flaky")


async def test_what_cannot_be_made_again_says_why() -> None:
    async with gateway(flaky(), flaky("two", tools={"deny": ["echo"]})) as proxy, client_of(proxy) as client:
        await client.ask("tools/call", _echo(f"password={PLANTED}"))
        secret = await last(proxy)
        assert PLANTED not in repr(secret)
        with pytest.raises(NotReplayable, match="held secrets"):
            await proxy.replay(secret.row.id)
        await client.ask("tools/call", {"name": "flaky__nothing"})
        with pytest.raises(NotReplayable, match="there is no tool flaky__nothing"):
            await proxy.replay(rows(proxy)[-1].id)
        await client.ask("tools/call", _echo("tea"))
        plain = rows(proxy)[-1].id
        with pytest.raises(NotReplayable, match="The server two has no tool echo"):
            await proxy.replay(plain, "two")
        with pytest.raises(UnknownServer):
            await proxy.replay(plain, "nobody")
        with pytest.raises(UnknownReplica):
            await proxy.replay(plain, "flaky/z")
        with pytest.raises(UnknownExchange):
            await proxy.replay(10_000)
        await client.ask("server/discover")
        with pytest.raises(NotReplayable, match="cannot be made again by itself"):
            await proxy.replay(proxy.exchanges_after(0)[1][-1].id)


async def test_a_ping_is_not_recorded_nor_anything_where_it_is_off() -> None:
    async with gateway(flaky(), inspect={"exchanges": 0}) as proxy:
        await proxy.call("flaky__echo", {"text": "tea"})
        assert proxy.exchanges_after(0) == (0, ())
    async with gateway(flaky()) as proxy, client_of(proxy) as client:
        await client.initialize()
        await client.post({"jsonrpc": "2.0", "id": 1, "method": "ping"})
        assert [row.method for row in proxy.exchanges_after(0)[1]] == ["initialize"]


async def test_a_reload_changes_what_is_kept_at_once() -> None:
    def configured(**inspect: Any) -> LoadedConfig:
        sections = {"servers": [flaky()], "proxy": {"port": 0}, "inspect": inspect}
        return LoadedConfig(Config.model_validate(sections), Path("/etc/only1mcp.yaml"), {})

    files = [configured()]
    proxy = Proxy(files[0], lambda: files[-1])
    async with proxy.started():
        assert await proxy.wait_ready(SOON_S)
        await proxy.call("flaky__echo", {"text": "tea"})
        files.append(configured(bodies="off"))
        assert (await proxy.apply_reload()).settings == ("inspect.bodies",)
        assert rows(proxy) == []
        await proxy.call("flaky__echo", {"text": "tea"})
        detail = await last(proxy)
        assert {message.body for message in detail.messages} == {""}
        with pytest.raises(NotReplayable, match="bodies are not recorded"):
            await proxy.replay(detail.row.id)


async def test_a_call_by_way_of_our_own_tools_is_told_as_the_call_that_is_meant() -> None:
    async with gateway(flaky(), flaky("two"), context={"mode": "search"}) as proxy, client_of(proxy) as client:
        params = {"name": "call_tool", "arguments": {"name": "flaky__echo", "arguments": {"text": "tea"}}}
        await client.ask("tools/call", params)
        detail = await last(proxy)
        assert (detail.row.target, detail.row.server) == ("flaky__echo", "flaky")
        assert '"call_tool"' in detail.messages[0].body
        again = await proxy.replay(detail.row.id, "two")
        assert (again.row.server, again.row.status) == ("two", ExchangeStatus.OK)


# --- from afar ----------------------------------------------------------------------------------------------


async def test_another_process_sees_the_same_and_makes_it_again(tmp_path: Path) -> None:
    socket = tmp_path / "admin.sock"
    async with gateway(flaky(), admin={"socket": str(socket)}) as proxy:
        await proxy.call("flaky__echo", {"text": "tea"})
        async with RemoteControl(socket) as remote:
            remote.follow()
            await until(lambda: bool(remote.exchanges_after(0)[1]))
            seq, told = remote.exchanges_after(0)
            assert told == proxy.exchanges_after(0)[1]
            assert await remote.exchange(told[0].id) == await proxy.exchange(told[0].id)
            again = await remote.replay(told[0].id, "flaky/main")
            assert (again.replay_of, again.row.is_replay) == (told[0].id, True)
            await until(lambda: bool(remote.exchanges_after(seq)[1]))
            assert [row.id for row in remote.exchanges_after(seq)[1]] == [again.row.id]
            with pytest.raises(UnknownExchange):
                await remote.exchange(10_000)
            await proxy.call("flaky__echo", {"text": f"token={PLANTED}"})
            secret = rows(proxy)[-1].id
            assert PLANTED not in repr(await remote.exchange(secret))
            with pytest.raises(NotReplayable, match="held secrets"):
                await remote.replay(secret)
