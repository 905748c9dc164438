"""A gateway that wants tokens, as a process of its own: who gets in, what servers and logs see of it."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.support import backend_server
from tests.support.gateway_process import COMMAND, GatewayProcess, remote, serving, stdio
from tests.support.http_client import Client
from tests.support.processes import quiet_env
from tests.support.wire import call, call_text, connected, once_listed

TOKEN = "o1_canary-of-a-token-0123456789-abcdefgh"
AUTH = {"tokens": [{"name": "ci", "sha256": hashlib.sha256(TOKEN.encode()).hexdigest()}]}
LOUD = {"level": "debug", "format": "json"}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    servers = [stdio("flaky", (sys.executable, "-m", "proxy_core.demo.flaky"))]
    with serving(tmp_path, servers, auth=AUTH, logging=LOUD) as gateway:
        yield gateway


def typed(folder: Path, *arguments: str, token: str | None = None) -> "subprocess.CompletedProcess[str]":
    env = quiet_env(folder) | ({} if token is None else {"ONLY1MCP_TOKEN": token})
    return subprocess.run(
        [*COMMAND, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_who_has_the_token_is_served_and_who_has_not_is_not(gateway: GatewayProcess, era: str):
    async with connected(gateway.url, era, TOKEN) as known:
        await once_listed(known, "flaky__echo")
        assert await call_text(known, "flaky__echo", {"text": "hello"}) == "hello"
    async with aiohttp.ClientSession() as http:
        stranger = Client(http, gateway.url)
        asked = await (stranger.ask("tools/list") if era == "modern" else stranger.initialize())
        assert (asked.status, asked.headers["WWW-Authenticate"]) == (401, 'Bearer realm="only1mcp"')


def test_the_command_sends_the_token_of_its_environment_and_says_so_where_it_has_none(
    gateway: GatewayProcess, tmp_path: Path
):
    known = typed(tmp_path, "call", "flaky__echo", "text=hello", "--url", gateway.url, token=TOKEN)
    assert (known.returncode, known.stdout) == (0, "hello\n"), known.stderr
    for token, words in ((None, "wants a token"), ("canary-wrong", "does not know the token")):
        refused = typed(tmp_path, "tools", "--url", gateway.url, token=token)
        assert refused.returncode == 1
        assert words in refused.stderr
        assert "ONLY1MCP_TOKEN" in refused.stderr
        assert "canary" not in refused.stderr


@pytest.mark.requirement("A04")
@pytest.mark.requirement("A12")
async def test_a_token_reaches_neither_a_server_nor_the_log_at_any_level(tmp_path: Path):
    table: dict[str, backend_server.Handler | list[backend_server.Handler]] = {
        "server/discover": backend_server.answers(backend_server.DISCOVERED),
        "tools/list": backend_server.answers({"tools": [{"name": "t", "inputSchema": {"type": "object"}}]}),
        "tools/call": backend_server.answers({"content": [], "resultType": "complete"}),
    }
    async with backend_server.serving(table) as backend:
        child = stdio(
            "child", (sys.executable, "-c", "import os,sys; print(os.environ, sys.argv, file=sys.stderr)")
        )
        servers = [remote("box", backend.url), child]
        with serving(tmp_path, servers, auth=AUTH, logging=LOUD, env={"ONLY1MCP_TOKEN": TOKEN}) as gateway:
            async with connected(gateway.url, "modern", TOKEN) as known:
                await once_listed(known, "box__t")
                assert "result" in await call(known, "box__t")
            async with aiohttp.ClientSession() as http:
                assert (await Client(http, gateway.url, TOKEN + "x").ask("tools/list")).status == 401
            assert [line for line in gateway.lines if line["source"] == "child"]
        sent = [f"{seen.headers} {seen.message}" for seen in backend.seen]
        assert backend.of("tools/call")
        assert "canary" not in json.dumps(sent)
        assert "canary" not in gateway.log
