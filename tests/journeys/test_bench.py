"""`only1mcp bench` on a real gateway and on a server of the official SDK, as a person would run it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway_process import COMMAND, serving, stdio
from tests.support.processes import demo_command, quiet_env, sdk_server
from tests.support.wire import connected, once_listed

ERAS = (("auto", "2026-07-28"), ("legacy", "2025-11-25"))
TOOL = ("--tool", "add", "--arguments", '{"a": 1, "b": 2}')


def benched(folder: Path, url: str, *arguments: str) -> Any:
    done = subprocess.run(
        [*COMMAND, "bench", url, "--yes", "--json", "--duration", "1", "--connections", "8", *arguments],
        cwd=folder,
        env=quiet_env(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["failed"] == 0 and found["good"] == found["requests"] > 0
    return found


@pytest.mark.parametrize(("era", "revision"), ERAS)
async def test_a_gateway_is_loaded_in_both_eras(tmp_path: Path, era: str, revision: str):
    with serving(tmp_path, [stdio("clock", demo_command("clock"))]) as gateway:
        async with connected(gateway.url) as client:
            await once_listed(client, "clock__now")
        assert benched(tmp_path, gateway.url, "--era", era)["revision"] == revision
        paced = benched(tmp_path, gateway.url, "--era", era, "--tool", "clock__now", "--rate", "100")
        assert (paced["tool"], paced["rate"]) == ("clock__now", 100.0)
        assert 99 <= paced["requests"] <= 101


@pytest.mark.parametrize(("era", "revision"), ERAS)
def test_a_server_of_the_official_sdk_is_loaded_in_both_eras(tmp_path: Path, era: str, revision: str):
    """In the legacy era it answers with event streams."""
    with sdk_server("http", tmp_path / "server.log") as url:
        assert benched(tmp_path, url, "--era", era, *TOOL)["revision"] == revision
