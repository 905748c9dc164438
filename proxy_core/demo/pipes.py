"""A demo's process: its stdin and stdout as an MCP pipe, its life as long as stdin is open.

Spec: basic/transports, "stdio".
"""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Final

from proxy_core.demo.offer import Demo
from proxy_core.demo.server import Server
from proxy_core.protocol.lines import FrameTooLarge, LineFramer

MAX_LINE_BYTES: Final = 4 * 1024 * 1024
_READ_BYTES: Final = 64 * 1024
_GRACE_S: Final = 0.2
"""So that `printf ... | python -m proxy_core.demo.clock` shows its answer."""
log = logging.getLogger(__name__)


def main(demo: Demo) -> None:
    """Serve `demo` until stdin ends."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    try:
        sys.exit(asyncio.run(_Process(demo, _claim_stdout()).run()))
    except KeyboardInterrupt:
        sys.exit(130)


def _claim_stdout() -> int:
    """The pipe to the peer; stray prints from anywhere go to stderr from here on."""
    pipe = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return pipe


class _Process:
    def __init__(self, demo: Demo, stdout: int) -> None:
        self._stdout = stdout
        self._server = Server(demo, self._send_line)
        self._framer = LineFramer(MAX_LINE_BYTES)
        self._ended = asyncio.Event()
        self._exit_code = 0

    async def run(self) -> int:
        """Gives the exit code."""
        loop = asyncio.get_running_loop()
        # A thread reads files and terminals too, which connect_read_pipe does not.
        threading.Thread(target=_pump, args=(loop, self._arrived), daemon=True).start()
        await self._ended.wait()
        await self._server.aclose(_GRACE_S)
        return self._exit_code

    def _arrived(self, data: bytes) -> None:
        """Some bytes of stdin; none at its end."""
        try:
            for line in self._framer.feed(data):
                self._server.receive(line)
        except FrameTooLarge as error:
            log.error("%s", error)
            self._exit_code = 1
            self._ended.set()
        if not data:
            self._ended.set()

    def _send_line(self, line: bytes) -> None:
        rest = memoryview(line + b"\n")
        try:
            while rest:
                rest = rest[os.write(self._stdout, rest) :]
        except BrokenPipeError:
            # Nobody is left to be told.
            self._ended.set()


def _pump(loop: asyncio.AbstractEventLoop, arrived: Callable[[bytes], None]) -> None:
    data = b"-"
    while data:
        data = os.read(sys.stdin.fileno(), _READ_BYTES)
        try:
            loop.call_soon_threadsafe(arrived, data)
        except RuntimeError:
            # The loop is closed: the process is ending.
            return
