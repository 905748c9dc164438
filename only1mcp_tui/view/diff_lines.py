"""The answers of a request and of its replay, compared: what is different, where, and how long each took."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from only1mcp_tui.view import recorded
from only1mcp_tui.view.exchanges import label_of, server_of, status_words
from only1mcp_tui.view.json_diff import Change, Diff, json_diff
from only1mcp_tui.view.json_lines import text_lines
from only1mcp_tui.view.numbers import latency, plural
from only1mcp_tui.view.text import Line, Span, safe
from proxy_core.telemetry.exchanges import ExchangeDetail

MARKS: Final = {
    Change.ADDED: ("+", "good"),
    Change.REMOVED: ("-", "bad"),
    Change.CHANGED: ("~", "warn"),
}


@dataclass(frozen=True, slots=True)
class Compared:
    """Two answers to one request."""

    old: ExchangeDetail
    new: ExchangeDetail
    diff: Diff | None
    why_not: str = ""
    """Why they cannot be compared."""


def compare(old: ExchangeDetail, new: ExchangeDetail) -> Compared:
    """The results that their clients got. May take a while for large ones; touches nothing else."""
    answers = (recorded.answered(old), recorded.answered(new))
    if any(answer is None or not answer.body for answer in answers):
        return Compared(old, new, None, "one of them has no answer that was kept")
    if any(answer is not None and answer.is_cut for answer in answers):
        return Compared(old, new, None, "one of them was cut when it was recorded (inspect.body_kb says where)")
    try:
        before, after = (recorded.result_of(answer) for answer in answers if answer is not None)
    except ValueError:
        return Compared(old, new, None, "one of them is no JSON that can be read")
    return Compared(old, new, json_diff(before, after))


def diff_lines(compared: Compared, width: int) -> Iterator[Line]:
    yield ()
    yield from _sides(compared)
    yield ()
    diff = compared.diff
    if diff is None:
        yield ((f"  The answers cannot be compared: {compared.why_not}.", "warn"),)
        return
    if diff.is_empty:
        yield (("  ● No difference: both answers are equal.", "good"),)
        return
    yield (
        (f"  + {diff.added} added", "good"),
        (f"   - {diff.removed} removed", "bad"),
        (f"   ~ {diff.changed} changed", "warn"),
    )
    yield ()
    yield from _differences(diff, width)


def _sides(compared: Compared) -> Iterator[Line]:
    for name, detail in (("before", compared.old), ("now", compared.new)):
        words, role = status_words(detail.row)
        took = latency(detail.row.duration_ms)
        yield (
            (f"  {name:<7}", "muted"),
            (f"{label_of(detail.row)}  ", "text"),
            (f"{words:<14} ", role),
            (f"{took:>7}  ", "text"),
            (safe(server_of(detail.row), 60), "muted"),
        )


def _differences(diff: Diff, width: int) -> Iterator[Line]:
    for each in diff.listed:
        mark, role = MARKS[each.change]
        head: Span = (f"  {mark} ", role)
        for number, line in enumerate(text_lines(each.path or "the whole answer", width - 6, "strong")):
            yield (head if not number else ("    ", "text")), *line
        for sign, value, role in (("-", each.old, "bad"), ("+", each.new, "good")):
            if not value:
                continue
            for number, line in enumerate(text_lines(value, width - 10, role)):
                yield ((f"      {sign} " if not number else "        "), role), *line
    if diff.unlisted > 0:
        yield ((f"  … and {plural(diff.unlisted, 'more difference')}", "warn"),)
