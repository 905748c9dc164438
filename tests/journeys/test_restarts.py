"""Restarts by the verb, many times over: no zombie, no orphan, no descriptor and no memory stays behind."""

import os
import shlex
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from proxy_core.control_client import RemoteControl, socket_path
from proxy_core.telemetry.snapshot import ServerState
from tests.support.gateway_process import GatewayProcess, serving, stdio
from tests.support.processes import demo_command, eventually, quiet_env
from tests.support.wire import call_text, comes_true, connected, once_listed

WARM_UP = 5
RSS_GROWTH_BYTES = 16 << 20
"""Of the gateway: what Python keeps of work done once."""
ONLY_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the descriptors of a process")
CLOCK = demo_command("clock")
# As npx does, with something beside it that heeds neither its stdin nor the end of its parent.
WRAPPED = ("sh", "-c", f"sleep 1000 & {shlex.join(CLOCK)}; exit $?")


@asynccontextmanager
async def steered(gateway: GatewayProcess, home: Path) -> AsyncIterator[RemoteControl]:
    """Over its own socket."""
    port = urlsplit(gateway.url).port
    assert port is not None
    async with RemoteControl(socket_path(port, quiet_env(home))) as control:
        yield control


async def restarted(control: RemoteControl) -> int:
    """Restart the only server by the verb; the process id that it then has."""
    await control.restart("clock")
    return await in_service(control)


async def in_service(control: RemoteControl) -> int:
    async def pid() -> int | None:
        (row,) = (await control.refresh()).servers
        return row.pid if row.state is ServerState.HEALTHY else None

    found: int = await comes_true(pid, "it is in service")
    return found


def descriptors(gateway: GatewayProcess) -> int:
    return len(os.listdir(f"/proc/{gateway.pid}/fd"))


def family(gateway: GatewayProcess) -> list[psutil.Process]:
    """Zombies too."""
    return psutil.Process(gateway.pid).children(recursive=True)


@ONLY_LINUX
@pytest.mark.parametrize(
    ("command", "count"),
    [
        pytest.param(CLOCK, 30, id="30"),
        # Each takes as long as a child may take to see the end of its stdin.
        pytest.param(WRAPPED, 1, id="with company"),
        pytest.param(WRAPPED, 3, id="3 with company", marks=pytest.mark.long),
        pytest.param(CLOCK, 1000, id="1000", marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
)
async def test_restarts_leave_nothing_behind(tmp_path: Path, command: Sequence[str], count: int) -> None:
    with serving(tmp_path, [stdio("clock", command)]) as gateway:
        async with steered(gateway, tmp_path) as control:
            lives = {await in_service(control)}
            # Before the first restart: the life before may take a while to end once the next one serves.
            at_rest = len(family(gateway))
            for _ in range(WARM_UP if command == CLOCK else 0):
                lives.add(await restarted(control))
            opened, rss_bytes = descriptors(gateway), psutil.Process(gateway.pid).memory_info().rss
            for _ in range(count):
                lives.add(await restarted(control))
            # Each time another process, and the last one serves.
            assert len(lives) == 1 + count + (WARM_UP if command == CLOCK else 0)
            async with connected(gateway.url) as client:
                await once_listed(client, "clock__now")
                assert await call_text(client, "clock__now", {"timezone": "UTC"})
            eventually(lambda: len(family(gateway)) == at_rest, f"{at_rest} processes are left, as at first")
            assert [one for one in family(gateway) if one.status() == psutil.STATUS_ZOMBIE] == []
            eventually(lambda: descriptors(gateway) <= opened, f"no more than {opened} descriptors are open")
            assert psutil.Process(gateway.pid).memory_info().rss - rss_bytes < RSS_GROWTH_BYTES
