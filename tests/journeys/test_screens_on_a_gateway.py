"""The screens on a gateway with real children and a client that calls: each key does what it says."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy_core.facts import VerbUsed
from proxy_core.proxy import Proxy
from proxy_core.telemetry.exchanges import ExchangeRow
from proxy_core.telemetry.snapshot import ServerRow, ServerState
from tests.support.http_client import Client, Reply
from tests.support.seat import Seat, config_file, near, proxy_of

Json = dict[str, Any]
UTC = {"timezone": "UTC"}
NOON = {"time": "12:00", "from": "UTC", "to": "Europe/Berlin"}


def demo(name: str) -> Json:
    return {"type": "stdio", "command": sys.executable, "args": ["-m", f"proxy_core.demo.{name}"]}


def clock(id: str = "clock", replicas: tuple[str, ...] = ("a", "b")) -> Json:
    return {"id": id, "replicas": [{"id": each, "transport": demo("clock")} for each in replicas]}


def single(id: str, program: str = "", **more: Any) -> Json:
    return {"id": id, "transport": demo(program or id), **more}


@asynccontextmanager
async def client_of(proxy: Proxy) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as http:
        yield Client(http, proxy.snapshot().url)


async def call(client: Client, name: str, arguments: Json) -> Reply:
    reply = await client.ask("tools/call", {"name": name, "arguments": arguments})
    assert "result" in reply.json, reply.json
    return reply


def row(proxy: Proxy, id: str) -> ServerRow:
    return next(each for each in proxy.snapshot().servers if each.id == id)


def exchanges(proxy: Proxy, target: str) -> list[ExchangeRow]:
    return [each for each in proxy.exchanges_after(0)[1] if each.target == target]


def verbs(proxy: Proxy) -> list[tuple[str, str]]:
    return [(fact.server, fact.verb) for fact in proxy.events_after(0)[1] if isinstance(fact, VerbUsed)]


async def pointed_at(seat: Seat, target: str) -> None:
    """The cursor of the table on this row, by its keys."""
    await seat.press("g")
    await seat.until(lambda: seat.app.screen.table.selected is not None)  # type: ignore[attr-defined]
    for _ in range(20):
        if seat.app.screen.table.selected == target:  # type: ignore[attr-defined]
            return
        await seat.press("j")
    raise AssertionError(f"{target} is not in the table:\n{seat.text}")


# --- what turns a row ---------------------------------------------------------------------------------------


async def test_verbs_turn_rows_and_calls_in_flight_finish(tmp_path: Path) -> None:
    cache = {"tools": {"clock__convert": {"ttl_seconds": 60}}}
    path = config_file(tmp_path, clock(), single("flaky"), cache=cache, tui={"fault_drills": True})
    proxy = proxy_of(path)
    async with near(proxy) as seat, client_of(proxy) as client:
        await seat.shows("2/2 healthy")
        await _drains_while_a_call_runs(seat, proxy, client)
        await _restarts(seat, proxy)
        await _switches_off_and_on(seat, proxy, client)
        await _probes(seat, proxy)
        await _drops_what_is_kept(seat, proxy, client)
        await _drills_a_replica(seat, proxy, client)


async def _drains_while_a_call_runs(seat: Seat, proxy: Proxy, client: Client) -> None:
    running = asyncio.ensure_future(call(client, "flaky__delay", {"seconds": 5}))
    await seat.until(lambda: row(proxy, "flaky").in_flight == 1)
    await seat.shows("1 in flight")
    await pointed_at(seat, "flaky")
    await seat.press("d")
    await seat.shows("Drain flaky?", "1 call in flight may finish")
    await seat.press("y")
    await seat.shows("◐ draining")
    assert not running.done()
    assert (await running).json["result"]["content"][0]["text"] == "Waited 5 s."
    await seat.shows("◑ drained", "flaky is drained. 1 call finished.")
    assert row(proxy, "flaky").state is ServerState.DRAINED
    listed = (await client.ask("tools/list")).json["result"]["tools"]
    assert not [tool for tool in listed if tool["name"].startswith("flaky__")]
    await seat.press("d")
    await seat.shows("flaky takes calls again.", "2/2 healthy")
    await call(client, "flaky__echo", {"text": "tea"})
    # There the replicas have rows of their own, all the time.
    await seat.press("2")


def seen(seat: Seat, server: str) -> ServerRow:
    """Its row in the picture that the screen has."""
    return next(row for row in seat.app._snapshot.servers if row.id == server)


async def _restarts(seat: Seat, proxy: Proxy) -> None:
    before = {replica.id: replica.pid for replica in row(proxy, "clock").replicas}
    await pointed_at(seat, "clock/b")
    await seat.press("r")
    await seat.shows("clock/b was started again.")
    after = {replica.id: replica.pid for replica in row(proxy, "clock").replicas}
    assert (after["a"] == before["a"], after["b"] != before["b"]) == (True, True)


async def _switches_off_and_on(seat: Seat, proxy: Proxy, client: Client) -> None:
    # What a dialog says is as old as the picture, which may still be that of before the restart.
    pids = {replica.id: replica.pid for replica in row(proxy, "clock").replicas}
    await seat.until(
        lambda: all((r.state, r.pid) == (ServerState.HEALTHY, pids[r.id]) for r in seen(seat, "clock").replicas)
    )
    await pointed_at(seat, "clock/a")
    await seat.press("e")
    await seat.shows("Disable clock/a?", "b still")
    await seat.press("y")
    await seat.shows("○ disabled", "clock/a is off until you enable it.")
    await call(client, "clock__now", UTC)
    assert exchanges(proxy, "clock__now")[-1].replica == "b"
    await seat.press("e")
    await seat.shows("clock/a is on.")
    await seat.until(lambda: seat.app.screen.selected.state is ServerState.HEALTHY)  # type: ignore[attr-defined]


async def _probes(seat: Seat, proxy: Proxy) -> None:
    await pointed_at(seat, "clock/a")
    await seat.press("p")
    await seat.shows("clock/a answered in")
    assert row(proxy, "clock").replicas[0].probe is not None


async def _drops_what_is_kept(seat: Seat, proxy: Proxy, client: Client) -> None:
    for _ in range(2):
        await call(client, "clock__convert", NOON)
    assert [each.saved for each in exchanges(proxy, "clock__convert")] == ["", "hit"]
    await pointed_at(seat, "clock")
    await seat.press("C")
    await seat.shows("of clock dropped.")
    await call(client, "clock__convert", NOON)
    assert exchanges(proxy, "clock__convert")[-1].saved == ""


async def _drills_a_replica(seat: Seat, proxy: Proxy, client: Client) -> None:
    await pointed_at(seat, "clock/b")
    await seat.press("F")
    await seat.shows("Fault drill at clock/b")
    # From Cancel, which has the focus, to the button beside it.
    await seat.press("tab", "enter")
    await seat.shows("Fault drill at clock/b for 60 s. F ends it.", "FAULT DRILL")
    assert [bool(replica.drill) for replica in row(proxy, "clock").replicas] == [False, True]
    await seat.press("F")
    await seat.shows("The fault drill at clock/b has ended.", without="FAULT DRILL")
    assert not any(replica.drill for replica in row(proxy, "clock").replicas)


# --- the configuration --------------------------------------------------------------------------------------


async def test_a_changed_file_is_planned_applied_and_rolled_back(tmp_path: Path) -> None:
    path = config_file(tmp_path, clock(), single("flaky"))
    proxy = proxy_of(path)
    async with near(proxy) as seat:
        await seat.shows("2/2 healthy")
        config_file(tmp_path, clock(), single("flaky", tools={"deny": ["crash"]}), single("notes"))
        await seat.press("ctrl+r")
        await seat.shows("Reload the configuration?", "notes", "tools.deny")
        await seat.press("escape")
        assert {each.id for each in proxy.snapshot().servers} == {"clock", "flaky"}
        await seat.press("ctrl+r")
        await seat.shows("Reload the configuration?")
        await seat.press("y")
        await seat.shows("3/3 healthy", "cfg 2")
        assert "flaky__crash" not in {item.name for item in proxy.names()}
        path.write_text("servers: [")
        await seat.press("ctrl+r")
        await seat.shows("The configuration cannot be used", "not valid YAML")
        await seat.press("b")
        await seat.shows("2/2 healthy", "The earlier configuration is in force again")
        assert "flaky__crash" in {item.name for item in proxy.names()}


# --- a tool, called and called again ------------------------------------------------------------------------


async def test_a_call_from_the_form_is_opened_made_again_copied_and_written_to_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = config_file(tmp_path, clock(), clock("other", ("main",)), single("notes"))
    proxy = proxy_of(path)
    async with near(proxy) as seat, client_of(proxy) as client:
        await seat.shows("3/3 healthy")
        await _calls_from_the_form(seat, proxy)
        await call(client, "clock__convert", NOON)
        await seat.press("4")
        await _replays_what_only_reads(seat, proxy)
        await _copies_and_exports(seat, proxy, tmp_path)
        await seat.press("escape")
        await _asks_before_it_writes_again(seat, proxy, client)


async def _calls_from_the_form(seat: Seat, proxy: Proxy) -> None:
    await seat.press("2", "right_square_bracket", "l")
    await seat.shows("clock__now")
    await seat.press("G", "c")
    await seat.shows("Call clock__now", "timezone")
    await seat.type("Asia/Tokyo")
    await seat.press("f5")
    await seat.shows("It answered", "Asia/Tokyo")
    assert exchanges(proxy, "clock__now")[-1].status == "ok"
    await seat.press("escape", "escape")


async def _replays_what_only_reads(seat: Seat, proxy: Proxy) -> None:
    await seat.shows("clock__convert")
    await seat.press("G", "enter")
    await seat.shows("Timeline", "Requests › ")
    await seat.press("R")
    await seat.shows("No difference: both answers are equal.")
    assert exchanges(proxy, "clock__convert")[-1].is_replay
    for label, server, replica in (
        ("clock/a", "clock", "a"),
        ("clock/b", "clock", "b"),
        ("other", "other", "main"),
    ):
        await seat.press("E")
        text = await seat.shows("again on", "as before", "clock/b")
        offered = [line for line in text.splitlines() if "● healthy" in line]
        # The first one is as before, which says no state.
        await seat.press(*"j" * (1 + [label in line for line in offered].index(True)), "enter")
        await seat.until(lambda server=server, replica=replica: _last(proxy) == (server, replica))  # type: ignore[misc]
        await seat.shows("No difference", without="again on")


def _last(proxy: Proxy) -> tuple[str, str]:
    last = exchanges(proxy, "clock__convert")[-1]
    return last.server, last.replica


async def _copies_and_exports(seat: Seat, proxy: Proxy, folder: Path) -> None:
    number = len(exchanges(proxy, "clock__convert"))
    await seat.press("c")
    await seat.until(lambda: "curl" in seat.clipboard)
    done = await asyncio.to_thread(
        subprocess.run, ["sh"], input=seat.clipboard, capture_output=True, text=True, timeout=30, check=True
    )
    assert "difference_hours" in done.stdout
    assert len(exchanges(proxy, "clock__convert")) == number + 1
    await seat.press("x")
    await seat.shows("1 request written to")
    [written] = folder.glob("only1mcp-exchanges-*.jsonl")
    [line] = written.read_text().splitlines()
    assert "clock__convert" in json.dumps(json.loads(line))


async def _asks_before_it_writes_again(seat: Seat, proxy: Proxy, client: Client) -> None:
    await call(client, "notes__add", {"text": "tea"})
    await seat.shows("notes__add")
    await seat.press("G", "R")
    await seat.shows("again?", "Nobody has said that it only reads.")
    await seat.press("escape")
    assert len(exchanges(proxy, "notes__add")) == 1
    await seat.press("R")
    await seat.shows("again?")
    await seat.press("y")
    await seat.shows("Diff", "~")
    assert [each.is_replay for each in exchanges(proxy, "notes__add")] == [False, True]
    assert ("notes", "replay") in verbs(proxy)


# --- eras, questions ----------------------------------------------------------------------------------------


async def test_a_translated_call_and_a_question_of_a_server(tmp_path: Path) -> None:
    every = {
        "id": "every",
        "transport": {
            "type": "stdio",
            "command": sys.executable,
            "args": ["-m", "tests.support.everything_server", "--stdio", "--modern-only"],
        },
    }
    proxy = proxy_of(config_file(tmp_path, every, elicitation={"answer_in_terminal": True}))
    async with near(proxy) as seat, client_of(proxy) as client:
        await seat.shows("1/1 healthy")
        await client.initialize()
        asked = asyncio.ensure_future(client.post(_legacy_call("every__test_elicitation", message="Who?")))
        await seat.shows("1 question: press a")
        await seat.press("a")
        await seat.shows("Who?", "username", "Accept")
        await seat.type("Ann")
        await seat.press("enter")
        await seat.type("a@b.c")
        await seat.press("enter", "tab", "tab", "tab", "enter")
        answer = await asked
        assert "Ann" in json.dumps(answer.events or answer.json)
        await seat.shows("1/1 healthy", without="press a")
        await seat.press("4")
        await seat.shows("every__test_elicitation")
        await seat.press("G", "enter")
        await seat.shows("Eras", "operator asked form", "operator answered accept", "▒ operator")
        # The tab before the first one is the last one.
        await seat.press("left_square_bracket")
        text = await seat.shows("client: request  ◇ 2025-11-25", "server: request  ◆ 2026-07-28")
        assert '~   "name": "test_elicitation"' in text


def _legacy_call(name: str, **arguments: Any) -> Json:
    return {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
