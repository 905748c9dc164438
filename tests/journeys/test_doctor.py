"""A gateway and its guard are killed at one blow; the doctor finds what they left, and ends that alone."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.gateway_process import COMMAND, GatewayProcess, serving, stdio, write_config
from tests.support.processes import (
    bad_command,
    demo_command,
    eventually,
    free_port,
    is_alive,
    mark_of,
    quiet_env,
)
from tests.support.terminal import Terminal
from tests.support.wire import connected, once_listed

SERVERS = (
    # Heeds neither the end of its stdin nor SIGTERM.
    stdio("stubborn", bad_command("stubborn")),
    # Leaves a process of its own in another session.
    stdio("detach", bad_command("detach")),
)


def examined(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "doctor", *arguments],
        cwd=folder,
        env=quiet_env(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def findings(folder: Path, *arguments: str) -> dict[str, Any]:
    done = examined(folder, "--json", *arguments)
    assert done.stdout, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["ok"] == (done.returncode == 0)
    return told


def run_of(gateway: GatewayProcess) -> str:
    (run,) = {mark for child in gateway.children() if (mark := mark_of(child))}
    return run


def killed_with_its_guard(gateway: GatewayProcess) -> set[int]:
    """Process ids of what is left: one server heeds the end of its stdin, but has left another process."""
    children = gateway.children()
    guards = [child for child in children if any(word.endswith("guard_main.py") for word in child.cmdline())]
    assert len(guards) == 1
    # Stopped first, so that it does not do its work in the moment between the two.
    guards[0].send_signal(signal.SIGSTOP)
    gateway.signal(signal.SIGKILL)
    guards[0].kill()
    gateway.wait()
    left = eventually(
        lambda: alive if len(alive := [child for child in children if is_alive(child)]) == 2 else [],
        f"the guard and the server that heeds are gone: {children}",
    )
    return {child.pid for child in left}


async def _at_work(gateway: GatewayProcess) -> None:
    async with connected(gateway.url) as client:
        for name in ("stubborn__pid", "detach__pid"):
            await once_listed(client, name)
    eventually(lambda: len(gateway.children()) >= 4, f"all children run: {gateway.children()}")


@pytest.mark.skipif(sys.platform != "linux", reason="stopping the guard first is Linux's way here")
async def test_what_a_killed_gateway_left_is_found_and_ended_and_nothing_else(tmp_path: Path):
    (tmp_path / "living").mkdir()
    write_config(tmp_path, (), proxy={"port": free_port()})
    with serving(tmp_path / "living", [stdio("clock", demo_command("clock"))]) as living:
        async with connected(living.url) as client:
            await once_listed(client, "clock__now")
        theirs = {child.pid for child in living.children()}
        (tmp_path / "dead").mkdir()
        with serving(tmp_path / "dead", SERVERS) as gateway:
            await _at_work(gateway)
            assert not set(_pids(findings(tmp_path))) & {child.pid for child in gateway.children()}
            run = run_of(gateway)
            left = killed_with_its_guard(gateway)
            told = findings(tmp_path)
            assert left <= set(_pids(told)) and not told["ok"]
            assert not theirs & set(_pids(told))
            # This machine may hold those of others, and tests that run beside this one make some.
            done = examined(tmp_path, "--end", "--yes", "--run", run)
            assert "of an earlier gateway ended" in done.stdout
            assert done.returncode == 0
            assert gateway.leftovers() == []
            assert not left & set(_pids(findings(tmp_path)))
        assert {child.pid for child in living.children()} == theirs


@pytest.mark.skipif(sys.platform != "linux", reason="stopping the guard first is Linux's way here")
async def test_on_a_terminal_it_asks_and_a_no_leaves_them(tmp_path: Path):
    config = write_config(tmp_path, (), proxy={"port": free_port()})
    (tmp_path / "dead").mkdir()
    with serving(tmp_path / "dead", SERVERS) as gateway:
        await _at_work(gateway)
        run = run_of(gateway)
        left = killed_with_its_guard(gateway)
        for answer, are_there in (("n", True), ("y", False)):
            command = [*COMMAND, "doctor", "--config", str(config), "--run", run]
            terminal = Terminal(command, tmp_path, quiet_env(tmp_path))
            terminal.shows("End them?")
            terminal.press(f"{answer}\r")
            assert (terminal.ends() != 0) == are_there
            terminal.close()
            assert any(psutil.pid_exists(pid) and is_alive(psutil.Process(pid)) for pid in left) == are_there


def test_without_a_terminal_nobody_is_asked(tmp_path: Path):
    write_config(tmp_path, ())
    done = examined(tmp_path, "--end")
    assert (done.returncode, "--yes" in done.stderr) == (2, True)


def test_a_report_has_a_glyph_and_a_word_in_each_line(tmp_path: Path):
    missing = stdio("gone", ("/no/such/program",))
    write_config(tmp_path, [missing], proxy={"port": free_port()})
    done = examined(tmp_path)
    assert done.returncode == 1
    heads = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert all(re.match(r"(● ok  |▲ warn|✖ bad )  \w+ ", line) for line in heads), done.stdout
    assert any(line.startswith("✖ bad   commands      gone: ") for line in heads)


def test_a_file_that_cannot_be_read_is_told_fault_by_fault(tmp_path: Path):
    (tmp_path / "only1mcp.yaml").write_text("proxy:\n  prot: 1\n  port: x\n")
    told = findings(tmp_path)
    faults = [each for each in told["findings"] if each["subject"] == "configuration"]
    assert [each["level"] for each in faults] == ["bad", "bad"]
    assert "only1mcp.yaml:2" in faults[0]["text"]


def _pids(told: dict[str, Any]) -> list[int]:
    return [orphan["pid"] for orphan in told["orphans"]]
