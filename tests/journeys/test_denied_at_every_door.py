"""What a profile denies is as if it had never been, whichever door a client comes by.

Streamable HTTP at `/mcp/<profile>` is what `test_policy` is about; the names and the server are the same here.
"""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import pytest

from tests.journeys.test_policy import PAIRS, REVIEW, House, called, got, opened, raw, read, subscribed
from tests.journeys.test_stdio import started
from tests.proxy_core.frontend.test_sse_front import SseClient
from tests.support.gateway_process import write_config
from tests.support.http_client import Client, Stream, request
from tests.support.pipe_client import PipeClient, modern
from tests.support.wire import comes_true, connected

Json = dict[str, Any]
TOKEN = "o1_token-of-ann"
ANN = {"name": "ann", "sha256": hashlib.sha256(TOKEN.encode()).hexdigest(), "profile": "review"}
LISTS = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")
ALL_OF_BOX = {"servers": ["box"]}


class Door(Protocol):
    """A client that is served under `review`."""

    era: str

    async def say(self, method: str, params: Json) -> bytes:
        """All that it is told: the answer as it came, and what else of it is the gateway's to choose."""
        ...


class SseDoor:
    """HTTP+SSE, whose URL names no profile: the token does."""

    era = "legacy"

    def __init__(self, client: SseClient, stream: Stream) -> None:
        self._client = client
        self._stream = stream

    async def say(self, method: str, params: Json) -> bytes:
        assert (await self._client.post(request(method, params))).status == 202
        while json.loads((event := await self._stream.event())["data"]).get("id") != 1:
            pass
        return json.dumps(event).encode()


class PipeDoor:
    def __init__(self, client: PipeClient, era: str) -> None:
        self._client = client
        self.era = era

    async def say(self, method: str, params: Json) -> bytes:
        self._client.send((request if self.era == "legacy" else modern)(method, params))
        while json.loads(line := await self._client.line()).get("id") != 1:
            pass
        return line


class HttpDoor:
    def __init__(self, client: Client, era: str) -> None:
        self._client = client
        self.era = era

    async def say(self, method: str, params: Json) -> bytes:
        reply = await raw(self._client, method, params)
        headers = sorted((name, value) for name, value in reply.headers.items() if name.lower() != "date")
        return repr((reply.status, headers)).encode() + reply.body


@asynccontextmanager
async def door_of(house: House, way: str, folder: Path) -> AsyncIterator[Door]:
    kind, _, era = way.partition("-")
    if kind == "sse":
        async with aiohttp.ClientSession() as http:
            client = SseClient(http, house.url, Authorization=f"Bearer {TOKEN}")
            async with client.stream() as stream:
                await client.initialize(stream)
                yield SseDoor(client, stream)
    elif kind == "token":
        async with connected(house.url, era, TOKEN) as known:
            yield HttpDoor(known, era)
    else:
        config = write_config(folder, house.servers, profiles=house.profiles)
        alone = ("stdio", "--config", str(config), "--profile", "review")
        arguments = alone if kind == "pipe" else ("stdio", "--to", f"{house.url}/review")
        async with started(folder, arguments) as stage:
            if era == "legacy":
                await stage.client.initialize()
            yield PipeDoor(stage.client, era)


@asynccontextmanager
async def standing_at(way: str, folder: Path, **profiles: Json) -> AsyncIterator[tuple[House, Door]]:
    """A door behind which everything is listed that ever will be."""
    more: Json = {"proxy": {"port": 0, "legacy_sse": True}}
    if way.partition("-")[0] in ("sse", "token"):
        more["auth"] = {"tokens": [ANN]}
    async with opened(more=more, **(profiles or {"review": REVIEW})) as house:
        async with door_of(house, way, folder) as door:

            async def all_are_there() -> bool:
                return b"box__t_m1" in await door.say("tools/list", {})

            await comes_true(all_are_there, "the tools are listed")
            yield house, door


DOORS = [
    "sse-legacy",
    *(f"{kind}-{era}" for kind in ("pipe", "bridge", "token") for era in ("legacy", "modern")),
]
at_every_door = pytest.mark.parametrize("way", DOORS)


@pytest.mark.requirement("A09")
@at_every_door
async def test_a_denied_name_is_answered_byte_for_byte_as_one_that_never_was(way: str, tmp_path: Path):
    async with standing_at(way, tmp_path) as (_, door):
        also = [(subscribed, denied, unknown) for how, denied, unknown in PAIRS if how is read]
        for how, denied, unknown in [*PAIRS, *(also if door.era == "legacy" else [])]:
            one, other = [
                (await door.say(*how(name))).replace(name.encode(), b"<name>") for name in (denied, unknown)
            ]
            assert one == other, (denied, unknown)
            assert b"error" in one and b"-32" in one, one
        # What is not denied is there, and so the door leads somewhere.
        for how, name in ((called, "box__t_m1"), (got, "box__p_m1"), (read, "doc://m1/main")):
            assert b"TOPIC-1-" in await door.say(*how(name))


@pytest.mark.requirement("A09")
@at_every_door
async def test_a_denied_name_is_absent_from_every_list(way: str, tmp_path: Path):
    async with standing_at(way, tmp_path) as (_, door):
        said = b"".join([await door.say(method, {}) for method in LISTS])
        for shown in (b"TOPIC-1-", b"box__p_m1", b"doc://m1/{name}"):
            assert shown in said
        for secret in (b"TOPIC-2-", b"m2", b"dark", b"gone"):
            assert secret not in said


@pytest.mark.requirement("A09")
@at_every_door
async def test_a_name_that_a_reload_denies_is_gone_for_whoever_is_connected(way: str, tmp_path: Path):
    async with standing_at(way, tmp_path, review=ALL_OF_BOX) as (house, door):
        assert b"TOPIC-2-" in await door.say(*called("box__t_m2"))
        assert b"box__t_m2" in await door.say("tools/list", {})
        await house.reload(review=REVIEW)
        if way.startswith("pipe"):
            # It has the file, and nobody to tell it but the file.
            write_config(tmp_path, house.servers, profiles=house.profiles)

            async def is_in_force() -> bool:
                return b"box__t_m2" not in await door.say("tools/list", {})

            await comes_true(is_in_force, "the file is in force", within_s=5)
        assert b"box__t_m2" not in await door.say("tools/list", {})
        for how, denied, unknown in PAIRS[:2]:
            one, other = [
                (await door.say(*how(name))).replace(name.encode(), b"<name>") for name in (denied, unknown)
            ]
            assert one == other, (denied, unknown)
