"""A program in a terminal of its own, whose every output is kept with the moment it came."""

import asyncio
import fcntl
import os
import pty
import struct
import termios
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from tests.benchmarks.processes import ROOT

COLUMNS, LINES = 120, 42
_STOP_S: Final = 20.0


@dataclass
class PtyProgram:
    process: asyncio.subprocess.Process
    descriptor: int
    output: list[tuple[float, bytes]] = field(default_factory=list)

    def press(self, key: bytes) -> float:
        """When it was pressed."""
        pressed_at = time.perf_counter()
        os.write(self.descriptor, key)
        return pressed_at


@asynccontextmanager
async def in_pty(*command: str) -> AsyncIterator[PtyProgram]:
    """It is asked to end after the block, as by a signal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    )
    os.close(theirs)
    program = PtyProgram(process, ours)
    loop = asyncio.get_running_loop()

    def take() -> None:
        try:
            program.output.append((time.perf_counter(), os.read(ours, 65_536)))
        except OSError:
            loop.remove_reader(ours)

    loop.add_reader(ours, take)
    try:
        yield program
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_S)
        except TimeoutError:
            process.kill()
        loop.remove_reader(ours)
        os.close(ours)
