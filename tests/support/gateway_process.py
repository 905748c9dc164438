"""A real `only1mcp --headless` in a process of its own, as a user would start it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from proxy_core.context import token_helper
from tests.support.processes import eventually, is_alive, mark_of, marked, quiet_env

COMMAND = (sys.executable, "-m", "only1mcp_tui")
GONE_S = 10.0


def stdio(server: str, command: Sequence[str], **settings: Any) -> dict[str, Any]:
    """A server of the configuration that is a child process."""
    transport = {"type": "stdio", "command": command[0], "args": list(command[1:])}
    env = settings.pop("env", None)
    return {"id": server, "transport": transport | ({"env": env} if env else {}), **settings}


def remote(server: str, url: str, kind: str = "http", **settings: Any) -> dict[str, Any]:
    """A server of the configuration that is reached by URL."""
    return {"id": server, "transport": {"type": kind, "url": url}, **settings}


def write_config(folder: Path, servers: Sequence[Mapping[str, Any]], **sections: Any) -> Path:
    """JSON is YAML too."""
    path = folder / "only1mcp.yaml"
    path.write_text(json.dumps({"version": 1, **sections, "servers": list(servers)}))
    return path


class GatewayProcess:
    def __init__(
        self,
        folder: Path,
        arguments: Sequence[str],
        env: Mapping[str, str] | None = None,
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.DEVNULL,
    ) -> None:
        """Start `only1mcp` with these arguments; `serving` gives one that is known to listen."""
        self._log_path = folder / "gateway.log"
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [*COMMAND, *arguments],
                cwd=folder,
                env={**quiet_env(folder), **(env or {})},
                stdin=stdin,
                stdout=stdout,
                stderr=log,
                start_new_session=True,
            )
        self._seen: dict[int, psutil.Process] = {}
        self._marks: set[str] = set()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    @property
    def log(self) -> str:
        """Everything on stderr so far."""
        return self._log_path.read_text()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON log lines."""
        whole = (line for line in self.log.splitlines(keepends=True) if line.endswith("\n"))
        return [json.loads(line) for line in whole if line.startswith("{")]

    @property
    def url(self) -> str:
        """Where it serves, as its log says; waits for it."""
        return eventually(self._told_url, f"the gateway serves; it said: {self.log}")

    def _told_url(self) -> str:
        assert self.exit_code is None, self.log
        said = (str(line["message"]) for line in self.lines)
        return next((text.removeprefix("serving ") for text in said if text.startswith("serving http")), "")

    def children(self) -> list[psutil.Process]:
        """Every descendant and all that carries its mark, detached ones too; remembered for `leftovers`.

        But for the program that counts tokens, which comes and goes by itself.
        """
        try:
            found = psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            found = []
        self._marks |= {mark for process in found if (mark := mark_of(process))}
        found = [process for process in {*found, *marked(self._marks)} if is_alive(process)]
        self._seen |= {process.pid: process for process in found}
        return [process for process in found if not _counts_tokens(process)]

    def leftovers(self) -> list[psutil.Process]:
        """Which of the processes that were seen, or carry its mark, still live."""
        return [process for process in {*self._seen.values(), *marked(self._marks)} if is_alive(process)]

    def signal(self, number: int) -> None:
        """Send a signal to the gateway alone, having looked at what belongs to it."""
        self.children()
        os.kill(self.pid, number)

    def wait(self, within_s: float = 60) -> int:
        """Its exit code."""
        return self._process.wait(within_s)

    def close(self) -> None:
        """End it as a user would, and see that nothing is left."""
        if self.exit_code is None:
            self.signal(signal.SIGTERM)
        try:
            self.wait()
            eventually(lambda: not self.leftovers(), f"all children are gone; left: {self.leftovers()}", GONE_S)
        finally:
            self._destroy()

    def _destroy(self) -> None:
        for process in self.leftovers():
            process.kill()
        if self.exit_code is None:
            self._process.kill()
            self._process.wait()


def on_fast_path() -> bool:
    """Whether the gateways of this run take the fast path: all do, or with NO_FAST_PATH=1 none."""
    return os.environ.get("NO_FAST_PATH", "") in ("", "0")


@contextmanager
def serving(
    folder: Path,
    servers: Sequence[Mapping[str, Any]] = (),
    arguments: Sequence[str] = ("--headless",),
    env: Mapping[str, str] | None = None,
    **sections: Any,
) -> Iterator[GatewayProcess]:
    """A gateway that listens on a port of its own inside the block; after it nothing of it may be left."""
    config = write_config(folder, servers, **sections)
    way = () if on_fast_path() else ("--no-fast-path",)
    gateway = GatewayProcess(folder, ["--config", str(config), "--port", "0", *arguments, *way], env)
    try:
        assert gateway.url
        yield gateway
    finally:
        gateway.close()


def _counts_tokens(process: psutil.Process) -> bool:
    try:
        return token_helper.COMMAND[-1] in process.cmdline()
    except psutil.Error:
        return False
