"""Processes and ports of the tests: wait for a state, start and end what a test needs, see what is left."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil

SOON_S = 60.0
"""Long enough for a busy machine; nothing that passes waits for it."""
POLL_S = 0.02
ROOT = Path(__file__).parents[2]
RUN_MARK = "ONLY1MCP_RUN"
MODULE_ENV = {"PYTHONPATH": str(ROOT)}
"""What a `module_command` needs to be found from another folder."""
LIGHT_TOKENIZER = ("ONLY1MCP_TESTS_TOKENIZER", str(ROOT / "tests/support/light"))
"""In the environment of a test: what it starts with a `quiet_env` has no vocabulary to load."""
NO_KEYRING = ("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
T = TypeVar("T")


def eventually(look: Callable[[], T], what: str, within_s: float = SOON_S) -> T:
    """What `look` gives as soon as it is truthy."""
    deadline_at = time.monotonic() + within_s
    while not (found := look()):
        if time.monotonic() > deadline_at:
            raise AssertionError(f"after {within_s:g} s still not: {what}")
        time.sleep(POLL_S)
    return found


def is_alive(process: psutil.Process) -> bool:
    """Whether it still runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def living_children() -> list[psutil.Process]:
    """Those of this process, whatever ends while it is looked at."""
    return [child for child in psutil.Process().children() if is_alive(child)]


def mark_of(process: psutil.Process) -> str | None:
    """Which gateway the process says it belongs to."""
    try:
        return process.environ().get(RUN_MARK)
    except psutil.Error:
        return None


def marked(marks: Iterable[str]) -> list[psutil.Process]:
    """Every process of this machine that carries one of these marks."""
    wanted = set(marks)
    return [process for process in psutil.process_iter() if is_alive(process) and mark_of(process) in wanted]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def accepts_connections(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def quiet_env(home: Path) -> dict[str, str]:
    """The environment of someone who has just moved in: nothing of this machine's settings is seen."""
    kept = {
        name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", "XDG_RUNTIME_DIR") if name in os.environ
    }
    modules = os.pathsep.join((*filter(None, (os.environ.get(LIGHT_TOKENIZER[0]),)), str(ROOT)))
    own = {"HOME": str(home), "PYTHONPATH": modules, "TERM": "xterm-256color"}
    return kept | own | dict([NO_KEYRING])


@contextmanager
def running(
    command: Sequence[str], port: int, log: Path, env: Mapping[str, str] | None = None
) -> Iterator[None]:
    """A server that listens on `port` inside the block, and is gone with its children after it."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env and {**os.environ, **env}
        )
    try:
        eventually(
            lambda: accepts_connections(port) or process.poll() is not None, f"{command} listens on port {port}"
        )
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(SOON_S)


@contextmanager
def sdk_server(transport: str, log: Path) -> Iterator[str]:
    """The SDK server on `http` or `sse`; gives its URL."""
    port = free_port()
    command = (*sdk_command("--transport", transport), "--port", str(port))
    with running(command, port, log):
        yield f"http://127.0.0.1:{port}/{'mcp' if transport == 'http' else 'sse'}"


def sdk_command(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, str(ROOT / "tests/support/sdk_server.py"), *arguments)


def bad_command(fault: str) -> tuple[str, ...]:
    return (sys.executable, str(ROOT / "tests/support/bad_server.py"), fault)


def module_command(module: str, *arguments: str) -> tuple[str, ...]:
    """A module of the tests as a program; give it `MODULE_ENV`."""
    return (sys.executable, "-m", module, *arguments)


def demo_command(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"proxy_core.demo.{name}")
