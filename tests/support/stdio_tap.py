"""Runs a command and writes down every line to and from it; tests.support.wire_tape reads it.

python -m tests.support.stdio_tap FILE COMMAND [ARGUMENT ...]
"""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from tests.support.processes import module_command
from tests.support.wire_check import CLIENT, SERVER
from tests.support.wire_tape import Recorder


def tapped(command: Sequence[str], tape: Path) -> tuple[str, ...]:
    """Runs `command` with all that passes written to `tape`; its environment needs MODULE_ENV."""
    return module_command("tests.support.stdio_tap", str(tape), *command)


def pump(sender: str, source: IO[bytes], target: IO[bytes], recorder: Recorder) -> None:
    """Hand on what comes, line by line, until the end of either; then say so by closing."""
    try:
        for line in source:
            recorder.write(sender, line.rstrip(b"\r\n"))
            target.write(line)
            target.flush()
        target.close()
    except BrokenPipeError:
        return


def main() -> None:
    tape, *command = sys.argv[1:]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None and child.stdout is not None
    with Recorder(Path(tape)) as recorder:
        there = (CLIENT, sys.stdin.buffer, child.stdin, recorder)
        threading.Thread(target=pump, args=there, daemon=True).start()
        pump(SERVER, child.stdout, sys.stdout.buffer, recorder)
        # A thread that still waits for its stdin would not let the interpreter end in an orderly way.
        os._exit(child.wait())


if __name__ == "__main__":
    main()
