"""The generated parts of docs/context.md: figures of one catalogue as Markdown, between marks.

Names of servers stand in the part of the live capture alone, which anyone can repeat.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final

from proxy_core.gateway.modes import Mode
from tests.benchmarks.context_tokens import SEARCHES, Figures

PARTS: Final = {"catalogue": False, "live": True}
"""Part of the page -> whether it names the servers."""
RETRIEVAL: Final = "retrieval "
WELL_SAVED: Final = 0.7
"""A server that keeps more of its tokens is called terse."""


def part(name: str, figures: Figures, day: date) -> str:
    """`figures`: as `context_catalog` measures them."""
    about = figures["catalogue"]
    paragraphs = [
        f"Measured on {day}: {_counted(about['servers'], 'server')}, {_counted(about['tools'], 'tool')}, "
        f"encoding {about['encoding']}. `auto` chooses {about['auto']}.",
        _modes(figures),
        _searches(figures),
        _sets(figures),
        _servers(figures) if PARTS[name] else _terse(figures),
        _retrieval(figures),
        _validation(figures),
    ]
    return "\n\n".join(filter(None, paragraphs))


def write(page: Path, name: str, text: str) -> None:
    """Put `text` between the marks of this part. Raises: ValueError if a mark is missing."""
    document = page.read_text(encoding="utf-8")
    begin, end = f"<!-- {name}: ", f"<!-- end of {name} -->"
    before, found, rest = document.partition(begin)
    command, closed, old = rest.partition("-->\n")
    _, ended, after = old.partition(end)
    if not (found and closed and ended):
        raise ValueError(f"{page} lacks the marks of its part {name!r}")
    page.write_text(f"{before}{begin}{command}-->\n\n{text}\n\n{end}{after}", encoding="utf-8")


def _modes(figures: Figures) -> str:
    rows = (
        (
            name,
            f"{row['wire']:,}",
            _percent(row["of full"]),
            _percent(row["of full without our _meta"]),
            f"{row['visible']:,}",
            _percent(row["of visible full"]),
        )
        for name, row in figures["modes"].items()
    )
    return _table(("", "wire", "of full", "of full without our `_meta`", "visible", "of full"), rows)


def _searches(figures: Figures) -> str:
    one = figures.get("one search")
    if one is None:
        return f"No tasks were given: {SEARCHES} searches are reckoned as the bill reckons them."
    return (
        f"One search, what the model writes and what it reads, of {one['searches']}: mean "
        f"{one['visible mean']:,} tokens, median {one['visible p50']:,}, p95 {one['visible p95']:,}. A right "
        f"tool was in the answer in {_percent(one['a right tool in the answer'])}."
    )


def _sets(figures: Figures) -> str:
    if not figures["sets"]:
        return ""
    rows = (
        (
            f"{size} tools",
            str(row["sets"]),
            *(_percent(row[name]) for name in ("least", "median", "most")),
            _chosen({mode: row[f"auto {mode}"] for mode in Mode}),
        )
        for size, row in figures["sets"].items()
    )
    return _table(("at most", "sets", "search costs of full: least", "median", "most", "`auto` chooses"), rows)


def _chosen(sets: dict[Mode, int]) -> str:
    chosen = {mode: count for mode, count in sets.items() if count}
    return ", ".join(f"{mode} for {count}" if len(chosen) > 1 else str(mode) for mode, count in chosen.items())


def _servers(figures: Figures) -> str:
    rows = (
        (
            name,
            str(row["tools"]),
            f"{row['wire']:,}",
            _percent(row["left of wire"]),
            f"{row['visible']:,}",
            _percent(row["left of visible"]),
        )
        for name, row in figures["servers"].items()
    )
    return _table(("server", "tools", "wire", "compact leaves", "visible", "compact leaves"), rows)


def _terse(figures: Figures) -> str:
    left = sorted(row["left of visible"] for row in figures["servers"].values())
    many = sum(share > WELL_SAVED for share in left)
    return (
        f"Server by server compact leaves {_percent(left[0])} to {_percent(left[-1])} of visible; of half of "
        f"them {_percent(left[len(left) // 2])} or more. {many} of {len(left)} keep more than "
        f"{_percent(WELL_SAVED)}."
    )


def _retrieval(figures: Figures) -> str:
    sets = {key.removeprefix(RETRIEVAL): row for key, row in figures.items() if key.startswith(RETRIEVAL)}
    if not sets:
        return ""
    rows = (
        (
            f"{name} ({kinds['keywords']['tasks']})",
            *(f"{kinds[kind]['recall@5']:.2f}" for kind in ("keywords", "sentences", "both")),
            f"{max(kind['p95_ms'] for kind in kinds.values()):.1f}",
        )
        for name, kinds in sets.items()
    )
    columns = ("a right tool among the first 5", "keywords", "sentences", "both as two phrasings", "p95 ms")
    build = figures["build"]
    return (
        _table(columns, rows)
        + f"\n\nThe index took {build['build_cpu_ms']:,.0f} ms of one processor in steps of "
        f"at most {build['longest_step_cpu_ms']:.1f} ms, and {build['rebuild_cpu_ms']:,.0f} ms once its texts "
        "were known."
    )


def _validation(figures: Figures) -> str:
    checked = figures["validation"]
    return (
        f"{checked['instances']:,} values were checked against the whole and the compact schema of each tool, "
        f"right ones and nearly right ones: {_counted(checked['disagreements'], 'disagreement')}."
    )


def _table(columns: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(line)} |" for line in (columns, *rows)]
    return "\n".join([lines[0], "|---" * len(columns) + "|", *lines[1:]])


def _percent(share: float) -> str:
    """One digit where whole numbers would say too little."""
    percent = 100 * share
    return f"{percent:.1f} %" if 0 < percent < 10 else f"{percent:.0f} %"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
