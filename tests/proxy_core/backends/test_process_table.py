"""What the system tells of its processes, and that whoever is gone is merely absent."""

import os
import socket
import subprocess

import psutil

from proxy_core.backends.process_table import (
    NAME_LIMIT,
    SystemProcesses,
    listener_on,
    variable,
)
from tests.support.processes import eventually

OURS = os.getpid()
processes = SystemProcesses()


def test_every_process_has_its_parent():
    """As psutil sees them, but for those that come, go or lose their parent meanwhile."""
    parents = processes.parents()
    assert parents[OURS] == os.getppid()
    others = {each.pid: each.info["ppid"] for each in psutil.process_iter(["ppid"])}
    stayed = dict(parents.items() & processes.parents().items())
    assert {pid for pid in stayed.keys() & others.keys() if stayed[pid] != others[pid]} == set()
    assert len(stayed.keys() & others.keys()) > len(others) / 2


def test_one_process_is_measured():
    measured, whole = processes.measured(OURS), psutil.Process()
    assert measured is not None
    assert measured.created_at == whole.create_time()
    assert len(measured.name) <= NAME_LIMIT
    assert 0 < measured.cpu_s <= sum(whole.cpu_times()[:2])
    assert measured.rss_bytes > 1 << 20


def test_an_environment_is_that_of_the_start():
    process = subprocess.Popen(["sleep", "1000"], env={"PATH": os.environ["PATH"], "ONE": "a=b"})
    try:
        # Not there yet in the moment in which the program is put in place.
        environment = eventually(lambda: processes.environment(process.pid) - {b""}, "it is told")
        assert (variable(environment, "ONE"), variable(environment, "TWO")) == ("a=b", "")
        assert processes.arguments(process.pid)[-1] == "1000"
        assert processes.is_ours(process.pid)
    finally:
        process.kill()
        process.wait()


def test_who_is_gone_is_absent():
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert processes.measured(ended.pid) is None
    assert processes.environment(ended.pid) == frozenset()
    assert processes.arguments(ended.pid) == ()
    assert not processes.is_ours(ended.pid)


def test_a_zombie_uses_nothing_any_more():
    ended = subprocess.Popen(["true"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert processes.measured(ended.pid) is None
    ended.wait()


def test_who_listens_is_named_with_its_id():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        found = listener_on(listening.getsockname()[1])
    assert found is not None and found.endswith(f"(pid {OURS})")
    assert listener_on(1) is None
