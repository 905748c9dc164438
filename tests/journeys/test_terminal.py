"""The screen in a real terminal: seen, worked with, left; the terminal afterwards is as it was before."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway_process import COMMAND, stdio, write_config
from tests.support.processes import bad_command, eventually, quiet_env
from tests.support.terminal import Terminal

GONE_S = 10.0


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A newcomer's terminal on which the demo was just started."""
    terminal = Terminal([*COMMAND, "--demo", "--port", "0"], tmp_path, quiet_env(tmp_path))
    try:
        yield terminal
    finally:
        terminal.close()


def _is_as_before(terminal: Terminal) -> None:
    restored = terminal.is_restored()
    assert all(restored.values()), restored
    eventually(lambda: not terminal.leftovers(), f"nobody is left: {terminal.leftovers()}", GONE_S)


def test_start_drain_a_server_and_quit(terminal: Terminal) -> None:
    """Three healthy demo servers; one is drained by hand and says so; q gives the terminal back."""
    terminal.shows("only1mcp", "http://127.0.0.1:")
    terminal.press("2")
    terminal.shows("clock", "notes", "flaky", "healthy")
    terminal.press("d")
    terminal.shows("Drain clock?")
    terminal.press("y")
    terminal.shows("drained")
    assert len(terminal.family()) >= 3
    terminal.press("1")
    terminal.shows("LATENCY", "drained")
    terminal.press("q")
    assert terminal.ends() == 0
    _is_as_before(terminal)
    assert "only1mcp" in terminal.after_the_screen(), "one line of outcome stays on the normal screen"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_restores_the_terminal_too(terminal: Terminal, number: signal.Signals) -> None:
    terminal.press("2")
    terminal.shows("clock", "notes", "flaky", "healthy")
    assert terminal.is_alternate
    terminal.signal(number)
    assert terminal.ends() == 0
    _is_as_before(terminal)


def test_a_killed_app_leaves_no_child(terminal: Terminal) -> None:
    """Nothing can give the terminal back then; the guard still ends the servers."""
    terminal.press("2")
    terminal.shows("clock", "notes", "flaky", "healthy")
    assert len(terminal.family()) >= 3
    terminal.signal(signal.SIGKILL)
    assert terminal.ends() is None
    eventually(lambda: not terminal.leftovers(), f"nobody is left: {terminal.leftovers()}", GONE_S)


def test_nothing_that_a_server_says_steers_the_terminal(tmp_path: Path) -> None:
    """Escape sequences in what it logs and describes are shown as harmless text, markup as it is written."""
    config = write_config(tmp_path, [stdio("hostile", bad_command("hostile"))], proxy={"port": 0})
    terminal = Terminal([*COMMAND, "--config", str(config)], tmp_path, quiet_env(tmp_path))
    try:
        terminal.shows("hostile", "healthy")
        terminal.press("5")
        terminal.shows("on stderr [bold red]markup[/]", "skipped something that is not MCP")
        terminal.press("2")
        terminal.shows("address")
        terminal.signal(signal.SIGTERM)
        assert terminal.ends() == 0
        _is_as_before(terminal)
        assert b"pwned\x07" not in terminal.output and b"\x1b[31m\x1b[2J" not in terminal.output
        assert "\x9b5m".encode() not in terminal.output
    finally:
        terminal.close()


def test_a_port_in_use_leaves_the_terminal_and_says_so(tmp_path: Path) -> None:
    """Exit code 3; the reason stands on the normal screen, where it can be read."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        terminal = Terminal([*COMMAND, "--demo", "--port", port], tmp_path, quiet_env(tmp_path))
        try:
            assert terminal.ends() == 3
            _is_as_before(terminal)
            assert f"Port {port} on 127.0.0.1 is in use" in terminal.after_the_screen()
        finally:
            terminal.close()
