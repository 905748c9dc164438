"""The last probes of each replica: how many answered, how long they took, and each of them in a line."""

from collections.abc import Iterator, Sequence
from typing import Final

from only1mcp_tui.view.history import BLOCKS
from only1mcp_tui.view.numbers import clock_time, latency, percent, plural
from only1mcp_tui.view.targets import code_words
from only1mcp_tui.view.text import Line, Span, first_line, fit, safe, wrap
from proxy_core.telemetry.snapshot import Probe, ServerDetail

MISSED: Final = "×"
"""In the trend, where a probe failed."""
WORDS_FROM: Final = 20


def probe_lines(detail: ServerDetail, wall_offset_s: float, width: int, chosen: str = "") -> Iterator[Line]:
    """`wall_offset_s`: added to a probe's time it gives the time of day. `chosen`: this replica first."""
    replicas = sorted(detail.probes, key=lambda each: each.replica != chosen)
    told = [each for each in replicas if each.probes]
    if not told:
        yield ((" Not probed yet. ", "muted"), ("p", "key"), (" probes it now.", "muted"))
    for number, each in enumerate(told):
        if number:
            yield ()
        if len(detail.probes) > 1:
            yield ((f" {safe(each.replica, 40)}", "strong"),)
        yield from _summary(each.probes)
        yield ()
        for probe in reversed(each.probes):
            yield from _lines(probe, wall_offset_s, width)


def _summary(probes: Sequence[Probe]) -> Iterator[Line]:
    answered = [probe for probe in probes if probe.error is None]
    missed = len(probes) - len(answered)
    role = "good" if not missed else "warn" if answered else "bad"
    yield (
        (f" {percent(len(answered), len(probes))} % answered", role),
        (f"  of the last {plural(len(probes), 'probe')}", "muted"),
    )
    times = sorted(probe.latency_ms for probe in answered if probe.latency_ms is not None)
    if times:
        middle = times[len(times) // 2]
        words = f"  {latency(times[0])} to {latency(times[-1])}, half of them under {latency(middle)}"
        yield ((" ", "text"), *trend(probes), (words, "muted"))


def trend(probes: Sequence[Probe]) -> list[Span]:
    """A block for each answer, as high as it was slow; a mark where none came. Newest at the right."""
    top = max((probe.latency_ms or 0.0 for probe in probes if probe.error is None), default=0.0)
    spans: list[Span] = []
    for probe in probes:
        if probe.error is not None:
            spans.append((MISSED, "bad"))
        else:
            step = round((probe.latency_ms or 0.0) / top * (len(BLOCKS) - 1)) if top > 0 else 0
            spans.append((BLOCKS[min(step, len(BLOCKS) - 1)], "trend"))
    return _joined(spans)


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Neighbours of one role as one span."""
    joined: list[Span] = []
    for text, role, *_ in spans:
        if joined and joined[-1][1] == role:
            joined[-1] = (joined[-1][0] + text, role)
        else:
            joined.append((text, role))
    return joined


def _lines(probe: Probe, wall_offset_s: float, width: int) -> Iterator[Line]:
    at = (f" {clock_time(probe.at + wall_offset_s)}  ", "muted")
    took = (fit(latency(probe.latency_ms), 7, right=True) + "  ", "text")
    if probe.error is None:
        yield at, took, ("● answered", "good")
        return
    yield at, took, (f"✖ {code_words(probe)}", "bad")
    for part in wrap(first_line(probe.error, 200), max(20, width - WORDS_FROM - 1)):
        yield ((" " * WORDS_FROM + part, "muted"),)
