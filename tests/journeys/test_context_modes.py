"""Profiles and context modes on real gateways: by URL, by pipe and by token, in both eras, through reloads."""

import hashlib
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import backend_server
from tests.support.asked_client import AskedClient, asked_client
from tests.support.gateway_process import COMMAND, GatewayProcess, remote, serving, stdio, write_config
from tests.support.http_client import modern
from tests.support.processes import demo_command, sdk_command
from tests.support.wire import Json, ask, comes_true, connected, once_listed, tool_names

META = ["search_tools", "describe_tools", "call_tool"]
SERVERS = (
    stdio("clock", demo_command("clock")),
    stdio("notes", demo_command("notes")),
    stdio("sdk", sdk_command()),
)
PROFILES = {
    "review": {"servers": ["no*"], "tools": {"deny": ["*__delete*"]}},
    "find": {"context": "search"},
    "short": {"context": "compact"},
}
SDK_MODES = pytest.mark.parametrize("mode", ["legacy", "auto", "2026-07-28"])
ERAS = pytest.mark.parametrize("era", ["legacy", "modern"])


def token(name: str) -> Json:
    return {"name": name, "sha256": hashlib.sha256(name.encode()).hexdigest()}


@pytest.fixture(scope="module", autouse=True)
def tokenizer() -> None:
    """The real one: `auto` goes by its figures."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with serving(tmp_path_factory.mktemp("house"), SERVERS, profiles=PROFILES) as gateway:
        yield gateway


@asynccontextmanager
async def official(where: str | tuple[str, ...], mode: str) -> AsyncIterator[AskedClient]:
    async with asked_client(where, mode) as asked:
        await comes_true(lambda: _lists_all(asked), "every server is there")
        yield asked


async def _lists_all(asked: AskedClient) -> bool:
    text, _ = await use(asked, "describe_tools", names=["clock__now", "notes__list", "sdk__steps"])
    return "Unknown tool" not in text


async def use(asked: AskedClient, tool: str, /, **arguments: Any) -> tuple[str, bool]:
    """The text of the answer, and whether it is an error."""
    result = await asked.client.call_tool(tool, arguments)
    return result.content[0].text, bool(result.is_error)


# --- search mode, as the official client sees it ------------------------------------------------------------


@SDK_MODES
async def test_the_official_client_finds_describes_and_calls_what_is_hidden(gateway: GatewayProcess, mode: str):
    async with official(f"{gateway.url}/find", mode) as asked:
        listed = (await asked.client.list_tools()).tools
        assert [tool.name for tool in listed] == META
        readers = [tool.name for tool in listed if tool.annotations and tool.annotations.read_only_hint]
        assert readers == META[:2]

        text, is_error = await use(asked, "search_tools", queries=["convert time zone"], limit=3)
        assert not is_error
        best = json.loads(text.split("\n")[0])
        assert best["name"].startswith("clock__")
        assert set(best) <= {"name", "description", "inputSchema"}

        text, _ = await use(asked, "describe_tools", names=["sdk__steps"])
        whole = json.loads(text)
        assert whole["name"] == "sdk__steps" and whole["_meta"]["dev.only1mcp/origin"]["backend"] == "sdk"

        steps = {"text": "go", "count": 3}
        through, _ = await use(asked, "call_tool", name="sdk__steps", arguments=steps)
        direct, _ = await use(asked, "sdk__steps", **steps)
        assert through == direct

        text, is_error = await use(asked, "call_tool", name="sdk__stepz", arguments={})
        assert is_error and "Did you mean sdk__steps" in text


@SDK_MODES
async def test_progress_comes_through_call_tool(gateway: GatewayProcess, mode: str):
    async with official(f"{gateway.url}/find", mode) as asked:
        steps = {"name": "sdk__steps", "arguments": {"text": "go", "count": 3}}
        await asked.client.call_tool("call_tool", steps, progress_callback=asked.report)
        assert len(asked.progress) == 3


# --- profiles -----------------------------------------------------------------------------------------------


@ERAS
async def test_each_url_has_its_part_of_everything(gateway: GatewayProcess, era: str):
    async with connected(gateway.url, era) as everything:
        for name in ("clock__now", "notes__list", "sdk__steps"):
            await once_listed(everything, name)
        names = await tool_names(everything)
    async with connected(f"{gateway.url}/review", era) as review:
        shown = await tool_names(review)
        assert shown == {name for name in names if name.startswith("notes__") and "__delete" not in name}
        for name in ("clock__now", "now", "notes__delete"):
            answer = await ask(review, "tools/call", {"name": name, "arguments": {}})
            assert answer["error"]["message"] == f"Unknown tool: {name}"
        told = await ask(review, "tools/list")
        assert "clock" not in json.dumps(told)
    async with connected(f"{gateway.url}/short", era) as short:
        assert await tool_names(short) == names
        assert "dev.only1mcp/origin" not in json.dumps(await ask(short, "tools/list"))


def over_pipe(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *COMMAND[2:], "stdio", *arguments)


@SDK_MODES
@pytest.mark.parametrize("way", ["alone", "bridge"])
async def test_a_pipe_has_a_profile_too(gateway: GatewayProcess, tmp_path: Path, way: str, mode: str):
    config = write_config(tmp_path, SERVERS, profiles=PROFILES)
    command = over_pipe("--config", str(config), "--profile", "find")
    if way == "bridge":
        command = over_pipe("--to", f"{gateway.url}/find")
    async with official(command, mode) as asked:
        assert [tool.name for tool in (await asked.client.list_tools()).tools] == META
        text, is_error = await use(asked, "call_tool", name="sdk__steps", arguments={"text": "go", "count": 1})
        assert not is_error, text


async def test_a_token_is_served_under_its_profile_and_no_other(tmp_path: Path):
    auth = {"tokens": [token("ann"), token("bob") | {"profile": "review"}]}
    with serving(tmp_path, SERVERS, profiles=PROFILES, auth=auth) as gateway:
        for era in ("legacy", "modern"):
            async with connected(gateway.url, era, "bob") as bob:
                await once_listed(bob, "notes__list")
                assert {name.partition("__")[0] for name in await tool_names(bob)} == {"notes"}
        async with connected(f"{gateway.url}/find", "modern", "ann") as ann:
            assert await tool_names(ann) == set(META)
            ann.token = "bob"
            refused = await ann.ask("tools/list")
            assert refused.status == 403
            # The numbers name every server.
            metrics = await ann.send("GET", url=gateway.url.replace("/mcp", "/metrics"))
            assert metrics.status == 403


# --- reloads ------------------------------------------------------------------------------------------------


def many(count: int) -> dict[str, Any]:
    """A server of so many tools, each of some 100 tokens."""
    tools = [
        {
            "name": f"make_{number:03d}",
            "description": "Makes one of the many things that there are to be made. " * 6,
            "inputSchema": {"type": "object"},
        }
        for number in range(count)
    ]
    return {
        "server/discover": backend_server.answers(backend_server.DISCOVERED),
        "tools/list": backend_server.answers({"tools": tools}),
    }


LISTEN = {"notifications": {"toolsListChanged": True}}


async def test_auto_goes_over_to_search_when_servers_are_added_and_tells_its_clients(tmp_path: Path):
    async with backend_server.serving(many(150)) as backend:
        small = [stdio("clock", demo_command("clock"))]
        auto = {"context": {"mode": "auto"}}
        with serving(tmp_path, small, **auto) as gateway:
            async with connected(gateway.url) as client:
                await once_listed(client, "clock__now")
                body, headers = modern("subscriptions/listen", LISTEN, id="l")
                async with client.stream(body=body, headers=headers) as listen:
                    await listen.next()
                    write_config(tmp_path, [*small, remote("big", backend.url)], **auto)
                    assert (await listen.next())["method"] == "notifications/tools/list_changed"
                    await once_listed(client, "search_tools")
                    assert await tool_names(client) == set(META)
                    write_config(tmp_path, small, **auto)
                    await once_listed(client, "clock__now")


async def test_a_profile_is_changed_added_and_taken_away_while_the_gateway_runs(tmp_path: Path):
    with serving(tmp_path, SERVERS, profiles=PROFILES) as gateway:
        async with (
            connected(f"{gateway.url}/review", "legacy") as review,
            connected(f"{gateway.url}/new") as new,
        ):
            await once_listed(review, "notes__list")
            assert (await new.ask("tools/list")).status == 404
            profiles = {"review": {"servers": ["clock"]}, "new": {"servers": ["notes"]}}
            write_config(tmp_path, SERVERS, profiles=profiles)
            await once_listed(review, "clock__now")
            assert {name.partition("__")[0] for name in await tool_names(review)} == {"clock"}
            assert {name.partition("__")[0] for name in await tool_names(new)} == {"notes"}
            write_config(tmp_path, SERVERS, profiles={"new": {"servers": ["notes", "nobody"]}})
            await comes_true(lambda: _is_gone(review), "the profile is gone")
            assert "profiles.new.servers: 'nobody' fits no server" in gateway.log


async def _is_gone(client: Any) -> bool:
    reply = await client.post({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    return bool(reply.status == 404)
