"""What children use: the arithmetic over a scripted machine, and real trees of processes."""

import asyncio
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress

import psutil
import pytest

from proxy_core.backends.process_samples import MAX_DESCENDANTS, Child, ProcessSampler
from proxy_core.backends.process_table import Measured
from tests.support.clock import FakeClock
from tests.support.processes import eventually

OURS = os.getpid()
MIB = 1 << 20
ONLY_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the environment of a process")


class Machine:
    """Processes that a test makes up: id -> parent, and what each uses."""

    def __init__(self) -> None:
        self.parent: dict[int, int] = {}
        self.use: dict[int, Measured] = {}
        self.environments: dict[int, frozenset[bytes]] = {}
        self.is_listable = True
        self.searches = 0

    def start(self, pid: int, parent: int = OURS, *, created_at: float = 1.0, rss: int = MIB) -> None:
        self.parent[pid] = parent
        self.use[pid] = Measured(f"name-{pid}", created_at, 0.0, rss)

    def work(self, pid: int, seconds: float) -> None:
        self.use[pid] = self.use[pid]._replace(cpu_s=self.use[pid].cpu_s + seconds)

    def end(self, pid: int) -> None:
        del self.parent[pid], self.use[pid]

    def parents(self) -> Mapping[int, int]:
        if not self.is_listable:
            raise PermissionError("/proc")
        return dict(self.parent)

    def measured(self, pid: int) -> Measured | None:
        return self.use.get(pid)

    def environment(self, pid: int) -> frozenset[bytes]:
        self.searches += 1
        return self.environments.get(pid, frozenset())


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def children() -> list[Child]:
    return [child(10)]


@pytest.fixture
def sampler(machine: Machine, clock: FakeClock, children: list[Child]) -> ProcessSampler:
    return ProcessSampler(lambda: children, clock, run_id="r1", processes=machine)


def child(pid: int, server: str = "files", client: str = "") -> Child:
    return Child(server, "main", client, pid, 990.0)


async def test_a_row_holds_the_child_and_all_below_it(sampler: ProcessSampler, machine: Machine):
    machine.start(10, rss=1 * MIB)
    machine.start(11, 10, rss=2 * MIB)
    machine.start(12, 11, rss=4 * MIB)
    machine.start(99, 1, rss=64 * MIB)
    await sampler.sample()
    (row,) = sampler.rows("files")
    assert (row.pid, row.replica, row.started_at, row.rss_bytes) == (10, "main", 990.0, 7 * MIB)
    assert row.descendants == ((11, "name-11"), (12, "name-12"))
    assert row.own_rss_bytes == 1 * MIB
    assert [(each.pid, each.parent, each.rss_bytes) for each in row.family] == [
        (11, 10, 2 * MIB),
        (12, 11, 4 * MIB),
    ]
    assert sampler.rows("other") == ()


async def test_each_child_of_a_server_has_its_own_row(
    sampler: ProcessSampler, machine: Machine, children: list[Child]
):
    children[:] = [child(10), child(20, client="ada"), child(30, "notes")]
    for pid in (10, 20, 30):
        machine.start(pid)
    await sampler.sample()
    assert [(row.pid, row.client) for row in sampler.rows("files")] == [(10, ""), (20, "ada")]
    assert [row.pid for row in sampler.rows("notes")] == [30]


async def test_the_processor_is_counted_from_sample_to_sample_over_the_family(
    sampler: ProcessSampler, machine: Machine, clock: FakeClock
):
    machine.start(10)
    machine.start(11, 10)
    machine.work(10, 50)
    await sampler.sample()
    assert sampler.rows("files")[0].cpu_percent == 0.0
    clock.advance(5)
    machine.work(10, 1)
    machine.work(11, 0.5)
    await sampler.sample()
    assert sampler.rows("files")[0].cpu_percent == 30.0
    clock.advance(5)
    await sampler.sample()
    assert sampler.rows("files")[0].cpu_percent == 0.0


async def test_who_came_counts_whole_and_who_went_counts_not(
    sampler: ProcessSampler, machine: Machine, clock: FakeClock
):
    machine.start(10)
    machine.start(11, 10)
    machine.work(11, 100)
    await sampler.sample()
    machine.end(11)
    machine.start(12, 10, created_at=2.0)
    machine.work(12, 1)
    clock.advance(5)
    await sampler.sample()
    assert sampler.rows("files")[0].cpu_percent == 20.0


async def test_an_id_that_was_given_out_again_brings_none_of_its_past(
    sampler: ProcessSampler, machine: Machine, clock: FakeClock
):
    machine.start(10)
    machine.start(11, 10)
    await sampler.sample()
    machine.end(11)
    machine.start(11, 1, created_at=7.0)
    machine.work(11, 3)
    clock.advance(5)
    await sampler.sample()
    (row,) = sampler.rows("files")
    assert (row.descendants, row.cpu_percent) == ((), 0.0)


async def test_an_id_that_is_no_child_of_ours_any_more_has_no_row(sampler: ProcessSampler, machine: Machine):
    machine.start(10, parent=1)
    await sampler.sample()
    assert sampler.rows("files") == ()


async def test_what_left_its_parents_is_remembered(sampler: ProcessSampler, machine: Machine):
    machine.start(10)
    machine.start(11, 10)
    machine.start(12, 11)
    await sampler.sample()
    machine.end(11)
    machine.parent[12] = 1
    await sampler.sample()
    assert sampler.rows("files")[0].descendants == ((12, "name-12"),)


@ONLY_LINUX
async def test_what_left_before_it_was_seen_is_found_by_its_marks(
    sampler: ProcessSampler, machine: Machine, children: list[Child]
):
    children.append(child(20, "notes"))
    for pid, parent in ((10, OURS), (20, OURS), (13, 1), (14, 13), (15, 1)):
        machine.start(pid, parent)
    machine.environments[13] = frozenset({b"ONLY1MCP_RUN=r1", b"ONLY1MCP_CHILD=20"})
    machine.environments[15] = frozenset({b"ONLY1MCP_RUN=another", b"ONLY1MCP_CHILD=20"})
    await sampler.sample()
    assert sampler.rows("files")[0].descendants == ()
    assert [pid for pid, _ in sampler.rows("notes")[0].descendants] == [13, 14]


@ONLY_LINUX
async def test_marks_are_searched_for_in_every_sixth_sample_alone(sampler: ProcessSampler, machine: Machine):
    machine.start(10)
    searches = []
    for _ in range(8):
        await sampler.sample()
        searches.append(machine.searches)
    assert searches == [1, 1, 1, 1, 1, 1, 2, 2]


async def test_a_machine_that_cannot_be_listed_keeps_the_last_sample(sampler: ProcessSampler, machine: Machine):
    machine.start(10)
    await sampler.sample()
    machine.is_listable = False
    await sampler.sample()
    assert [row.pid for row in sampler.rows("files")] == [10]


async def test_without_children_nothing_is_looked_at_and_no_row_stays(
    sampler: ProcessSampler, machine: Machine, children: list[Child]
):
    machine.start(10)
    await sampler.sample()
    children.clear()
    machine.is_listable = False
    await sampler.sample()
    assert sampler.rows("files") == ()


async def test_what_a_row_names_is_bounded_and_what_it_counts_is_not(sampler: ProcessSampler, machine: Machine):
    machine.start(10)
    # None that this process itself may have.
    for pid in range(10**7, 10**7 + 2 * MAX_DESCENDANTS):
        machine.start(pid, 10)
    await sampler.sample()
    (row,) = sampler.rows("files")
    assert len(row.descendants) == MAX_DESCENDANTS
    assert row.rss_bytes == (1 + 2 * MAX_DESCENDANTS) * MIB


# --- real processes -------------------------------------------------------------------------------------------


@pytest.fixture
def tree() -> Iterator[subprocess.Popen[str]]:
    """A shell with two children, the second of which uses what processor it gets once it is told to."""
    busy = shlex.join((sys.executable, "-c", "input()\nwhile True: pass"))
    script = f"sleep 1000 & exec 3<&0; {busy} <&3 & wait"
    process = subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()
        assert process.stdin is not None
        process.stdin.close()


def names_below(pid: int) -> list[str]:
    return sorted(each.name() for each in psutil.Process(pid).children(recursive=True))


def both_run(pid: int) -> bool:
    """Whether each child has become what it shall be."""
    names = names_below(pid)
    return len(names) == 2 and "sh" not in names


async def test_a_real_tree_is_measured_as_the_system_measures_it(tree: subprocess.Popen[str]):
    eventually(lambda: both_run(tree.pid), "both children run")
    sampler = ProcessSampler(lambda: [child(tree.pid)], FakeClock())
    await sampler.sample()
    (row,) = sampler.rows("files")
    assert sorted(name for _, name in row.descendants) == names_below(tree.pid)
    family = [psutil.Process(tree.pid), *psutil.Process(tree.pid).children(recursive=True)]
    whole = sum(process.memory_info().rss for process in family)
    assert 0.5 * whole < row.rss_bytes < 2 * whole


async def test_a_real_busy_child_shows_what_it_used(tree: subprocess.Popen[str]):
    eventually(lambda: both_run(tree.pid), "both children run")
    clock = FakeClock()
    sampler = ProcessSampler(lambda: [child(tree.pid)], clock)
    await sampler.sample()
    assert tree.stdin is not None
    tree.stdin.write("\n")
    tree.stdin.flush()
    busy = next(each for each in psutil.Process(tree.pid).children() if each.name() != "sleep")
    before_s = sum(busy.cpu_times()[:2])
    eventually(lambda: sum(busy.cpu_times()[:2]) > before_s + 0.2, "it has worked for a while")
    clock.advance(1)
    await sampler.sample()
    # Of a second that the clock says has passed, it has used two tenths or more.
    assert sampler.rows("files")[0].cpu_percent >= 20


async def test_a_tree_that_ends_between_two_samples_leaves_no_row_and_no_error(tree: subprocess.Popen[str]):
    sampler = ProcessSampler(lambda: [child(tree.pid)], FakeClock())
    await sampler.sample()
    assert sampler.rows("files")
    os.killpg(tree.pid, 9)
    tree.wait()
    await sampler.sample()
    assert sampler.rows("files") == ()


@ONLY_LINUX
async def test_a_real_daemon_is_found_by_its_marks():
    """Started by a child that has ended since, in a session of its own: nothing but its environment tells."""
    env = {**os.environ, "ONLY1MCP_RUN": "test-of-marks"}
    script = 'ONLY1MCP_CHILD=$$ setsid sh -c "sleep 1000 >/dev/null 2>&1 & echo \\$!"; exec cat'
    process = subprocess.Popen(
        ["sh", "-c", script], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdin is not None
    daemon = int(process.stdout.readline())
    try:
        eventually(lambda: psutil.Process(process.pid).name() == "cat", "what stood between them is gone")
        eventually(lambda: psutil.Process(daemon).name() == "sleep", "the shell has become what it was to run")
        sampler = ProcessSampler(lambda: [child(process.pid)], FakeClock(), run_id="test-of-marks")
        await sampler.sample()
        assert sampler.rows("files")[0].descendants == ((daemon, "sleep"),)
    finally:
        os.kill(daemon, 9)
        process.communicate()


async def test_it_samples_again_and_again_until_it_is_cancelled(machine: Machine, clock: FakeClock):
    machine.start(10)
    looks = 0
    enough = asyncio.Event()

    def children() -> list[Child]:
        nonlocal looks
        looks += 1
        if looks == 3:
            enough.set()
        return [child(10)]

    sampler = ProcessSampler(children, clock, processes=machine, pause_s=0)
    task = asyncio.create_task(sampler.run())
    await enough.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
