"""Load over plain sockets, cheaper than an event loop's: as much as goes through, or at a steady pace.

Blocks while it runs, so that nothing else in its process has a part in what is measured. Every answer's id is
checked, where its server repeats ids. Ids have ten digits, so that all requests are of one length.
"""

import itertools
import select
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from tests.benchmarks.load import Ask, Measured

LOST_S: Final = 10.0
"""How long no answer at all may come."""
_LENGTH: Final = b"content-length:"
_LAST_CHUNK: Final = b"\r\n0\r\n\r\n"
_ids: Final = itertools.count(1_000_000_000)
_buffer: Final = memoryview(bytearray(262_144))
"""Where what comes is read to. Bytes of that size, made for each read, would be mapped by the kernel and given
back to it: three times the price of the read, and a load that is so slow lets whoever is measured sleep between
two requests.
"""


class Line:
    """One keep-alive connection: a request, then its answer."""

    def __init__(self, port: int, ask: Ask, *, repeats_ids: bool = True) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due_at = 0.0
        """When the request was to be sent; `time.perf_counter`."""
        self._ask = ask
        self._host = b"Host: localhost:%d\r\n" % port
        self._repeats_ids = repeats_ids
        self._received: list[bytes] = []
        self._missing = 0
        """Bytes of the answer that have not come; negative: its head is not whole, or it has no length."""
        self._id = 0

    def fileno(self) -> int:
        return self.socket.fileno()

    def send(self, due_at: float) -> None:
        self.due_at = due_at
        self._id = next(_ids)
        self.post(*self._ask(self._id))

    def exchange(self, headers: bytes, body: bytes) -> tuple[bytes, bytes]:
        """One request of any kind, and its answer."""
        self.post(headers, body)
        return self.reply()

    def reply(self) -> tuple[bytes, bytes]:
        """Wait for head and body of the answer."""
        while not self._take():
            pass
        head, _, answer = b"".join(self._received).partition(b"\r\n\r\n")
        return head, answer

    def post(self, headers: bytes, body: bytes) -> None:
        """Send a request of any kind. `headers`: lines beside those of every POST."""
        self._received.clear()
        self._missing = -1
        self.socket.sendall(
            b"POST /mcp HTTP/1.1\r\n%bContent-Type: application/json\r\n"
            b"Accept: application/json, text/event-stream\r\n%bContent-Length: %d\r\n\r\n%b"
            % (self._host, headers, len(body), body)
        )

    def receive(self) -> bool:
        """Take what has come; whether the answer is whole. Raises: AssertionError for one that is not right."""
        if not self._take():
            return False
        first = self._received[0]
        # Some write a space before it. No answer has the number elsewhere.
        wanted = b"%d" % self._id if self._repeats_ids else b""
        # The head may come alone, and any of the pieces may end within the id.
        is_right = first.startswith(b"HTTP/1.1 200") and (wanted in first or wanted in b"".join(self._received))
        assert is_right, b"".join(self._received)[:1000]
        return True

    def _take(self) -> bool:
        data = bytes(_buffer[: self.socket.recv_into(_buffer)])
        if not data:
            raise ConnectionResetError("The server hung up.")
        if self._missing >= 0:
            self._received.append(data)
            self._missing -= len(data)
            return self._missing == 0
        if self._received:
            data = self._received.pop() + data
        self._received.append(data)
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            return False
        head = data[:end].lower()
        if (at := head.find(_LENGTH)) >= 0:
            at += len(_LENGTH)
            self._missing = end + int(head[at : head.find(b"\r", at)]) - len(data)
            return self._missing == 0
        return data.endswith(_LAST_CHUNK)

    def close(self) -> None:
        self.socket.close()


@contextmanager
def opened(port: int, count: int, ask: Ask, *, repeats_ids: bool = True) -> Iterator[list[Line]]:
    lines = [Line(port, ask, repeats_ids=repeats_ids) for _ in range(count)]
    try:
        yield lines
    finally:
        for line in lines:
            line.close()


def saturate(lines: Sequence[Line], seconds: float, cpu_s: Callable[[], float]) -> Measured:
    """Every line asks again as soon as it is answered, for `seconds`, after a fifth of that to warm up."""
    with selectors.DefaultSelector() as selector:
        for line in lines:
            selector.register(line.socket, selectors.EVENT_READ, line)
        _repeat(selector, lines, seconds / 5)
        cpu_before, begun = cpu_s(), time.perf_counter()
        latencies_ms = _repeat(selector, lines, seconds)
        took = time.perf_counter() - begun
        return Measured(len(latencies_ms), took, latencies_ms, cpu_s() - cpu_before)


def _repeat(selector: selectors.BaseSelector, lines: Sequence[Line], seconds: float) -> list[float]:
    latencies_ms: list[float] = []
    until = time.perf_counter() + seconds
    for line in lines:
        line.send(time.perf_counter())
    busy = len(lines)
    while busy:
        events = selector.select(LOST_S)
        if not events:
            raise TimeoutError(f"{busy} requests had no answer within {LOST_S} s")
        for key, _ in events:
            line = key.data
            if not line.receive():
                continue
            now = time.perf_counter()
            latencies_ms.append((now - line.due_at) * 1000)
            if now < until:
                line.send(now)
            else:
                busy -= 1
    return latencies_ms


def schedule(per_s: float, seconds: float) -> list[float]:
    """When each request is due, in seconds from the begin: evenly, whatever becomes of those before it."""
    return [number / per_s for number in range(round(per_s * seconds))]


def at_pace(lines: Sequence[Line], due_s: Sequence[float]) -> list[float]:
    """Milliseconds of each call, from when it was due: for one that finds every line busy, the wait counts."""
    begun = time.perf_counter()
    coming = deque(begun + due for due in due_s)
    idle, busy = deque(lines), set[Line]()
    latencies_ms: list[float] = []
    while coming or busy:
        while coming and idle and coming[0] <= time.perf_counter():
            line = idle.popleft()
            line.send(coming.popleft())
            busy.add(line)
        wait_s = max(0.0, coming[0] - time.perf_counter()) if coming and idle else LOST_S
        # Not epoll, whose time is in milliseconds.
        readable, _, _ = select.select(busy, (), (), wait_s)
        if not readable and wait_s == LOST_S:
            raise TimeoutError(f"{len(busy)} requests had no answer within {LOST_S} s")
        for line in readable:
            if line.receive():
                latencies_ms.append((time.perf_counter() - line.due_at) * 1000)
                busy.discard(line)
                idle.append(line)
    return latencies_ms
