"""The child processes of one server, what each costs and has started; and what earlier gateways left behind."""

from collections.abc import Iterator, Sequence
from typing import Final

from only1mcp_tui.view.numbers import ABSENT, duration, plural, size
from only1mcp_tui.view.targets import has_replicas
from only1mcp_tui.view.text import Line, Span, safe
from proxy_core.telemetry.snapshot import ChildRow, DescendantRow, OrphanRow, ServerRow

DESCENDANTS_SHOWN: Final = 60
CHILDREN_SHOWN: Final = 60
ORPHANS_SHOWN: Final = 20
MAX_DEPTH: Final = 8


def process_lines(row: ServerRow, now: float) -> Iterator[Line]:
    """Every child as last sampled."""
    if not row.processes:
        yield (((f" {_why_none(row)}"), "muted"),)
    restarts = {replica.id: replica.restarts for replica in row.replicas}
    for number, child in enumerate(row.processes[:CHILDREN_SHOWN]):
        if number:
            yield ()
        count = restarts.get(child.replica, row.restarts)
        yield from _child(child, count, has_replicas(row), now)
    if (more := len(row.processes) - CHILDREN_SHOWN) > 0:
        yield ((f" and {more} more", "muted"),)


def _why_none(row: ServerRow) -> str:
    if "stdio" not in row.transport:
        return "It is not a child process of ours."
    return f"pid {row.pid}, not measured yet." if row.pid is not None else "No process of it is running."


def _child(child: ChildRow, restarts: int, is_one_of_many: bool, now: float) -> Iterator[Line]:
    yield (
        (f" pid {child.pid}", "strong"),
        (f"  {safe(child.replica, 40)}" if is_one_of_many else "", "info"),
        (f"  for {safe(child.client, 60)}" if child.client else "  for everybody", "muted"),
        (f"  up {duration(now - child.started_at)}", "muted"),
        (f"  {plural(restarts, 'restart')}", "warn" if restarts else "muted"),
    )
    whole = f", {size(child.rss_bytes)} with all below" if child.family else ""
    yield (
        (f"   {size(child.own_rss_bytes or child.rss_bytes)}", "text"),
        (whole, "muted"),
        (f"  {child.cpu_percent:.1f} % CPU", "text"),
    )
    threads = f"{child.threads or ABSENT} {'thread' if child.threads == 1 else 'threads'}"
    files = ABSENT if child.files is None else str(child.files)
    yield ((f"   {threads}  {files} open {'file' if child.files == 1 else 'files'}", "muted"),)
    yield from _tree(child)


def _tree(child: ChildRow) -> Iterator[Line]:
    below: dict[int, list[DescendantRow]] = {}
    for each in child.family[:DESCENDANTS_SHOWN]:
        below.setdefault(each.parent, []).append(each)
    yield from _branch(child.pid, below, "   ", {child.pid}, 0)
    if (more := max(len(child.family), len(child.descendants)) - DESCENDANTS_SHOWN) > 0:
        yield ((f"   and {more} more", "muted"),)


def _branch(
    pid: int, below: dict[int, list[DescendantRow]], indent: str, seen: set[int], depth: int
) -> Iterator[Line]:
    children = below.get(pid, [])
    for number, each in enumerate(children):
        is_last = number == len(children) - 1
        named = f"{safe(each.name, 40)} {each.pid}"
        yield (
            (f"{indent}{'└' if is_last else '├'} ", "muted"),
            (named, "text"),
            (f"  {size(each.rss_bytes)}", "muted"),
        )
        if each.pid not in seen and depth < MAX_DEPTH:
            inner = indent + ("  " if is_last else "│ ")
            yield from _branch(each.pid, below, inner, seen | {each.pid}, depth + 1)


# --- orphans --------------------------------------------------------------------------------------------------


def orphan_lines(answer: "Sequence[OrphanRow] | str | None") -> Iterator[Line]:
    """What was found, or why it could not be looked for; None: nobody has looked."""
    yield ()
    if answer is None:
        yield ((" o", "key"), (" looks for processes that earlier gateways left behind.", "muted"))
    elif isinstance(answer, str):
        yield ((f" {safe(answer, 300)}", "bad"),)
    elif not answer:
        yield ((" No process of an earlier gateway is left.", "good"),)
    else:
        yield from _orphans(answer)


def _orphans(found: Sequence[OrphanRow]) -> Iterator[Line]:
    number = "One process" if len(found) == 1 else f"{len(found)} processes"
    yield ((f" {number} of an earlier gateway still there:", "warn"),)
    for orphan in found[:ORPHANS_SHOWN]:
        told: Span = (f"  {size(orphan.rss_bytes)}  started {duration(orphan.age_s)} ago", "muted")
        yield ((f"   {safe(orphan.name, 40)} {orphan.pid}", "text"), told)
    if (more := len(found) - ORPHANS_SHOWN) > 0:
        yield ((f"   and {more} more", "muted"),)
    yield ((" only1mcp doctor --end", "key"), (" ends them.", "muted"))
