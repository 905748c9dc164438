"""An instance on stdio that can be told to misbehave, also before it has started.

    python -m tests.support.faults.stdio_server FOLDER SERVER INSTANCE

What it is told stands in the file `<instance>.mode` and is looked at whenever a line arrives, so that the
process that follows it is broken too until the file says `pass` again. `<instance>.delay` says how many seconds
it takes to start.
"""

import argparse
import asyncio
import os
import random
import sys
import time
from enum import StrEnum
from pathlib import Path

from proxy_core.demo.server import Server
from tests.support.faults.journal import GOT, Journal
from tests.support.faults.keys import keys_in
from tests.support.faults.steady import Steady
from tests.support.processes import module_command

SLOW_BYTE_S = 0.2
GARBAGE = (b"Welcome to the server!", b'{"jsonrpc": "2.0", "id": 1, "result"', b"\x00\xff\xfe\x9b31m", b"[[[")


class Mode(StrEnum):
    PASS = "pass"
    SILENT = "silent"
    """Does what it is asked and never says so."""
    GARBAGE = "garbage"
    SLOW_BYTES = "slow-bytes"
    CLOSES = "closes"
    """Closes its stdout and lives on."""
    EXITS = "exits"
    """Also at every start."""


def command(folder: Path, server: str, instance: str) -> tuple[str, ...]:
    """Its environment needs MODULE_ENV."""
    return module_command("tests.support.faults.stdio_server", str(folder), server, instance)


def tell(folder: Path, instance: str, mode: Mode) -> None:
    """Replaced in one step, so that no half-written word is read."""
    new = folder / f"{instance}.mode.new"
    new.write_text(mode)
    new.replace(folder / f"{instance}.mode")


def delay(folder: Path, instance: str, seconds: float) -> None:
    """How long its next starts take."""
    _delay_path(folder, instance).write_text(f"{seconds:g}")


def _delay_path(folder: Path, instance: str) -> Path:
    return folder / f"{instance}.delay"


def pid_of(folder: Path, instance: str) -> int:
    """Of the process that was started last."""
    return int((folder / f"{instance}.pid").read_text())


class Instance:
    def __init__(self, folder: Path, server: str, instance: str) -> None:
        self._mode_path = folder / f"{instance}.mode"
        self._server = Server(Steady(folder, server, instance), self._say)
        self._journal = Journal(folder, instance)
        self._out: asyncio.Queue[bytes] = asyncio.Queue()
        self._numbers = random.Random(instance)

    async def run(self) -> None:
        """Until stdin ends."""
        reader = asyncio.StreamReader(limit=1 << 24)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        writing = asyncio.create_task(self._write())
        async for line in reader:
            for key in keys_in(line):
                self._journal.write(GOT, key=key)
            self._break_if_told()
            self._server.receive(line.rstrip(b"\r\n"))
        await self._server.aclose(0.2)
        writing.cancel()

    def _mode(self) -> Mode:
        try:
            return Mode(self._mode_path.read_text())
        except FileNotFoundError:
            return Mode.PASS

    def _break_if_told(self) -> None:
        mode = self._mode()
        if mode is Mode.EXITS:
            os._exit(3)
        if mode is Mode.CLOSES:
            os.close(sys.stdout.fileno())

    def _say(self, line: bytes) -> None:
        mode = self._mode()
        if mode is Mode.GARBAGE:
            line = self._numbers.choice(GARBAGE)
        if mode is not Mode.SILENT:
            self._out.put_nowait(line + b"\n")

    async def _write(self) -> None:
        while True:
            rest = await self._out.get()
            while rest:
                is_slow = self._mode() is Mode.SLOW_BYTES
                count = 1 if is_slow else len(rest)
                try:
                    rest = rest[os.write(sys.stdout.fileno(), rest[:count]) :]
                except OSError:
                    # Closed by us as we were told, or by a reader that has gone.
                    return
                if is_slow:
                    await asyncio.sleep(SLOW_BYTE_S)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("server")
    parser.add_argument("instance")
    given = parser.parse_args()
    (given.folder / f"{given.instance}.pid").write_text(str(os.getpid()))
    instance = Instance(given.folder, given.server, given.instance)
    if instance._mode() is Mode.EXITS:
        sys.exit("told to exit")
    slowly = _delay_path(given.folder, given.instance)
    if slowly.exists():
        time.sleep(float(slowly.read_text()))
    asyncio.run(instance.run())


if __name__ == "__main__":
    main()
