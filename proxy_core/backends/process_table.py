"""The processes of this machine as the system tells of them: whose child one is, what it uses and carries.

Reads and signals nothing. Any process may end while it is looked at, or be somebody else's: that is an absent
answer here, never an error. Call from a thread: a pass over all of them takes milliseconds.

psutil is imported where it is asked: a gateway without children never asks, and does without its 0.7 MB.
"""

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    import psutil

NAME_LIMIT: Final = 64
IS_LINUX: Final = sys.platform == "linux"


class Measured(NamedTuple):
    """One process now."""

    name: str
    """As it calls itself, at most `NAME_LIMIT` characters."""
    created_at: float
    """Epoch seconds; with the process id it names one process for good, as ids are given out again."""
    cpu_s: float
    """That it has used since then."""
    rss_bytes: int
    threads: int = 0
    """0 where the system does not tell."""
    files: int | None = None
    """Descriptors that it has open; None where the system does not tell."""


class Processes(Protocol):
    def parents(self) -> Mapping[int, int]:
        """Every process id of this machine, and that of its parent."""
        ...

    def measured(self, pid: int) -> Measured | None:
        """None if it has ended, or may not be looked at."""
        ...

    def environment(self, pid: int) -> frozenset[bytes]:
        """What it was started with, as `NAME=value`; nothing where that is not told."""
        ...


class SystemProcesses:
    """Those of the system that we run on."""

    def parents(self) -> Mapping[int, int]:
        if not IS_LINUX:
            import psutil

            return {each.pid: each.info["ppid"] or 0 for each in psutil.process_iter(["ppid"])}
        # psutil makes an object of each and reads five files for it; this is one file.
        found = {}
        for name in os.listdir("/proc"):
            if name.isdigit() and (parent := _parent_of(name)) is not None:
                found[int(name)] = parent
        return found

    def measured(self, pid: int) -> Measured | None:
        import psutil

        try:
            process = psutil.Process(pid)
            with process.oneshot():
                if process.status() == psutil.STATUS_ZOMBIE:
                    return None
                cpu = process.cpu_times()
                return Measured(
                    process.name()[:NAME_LIMIT],
                    process.create_time(),
                    cpu.user + cpu.system,
                    process.memory_info().rss,
                    process.num_threads(),
                    _open_files(process),
                )
        except (psutil.Error, OSError):
            return None

    def environment(self, pid: int) -> frozenset[bytes]:
        if IS_LINUX:
            try:
                with open(f"/proc/{pid}/environ", "rb") as file:
                    return frozenset(file.read().split(b"\0"))
            except OSError:
                return frozenset()
        import psutil

        try:
            pairs = psutil.Process(pid).environ().items()
            return frozenset(os.fsencode(f"{name}={value}") for name, value in pairs)
        except (psutil.Error, OSError):
            return frozenset()

    def arguments(self, pid: int) -> tuple[str, ...]:
        """Its command line; nothing where that is not told."""
        import psutil

        try:
            return tuple(psutil.Process(pid).cmdline())
        except (psutil.Error, OSError):
            return ()

    def is_ours(self, pid: int) -> bool:
        """Whether it runs as the person that we run as."""
        import psutil

        try:
            return psutil.Process(pid).uids().real == os.getuid()
        except psutil.Error:
            return False


def _open_files(process: "psutil.Process") -> int | None:
    import psutil

    try:
        return process.num_fds()
    except (psutil.Error, OSError):
        # One may be measured and yet not be looked into.
        return None


def variable(environment: frozenset[bytes], name: str) -> str:
    """The value of a variable; empty if it is not there."""
    start = f"{name}=".encode()
    entry = next((entry for entry in environment if entry.startswith(start)), start)
    return entry.removeprefix(start).decode(errors="replace")


def listener_on(port: int) -> str | None:
    """Which process listens on this TCP port, where the system lets us see it."""
    import psutil

    try:
        listening = (c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN)
        pid = next((c.pid for c in listening if c.laddr and c.laddr.port == port), None)
        return None if pid is None else f"{psutil.Process(pid).name()[:NAME_LIMIT]!r} (pid {pid})"
    except (psutil.Error, OSError):
        return None


def _parent_of(pid: str) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            line = file.read()
    except OSError:
        return None
    # The name stands in brackets and may hold any character; state and parent follow its last one.
    _, _, rest = line.rpartition(b")")
    fields = rest.split(maxsplit=2)
    return int(fields[1]) if len(fields) > 1 else None
