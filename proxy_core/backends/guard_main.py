"""The guard's own program: outlive the gateway just long enough to end its children, however it died.

Run as a script with `-I -S`, so it imports little and nothing of ours: `guard_main.py NAME=VALUE`, the entry
that every child of this gateway carries in its environment. Stdin is the gateway's pipe: `+<pgid>` and
`-<pgid>` lines say which process groups live; its end means that the gateway is gone or has stopped.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator

SWEEP_LIMIT_S = 30.0
"""A process in an uninterruptible wait cannot be ended; nobody is left to be told, so give up."""
SWEEP_PAUSE_S = 0.005


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # The one who stops the gateway may stop the guard with it; its work begins only then.
        signal.signal(number, signal.SIG_IGN)
    groups = known_groups(sys.stdin.fileno())
    if sys.platform == "linux":
        end_groups(groups)
        end_marked(os.fsencode(sys.argv[1]))
    else:
        end_descendants(groups)
        end_groups(groups)


def known_groups(pipe: int) -> set[int]:
    """The groups that live when the pipe ends."""
    groups: set[int] = set()
    rest = b""
    while chunk := os.read(pipe, 4096):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            (groups.add if line.startswith(b"+") else groups.discard)(int(line[1:]))
    return groups


def end_groups(groups: Iterable[int]) -> None:
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            # Ended by itself; or, on macOS, only zombies are left in it.
            continue


def end_marked(mark: bytes) -> None:
    """End every process with `mark` in its environment: a detached one has left the group, not the mark.

    A process may fork while we look, hence until two looks in a row find none.
    """
    deadline = time.monotonic() + SWEEP_LIMIT_S
    empty_looks = 0
    while empty_looks < 2 and time.monotonic() < deadline:
        found = list(marked(mark))
        send(signal.SIGKILL, found)
        empty_looks = 0 if found else empty_looks + 1
        time.sleep(SWEEP_PAUSE_S)


def marked(mark: bytes) -> Iterator[int]:
    """Processes with `mark` in the environment they were started with. A zombie's reads as empty."""
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid() and mark in environment_of(name):
            yield int(name)


def environment_of(pid: str) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        # It has just ended, or it belongs to somebody else.
        return []


def end_descendants(groups: set[int]) -> None:
    """End the members of `groups` and all that descends from them, as far as the parents still live.

    All are stopped first: a stopped process cannot fork, nor leave its children to another parent.
    """
    stopped: set[int] = set()
    while found := descendants(process_table(), groups) - stopped:
        send(signal.SIGSTOP, found)
        stopped |= found
    send(signal.SIGKILL, stopped)


def descendants(table: list[tuple[int, int, int]], groups: set[int]) -> set[int]:
    """The processes of `groups` and everything below them. `table`: rows of pid, parent, group."""
    family = {pid for pid, _, group in table if group in groups}
    grows = True
    while grows:
        size = len(family)
        family |= {pid for pid, parent, _ in table if parent in family}
        grows = len(family) > size
    return family


def process_table() -> list[tuple[int, int, int]]:
    # Imported only where it is needed, and when all is over: it would double the guard's own memory.
    import subprocess

    command = ["/bin/ps", "-axo", "pid=,ppid=,pgid="]
    output = subprocess.run(command, capture_output=True, check=False).stdout
    rows = (line.split() for line in output.splitlines())
    return [(int(pid), int(parent), int(group)) for pid, parent, group in rows]


def send(number: int, pids: Iterable[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


if __name__ == "__main__":
    main()
