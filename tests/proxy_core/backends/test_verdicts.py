"""What is remembered of a server's era, over restarts, and what makes it forgotten."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from proxy_core.backends import late_writer
from proxy_core.backends.connection import Connection, Terms
from proxy_core.backends.verdicts import MAX_AGE_S, MAX_VERDICTS, EraVerdicts, address_of
from proxy_core.config.models import HttpTransport, ServerConfig, SseTransport, StdioTransport
from proxy_core.errors import BackendFault, BackendUnavailable
from proxy_core.protocol.revisions import Era
from proxy_core.state import StateFolder
from tests.support.clock import FakeClock
from tests.support.scripted_channel import (
    Owner,
    Reply,
    ScriptedServer,
    discovered,
    exits,
    initialized,
    raises,
    refuses,
    silence,
)

BOX = StdioTransport(command="box")


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncIterator[Callable[[], EraVerdicts]]:
    """Verdicts as one more process finds them, on one clock."""
    clock = FakeClock()
    opened: list[EraVerdicts] = []

    def new() -> EraVerdicts:
        opened.append(EraVerdicts(StateFolder(tmp_path), clock))
        return opened[-1]

    new.clock = clock  # type: ignore[attr-defined]
    yield new
    for each in opened:
        await each.aclose()


@pytest.mark.requirement("B12")
async def test_a_verdict_survives_a_restart(memory: Any) -> None:
    first = memory()
    first.remember("a", Era.LEGACY)
    first.remember("b", Era.MODERN)
    first.remember("c", Era.LEGACY)
    first.forget("c")
    await first.aclose()
    second = memory()
    assert [second.get(address) for address in "abcd"] == [Era.LEGACY, Era.MODERN, None, None]


async def test_verdicts_are_written_together_and_soon(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_writer, "PAUSE_S", 0.01)
    first = memory()
    first.remember("a", Era.LEGACY)
    first.remember("b", Era.LEGACY)
    assert list(tmp_path.iterdir()) == []
    async with asyncio.timeout(30):
        while not (tmp_path / "eras.json").exists():
            await asyncio.sleep(0.01)
    assert set(json.loads((tmp_path / "eras.json").read_text())["entries"]) == {"a", "b"}
    first.remember("c", Era.LEGACY)
    await first.aclose()
    assert memory().get("c") is Era.LEGACY


async def test_nothing_is_written_where_nothing_was_learned(memory: Any, tmp_path: Path) -> None:
    first = memory()
    first.forget("a")
    await first.aclose()
    assert list(tmp_path.iterdir()) == []


async def test_without_a_folder_it_remembers_until_the_end_of_the_process() -> None:
    only_now = EraVerdicts(None, FakeClock())
    only_now.remember("a", Era.LEGACY)
    assert only_now.get("a") is Era.LEGACY
    await only_now.aclose()


@pytest.mark.requirement("B12")
async def test_a_verdict_grows_too_old(memory: Any) -> None:
    """A server that learned the modern era still answers initialize; nothing else would ever tell."""
    box = memory()
    box.remember("a", Era.LEGACY)
    memory.clock.advance(MAX_AGE_S - 1)
    assert box.get("a") is Era.LEGACY
    memory.clock.advance(2)
    assert box.get("a") is None


async def test_the_oldest_verdicts_make_room(memory: Any) -> None:
    box = memory()
    for number in range(MAX_VERDICTS + 1):
        box.remember(f"{number}", Era.LEGACY)
    assert (box.get("0"), box.get("1")) == (None, Era.LEGACY)


@pytest.mark.parametrize("entry", ["", "legacy", "legacy x", "ancient 5", "legacy 99999999999999", "legacy -1"])
async def test_an_entry_that_makes_no_sense_is_none(memory: Any, tmp_path: Path, entry: str) -> None:
    StateFolder(tmp_path).write("eras", {"a": entry})
    assert memory().get("a") is None


def test_an_address_is_that_of_one_server_and_tells_no_secret() -> None:
    transports: list[Any] = [
        BOX,
        StdioTransport(command="box", args=("-v",)),
        StdioTransport(command="box", args=("-v", "-v")),
        StdioTransport(command="box", cwd="/a"),
        HttpTransport(url="https://box.example/mcp"),
        HttpTransport(url="https://box.example/mcp/secret"),
        HttpTransport(url="http://box.example/mcp"),
        HttpTransport(url="https://box.example:8443/mcp"),
        SseTransport(url="https://box.example/mcp"),
    ]
    addresses = {address_of(transport) for transport in transports}
    assert len(addresses) == len(transports)
    assert all(len(address) == 64 for address in addresses)


def test_credentials_and_queries_are_no_part_of_an_address() -> None:
    plain = address_of(HttpTransport(url="https://box.example/mcp"))
    assert address_of(HttpTransport(url="https://box.example:443/mcp?token=x")) == plain
    assert address_of(HttpTransport(url="https://box.example/mcp", headers={"Authorization": "x"})) == plain
    assert address_of(StdioTransport(command="box", env={"TOKEN": "x"})) == address_of(BOX)


# --- in a handshake -----------------------------------------------------------------------------------------


class Box:
    """One server, opened anew with what was remembered."""

    def __init__(self, known: Era | None, transport: Any = BOX, era: str = "auto", **replies: Any) -> None:
        self.verdicts = EraVerdicts(None, FakeClock())
        self.address = address_of(transport)
        if known is not None:
            self.verdicts.remember(self.address, known)
        named: dict[str, Reply] = {name.replace("__", "/"): reply for name, reply in replies.items()}
        self.server = ScriptedServer(named | {"subscriptions/listen": silence})
        config = ServerConfig.model_validate({"id": "box", "transport": transport, "era": era})
        terms = Terms(self.verdicts)
        self.connection = Connection(config, self.server.channel, Owner(), FakeClock(), terms=terms)

    async def open(self) -> None:
        try:
            await self.connection.open()
        finally:
            await self.connection.aclose()

    @property
    def asked(self) -> list[str]:
        return [asked.message["method"] for asked in self.server.asked]

    @property
    def remembered(self) -> Era | None:
        return self.verdicts.get(self.address)


@pytest.mark.requirement("B12")
async def test_a_server_known_as_legacy_is_not_probed() -> None:
    box = Box(Era.LEGACY, initialize=initialized())
    await box.open()
    assert box.asked[0] == "initialize"
    assert box.remembered is Era.LEGACY


@pytest.mark.requirement("B12")
@pytest.mark.parametrize("known", [None, Era.MODERN])
async def test_any_other_server_is_probed_and_what_it_is_is_remembered(known: Era | None) -> None:
    modern = Box(known, server__discover=discovered())
    await modern.open()
    assert modern.remembered is Era.MODERN
    legacy = Box(known, server__discover=refuses(-32601), initialize=initialized())
    await legacy.open()
    assert legacy.asked[:2] == ["server/discover", "initialize"]
    assert legacy.remembered is Era.LEGACY


@pytest.mark.requirement("B12")
async def test_a_server_that_contradicts_is_probed_at_once() -> None:
    box = Box(Era.LEGACY, initialize=refuses(-32022), server__discover=discovered())
    await box.open()
    assert box.asked[:2] == ["initialize", "server/discover"]
    assert box.remembered is Era.MODERN


@pytest.mark.requirement("B12")
@pytest.mark.parametrize("known", list(Era))
async def test_a_handshake_that_comes_to_nothing_makes_it_forgotten(known: Era) -> None:
    box = Box(known, initialize=exits, server__discover=refuses(-32601))
    with pytest.raises(BackendFault):
        await box.open()
    assert box.remembered is None


async def test_an_outage_says_nothing_of_an_era() -> None:
    box = Box(Era.LEGACY, initialize=raises(BackendUnavailable("box", "The server is failing.")))
    with pytest.raises(BackendUnavailable):
        await box.open()
    assert box.remembered is Era.LEGACY


async def test_a_pinned_era_is_neither_looked_up_nor_remembered() -> None:
    box = Box(Era.LEGACY, era="modern", server__discover=discovered())
    await box.open()
    assert box.asked[0] == "server/discover"
    assert box.remembered is Era.LEGACY


async def test_a_server_found_by_its_event_stream_is_looked_for_anew() -> None:
    """To ask it as a legacy one of Streamable HTTP would be one question more, not one less."""
    url = HttpTransport(url="http://box.example/mcp")
    box = Box(None, url, server__discover=refuses(-32601), initialize=initialized())
    box.connection.transport = "sse"
    await box.open()
    assert box.remembered is None
