"""What a child process is started with: its environment, its program, and the shell line that holds it back.

A child sees the few variables it needs and what the configuration names, never the gateway's own secrets.
Knows the file system, starts nothing.
"""

import os
import re
import shutil
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final

from proxy_core.config.models import StdioTransport
from proxy_core.errors import BackendUnavailable

INHERITED: Final = ("HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "LANG", "TMPDIR")
RUN_VARIABLE: Final = "ONLY1MCP_RUN"
"""Marks every child of one gateway process, and what they start in turn."""
CHILD_VARIABLE: Final = "ONLY1MCP_CHILD"
"""The process id of the child that something descends from, also where it has left its parents."""
PARENT_VARIABLE: Final = "ONLY1MCP_PARENT"
"""The process id of the gateway that started it; whoever has another parent now has lost it."""

_SHELL_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_HOLD: Final = f'read -r {RUN_VARIABLE} && export {CHILD_VARIABLE}=$$ {PARENT_VARIABLE}=$PPID && exec "$@"'


def child_environment(transport: StdioTransport, run_id: str, ours: Mapping[str, str]) -> dict[str, str]:
    """The child's whole environment; the configured `env` goes over what is inherited from `ours`."""
    patterns = (*INHERITED, *transport.inherit_env)
    inherited = {
        name: value
        for name, value in ours.items()
        # Exported shell functions have names that are none, and /bin/sh drops them.
        if _SHELL_NAME.match(name) and any(fnmatchcase(name, pattern) for pattern in patterns)
    }
    return inherited | transport.env | {RUN_VARIABLE: run_id}


def held_command(program: str, args: tuple[str, ...]) -> list[str]:
    """A command that becomes `program` once it reads a line (`go_ahead`), and ends if its stdin ends first.

    Between the two the guard is told of its group. The shell text is constant; what is configured only ever
    travels as its arguments.
    """
    return ["/bin/sh", "-c", _HOLD, "only1mcp", program, *args]


def go_ahead(run_id: str) -> bytes:
    """The line that a held command waits for. It carries the mark, as reading a line must set a variable."""
    return f"{run_id}\n".encode()


def find_program(backend: str, transport: StdioTransport, env: Mapping[str, str]) -> str:
    """The absolute path of the transport's command, as the child would look it up.

    Raises: BackendUnavailable, saying what is missing and where it was looked for.
    """
    if fault := _unusable(transport) or _bad_folder(transport.cwd):
        raise unavailable(backend, fault)
    command = transport.command
    if os.sep in command:
        path = os.path.join(os.path.abspath(transport.cwd or "."), command)
        candidate, where = (path if os.path.isfile(path) else None), path
    else:
        search = env.get("PATH", os.defpath)
        # Without the mode, the first executable; else any file, to tell "missing" from "not executable".
        candidate = shutil.which(command, path=search) or shutil.which(command, os.F_OK, search)
        where = f"PATH {search}"
    if candidate is None:
        looked = "" if where == command else f" (looked in {where})"
        raise unavailable(backend, f"command not found: {command}{looked}")
    if not os.access(candidate, os.X_OK):
        raise unavailable(backend, f"command not executable: {candidate}")
    return os.path.abspath(candidate)


def unavailable(backend: str, detail: str) -> BackendUnavailable:
    return BackendUnavailable(backend, "The server's program could not be started.", detail)


def _unusable(transport: StdioTransport) -> str | None:
    if bad := next((name for name in transport.env if not _SHELL_NAME.match(name)), None):
        # /bin/sh passes on no other names (POSIX XCU 2.5.3), and a silent loss is worse than a refusal.
        return f"env: the name {bad!r} cannot be used; names are letters, digits and _, no digit first"
    if any("\0" in text for text in (transport.command, *transport.args, *transport.env.values())):
        return "the command, its args and env may not hold a NUL character"
    return None


def _bad_folder(cwd: str | None) -> str | None:
    if cwd is None or os.path.isdir(cwd):
        return None
    return f"cwd is not a folder: {cwd}" if os.path.exists(cwd) else f"cwd does not exist: {cwd}"
