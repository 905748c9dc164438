"""Our own stdin and stdout as an MCP pipe: lines in and lines out, each way by a thread of its own.

Threads, because they serve pipes, files and terminals alike, and leave the flags of descriptors that other
processes share as they are. Knows no JSON.
Spec: basic/transports, "stdio".
"""

import asyncio
import contextlib
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from proxy_core.errors import Only1Error

READ_BYTES: Final = 65_536
READ_AHEAD: Final = 2
"""Chunks that are read before somebody wants them."""
BATCH_BYTES: Final = 65_536
HIGH_WATER_BYTES: Final = 1 << 20
"""Above this much unread output no new request is taken."""
MAX_QUEUED_BYTES: Final = 64 << 20
"""Above this the client is taken for one that does not read."""


class ClientDoesNotRead(Only1Error):
    def __init__(self) -> None:
        super().__init__(f"The client left more than {MAX_QUEUED_BYTES >> 20} MiB of our output unread.")


class Pipe(Struct, eq=False):
    """Descriptors that nobody else writes to, and what has become of them."""

    stdin: int
    stdout: int
    has_ended: bool = False
    """Whether the client has closed its side."""
    failure: Only1Error | None = None
    """Why we gave the client up, if we did."""


def claim_stdio() -> Pipe:
    """Take stdin and stdout away from everyone: from now on a stray print goes to stderr."""
    pipe = Pipe(os.dup(0), os.dup(1))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    try:
        os.dup2(2, 1)
    except OSError:
        # Started without a stderr.
        os.dup2(nothing, 1)
    os.close(nothing)
    return pipe


class LineCutter:
    """Bytes in, whole lines out. A line above the limit is skipped and None stands for it."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._unfinished = bytearray()
        self._is_skipping = False

    def feed(self, data: bytes) -> list[bytes | None]:
        *ends, rest = data.split(b"\n")
        lines = [self._end_of_line(end) for end in ends]
        self._grow(rest)
        return [line for line in lines if line is None or not _is_blank(line)]

    def rest(self) -> list[bytes | None]:
        """The last line of a stream that ended without a line end."""
        return self.feed(b"\n")

    def _end_of_line(self, end: bytes) -> bytes | None:
        self._grow(end)
        line = None if self._is_skipping else bytes(self._unfinished).removesuffix(b"\r")
        self._unfinished.clear()
        self._is_skipping = False
        return line

    def _grow(self, data: bytes) -> None:
        if len(self._unfinished) + len(data) > self._max_bytes:
            self._is_skipping = True
            self._unfinished.clear()
        elif not self._is_skipping:
            self._unfinished += data


def _is_blank(line: bytes) -> bool:
    return not line or line.isspace()


class LineReader:
    def __init__(self, fd: int, max_line_bytes: int) -> None:
        self._fd = fd
        self._cutter = LineCutter(max_line_bytes)
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self._may_read = threading.Semaphore(READ_AHEAD)
        self._is_at_end = False

    def start(self) -> None:
        # A daemon: nothing ends a read but the peer, and we must not wait for that.
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._pump, args=(loop,), name="stdin", daemon=True).start()

    async def read(self) -> list[bytes | None]:
        """The next lines, None for one that is too long; nothing once the stream has ended."""
        lines: list[bytes | None] = []
        while not lines and not self._is_at_end:
            data = await self._chunks.get()
            self._may_read.release()
            self._is_at_end = not data
            lines = self._cutter.feed(data) if data else self._cutter.rest()
        return lines

    def _pump(self, loop: asyncio.AbstractEventLoop) -> None:
        data = b"-"
        while data:
            self._may_read.acquire()
            data = _read(self._fd)
            try:
                loop.call_soon_threadsafe(self._chunks.put_nowait, data)
            except RuntimeError:
                # The loop is closed: the process is ending.
                return


class LineWriter:
    """Writes lines in the order they were sent. `send` never blocks and never raises."""

    def __init__(self, fd: int, on_broken: Callable[[Only1Error | None], None]) -> None:
        """`on_broken` is told once: with None if the reader has gone, with an error if we gave it up."""
        self._fd = fd
        self._on_broken = on_broken
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._queued_bytes = 0
        self._is_over = False
        self._is_broken = False
        self._wakes_loop = False
        self._progress = asyncio.Event()
        self._finished = asyncio.Event()
        self._finished.set()

    def start(self) -> None:
        self._finished.clear()
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._pump, args=(loop,), name="stdout", daemon=True).start()

    def send(self, line: bytes) -> None:
        """`line` must not hold a line end."""
        with self._changed:
            if self._is_over:
                return
            self._lines.append(line)
            self._queued_bytes += len(line) + 1
            self._changed.notify()
        if self._queued_bytes > MAX_QUEUED_BYTES:
            self._break(ClientDoesNotRead())

    def is_waiting(self, line: bytes) -> bool:
        """Whether an equal line was sent and is not being written yet."""
        with self._changed:
            return line in self._lines

    async def room(self) -> None:
        """Wait until the client has read enough."""
        while not self._is_over and self._queued_bytes > HIGH_WATER_BYTES:
            self._progress.clear()
            with self._changed:
                self._wakes_loop = self._queued_bytes > HIGH_WATER_BYTES
            if self._wakes_loop:
                await self._progress.wait()

    def has_reader(self) -> bool:
        """False once nobody can read what we write."""
        poll = select.poll()
        poll.register(self._fd, 0)
        gone = select.POLLERR | select.POLLHUP
        return not self._is_broken and not any(event & gone for _, event in poll.poll(0))

    async def aclose(self, within_s: float) -> None:
        """Take nothing more, and write what is left for at most `within_s`."""
        with self._changed:
            self._is_over = True
            self._changed.notify()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._finished.wait()

    # --- the thread's side ----------------------------------------------------------------------------------

    def _pump(self, loop: asyncio.AbstractEventLoop) -> None:
        ended: Callable[[], None] = self._finished.set
        while batch := self._next_batch():
            try:
                _write(self._fd, batch)
            except OSError:
                ended = self._break
                break
            self._written(len(batch), loop)
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(ended)

    def _next_batch(self) -> bytes:
        """What to write in one go; nothing when all is done."""
        with self._changed:
            while not self._lines and not self._is_over:
                self._changed.wait()
            batch = bytearray()
            while self._lines and len(batch) < BATCH_BYTES:
                batch += self._lines.popleft() + b"\n"
            return bytes(batch)

    def _written(self, size: int, loop: asyncio.AbstractEventLoop) -> None:
        with self._changed:
            self._queued_bytes -= size
            is_awaited = self._wakes_loop and self._queued_bytes <= HIGH_WATER_BYTES
            if is_awaited:
                self._wakes_loop = False
        if is_awaited:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._progress.set)

    # --- the end --------------------------------------------------------------------------------------------

    def _break(self, error: Only1Error | None = None) -> None:
        """Nobody reads: drop everything. On the loop's thread."""
        with self._changed:
            was_broken, self._is_broken = self._is_broken, True
            self._is_over = True
            self._lines.clear()
        self._progress.set()
        self._finished.set()
        if not was_broken:
            self._on_broken(error)


def _read(fd: int) -> bytes:
    while True:
        try:
            return os.read(fd, READ_BYTES)
        except BlockingIOError:
            # Whoever started us made it non-blocking.
            select.select([fd], [], [])
        except OSError:
            # A terminal that has gone.
            return b""


def _write(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            select.select([], [fd], [])
