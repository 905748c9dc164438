"""The first seconds: the port before the servers, the servers beside each other, lists from the last time."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.faults import stdio_server
from tests.support.faults.plain import on_stdio
from tests.support.gateway_process import COMMAND, GatewayProcess, remote, serving, write_config
from tests.support.http_client import Client, Stream
from tests.support.processes import free_port, quiet_env
from tests.support.wire import (
    LEGACY_ERA,
    Json,
    ask,
    call,
    call_text,
    comes_true,
    connected,
    once_listed,
    tool_names,
)

SLOW_START_S = 5.0
SOON_S = 3.5
"""To the first greeting, from the start of the process, on a busy machine."""
SIDE_BY_SIDE_S, TOGETHER = 2.0, 3
SLACK_S = 3.0
OWN = "dev.only1mcp/"
CHANGED = "notifications/tools/list_changed"


async def test_the_port_is_open_before_a_slow_server_is_up(tmp_path: Path) -> None:
    """Measured from the start of the process to the answer of initialize."""
    stdio_server.delay(tmp_path, "slow", SLOW_START_S)
    started_at = time.monotonic()
    with serving(tmp_path, [on_stdio(tmp_path, "slow"), on_stdio(tmp_path, "quick")]) as gateway:
        async with connected(gateway.url, LEGACY_ERA) as client:
            greeted_s = time.monotonic() - started_at
            assert client.session_id
            await comes_true(lambda: _answers(client, "quick"), "the quick one answers")
            assert time.monotonic() - started_at < SLOW_START_S, "the quick one does not wait for the slow one"
            await comes_true(lambda: _answers(client, "slow"), "the slow one answers")
            assert time.monotonic() - started_at > SLOW_START_S
    assert greeted_s < SOON_S


async def _answers(client: Client, server: str) -> bool:
    return "result" in await call(client, f"{server}__who", {"key": "k"})


async def test_servers_start_beside_each_other(tmp_path: Path) -> None:
    """Three slow ones take as long as one of them."""
    names = [f"slow-{number}" for number in range(TOGETHER)]
    for name in names:
        stdio_server.delay(tmp_path, name, SIDE_BY_SIDE_S)
    started_at = time.monotonic()
    with serving(tmp_path, [on_stdio(tmp_path, name) for name in names]) as gateway:
        async with connected(gateway.url) as client:
            for name in names:
                await once_listed(client, f"{name}__add")
            took_s = time.monotonic() - started_at
    assert SIDE_BY_SIDE_S < took_s < SIDE_BY_SIDE_S + SLACK_S < TOGETHER * SIDE_BY_SIDE_S


async def test_lists_of_the_last_run_are_served_while_a_server_starts(tmp_path: Path) -> None:
    """Marked as such; a call waits for the server; nobody is told of a change where there is none."""
    servers = [on_stdio(tmp_path, "box")]
    with serving(tmp_path, servers) as gateway:
        async with connected(gateway.url) as client:
            await once_listed(client, "box__add")
    stdio_server.delay(tmp_path, "box", SLOW_START_S)
    with serving(tmp_path, servers) as gateway:
        up_at = time.monotonic()
        async with connected(gateway.url, LEGACY_ERA) as legacy, connected(gateway.url) as client:
            async with legacy.stream("GET", headers=legacy.legacy_headers()) as stream:
                result = (await ask(client, "tools/list"))["result"]
                listed_s = time.monotonic() - up_at
                assert {tool["name"] for tool in result["tools"]} == {"box__add", "box__slow", "box__who"}
                assert result["_meta"][OWN + "stale"] == ["box"]
                assert "box" in result["_meta"][OWN + "partial"]
                assert result["ttlMs"] == 0

                assert await call_text(client, "box__who", {"key": "first"})
                assert time.monotonic() - up_at > listed_s + 1, "the call has waited for the server"
                result = (await ask(client, "tools/list"))["result"]
                assert not {OWN + "stale", OWN + "partial"} & set(result.get("_meta", {}))
                assert await _heard(legacy, stream) == []
    assert listed_s < SLOW_START_S - 2


async def _heard(client: Client, stream: Stream) -> list[Json]:
    """What came on a client's stream up to a message that we cause ourselves: the end of its session."""
    await client.send("DELETE", headers=client.legacy_headers())
    said = (await stream.rest()).split(b"\n")
    messages = [json.loads(line[6:]) for line in said if line.startswith(b"data: ") and line[6:].strip()]
    return [message for message in messages if message.get("method") == CHANGED]


async def test_a_remembered_server_that_stays_away_fails_its_calls_in_time(tmp_path: Path) -> None:
    servers = [on_stdio(tmp_path, "box") | {"timeouts": {"connect_s": 1.5}}]
    with serving(tmp_path, servers) as gateway:
        async with connected(gateway.url) as client:
            await once_listed(client, "box__add")
    stdio_server.tell(tmp_path, "box", stdio_server.Mode.EXITS)
    with serving(tmp_path, servers) as gateway:
        async with connected(gateway.url) as client:
            assert "box__add" in await tool_names(client)
            began_at = time.monotonic()
            error = (await call(client, "box__add", {"key": "k", "a": 1, "b": 1}))["error"]
            took_s = time.monotonic() - began_at
    assert error["data"]["dev.only1mcp"]["kind"] in ("backend_unavailable", "backend_exited")
    assert took_s < 1.5 + SLACK_S


# --- only1mcp wait ------------------------------------------------------------------------------------------


@pytest.fixture
def socket() -> Iterator[Path]:
    """In a folder of its own with a short name: a socket's path has a hundred characters at most."""
    with tempfile.TemporaryDirectory(prefix="o1-") as folder:
        yield Path(folder) / "admin.sock"


def wait_command(folder: Path, socket: Path, timeout_s: float) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [*COMMAND, "wait", "--healthy", "--timeout", f"{timeout_s:g}", "--socket", str(socket), "--json"],
        cwd=folder,
        env=quiet_env(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ended(process: "subprocess.Popen[bytes]") -> tuple[int, Any]:
    """Exit code and what was said."""
    out, err = process.communicate(timeout=60)
    assert out, err
    return process.returncode, json.loads(out)


def test_a_script_can_wait_until_all_servers_are_in_service(tmp_path: Path, socket: Path) -> None:
    """Also if it begins to wait before the gateway is there."""
    stdio_server.delay(tmp_path, "slow", SIDE_BY_SIDE_S)
    config = write_config(
        tmp_path,
        [on_stdio(tmp_path, "slow"), on_stdio(tmp_path, "quick")],
        admin={"socket": str(socket)},
    )
    began_at = time.monotonic()
    waiting = wait_command(tmp_path, socket, 30)
    gateway = GatewayProcess(tmp_path, ["--config", str(config), "--port", "0", "--headless"])
    try:
        code, said = ended(waiting)
        took_s = time.monotonic() - began_at
        assert (code, said) == (0, {"ok": True, "missing": []})
        assert took_s > SIDE_BY_SIDE_S
        assert os.stat(socket).st_mode & 0o777 == 0o600
    finally:
        gateway.close()


def test_a_script_that_waits_in_vain_is_told_for_whom(tmp_path: Path, socket: Path) -> None:
    dead = remote("dead", f"http://127.0.0.1:{free_port()}/mcp")
    servers = [on_stdio(tmp_path, "quick"), dead]
    with serving(tmp_path, servers, admin={"socket": str(socket)}):
        code, said = ended(wait_command(tmp_path, socket, 3))
    assert code == 1
    assert [missing["target"] for missing in said["missing"]] == ["dead"]
    assert "refused" in said["missing"][0]["reason"]


def test_a_script_that_waits_for_nobody_is_told_so(tmp_path: Path, socket: Path) -> None:
    code, said = ended(wait_command(tmp_path, socket, 0.5))
    assert (code, said["ok"]) == (1, False)
