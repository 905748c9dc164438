"""The Servers screen over real servers: every verb by its key, and tools called from the form."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.gateway_process import COMMAND, serving, stdio, write_config
from tests.support.processes import demo_command, quiet_env
from tests.support.terminal import Terminal

ENTER, ESCAPE, F5, RAW = "\r", "\x1b", "\x1b[15~", "\x14"
CUT = "\x0b\x15"
"""The line under the cursor, whichever end of it that is at."""
SERVERS = [stdio("clock", demo_command("clock")), stdio("flaky", demo_command("flaky"))]


@contextmanager
def opened(folder: Path, *arguments: str) -> Iterator[Terminal]:
    terminal = Terminal([*COMMAND, *arguments], folder, quiet_env(folder))
    try:
        yield terminal
    finally:
        terminal.close()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """The Servers screen over two demo servers, both in service."""
    config = write_config(tmp_path, SERVERS, proxy={"port": 0}, tui={"screen": "servers"})
    with opened(tmp_path, "--config", str(config)) as terminal:
        terminal.shows("2/2 healthy", "how it came")
        yield terminal


def test_a_tool_is_found_opened_and_called_from_its_form(terminal: Terminal) -> None:
    """One that only reads is called at once; its arguments are still there the next time."""
    terminal.press("]l")
    terminal.shows("clock__now", "TOKENS")
    terminal.press("/")
    terminal.shows("words in name or description")
    terminal.press("another\r")
    terminal.shows("1 of 3 match")
    terminal.press(ENTER)
    terminal.shows("clock › Tools › convert", "ARGUMENTS", "An IANA name")
    terminal.press("c")
    terminal.shows("Call clock__convert", "required")
    terminal.press(RAW)
    terminal.shows("^t  Form")
    terminal.press(CUT)
    terminal.shows("^t  Form", without="{}")
    terminal.press(_arguments("25:00") + F5)
    terminal.shows("The tool failed")
    terminal.press(ESCAPE)
    terminal.shows("F5  Call", "25:00")
    terminal.press(CUT)
    terminal.shows("^t  Form", without="25:00")
    terminal.press(_arguments("12:00") + F5)
    terminal.shows("It answered", "STRUCTURED", "difference_hours")
    terminal.press(ESCAPE)
    terminal.shows("F5  Call")
    terminal.press(ESCAPE)
    terminal.shows("ARGUMENTS", without="F5  Call")
    terminal.press("c")
    terminal.shows("12:00", "Europe/Berlin")


def test_a_call_that_runs_is_ended_by_escape(terminal: Terminal) -> None:
    terminal.press("]l")
    terminal.shows("clock__countdown")
    terminal.press("jc")
    terminal.shows("Call clock__countdown", "whole number")
    terminal.press("600" + F5)
    terminal.shows("Running for")
    terminal.press(ESCAPE)
    terminal.shows("Cancelled")


def test_a_tool_that_may_change_something_is_asked_about_and_a_child_s_words_are_followed(
    terminal: Terminal,
) -> None:
    terminal.press("j]l")
    terminal.shows("flaky__stderr")
    terminal.press("/")
    terminal.shows("words in name or description")
    terminal.press("line to stderr\r")
    terminal.shows("1 of 9 match")
    terminal.press("c")
    terminal.shows("Call flaky__stderr", "required")
    terminal.press("are you there" + ENTER)
    terminal.shows("Call flaky__stderr?", "so it may change")
    terminal.press("y")
    terminal.shows("Written to stderr.")
    terminal.press(ESCAPE)
    terminal.shows("F5  Call")
    terminal.press(ESCAPE)
    terminal.shows("DOES", without="F5  Call")
    terminal.press("]" * 5)
    terminal.shows("are you there", without="DOES")


def test_the_row_turns_with_drain_probe_and_restart(terminal: Terminal) -> None:
    terminal.press("d")
    terminal.shows("Drain clock?")
    terminal.press("y")
    terminal.shows("◑ drained", "◐ draining")
    terminal.press("d")
    terminal.shows("2/2 healthy")
    pid = _pid(terminal)
    terminal.press("r")
    terminal.shows("pid ", "2/2 healthy", without=f"pid {pid} ")
    terminal.press("[")
    terminal.shows("Not probed yet.")
    terminal.press("p")
    terminal.shows("100 % answered", "of the last 1 probe")
    terminal.press("[")
    terminal.shows("open files", "for everybody")
    terminal.press("o")
    terminal.shows("an earlier gateway")


def _arguments(time: str) -> str:
    return json.dumps({"time": time, "from": "UTC", "to": "Europe/Berlin"})


def _pid(terminal: Terminal) -> str:
    terminal.shows("pid ")
    found = re.search(r"pid (\d+)", terminal.text)
    return found[1] if found else ""


def test_a_tool_is_called_from_afar(tmp_path: Path) -> None:
    with (
        serving(tmp_path, SERVERS),
        opened(tmp_path, "monitor", "--config", str(tmp_path / "only1mcp.yaml")) as far,
    ):
        far.press("2")
        far.shows("2/2 healthy", "how it came")
        far.press("]l")
        far.shows("clock__now")
        far.press("G")
        far.press(ENTER)
        far.shows("clock › Tools › now", "ARGUMENTS")
        far.press("c")
        far.shows("Call clock__now", "timezone")
        far.press("Europe/Berlin" + F5)
        far.shows("It answered", "weekday")
