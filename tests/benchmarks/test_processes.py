"""What a process and its children cost, where they run, and the servers that stand beside the gateway."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager

import pytest

from tests.benchmarks import cores
from tests.benchmarks.lines import opened
from tests.benchmarks.load import modern_call
from tests.benchmarks.peers.web_servers import haproxy, nginx
from tests.benchmarks.processes import cpu_of, http_backend, listening, settled

BURN = "import time\nwhile time.process_time() < 0.3: pass"
PARENT = f"""
import subprocess, sys
for _ in range(2):
    sys.stdin.readline()
    child = subprocess.Popen([sys.executable, '-c', {BURN!r}])
    print('started', flush=True)
    child.wait()
    print('ended', flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def parent() -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def told(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go_on(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_time_of_children_counts_while_they_run_and_after(parent: "subprocess.Popen[str]"):
    go_on(parent)
    assert told(parent) == "started"
    seen = [cpu_of(parent.pid)]
    while cpu_of(parent.pid) < 0.25:
        time.sleep(0.01)
    assert told(parent) == "ended"
    seen.append(cpu_of(parent.pid))
    # What has ended is told in hundredths of a second.
    assert seen[1] >= max(0.28, seen[0] - 0.02)
    assert cpu_of(parent.pid, children=False) < 0.25


async def test_a_process_is_settled_when_its_children_are(parent: "subprocess.Popen[str]"):
    go_on(parent)
    assert told(parent) == "started"
    await settled(parent.pid)
    assert cpu_of(parent.pid) >= 0.28


@pytest.mark.skipif(not cores._CAN_PIN, reason="only Linux lets choose, where there are two cores")
def test_who_is_measured_has_a_core_and_the_load_another_for_a_while(parent: "subprocess.Popen[str]"):
    before = os.sched_getaffinity(0)
    cores.pin(parent.pid, cores.MEASURED)
    with cores.feeding():
        assert len(os.sched_getaffinity(0)) == len(os.sched_getaffinity(parent.pid)) == 1
        assert os.sched_getaffinity(0) != os.sched_getaffinity(parent.pid)
    assert os.sched_getaffinity(0) == before


def usual_proxy(backend_port: int) -> AbstractAsyncContextManager[tuple[int, int]]:
    url = f"http://127.0.0.1:{backend_port}/mcp"
    return listening(sys.executable, "-m", "tests.benchmarks.peers.usual_proxy", url)


@pytest.mark.parametrize("start", [nginx, haproxy, usual_proxy], ids=lambda start: start.__name__)
async def test_a_server_beside_the_gateway_passes_requests_on(
    start: Callable[[int], AbstractAsyncContextManager[tuple[int, int] | None]],
):
    async with http_backend("--text-bytes", "100000") as (backend_port, _), start(backend_port) as found:
        if found is None:
            pytest.skip("needs nginx and haproxy, which only Linux machines are given")
        with opened(found[0], 1, modern_call("echo")) as (line,):
            for _ in range(2):
                line.send(0.0)
                while not line.receive():
                    pass
