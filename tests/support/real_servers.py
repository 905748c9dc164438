"""Real MCP servers, installed by name and version: each in a folder of its own, so that none changes another.

npm packages go below `.cache/servers` with npm, PyPI packages into a virtual environment each. What is there
already is not installed again.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.support.processes import ROOT

CACHE = ROOT / ".cache" / "servers"
INSTALL_S = 900.0
KEPT_ENV = ("PATH", "LANG", "TMPDIR")


class CannotInstall(Exception):
    """Its installer is not there, or says no; the message is its last words."""


@dataclass(frozen=True)
class RealServer:
    """One server as someone would configure it. `{folder}` in arguments and values is the folder it may use."""

    id: str
    registry: Literal["npm", "pypi"]
    package: str
    version: str
    licence: str
    program: str
    """The command that the package brings."""
    arguments: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    """Dummy credentials, where it does not start without; never real ones."""

    @property
    def home(self) -> Path:
        return CACHE / f"{self.id}-{self.version}"

    def command(self, folder: Path) -> tuple[str, ...]:
        """What starts it, once it is installed."""
        return (*self._start(), *(each.format(folder=folder) for each in self.arguments))

    def environment(self, folder: Path) -> dict[str, str]:
        """A new home; nothing of this machine's settings but where programs are."""
        kept = {name: os.environ[name] for name in KEPT_ENV if name in os.environ}
        given = {name: value.format(folder=folder) for name, value in self.env.items()}
        return kept | {"HOME": str(folder), "TZ": "UTC"} | given

    def _start(self) -> tuple[str, ...]:
        if self.registry == "pypi":
            return (str(self.home / "bin" / self.program),)
        package = self.home / "node_modules" / self.package
        script = json.loads((package / "package.json").read_text())["bin"]
        return ("node", str(package / (script if isinstance(script, str) else script[self.program])))


def install(server: RealServer) -> None:
    """Raises: CannotInstall."""
    done = server.home / ".installed"
    if done.exists():
        return
    shutil.rmtree(server.home, ignore_errors=True)
    server.home.mkdir(parents=True)
    if server.registry == "npm":
        options = ("--loglevel", "error", "--no-save", "--no-package-lock", "--no-audit", "--no-fund")
        _run("npm", "install", *options, "--prefix", str(server.home), f"{server.package}@{server.version}")
    else:
        _run(sys.executable, "-m", "venv", str(server.home))
        quiet = ("--quiet", "--disable-pip-version-check")
        pip = (str(server.home / "bin" / "python"), "-m", "pip", "install", *quiet)
        _run(*pip, f"{server.package}=={server.version}")
    done.touch()


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_S)
    except FileNotFoundError:
        raise CannotInstall(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise CannotInstall(f"not installed after {INSTALL_S:g} s") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines()
        raise CannotInstall(said[-1][:200] if said else f"{command[0]} failed") from None


# The servers that the MCP project keeps itself: https://github.com/modelcontextprotocol/servers.
OWN = "MIT and Apache-2.0"
EVERYTHING = RealServer(
    "everything",
    "npm",
    "@modelcontextprotocol/server-everything",
    "2026.8.31",
    f"{OWN}; the documents it serves CC-BY-4.0",
    "mcp-server-everything",
)
FILESYSTEM = RealServer(
    "filesystem",
    "npm",
    "@modelcontextprotocol/server-filesystem",
    "2026.8.31",
    OWN,
    "mcp-server-filesystem",
    ("{folder}",),
)
MEMORY = RealServer(
    "memory",
    "npm",
    "@modelcontextprotocol/server-memory",
    "2026.8.31",
    OWN,
    "mcp-server-memory",
    env={"MEMORY_FILE_PATH": "{folder}/memory.jsonl"},
)
THINKING = RealServer(
    "sequential-thinking",
    "npm",
    "@modelcontextprotocol/server-sequential-thinking",
    "2026.8.31",
    OWN,
    "mcp-server-sequential-thinking",
    env={"DISABLE_THOUGHT_LOGGING": "true"},
)
GIT = RealServer(
    "git", "pypi", "mcp-server-git", "2026.10.19", "MIT", "mcp-server-git", ("--repository", "{folder}")
)
TIME = RealServer(
    "time", "pypi", "mcp-server-time", "2026.10.19", "MIT", "mcp-server-time", ("--local-timezone", "UTC")
)
FETCH = RealServer(
    "fetch",
    "pypi",
    "mcp-server-fetch",
    "2026.10.24",
    "MIT",
    "mcp-server-fetch",
    # What tests have it fetch is on loopback.
    ("--ignore-robots-txt", "--allow-private-ips"),
)
REFERENCE = (EVERYTHING, FILESYSTEM, MEMORY, THINKING, GIT, TIME, FETCH)
