"""The result of a load as text and as JSON."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from only1mcp_tui.cli.output import one_line, table
from proxy_core.load.loader import Plan
from proxy_core.load.tally import LoadResult

MAX_EXAMPLE = 60
"""Characters of what a server said, in a table."""


def lines(result: LoadResult, is_paced: bool) -> Iterator[str]:
    """`is_paced`: whether requests had a time when they were due."""
    rows = [
        ("requests", f"{result.requests:,}"),
        ("answered well", f"{result.good:,}"),
        ("failed", f"{result.requests - result.good:,}"),
        ("requests/s", f"{result.per_s:,.0f}" if result.per_s >= 100 else f"{result.per_s:.1f}"),
        *((f"p{share * 100:g} ms", _ms(took)) for share, took in result.percentiles_ms.items()),
        *([("longest ms", _ms(result.longest_ms))] if result.good else []),
        ("bytes received", f"{result.received_bytes:,}"),
    ]
    if result.replaced:
        rows.append(("connections replaced", f"{result.replaced:,}"))
    yield table((f"IN {result.seconds:g} s", ""), rows)
    if is_paced and result.late_ms is not None:
        yield ""
        yield f"Times count from when a request was due. This program was {_ms(result.late_ms)} ms late (p99)."
    if result.faults:
        yield ""
        yield table(
            ("FAILED", "HOW", "FOR EXAMPLE"),
            ((f"{fault.count:,}", fault.kind, one_line(fault.example, MAX_EXAMPLE)) for fault in result.faults),
        )


def plain(
    url: str, revision: str, method: str, tool: str | None, plan: Plan, result: LoadResult
) -> dict[str, Any]:
    """For machines; times in milliseconds."""
    return {
        "url": url,
        "revision": revision,
        "method": method,
        "tool": tool,
        "connections": plan.connections,
        "rate": plan.per_s,
        "seconds": result.seconds,
        "requests": result.requests,
        "good": result.good,
        "failed": result.requests - result.good,
        "faults": [asdict(fault) for fault in result.faults],
        "per_s": result.per_s,
        "latency_ms": {f"p{share * 100:g}": took for share, took in result.percentiles_ms.items()}
        | {"longest": result.longest_ms},
        "late_ms": result.late_ms,
        "received_bytes": result.received_bytes,
        "replaced": result.replaced,
    }


def _ms(value: float) -> str:
    return f"{value:.2f}"
