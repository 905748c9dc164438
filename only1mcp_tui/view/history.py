"""What the numbers were: one sample a second, a bounded ring per series, drawn in block characters."""

from collections import deque
from collections.abc import Iterable, Sequence

from proxy_core.telemetry.snapshot import Snapshot

KEPT_S = 120
SAMPLE_S = 0.9
"""A second, but for a timer that comes a little early."""
BLOCKS = "▁▂▃▄▅▆▇█"
HEADROOM = 1.25
"""Without it a steady series would be a solid wall of colour."""


class History:
    """The last two minutes of the gateway and of each server. The screens own it; the core keeps no plots."""

    def __init__(self) -> None:
        self._series: dict[str, deque[float]] = {}
        self._drawn: dict[tuple[str, int], str] = {}
        """Since the last sample: a series is drawn once for many frames."""
        self.sampled_at = float("-inf")

    def sample(self, snapshot: Snapshot, now: float) -> None:
        """Keep a sample if a second has passed since the last; forget servers that are gone."""
        if now - self.sampled_at < SAMPLE_S:
            return
        self.sampled_at = now
        self._drawn = {}
        totals = snapshot.totals
        current = {
            "calls_per_s": totals.calls_per_s,
            "errors_per_s": totals.errors_per_s,
            "p95_ms": totals.latency.p95_ms or 0.0,
            "in_flight": float(totals.in_flight),
        } | {f"server:{row.id}": row.calls_per_s for row in snapshot.servers}
        self._series = {key: self._series.get(key, deque(maxlen=KEPT_S)) for key in current}
        for key, value in current.items():
            self._series[key].append(value)

    def series(self, key: str) -> Sequence[float]:
        return self._series.get(key, ())

    def of_server(self, server: str) -> Sequence[float]:
        return self.series(f"server:{server}")

    def line(self, key: str, width: int) -> str:
        """A series as a `sparkline`."""
        drawn = self._drawn.get((key, width))
        if drawn is None:
            drawn = self._drawn[key, width] = sparkline(self.series(key), width)
        return drawn

    def line_of_server(self, server: str, width: int) -> str:
        return self.line(f"server:{server}", width)


def sparkline(values: Iterable[float], width: int) -> str:
    """The newest `width` values, newest at the right, scaled to their highest; blank where all are zero."""
    newest = list(values)[-width:] if width > 0 else []
    top = max(newest, default=0.0)
    if top <= 0:
        return " " * width
    scale = (len(BLOCKS) - 1) / (top * HEADROOM)
    return "".join(BLOCKS[round(max(0.0, value) * scale)] for value in newest).rjust(width)
