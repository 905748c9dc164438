"""Faults put into the real app in a real terminal: what survives, what ends it, and the terminal afterwards.

Each fault is put in by a small program that changes one class before it starts the command: the product has no
door for it.
"""

import json
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway_process import write_config
from tests.support.http_client import modern
from tests.support.processes import ROOT, eventually, free_port, quiet_env
from tests.support.terminal import Terminal

START = """
import sys
sys.path.insert(0, {root!r})
SECRET = "s3cret-in-a-local"
{fault}
from only1mcp_tui.cli import only1mcp
only1mcp(prog_name="only1mcp")
"""
PAINT = """
from only1mcp_tui.screens.logs import LogsScreen
from only1mcp_tui.widgets.log_view import LogView
def paint(self, y):
    secret = SECRET
    raise ValueError("no paint left")
LogView.render_line = paint
"""
CORE = """
from proxy_core.proxy import Proxy
real, failures = Proxy.run, [1]
async def run(self):
    secret = SECRET
    if failures:
        failures.pop()
        raise RuntimeError("the floor fell in")
    await real(self)
Proxy.run = run
"""
# As `make` does where it is the first in its terminal: a hang-up is told to it, and it waits for its child.
KEEPS_A_HANG_UP_TO_ITSELF = """
import signal, subprocess, sys
signal.signal(signal.SIGHUP, lambda *_: None)
sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))
"""
ROOT_OF_APP = """
from only1mcp_tui.app import Only1App
def on_mount(self):
    secret = SECRET
    raise RuntimeError("the root broke")
Only1App.on_mount = on_mount
"""


FORCED_S = 20.0
"""Far less than the grace that the drain would have."""


def _post(port: int, method: str, params: dict[str, Any]) -> str:
    body, headers = modern(method, params)
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("POST", "/mcp", json.dumps(body), headers)
        return connection.getresponse().read().decode()


class Started:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.terminals: list[Terminal] = []

    def __call__(self, fault: str = "", *, grace_s: float = 1, below: str = "") -> Terminal:
        """`below`: a program that starts the app, as its child."""
        echo = [sys.executable, "-m", "proxy_core.demo.flaky"]
        servers = [{"id": "flaky", "transport": {"type": "stdio", "command": echo[0], "args": echo[1:]}}]
        config = write_config(self._folder, servers, proxy={"port": self.port, "grace_s": grace_s})
        script = self._folder / "start.py"
        script.write_text(START.format(root=str(ROOT), fault=fault))
        starter = ["-c", below] if below else []
        command = [sys.executable, *starter, str(script), "--config", str(config)]
        terminal = Terminal(command, self._folder, quiet_env(self._folder) | {"PYTHONPATH": str(ROOT)})
        self.terminals.append(terminal)
        return terminal


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    starter = Started(tmp_path)
    yield starter
    for terminal in starter.terminals:
        terminal.close()


def _is_as_before(terminal: Terminal) -> None:
    restored = terminal.is_restored()
    assert all(restored.values()), restored
    assert b"s3cret-in-a-local" not in terminal.output, "no local variable is shown"


def test_a_screen_that_fails_stops_no_call(started: Started) -> None:
    terminal = started(PAINT)
    terminal.shows("flaky", "healthy")
    terminal.press("5")
    terminal.shows("The screen Logs failed (no paint left). Calls go on.", "r tries again")
    answer = _post(started.port, "tools/call", {"name": "flaky__echo", "arguments": {"text": "still here"}})
    assert "still here" in answer
    terminal.press("1")
    terminal.shows("healthy", "The screen Logs failed")
    terminal.press("q")
    assert terminal.ends() == 0
    _is_as_before(terminal)
    assert "only1mcp stopped" in terminal.after_the_screen()


def test_a_core_that_fails_starts_again_under_a_banner(started: Started) -> None:
    terminal = started(CORE)
    terminal.shows("The gateway failed (the floor fell in)")
    terminal.shows("flaky", "healthy", without="The gateway failed")
    terminal.signal(signal.SIGTERM)
    assert terminal.ends() == 0
    _is_as_before(terminal)


def test_an_app_that_cannot_even_begin_ends_with_the_reason(started: Started) -> None:
    terminal = started(ROOT_OF_APP)
    assert terminal.ends() == 1
    _is_as_before(terminal)
    assert "the root broke" in terminal.after_the_screen()


def test_a_terminal_may_change_its_size(started: Started) -> None:
    terminal = started()
    terminal.shows("flaky", "healthy")
    for columns, lines in ((60, 20), (200, 60), (20, 5)):
        terminal.resize(columns, lines)
        terminal.shows("only1mcp")
    terminal.resize(100, 30)
    terminal.shows("flaky", "healthy", "Quit")
    terminal.signal(signal.SIGTERM)
    assert terminal.ends() == 0
    _is_as_before(terminal)


def test_quitting_waits_for_the_calls_in_flight_and_says_so(started: Started) -> None:
    """Twice ctrl+q waits no longer."""
    terminal = started(grace_s=60)
    terminal.shows("flaky", "healthy")
    with ThreadPoolExecutor() as pool:
        pool.submit(_post, started.port, "tools/call", {"name": "flaky__delay", "arguments": {"seconds": 60}})
        terminal.shows("1 in flight")
        terminal.press("\x11")
        terminal.shows("Stopping", "1 call in flight may finish.")
        begun = time.monotonic()
        terminal.press("\x11")
        assert terminal.ends() == 0
        assert time.monotonic() - begun < FORCED_S
    _is_as_before(terminal)
    after = terminal.after_the_screen()
    assert "only1mcp stopped" in after and "1 calls in flight were cut off." in after
    eventually(lambda: not terminal.leftovers(), "nobody is left", 10)


@pytest.mark.parametrize("below", ["", KEEPS_A_HANG_UP_TO_ITSELF], ids=["told", "not-told"])
def test_a_terminal_that_is_gone_ends_it_and_calls_in_flight_finish(started: Started, below: str) -> None:
    terminal = started(grace_s=30, below=below)
    terminal.shows("flaky", "healthy")
    with ThreadPoolExecutor() as pool:
        delay = {"name": "flaky__delay", "arguments": {"seconds": 6}}
        call = pool.submit(_post, started.port, "tools/call", delay)
        terminal.shows("1 in flight")
        terminal.hang_up()
        assert "Waited 6 s." in call.result()
    eventually(lambda: not terminal.leftovers(), "nobody is left", 20)


def test_a_signal_while_a_dialog_is_open_ends_it_all(started: Started) -> None:
    terminal = started()
    terminal.shows("flaky", "healthy")
    terminal.press("d")
    terminal.shows("Drain flaky?")
    terminal.signal(signal.SIGTERM)
    assert terminal.ends() == 0
    _is_as_before(terminal)
    assert "only1mcp stopped" in terminal.after_the_screen()
    eventually(lambda: not terminal.leftovers(), "nobody is left", 10)


def test_quitting_while_a_call_from_the_form_runs_ends_that_call(started: Started) -> None:
    """As any other call: the first time it may finish, the second time it is cut off."""
    terminal = started(grace_s=60)
    terminal.shows("flaky", "healthy")
    terminal.press("2]l")
    terminal.shows("flaky__delay")
    terminal.press("/")
    terminal.shows("words in name or description")
    terminal.press("after some seconds\r")
    terminal.shows("1 of 9 match")
    terminal.press("c")
    terminal.shows("Call flaky__delay", "required")
    terminal.press("600\x1b[15~")
    terminal.shows("Call flaky__delay?")
    terminal.press("y")
    terminal.shows("Running for")
    terminal.press("\x11")
    terminal.shows("Stopping")
    begun = time.monotonic()
    terminal.press("\x11")
    assert terminal.ends() == 0
    assert time.monotonic() - begun < FORCED_S
    _is_as_before(terminal)
    eventually(lambda: not terminal.leftovers(), "nobody is left", 10)
