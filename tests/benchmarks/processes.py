"""What is measured, each in a process of its own: a gateway, a backend, a server to compare with."""

import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import psutil

from tests.benchmarks.load import connected, modern_list

ROOT: Final = Path(__file__).resolve().parents[2]
BACKEND: Final = [sys.executable, "-m", "tests.benchmarks.backend"]
START_S: Final = 60.0
IDLE_SHARE: Final = 0.15
"""Of one core, that a process may use which has nothing to do, but perhaps a screen to paint."""
QUIET_S: Final = 2.0
"""In so long: a gateway begins to count the tokens of new tools a second after they came."""


def cpu_of(pid: int, *, children: bool = True) -> float:
    """Seconds of processor time that a process has used; with `children`, those that it started as well."""
    process = psutil.Process(pid)
    if not children:
        return _cpu_of_one(process)
    ended = process.cpu_times()
    running = sum(map(_cpu_of_one, (process, *process.children(recursive=True))))
    # Without those that have ended, time would run backwards when one does.
    return float(running + ended.children_user + ended.children_system)


def _cpu_of_one(process: psutil.Process) -> float:
    if platform.system() == "Linux":
        # The process's own clock (man 3 clock_getcpuclockid): to the nanosecond, where /proc counts
        # hundredths of a second.
        return time.clock_gettime((~process.pid << 3) | 2)
    times = process.cpu_times()
    return float(times.user + times.system)


def kernel_s_of(pid: int) -> tuple[float, float]:
    """Seconds of processor time of one process in the kernel, and in all, to hundredths."""
    times = psutil.Process(pid).cpu_times()
    return float(times.system), float(times.user + times.system)


def rss_mb(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss) / 1e6


@asynccontextmanager
async def listening(*command: str) -> AsyncIterator[tuple[int, int]]:
    """(port, pid) of a program that prints the port that it serves, and nothing else."""
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline()), process.pid
    finally:
        process.terminate()
        await process.wait()


def http_backend(*options: str) -> AbstractAsyncContextManager[tuple[int, int]]:
    """(port, pid) of the small backend."""
    return listening(*BACKEND, *options)


@asynccontextmanager
async def gateway(
    servers: list[dict[str, Any]],
    config: Path | None = None,
    arguments: Sequence[str] = (),
    token: str = "",
    program: Sequence[str] = ("-m", "only1mcp_tui"),
    **sections: Any,
) -> AsyncIterator[tuple[int, int, float]]:
    """(port, pid, seconds from start to the first answered request) of a headless gateway.

    `arguments`: of its command, beside those that every one here has. `token`: what lets its clients in.
    `program`: for Python, that runs that command.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = config or Path(folder) / "only1mcp.json"
        settings = {"version": 1, "proxy": {"port": 0, "grace_s": 1}, "servers": servers}
        config.write_text(json.dumps(settings | sections))
        begun = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            sys.executable, *program, "--headless", "--config", str(config), *arguments,
            cwd=ROOT, stderr=asyncio.subprocess.PIPE,
            # What another gateway remembers of a server that had this port would be of another server.
            env={**os.environ, "XDG_STATE_HOME": folder},
        )  # fmt: skip
        assert process.stderr is not None
        while b"serving http" not in (line := await asyncio.wait_for(process.stderr.readline(), START_S)):
            if not line:
                raise RuntimeError("the gateway ended before it served")
        port = int(line.split(b"127.0.0.1:")[1].split(b"/")[0])
        await ask(port, "server/discover", token)
        started_s = time.perf_counter() - begun
        logging = asyncio.create_task(_swallow(process.stderr))
        try:
            yield port, process.pid, started_s
        finally:
            process.terminate()
            await process.wait()
            await logging


async def _swallow(stream: asyncio.StreamReader) -> None:
    while await stream.readline():
        pass


async def ask(port: int, method: str, token: str = "") -> dict[str, Any]:
    """The result of one modern request without parameters."""
    headers, body = modern_list(method)(1)
    if token:
        headers += f"Authorization: Bearer {token}\r\n".encode()
    async with connected(port, 1, modern_list(method)) as (connection,):
        _, body = await connection.post(headers, body)
    answer = json.loads(body)
    assert "result" in answer, answer
    result: dict[str, Any] = answer["result"]
    return result


async def settled(pid: int) -> None:
    """Wait until a process and its children have nothing left to do; what counts tokens is one of them."""
    before, looks = cpu_of(pid), round(START_S / QUIET_S)
    for _ in range(looks):
        # The whole of it counts: on a slow machine one picture alone may keep a core for a moment.
        begun = time.perf_counter()
        await asyncio.sleep(QUIET_S)
        used = cpu_of(pid)
        if used - before < IDLE_SHARE * (time.perf_counter() - begun):
            return
        before = used
    raise RuntimeError(f"process {pid} was not idle within {START_S} s")


async def tools_ready(port: int, count: int, token: str = "") -> None:
    until = time.perf_counter() + START_S
    while time.perf_counter() < until:
        if len((await ask(port, "tools/list", token))["tools"]) >= count:
            return
        await asyncio.sleep(0.1)
    raise RuntimeError(f"{count} tools were not listed within {START_S} s")
