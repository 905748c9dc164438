"""Real processes: whatever becomes of the gateway, and of the guard itself, no child outlives them."""

import asyncio
import json
import logging
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from proxy_core.backends import guard_main
from proxy_core.backends.child_env import RUN_VARIABLE
from proxy_core.backends.guard import Guard

ROOT = Path(__file__).parents[3]
ONLY_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the environment of a process")

# Every server ends its first line with the processes that it consists of.
SERVERS = {
    "alone": "echo [$$]; exec sleep 1000",
    "npx": "trap '' TERM HUP; sleep 1000 & echo [$$, $!]; wait",
    "leader-gone": "sh -c 'sleep 1000 & echo [$!]; exec cat >/dev/null'",
}
DETACHING = {
    "detached": "setsid sh -c 'echo [$$]; exec sleep 1000' & exec sleep 1000",
    "daemon": "setsid sh -c 'sleep 1000 >/dev/null 2>&1 </dev/null & echo [$!]' & exec sleep 1000",
}

GATEWAY = """
import asyncio, json, sys
import uvloop
from proxy_core.backends.guard import Guard
from proxy_core.backends.stdio_channel import StdioChannel
from proxy_core.config.models import StdioTransport

class Printer:
    def message(self, data, origin):
        print(data.decode(), flush=True)

async def main():
    guard = Guard()
    await guard.start()
    print([guard.pid], flush=True)
    for name, code in json.loads(sys.argv[2]).items():
        transport = StdioTransport(command="sh", args=("-c", code))
        await StdioChannel(name, transport, Printer(), guard, print).open()
    await asyncio.Event().wait()

{"asyncio": asyncio.run, "uvloop": uvloop.run}[sys.argv[1]](main())
"""


async def until(condition: Callable[[], Any], within_s: float = 60) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A group of its own without our mark, so that only its number can lead to it."""
    process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    yield process
    with suppress(ProcessLookupError):
        process.kill()
    process.wait()


def started_gateway(
    loop: str, servers: dict[str, str], lines_read: int | None = None
) -> tuple[subprocess.Popen[bytes], list[int]]:
    """A gateway process; its guard and all processes of its servers, as far as read."""
    gateway = subprocess.Popen(
        [sys.executable, "-c", GATEWAY, loop, json.dumps(servers)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert gateway.stdout is not None
    lines = [gateway.stdout.readline() for _ in range(len(servers) + 1 if lines_read is None else lines_read)]
    gateway.stdout.close()
    return gateway, [pid for line in lines for pid in json.loads(line)]


def command_lines() -> Iterator[list[str]]:
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            yield process.cmdline()


@pytest.mark.requirement("B09")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize(
    "servers", [SERVERS, pytest.param(DETACHING, marks=ONLY_LINUX)], ids=["in-group", "detached"]
)
async def test_sigkill_of_the_gateway_leaves_no_process(loop: str, servers: dict[str, str]) -> None:
    gateway, pids = started_gateway(loop, servers)
    assert len(pids) > len(servers)
    assert all(map(is_running, pids))
    gateway.kill()
    gateway.wait()
    await until(lambda: not any(map(is_running, pids)))


@pytest.mark.parametrize("lines_read", range(4))
async def test_sigkill_while_servers_start_leaves_no_process(lines_read: int) -> None:
    """Wherever it strikes: in a fork, in a shell that is held back, in a server just let go."""
    length_s = f"1000.{secrets.randbits(48)}"
    code = f"trap '' TERM HUP; sleep {length_s} & echo [$!]; sleep {length_s}"
    gateway, _ = started_gateway("asyncio", dict.fromkeys("abcdefgh", code), lines_read)
    gateway.kill()
    gateway.wait()
    await until(lambda: not any(length_s in " ".join(words) for words in command_lines()))


async def test_closing_ends_the_groups_still_known_and_no_other(sleeper: subprocess.Popen[bytes]) -> None:
    known = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    guard = Guard()
    await guard.start()
    guard.watch(sleeper.pid)
    guard.watch(known.pid)
    guard.forget(sleeper.pid)
    await guard.aclose()
    await guard.aclose()
    assert known.wait(timeout=60) == -signal.SIGKILL
    assert sleeper.poll() is None
    assert guard.pid is None


@ONLY_LINUX
async def test_closing_ends_a_detached_process_by_its_mark() -> None:
    guard = Guard()
    await guard.start()
    detached, other = (
        subprocess.Popen(["sleep", "1000"], env={RUN_VARIABLE: run_id}, start_new_session=True)
        for run_id in (guard.run_id, guard.run_id + "0")
    )
    await guard.aclose()
    assert detached.wait(timeout=60) == -signal.SIGKILL
    assert other.poll() is None
    other.kill()
    other.wait()


async def test_a_guard_that_is_killed_is_replaced_and_told_again(
    sleeper: subprocess.Popen[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    guard = Guard()
    await guard.start()
    guard.watch(sleeper.pid)
    first = guard.pid
    assert first is not None
    with caplog.at_level(logging.WARNING):
        os.kill(first, signal.SIGKILL)
        guard.watch(10_000_001)  # told to nobody: must not raise
        await until(lambda: guard.pid not in (None, first))
    assert "the guard process ended" in caplog.text
    assert sleeper.poll() is None
    await guard.aclose()
    assert sleeper.wait(timeout=60) == -signal.SIGKILL


async def test_a_guard_that_no_longer_reads_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard()
    await guard.start()
    first = guard.pid
    assert first is not None
    os.kill(first, signal.SIGSTOP)
    with caplog.at_level(logging.WARNING):
        for number in range(10_000_000, 10_010_000):  # no process can have such a number
            guard.watch(number)
            guard.forget(number)
        await until(lambda: guard.pid not in (None, first))
    assert "no longer reads" in caplog.text
    await guard.aclose()


async def test_a_guard_that_cannot_start_is_tried_again_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program = tmp_path / "guard"
    guard = Guard((str(program),))
    await guard.start()
    guard.watch(10_000_000)
    assert "cannot start" in caplog.text
    program.write_text("#!/bin/sh\nexec cat >/dev/null\n")
    program.chmod(0o755)
    await until(lambda: guard.pid is not None)
    await guard.aclose()


@ONLY_LINUX
async def test_the_guard_heeds_no_signal_that_stops_the_gateway(sleeper: subprocess.Popen[bytes]) -> None:
    def ignored(pid: int | None) -> int:
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return int(status["SigIgn"], 16)

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    guard = Guard()
    await guard.start()
    await until(lambda: all(ignored(guard.pid) & 1 << number - 1 for number in signals))
    assert guard.pid is not None
    assert os.getsid(guard.pid) == guard.pid
    guard.watch(sleeper.pid)
    for number in signals:
        os.kill(guard.pid, number)
    await guard.aclose()
    assert sleeper.wait(timeout=60) == -signal.SIGKILL


def test_a_line_cut_in_two_reads_as_one() -> None:
    read_end, write_end = os.pipe()
    for part in (b"+1", b"2\n+34\n-", b"12\n+5\n+6"):
        os.write(write_end, part)
    os.close(write_end)
    assert guard_main.known_groups(read_end) == {34, 5}
    os.close(read_end)


async def test_where_there_is_no_mark_descendants_end_even_outside_the_group() -> None:
    """What macOS gets: as long as its parent lives, a detached process is found."""
    code = "setsid sh -c 'sleep 1000 & echo $! $$; wait' & sleep 1000 & echo $! $$; wait"
    leader = subprocess.Popen(["sh", "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    assert leader.stdout is not None
    pids = [int(pid) for _ in range(2) for pid in leader.stdout.readline().split()]
    leader.stdout.close()
    assert len(pids) == 4
    guard_main.end_descendants({leader.pid})
    leader.wait(timeout=60)
    await until(lambda: not any(map(is_running, pids)))


def test_a_family_is_the_groups_and_all_below_them() -> None:
    table = [(1, 0, 1), (10, 1, 10), (11, 10, 10), (20, 11, 20), (21, 20, 20), (30, 1, 30), (31, 30, 30)]
    assert guard_main.descendants(table, {10}) == {10, 11, 20, 21}
