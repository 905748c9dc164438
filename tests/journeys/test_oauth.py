"""A gateway that takes tokens of an authorization server: what servers, logs and a reload make of it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.support import backend_server
from tests.support.authorization_server import AuthorizationServer, authorization_server
from tests.support.gateway_process import remote, serving, stdio, write_config
from tests.support.http_client import SOON_S, Client
from tests.support.processes import eventually
from tests.support.wire import call, connected, once_listed

LOUD = {"level": "debug", "format": "json"}


@pytest.fixture
def issuer() -> Iterator[AuthorizationServer]:
    with authorization_server() as server:
        yield server


@pytest.mark.requirement("A04")
@pytest.mark.requirement("A12")
async def test_a_token_reaches_neither_a_server_nor_the_log_and_is_taken_back_by_a_reload(
    tmp_path: Path, issuer: AuthorizationServer
):
    table: dict[str, backend_server.Handler | list[backend_server.Handler]] = {
        "server/discover": backend_server.answers(backend_server.DISCOVERED),
        "tools/list": backend_server.answers({"tools": [{"name": "t", "inputSchema": {"type": "object"}}]}),
        "tools/call": backend_server.answers({"content": [], "resultType": "complete"}),
    }
    token = issuer.token(jti="canary")
    async with backend_server.serving(table) as backend:
        child = stdio("child", (sys.executable, "-c", "import os,sys; print(os.environ, file=sys.stderr)"))
        servers = [remote("box", backend.url), child]
        with serving(tmp_path, servers, auth=issuer.config(), logging=LOUD) as gateway:
            async with connected(gateway.url, "modern", token) as known:
                await once_listed(known, "box__t")
                assert "result" in await call(known, "box__t")
            async with aiohttp.ClientSession() as http:
                ann = Client(http, gateway.url, token)
                assert (await ann.ask("tools/list")).status == 200
                assert (await Client(http, gateway.url, issuer.token(aud="x")).ask("tools/list")).status == 401
                write_config(tmp_path, servers, auth=issuer.config(deny=[{"jti": "canary"}]), logging=LOUD)
                eventually(lambda: "configuration 2 is in force" in gateway.log, "the file is in force", SOON_S)
                assert (await ann.ask("tools/list")).status == 401
            sent = json.dumps([f"{seen.headers} {seen.message}" for seen in backend.seen])
            assert backend.of("tools/call")
            for secret in (token, token.split(".")[2]):
                assert secret not in sent
                assert secret not in gateway.log
            assert "jwt:ann" not in sent


def test_who_has_no_issuer_loads_nothing_for_one():
    loaded = "any(name in sys.modules for name in ('joserfc', 'cryptography'))"
    code = f"import sys, proxy_core.proxy; sys.exit({loaded})"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
