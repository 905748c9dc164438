"""What came of a load: counts, faults by kind, and times as percentiles. Pure."""

import math
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from proxy_core.load.judging import Fault

SHARES = (0.5, 0.9, 0.99, 0.999)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed. `ordered`: ascending, not empty."""
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


@dataclass(frozen=True, slots=True)
class FaultCount:
    kind: str
    count: int
    example: str
    """What the first of them said; untrusted text."""


@dataclass(frozen=True, slots=True)
class LoadResult:
    seconds: float
    requests: int
    """Answered well or not, from when the warming up was over."""
    good: int
    per_s: float
    """Good answers that came within `seconds`, a second."""
    percentiles_ms: Mapping[float, float]
    """Of good answers, by share; empty if there was none."""
    longest_ms: float
    late_ms: float | None
    """By how much this program itself was late to ask, at worst in 99 of 100 cases; None without a rate."""
    received_bytes: int
    """Heads and bodies, warming up included."""
    replaced: int
    """Connections that ended before the load did, and for which another was opened or tried."""
    faults: tuple[FaultCount, ...]
    """The most frequent first."""


class Tally:
    """Counts while a load goes on."""

    def __init__(self) -> None:
        self.took_ms = array("d")
        self.late_ms = array("d")
        self.in_time = 0
        self.replaced = 0
        self._faults: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def note_fault(self, fault: Fault) -> None:
        self._faults[fault.kind] += 1
        self._examples.setdefault(fault.kind, fault.detail)

    def result(self, seconds: float, received_bytes: int) -> LoadResult:
        took, late = sorted(self.took_ms), sorted(self.late_ms)
        return LoadResult(
            seconds=seconds,
            requests=len(took) + self._faults.total(),
            good=len(took),
            per_s=self.in_time / seconds,
            percentiles_ms={share: percentile(took, share) for share in SHARES} if took else {},
            longest_ms=took[-1] if took else 0.0,
            late_ms=percentile(late, 0.99) if late else None,
            received_bytes=received_bytes,
            replaced=self.replaced,
            faults=tuple(
                FaultCount(kind, count, self._examples[kind]) for kind, count in self._faults.most_common()
            ),
        )
