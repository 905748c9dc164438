"""Secrets planted wherever one can be: none shows in what a person can look at, now or later."""

import hashlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy_core.access.audit.verifying import verify_all
from tests.support import backend_server
from tests.support.backend_server import BackendServer
from tests.support.gateway_process import COMMAND, GatewayProcess, serving, stdio
from tests.support.http_client import Client
from tests.support.processes import quiet_env
from tests.support.wire import ask, call, connected, once_listed

TOKEN = "o1_canary-token-0123456789-abcdefgh"
GITHUB = "ghp_canary0123456789abcdefghijklmno"
ENV = {
    "UPSTREAM_TOKEN": "canary-upstream-0123456789",
    "SEAL_KEY": "canary-seal-key-0123456789",
    "AUDIT_KEY": "canary-audit-key-0123456789",
    "ONLY1MCP_TOKEN": TOKEN,
}
AUTH = {"tokens": [{"name": "ci", "sha256": hashlib.sha256(TOKEN.encode()).hexdigest(), "admin": "steer"}]}
ARGUMENTS = {
    "password": "canary-password",
    "deep": [{"clientSecret": "canary-client-secret"}, {"name": "API_KEY", "value": "canary-value"}],
    "text": f"use {GITHUB} for it",
    "header": "Authorization: Bearer canary-bearer-0123456789",
    "url": "https://user:canary-in-url@host/?access_token=canary-query",
    "nested": json.dumps({"token": "canary-nested"}),
}
HEADERS = {"Cookie": "session=canary-cookie", "X-Api-Key": "canary-header", "X-Auth": "canary-x-auth"}
RESULT = {
    "resultType": "complete",
    "content": [{"type": "text", "text": f"your token is {GITHUB}"}],
    "structuredContent": {"access_token": "canary-result"},
}
TOOLS = {"resultType": "complete", "tools": [{"name": "run", "inputSchema": {"type": "object"}}]}
PAGES = ("snapshot", "servers/box", "servers/child", "names", "context", "logs", "reload", "changes")
PROGRAM = "raise SystemExit('it does not start')"


async def answered(seen: backend_server.Seen) -> Any:
    if "fail" in str(seen.message):
        return backend_server.json_reply(seen.error(-32603, {"password": "canary-error-data"}))
    return backend_server.json_reply(seen.result(RESULT))


@asynccontextmanager
async def planted(folder: Path, **audit: Any) -> AsyncIterator[tuple[GatewayProcess, BackendServer]]:
    table: dict[str, Any] = {
        "server/discover": backend_server.answers(backend_server.DISCOVERED),
        "tools/list": backend_server.answers(TOOLS),
        "tools/call": answered,
    }
    async with backend_server.serving(table) as backend:
        headers = {"Authorization": "Bearer ${UPSTREAM_TOKEN}", "X-Secret": "canary-configured"}
        box = {"id": "box", "transport": {"type": "http", "url": backend.url, "headers": headers}}
        child = stdio(
            "child",
            (sys.executable, "-c", PROGRAM, "--token", "canary-argument"),
            env={"API_KEY": "canary-environment"},
        )
        sections = {
            "auth": AUTH,
            "proxy": {"seal_keys": ["${SEAL_KEY}"]},
            "logging": {"level": "debug", "format": "json"},
            "admin": {"socket": str(folder / "admin.sock"), "on_port": True},
            "audit": {"file": "audit.jsonl", "key": "${AUDIT_KEY}"} | audit,
        }
        with serving(folder, [box, child], env=ENV, **sections) as gateway:
            yield gateway, backend


async def use(gateway: GatewayProcess, era: str) -> str:
    """Everything that a client can do with secrets; what a stranger is told who tries it too."""
    async with connected(gateway.url, era, TOKEN) as client:
        client.http.headers.update(HEADERS)
        await once_listed(client, "box__run")
        assert "result" in await call(client, "box__run", ARGUMENTS)
        assert "error" in await call(client, "box__run", ARGUMENTS | {"fail": True})
        assert "error" in await call(client, GITHUB, {})
        assert "error" in await ask(client, "resources/read", {"uri": ARGUMENTS["url"]})
    async with aiohttp.ClientSession(headers=HEADERS) as http:
        stranger = Client(http, gateway.url, TOKEN + "x")
        refused = await stranger.ask("tools/call", {"name": "box__run", "arguments": ARGUMENTS})
        return f"{refused.status} {refused.headers} {refused.body.decode()}"


async def looked_at(gateway: GatewayProcess, folder: Path) -> dict[str, str]:
    """Every page that the admin API has of it, by its path."""
    seen = {}
    connector = aiohttp.UnixConnector(str(folder / "admin.sock"))
    async with aiohttp.ClientSession(connector=connector) as http:

        async def get(path: str) -> Any:
            async with http.get(f"http://localhost/admin/v1/{path}") as reply:
                assert reply.status == 200, (path, await reply.text())
                seen[path] = await reply.text()
                return json.loads(seen[path])

        for path in PAGES:
            await get(path)
        for row in (await get("exchanges"))["rows"]:
            await get(f"exchanges/{row['id']}")
        verb = await http.post("http://localhost/admin/v1/cache/clear")
        assert verb.status == 200
    async with aiohttp.ClientSession() as http:
        metrics = gateway.url.removesuffix("/mcp") + "/metrics"
        async with http.get(metrics, headers={"Authorization": f"Bearer {TOKEN}"}) as reply:
            seen["metrics"] = await reply.text()
    return seen


def shown_config(folder: Path) -> str:
    done = subprocess.run(
        [*COMMAND, "config", "show"],
        cwd=folder,
        env=quiet_env(folder) | ENV,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return done.stdout + done.stderr


@pytest.mark.requirement("A12")
@pytest.mark.parametrize("era", ["modern", "legacy"])
@pytest.mark.parametrize("arguments", [False, True], ids=["without arguments", "with arguments"])
async def test_no_planted_secret_shows_anywhere(tmp_path: Path, era: str, arguments: bool):
    async with planted(tmp_path, arguments=arguments) as (gateway, backend):
        refused = await use(gateway, era)
        seen = await looked_at(gateway, tmp_path)
        # They were there to be seen: what a server has to have, it got.
        assert "canary-upstream" in str(backend.of("tools/call")[0].headers)
        assert "canary-password" in str(backend.of("tools/call")[0].message)
    audit = (tmp_path / "audit.jsonl").read_text()
    assert audit.count('"box__run"') == 2
    assert ('"arguments":{"password":"•••"' in audit) is arguments
    seen |= {"audit": audit, "log": gateway.log, "config show": shown_config(tmp_path), "refusal": refused}
    assert len(seen) > 12
    shows = {where: _around(text) for where, text in seen.items() if "canary" in text}
    assert not shows
    assert verify_all(tmp_path / "audit.jsonl", [ENV["AUDIT_KEY"]]).is_whole


def _around(text: str) -> str:
    return text[max(0, text.find("canary") - 80) :][:200]


def test_a_faulty_key_of_the_audit_is_not_told(tmp_path: Path):
    (tmp_path / "only1mcp.yaml").write_text("audit: {key: canary-short}\nservers: []\n")
    done = subprocess.run(
        [*COMMAND, "validate"],
        cwd=tmp_path,
        env=quiet_env(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2 and "audit.key" in done.stderr
    assert "canary" not in done.stdout + done.stderr
