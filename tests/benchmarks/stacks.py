"""Sampled stacks of a gateway, folded into the layers whose time it was. Pure.

As `py-spy record --native --function --format raw` writes them: frames from the outermost to the innermost,
then how often. Threads that the system says are asleep are not among them.

How much of the time is the kernel's is not told by the samples: when a process is stopped depends on what it
is at, in the kernel more than elsewhere. The system's own accounts tell that; the samples, what the kernel's
part of it was for, and whose the rest is.

Whose time a sample is:

- of another thread than the event loop's: nobody's, for those wait; they are counted apart.
- innermost in a system call: the kernel's, asking what has come apart from reading and writing.
- in a pass of the garbage collector: the collector's, whoever's allocation set it off.
- else that of the innermost frame of ours, C code that it called among it: a parser's time is the front's.
- without a frame of ours: the event loop's.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

READS: Final = "kernel: reading, writing, opening sockets"
EVENTS: Final = "kernel: asking what has come"
COLLECTOR: Final = "garbage collector"
LOOP: Final = "event loop: uvloop"
FRONT: Final = "HTTP front and eras (`frontend`)"
GATEWAY: Final = "gateway, routes (`gateway`, `catalog`)"
BACKEND: Final = "backends, their connections (`backends`)"
PROTOCOL: Final = "protocol: reading and shaping messages (`protocol`)"
TELEMETRY: Final = "telemetry: metrics, ring, facts (`telemetry`, `proxy.py`)"
OTHER: Final = "anything else of ours"
LAYERS: Final = (READS, EVENTS, LOOP, FRONT, PROTOCOL, GATEWAY, BACKEND, TELEMETRY, COLLECTOR, OTHER)
OF_KERNEL: Final = frozenset({READS, EVENTS})
_OF_ROOM: Final = {
    "frontend": FRONT,
    "gateway": GATEWAY,
    "catalog": GATEWAY,
    "backends": BACKEND,
    "protocol": PROTOCOL,
    "telemetry": TELEMETRY,
    "proxy.py": TELEMETRY,
    "feed.py": TELEMETRY,
}
_TELLS_NOTHING: Final = frozenset({"clock.py", "tasks.py", "errors.py"})
"""Read by all: their time is that of whoever asked."""
_OURS: Final = re.compile(r"\(proxy_core/([^/:]+)[/:]")
_EVENT_LOOP: Final = re.compile(r"\b(run_headless|run_forever) \(")
_COLLECTS: Final = re.compile(r"^(gc_collect_|_?PyGC_Collect|deduce_unreachable|visit_(decref|reachable))")
_CALL: Final = re.compile(r"^(?:__libc_|__GI_+|__)?(\w+?)(?:64|_nocancel)? \((?:libc|libpthread|ld-)[^)]*\)$")
_READS: Final = frozenset(
    "read write readv writev recv recvfrom recvmsg send sendto sendmsg accept accept4 connect close socket "
    "shutdown setsockopt getsockopt".split()
)
_EVENTS: Final = frozenset("epoll_wait epoll_pwait epoll_ctl poll select syscall".split())


@dataclass(frozen=True, slots=True)
class Folded:
    by_layer: Mapping[str, int]
    """Samples of the event loop's thread."""
    elsewhere: int
    """Samples of other threads."""

    @property
    def total(self) -> int:
        return sum(self.by_layer.values())

    def share(self, layer: str, of_kernel: float) -> tuple[float, float]:
        """Of the time of the event loop's thread, and how far off that may be with a confidence of 95 %.

        `of_kernel`: the kernel's share of it, as the system accounts for it.
        """
        is_kernel = layer in OF_KERNEL
        whole = of_kernel if is_kernel else 1 - of_kernel
        total = sum(count for each, count in self.by_layer.items() if (each in OF_KERNEL) is is_kernel)
        if not total:
            return 0.0, 0.0
        share = self.by_layer.get(layer, 0) / total
        return whole * share, whole * 1.96 * math.sqrt(share * (1 - share) / total)


def folded(lines: Iterable[str]) -> Folded:
    """Raises: ValueError for a line that is no stack."""
    by_layer: Counter[str] = Counter()
    elsewhere = 0
    for line in lines:
        stack, _, times = line.rstrip("\n").rpartition(" ")
        if _EVENT_LOOP.search(stack):
            by_layer[layer_of(stack.split(";"))] += int(times)
        else:
            elsewhere += int(times)
    return Folded(by_layer, elsewhere)


def layer_of(frames: list[str]) -> str:
    """Of one stack of the event loop's thread."""
    if call := _CALL.match(frames[-1]):
        if call[1] in _EVENTS:
            return EVENTS
        if call[1] in _READS:
            return READS
    for frame in reversed(frames):
        if _COLLECTS.match(frame):
            return COLLECTOR
        ours = _OURS.search(frame)
        if ours is not None and ours[1] not in _TELLS_NOTHING:
            return _OF_ROOM.get(ours[1], OTHER)
    return LOOP
