"""The gateway logs in at a server: a person's browser, the running gateway, and an authorization server."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway_process import COMMAND, GatewayProcess, remote, serving
from tests.support.headless_browser import ENV as BROWSER
from tests.support.login_server import LoginServer, login_server
from tests.support.processes import eventually, quiet_env
from tests.support.wire import call, call_text, comes_true, connected, once_listed

LOUD = {"level": "debug", "format": "json"}
Json = dict[str, Any]


@pytest.fixture
def guarded() -> Iterator[LoginServer]:
    with login_server() as server:
        yield server


def only1mcp(
    folder: Path, *arguments: str, given: str | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env={**quiet_env(folder), **BROWSER, **env},
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def config_of(folder: Path) -> str:
    return str(folder / "only1mcp.yaml")


async def login(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(only1mcp, folder, "login", "box", "--config", config_of(folder), *arguments)


def wants_login(gateway: GatewayProcess) -> None:
    eventually(
        lambda: "auth_required: login needed: press L, or only1mcp login box" in gateway.log, gateway.log
    )


async def test_a_person_logs_in_calls_work_tokens_are_renewed_and_what_is_revoked_is_asked_for_again(
    tmp_path: Path, guarded: LoginServer
):
    guarded.rules(lifetime_s=3)
    with serving(tmp_path, [remote("box", guarded.url)], logging=LOUD) as gateway:
        wants_login(gateway)
        logged_in = await login(tmp_path)
        assert logged_in.returncode == 0, logged_in.stderr
        assert "box: logged in; healthy" in logged_in.stdout
        async with connected(gateway.url) as client:
            await once_listed(client, "box__t")
            assert await call_text(client, "box__t") == "done"
            first = guarded.seen("/mcp")[-1]["authorization"]
            await comes_true(lambda: _renewed(guarded), "the token is renewed in time", 6)
            assert await call_text(client, "box__t") == "done"
            assert guarded.seen("/mcp")[-1]["authorization"] not in ("", first)
            # Renewed where it was refused, too: nobody hears of it.
            guarded.revoke("access")
            assert await call_text(client, "box__t") == "done"
            guarded.revoke("access", "refresh")
            failed = await call(client, "box__t")
            assert failed["error"]["data"]["dev.only1mcp"]["kind"] == "backend_auth_required"
        eventually(lambda: "auth_required: login needed, the login was ended" in gateway.log, gateway.log)
        for each in (*guarded.seen("/token"), *guarded.seen("/mcp")):
            for secret in (each["form"].get("refresh_token"), each["authorization"].removeprefix("Bearer ")):
                assert not secret or secret not in gateway.log


async def _renewed(guarded: LoginServer) -> bool:
    return any(each["form"].get("grant_type") == "refresh_token" for each in guarded.seen("/token"))
