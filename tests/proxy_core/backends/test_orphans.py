"""What is left of a gateway that is gone is found and ended; what belongs to another, or to nobody, is not."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from proxy_core.backends.guard import Guard
from proxy_core.backends.orphans import Orphan, end_orphans, find_orphans
from tests.support.processes import eventually

NOBODY = 2**22 + 1
"""No process has this id: it is beyond the largest that Linux gives out."""
SLEEP = ("sleep", "1000")
STUBBORN = ("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1000; done")

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts processes that carry what children carry; after the test they are ended."""
    started: list[subprocess.Popen[str]] = []

    def begin(
        command: tuple[str, ...] = SLEEP, run: str | None = None, parent: int = NOBODY
    ) -> subprocess.Popen[str]:
        env = {"PATH": os.environ["PATH"]}
        if run is not None:
            env |= {"ONLY1MCP_RUN": run, "ONLY1MCP_PARENT": str(parent)}
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True)
        started.append(process)
        return process

    yield begin
    for process in started:
        try:
            os.killpg(process.pid, 9)
        except ProcessLookupError:
            pass
        process.communicate()


@pytest.fixture
def run() -> str:
    return secrets.token_hex(8)


def orphans_of(*runs: str) -> list[Orphan]:
    """This machine may hold others."""
    return [orphan for orphan in find_orphans() if orphan.run_id in runs]


def test_a_process_whose_gateway_is_gone_is_found(start: Start, run: str):
    process = start(run=run)
    (orphan,) = eventually(lambda: orphans_of(run), "it is found")
    assert (orphan.pid, orphan.name, orphan.run_id) == (process.pid, "sleep", run)
    assert orphan.rss_bytes > 0
    assert abs(time.time() - orphan.created_at) < 60


def test_a_process_that_still_has_its_gateway_speaks_for_its_whole_run(start: Start, run: str):
    """Also where the guard is being replaced: one child shows that the gateway lives."""
    start(run=run, parent=os.getpid())
    start(run=run)
    other = secrets.token_hex(8)
    start(run=other)
    eventually(lambda: orphans_of(other), "the one that was started last is found")
    assert orphans_of(run) == []


async def test_a_run_whose_guard_lives_is_not_over(start: Start):
    """It may be ending them this very moment."""
    guard = Guard()
    await guard.start()
    start(run=guard.run_id)
    other = secrets.token_hex(8)
    start(run=other)
    eventually(lambda: orphans_of(other), "the one that was started last is found")
    assert orphans_of(guard.run_id) == []
    await guard.aclose()


@pytest.mark.parametrize("mark", ["", "x", "../../../../../", "0" * 17, "ABCDEF0123456789"])
def test_what_is_no_mark_of_ours_is_nobodys(start: Start, run: str, mark: str):
    stranger = start(run=mark)
    start(run=run)
    eventually(lambda: orphans_of(run), "the one that was started last is found")
    assert stranger.pid not in {orphan.pid for orphan in find_orphans()}


def test_who_asks_is_never_found(run: str):
    """The command may itself have been started by a server whose gateway is gone."""
    script = (
        "import os; from proxy_core.backends.orphans import find_orphans\n"
        "print(os.getpid(), [orphan.pid for orphan in find_orphans()])"
    )
    env = {**os.environ, "ONLY1MCP_RUN": run, "ONLY1MCP_PARENT": str(NOBODY)}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    pid, _, found = done.stdout.partition(" ")
    assert pid not in found


def test_the_end_comes_to_the_heedless_too_and_to_nobody_else(start: Start, run: str):
    mild, stubborn = start(run=run), start(STUBBORN, run=run)
    assert stubborn.stdout is not None and stubborn.stdout.readline() == "ready\n"
    other = start(run=secrets.token_hex(8))
    bystander = start()
    # The shell's sleep carries the mark as well.
    found = eventually(lambda: orphans if len(orphans := orphans_of(run)) == 3 else [], "all are found")
    assert end_orphans(found) == ()
    assert (mild.wait(), stubborn.wait()) == (-15, -9)
    assert orphans_of(run) == []
    assert other.poll() is None and bystander.poll() is None


def test_what_a_process_starts_when_it_is_told_to_end_is_ended_too(start: Start, run: str):
    code = "trap 'sleep 1000 >/dev/null & exit' TERM; echo ready; while :; do sleep 0.1; done"
    phoenix = start(("sh", "-c", code), run=run)
    assert phoenix.stdout is not None and phoenix.stdout.readline() == "ready\n"
    assert end_orphans(orphans_of(run)) == ()
    assert orphans_of(run) == []


def test_an_id_that_belongs_to_another_by_now_is_let_be(start: Start, run: str):
    """Same id, other process: it was created at another time, or does not carry the mark."""
    process, bystander = start(run=run), start()
    (orphan,) = eventually(lambda: orphans_of(run), "it is found")
    created_at = psutil.Process(bystander.pid).create_time()
    earlier = Orphan(process.pid, "sleep", orphan.created_at - 1, 0, secrets.token_hex(8))
    unmarked = Orphan(bystander.pid, "sleep", created_at, 0, secrets.token_hex(8))
    assert end_orphans([earlier, unmarked]) == ()
    assert process.poll() is None and bystander.poll() is None
