"""What compaction and search come to on a catalogue of real servers: what is saved, found and harmed.

    python -m tests.benchmarks.context_catalog CATALOG_DIR [TASKS.json ...] [--json FILE]

CATALOG_DIR holds one `<server>.json` for each server, with `server` and `tools`, as tools/list gave them: what
`python -m tests.benchmarks.capture_lists` writes. `--write docs/context.md` renews that part of the page which
`--part` names.
TASKS.json holds a list of {"query": a sentence, "keywords": what a model would type, "tools": exposed names of
which any is right}. Formats count in the validation, as if every client checked them.
Times are of this thread's CPU where they say so: the machine may be shared.
"""

import argparse
import asyncio
import gc
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from random import Random
from typing import Final

from proxy_core.context.compaction import compact_tool
from proxy_core.context.index_build import IndexBuild
from proxy_core.context.search import SearchIndex
from tests.benchmarks import context_page
from tests.benchmarks.captured import Server, read_catalog
from tests.benchmarks.context_tokens import Figures, Task, measure_tokens
from tests.support.schema_instances import instances, verdict

RANKS: Final = (1, 3, 5)
DEPTH: Final = 50
"""Hits that are looked at for the reciprocal rank."""
QUERY_ROUNDS: Final = 3
"""Times that a query is timed; the fastest counts, since what makes it slower is others' work."""
INSTANCES_A_TOOL: Final = 30
SHOWN_DISAGREEMENTS: Final = 5


def measure_build(servers: Sequence[Server]) -> tuple[Figures, SearchIndex]:
    """How long the index takes, alone and after a change of one server, and its longest step."""
    build = IndexBuild([source for server in servers for source in server.sources()])
    steps_ms, total_ms = _steps_ms(build)
    again = IndexBuild([source for server in servers for source in server.sources()], build.docs)
    _, again_ms = _steps_ms(again)
    index = build.index
    figures = {
        "tools": len(index.names),
        "words": len(index.vocabulary.numbers),
        "postings": len(index.postings.tools),
        "build_cpu_ms": round(total_ms, 1),
        "steps": len(steps_ms),
        "longest_step_cpu_ms": round(max(steps_ms), 3),
        "rebuild_cpu_ms": round(again_ms, 1),
    }
    return figures, index


def _steps_ms(build: IndexBuild) -> tuple[list[float], float]:
    steps: list[float] = []
    gc.collect()
    begun = last = time.thread_time()
    for _ in build:
        now = time.thread_time()
        steps.append((now - last) * 1000)
        last = time.thread_time()
    steps.append((time.thread_time() - last) * 1000)
    return steps, (time.thread_time() - begun) * 1000


def measure_retrieval(index: SearchIndex, tasks: Sequence[Task]) -> Figures:
    """Share of tasks whose tool is among the first hits, for keywords, sentences, and both as two phrasings."""
    asked: dict[str, Callable[[Task], list[str]]] = {
        "keywords": lambda task: [task["keywords"]],
        "sentences": lambda task: [task["query"]],
        "both": lambda task: [task["keywords"], task["query"]],
    }
    return {kind: _measure_kind(index, tasks, queries) for kind, queries in asked.items()}


def _measure_kind(index: SearchIndex, tasks: Sequence[Task], queries: Callable[[Task], list[str]]) -> Figures:
    ranks: list[int | None] = []
    wall_ms: list[float] = []
    for task in tasks:
        hits = index.search(queries(task), limit=DEPTH)
        wall_ms.append(min(_search_ms(index, queries(task)) for _ in range(QUERY_ROUNDS)))
        ranks.append(next((rank for rank, hit in enumerate(hits, start=1) if hit.name in task["tools"]), None))
    wall_ms.sort()
    return {
        "tasks": len(tasks),
        **{f"recall@{k}": round(sum(r is not None and r <= k for r in ranks) / len(ranks), 3) for k in RANKS},
        "mrr": round(sum(1 / rank for rank in ranks if rank) / len(ranks), 3),
        "p50_ms": round(wall_ms[len(wall_ms) // 2], 2),
        "p95_ms": round(wall_ms[int(len(wall_ms) * 0.95)], 2),
    }


def _search_ms(index: SearchIndex, queries: list[str]) -> float:
    begun = time.perf_counter()
    index.search(queries)
    return (time.perf_counter() - begun) * 1000


def measure_validation(servers: Sequence[Server], per_tool: int = INSTANCES_A_TOOL) -> Figures:
    """Whether the compact schema of each tool takes exactly the arguments that the whole one takes."""
    verdicts: Counter[str] = Counter()
    disagreements: list[Figures] = []
    for server in servers:
        for tool in server.tools:
            whole, compact = tool["inputSchema"], compact_tool(tool)["inputSchema"]
            # The same values in every run.
            for value in instances(whole, Random(f"{server.id}__{tool['name']}"), per_tool):
                before, after = verdict(whole, value), verdict(compact, value)
                verdicts[before] += 1
                if before != after:
                    disagreements.append(
                        {
                            "tool": f"{server.id}__{tool['name']}",
                            "value": value,
                            "whole": before,
                            "compact": after,
                        }
                    )
    return {
        "instances": verdicts.total(),
        "verdicts": dict(verdicts.most_common()),
        "disagreements": len(disagreements),
        "first": disagreements[:SHOWN_DISAGREEMENTS],
    }


def table(name: str, figures: Figures) -> list[str]:
    """Figures for people: one line each, or one row each if they are figures of several things."""
    if not figures:
        return []
    rows = {key: value for key, value in figures.items() if isinstance(value, dict) and key != "verdicts"}
    if len(rows) < len(figures):
        return [f"## {name}", "", *(f"- {key}: {value}" for key, value in figures.items()), ""]
    columns = list(next(iter(rows.values())))
    return [
        f"## {name}",
        "",
        "| |" + "".join(f" {column} |" for column in columns),
        "|---" * (len(columns) + 1) + "|",
        *(f"| {key} |" + "".join(f" {row[column]} |" for column in columns) for key, row in rows.items()),
        "",
    ]


def measure(servers: Sequence[Server], tasks: Mapping[str, Sequence[Task]], per_tool: int) -> Figures:
    """Everything; `tasks` by the name of their set: those count that some tool of the catalogue can do."""
    build, index = measure_build(servers)
    names = frozenset(index.names)
    sets = {name: [each for each in of_set if names & {*each["tools"]}] for name, of_set in tasks.items()}
    every_task = [task for of_set in sets.values() for task in of_set]
    figures: Figures = {"build": build, **asyncio.run(measure_tokens(servers, every_task))}
    for name, of_set in (sets | ({"all": every_task} if len(sets) > 1 else {})).items():
        if of_set:
            figures[f"retrieval {name}"] = measure_retrieval(index, of_set)
    figures["validation"] = measure_validation(servers, per_tool)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalog", type=Path, metavar="CATALOG_DIR")
    parser.add_argument("tasks", type=Path, nargs="*", metavar="TASKS.json")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--instances", type=int, default=INSTANCES_A_TOOL, help="values tried for each tool")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the figures into this page")
    parser.add_argument("--part", choices=list(context_page.PARTS), default="catalogue", help="of that page")
    options = parser.parse_args()
    tasks = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in options.tasks}
    figures = measure(read_catalog(options.catalog), tasks, options.instances)
    for name, each in figures.items():
        print("\n".join(table(name, each)))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if options.write:
        text = context_page.part(options.part, figures, date.today())
        context_page.write(options.write, options.part, text)


if __name__ == "__main__":
    main()
