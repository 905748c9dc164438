"""A gateway that notes what it takes to read the replies of its servers.

Run as `python -m tests.benchmarks.timed_reading FILE ARGUMENTS...`; at its end FILE has a `Noted`, as JSON.
Timed is each function of the rooms that look at what servers send, wherever it is called with as much as a
reply; of those that call each other the outermost, once. So is, now and then, a pass of a decoder over the same
reply, right after another: in the same process, on the same core, with the reply in the cache.
"""

import atexit
import inspect
import sys
import time
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import msgspec

import proxy_core.proxy  # noqa: F401  so that all that is to be timed has been loaded
from only1mcp_tui.__main__ import main
from proxy_core.backends.connection import Connection
from proxy_core.gateway import answers
from proxy_core.protocol import canonical, contents, jsonrpc, lines, links, results, sse

ROOMS: Final = (jsonrpc, results, contents, links, canonical, lines, sse, answers)
LEAST_BYTES: Final = 500
"""Of what counts as a reply."""
LARGE_BYTES: Final = 50_000
"""Of what counts as a large one."""
PASS_EVERY: Final = 50


class Noted(msgspec.Struct):
    small_us: list[float]
    """What each small reply took to read, in order."""
    large_us: list[float]
    passes_us: list[float]
    """Over large ones."""


class _Reply(msgspec.Struct):
    id: msgspec.Raw
    result: msgspec.Raw


class Clock:
    def __init__(self) -> None:
        self.noted = Noted([], [], [])
        self._decode = msgspec.json.Decoder(_Reply).decode
        self._spent_ns: int | None = None
        """Of the reply that came last."""
        self._is_large = False
        """Whether it is."""
        self._is_inside = False

    def watch(self, room: ModuleType) -> None:
        for name, function in inspect.getmembers(room, inspect.isfunction):
            if function.__module__ == room.__name__ and not name.startswith("__"):
                _put(function, self._timed(function))

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def timed(*given: Any, **named: Any) -> Any:
            if self._is_inside or not any(map(_is_reply, given)):
                return function(*given, **named)
            self._is_inside = True
            begun = time.perf_counter_ns()
            try:
                return function(*given, **named)
            finally:
                self._is_inside = False
                if self._spent_ns is not None:
                    self._spent_ns += time.perf_counter_ns() - begun

        return timed

    def listen(self) -> None:
        """From now on replies are counted."""
        message = Connection.message

        def heard(connection: Connection, data: bytes, origin: int | None) -> None:
            if len(data) >= LEAST_BYTES:
                self._count(data)
            message(connection, data, origin)

        Connection.message = heard  # type: ignore[method-assign]

    def _count(self, data: bytes) -> None:
        if self._spent_ns is not None:
            told = self.noted.large_us if self._is_large else self.noted.small_us
            told.append(self._spent_ns / 1000)
        self._spent_ns, self._is_large = 0, len(data) >= LARGE_BYTES
        if self._is_large and len(self.noted.large_us) % PASS_EVERY == 1:
            self._decode(data)
            begun = time.perf_counter_ns()
            self._decode(data)
            self.noted.passes_us.append((time.perf_counter_ns() - begun) / 1000)


def _is_reply(given: object) -> bool:
    return isinstance(given, bytes | msgspec.Raw) and memoryview(given).nbytes >= LEAST_BYTES


def _put(old: object, new: object) -> None:
    """In place of `old`, wherever it was imported to."""
    for module in list(sys.modules.values()):
        if module.__name__.startswith("proxy_core."):
            for name in [name for name, value in vars(module).items() if value is old]:
                setattr(module, name, new)


def run(file: Path, arguments: Sequence[str]) -> None:
    clock = Clock()
    for room in ROOMS:
        clock.watch(room)
    clock.listen()
    atexit.register(lambda: file.write_bytes(msgspec.json.encode(clock.noted)))
    sys.argv[1:] = arguments
    main()


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2:])
