"""Results as one page of HTML that needs nothing else: tables, bars, verdicts. Pure; no script, no network."""

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby
from typing import Final

from tests.benchmarks.bars import Bar, chart
from tests.benchmarks.results import Figure, Results, Section
from tests.benchmarks.verdicts import CONFIDENCE, SAME, TOLERANCE, Compared, rows

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #fff; --soft: #6b7280; --line: #d9dce1;
  --bar: #8fb4e8; --round: #1f4e8c; --before: #8a5a00; --must: #b3261e; --aim: #1a7f37; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e7e9; --paper: #16181b; --soft: #9aa0a8; --line: #33373d;
    --bar: #34588c; --round: #a9c9f7; --before: #e0a83e; --must: #ff7b72; --aim: #56d364; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums;
  display: block; overflow-x: auto; }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; } td:not(:first-child) { white-space: nowrap; }
svg { width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg .name { text-anchor: end; } svg .bar { fill: var(--bar); } svg .round { fill: var(--round); }
svg path { stroke-width: 2; fill: none; } svg .before { stroke: var(--before); stroke-dasharray: 3 2; }
svg .must { stroke: var(--must); } svg .aim { stroke: var(--aim); }
.facts, figcaption { color: var(--soft); } figure { margin: 1rem 0; }
"""
HOW_JUDGED: Final = (
    f"Better or worse: the ratio is more than {SAME:.0%} from 1, and {CONFIDENCE:.0%} of the resampled rounds "
    f"lie on the same side of 1; where there are too few rounds, the ratio is more than {TOLERANCE:.0%} from 1."
)
_CODE: Final = re.compile(r"`([^`]+)`")
_STRONG: Final = re.compile(r"\*\*([^*]+)\*\*")
_DIVIDER: Final = re.compile(r"\|[-:|\s]+\|")


def page(results: Results, verdicts: Sequence[Compared] = ()) -> str:
    """`verdicts`: of a comparison with a baseline, if there was one."""
    return "".join(_page(results, verdicts))


def _page(results: Results, verdicts: Sequence[Compared]) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Only1MCP benchmarks</title>'
    yield '<meta name="viewport" content="width=device-width">'
    yield f"<style>{STYLE}</style>\n<h1>Only1MCP benchmarks</h1>\n"
    yield f'<p class="facts">{"<br>".join(escape(line) for line in facts(results))}</p>\n'
    if verdicts:
        yield "<h2>against the baseline</h2>\n"
        yield "".join(blocks(rows(verdicts)))
        yield f'<p class="facts">{escape(HOW_JUDGED)}</p>\n'
    before = {(each.section, each.figure.name): each.before for each in verdicts}
    for name, section in results.sections.items():
        yield f"<h2>{escape(name)}</h2>\n"
        yield from _charts(section, {figure: before.get((name, figure.name)) for figure in section.figures})
        yield from blocks(section.rows)
    yield "</html>\n"


def facts(results: Results) -> Iterator[str]:
    """The machine in a few lines."""
    machine = results.machine
    yield (
        f"{machine.date}"
        + (f", commit {machine.commit}" if machine.commit else "")
        + (", a quick look" if results.is_quick else "")
    )
    yield f"{machine.cores} cores, {machine.cpu}; {machine.system}"
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    yield f"Python {machine.python}; {packages}"
    yield f"load average {results.load_before:.2f} before, {results.load_after:.2f} after"


def doubts(now: Results, baseline: Results) -> Iterator[str]:
    """What else than the code may have made the difference."""
    if differences := now.machine.differs_from(baseline.machine):
        yield f"The baseline is of another machine or other packages ({', '.join(differences)} differ)."
    if now.is_quick != baseline.is_quick:
        yield "One of the two is a quick look."
    for name, results in (("this run", now), ("the baseline", baseline)):
        if results.load_before > results.machine.cores / 2:
            yield f"The machine was busy before {name}: load average {results.load_before:.2f}."


def _charts(section: Section, before: dict[Figure, float | None]) -> Iterator[str]:
    """One for each unit, in the order of the figures."""
    by_unit = sorted(section.figures, key=lambda figure: _order(section.figures, figure.unit))
    for unit, figures in groupby(by_unit, key=lambda figure: figure.unit):
        bars = [Bar(figure, before[figure]) for figure in figures]
        better = "/".join(dict.fromkeys(bar.figure.better for bar in bars))
        caption = f"{unit}; {better} is better; dots are rounds{_marks(bars)}"
        yield f"<figure>{chart(bars)}<figcaption>{escape(caption)}</figcaption></figure>\n"


def _order(figures: Sequence[Figure], unit: str) -> int:
    return [figure.unit for figure in figures].index(unit)


def _marks(bars: Iterable[Bar]) -> str:
    found = list(bars)
    named = (
        ("dashed: the baseline", any(bar.before is not None for bar in found)),
        ("red: must", any(bar.figure.must is not None for bar in found)),
        ("green: aim", any(bar.figure.aim is not None for bar in found)),
    )
    return "".join(f"; {words}" for words, is_there in named if is_there)


def blocks(markdown: Iterable[str]) -> Iterator[str]:
    """Tables and lines of text, which is all that sections write."""
    for is_table, lines in groupby(markdown, key=lambda line: line.startswith("|")):
        if is_table:
            yield _table([line for line in lines if not _DIVIDER.fullmatch(line)])
        else:
            yield "".join(f"<p>{_inline(line)}</p>\n" for line in lines if line.strip())


def _table(lines: Sequence[str]) -> str:
    head, *body = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    columns = "".join(f"<th>{_inline(cell)}</th>" for cell in head)
    cells = ("".join(f"<td>{_inline(cell)}</td>" for cell in row) for row in body)
    return f"<table><tr>{columns}</tr>\n" + "".join(f"<tr>{row}</tr>\n" for row in cells) + "</table>\n"


def _inline(text: str) -> str:
    return _STRONG.sub(r"<strong>\1</strong>", _CODE.sub(r"<code>\1</code>", escape(text)))
