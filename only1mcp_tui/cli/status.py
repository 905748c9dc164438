"""`only1mcp status`: how the running gateway is, the facts of the Overview screen as text."""

import asyncio
from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

import click

from only1mcp_tui.cli.output import counted, note, one_line, say, say_json, table
from only1mcp_tui.cli.questions import waiting_line
from only1mcp_tui.cli.reach import Address, reached, steering
from only1mcp_tui.cli.rows import Row, state_words, why
from only1mcp_tui.view.numbers import ABSENT, count, duration, latency, rate, share, size
from only1mcp_tui.view.targets import has_replicas, probe_words
from proxy_core.telemetry.snapshot import BreakerState, ConfigStatus, ServerRow, Snapshot

HEADINGS: Final = (
    "ID",
    "STATE",
    "IN FLIGHT",
    "CALLS",
    "ERRORS",
    "P95",
    "PROBE",
    "BREAKER",
    "RESTARTS",
    "MEMORY",
    "WHY",
)


@click.command("status")
@steering
def status_command(address: Address, as_json: bool) -> None:
    """Show how the running gateway is: its servers and replicas, configuration, totals."""
    snapshot = asyncio.run(_picture(address))
    if as_json:
        say_json(asdict(snapshot))
        return
    for line in head_lines(snapshot):
        say(line)
    rows = [cells for server in snapshot.servers for cells in row_cells(server, snapshot.at)]
    say("")
    say(table(HEADINGS, rows))
    for notice in snapshot.notices:
        note(f"{notice.level}: {one_line(notice.text, 300)}")


async def _picture(address: Address) -> Snapshot:
    async with reached(address) as control:
        return control.snapshot()


def head_lines(snapshot: Snapshot) -> Iterator[str]:
    """The gateway, its configuration, its totals."""
    up = duration(snapshot.at - snapshot.started_at)
    yield f"only1mcp {one_line(snapshot.version, 40)} on {snapshot.url or 'no port yet'}, up {up}"
    yield f"configuration: {_config(snapshot)}"
    totals = snapshot.totals
    words = [
        counted(totals.calls, "call"),
        f"{totals.errors} failed",
        f"{rate(totals.calls_per_s)}/s",
        f"{totals.in_flight} in flight",
        f"p95 {latency(totals.latency.p95_ms)}",
        counted(totals.sessions, "session"),
        counted(totals.streams, "stream"),
    ]
    yield f"totals: {', '.join(words)}"
    if waiting := waiting_line(snapshot):
        yield f"asked: {waiting}"
    savings = snapshot.savings
    needless = (
        "" if savings.served_share is None else f"; {share(savings.served_share)} of answers needed no call"
    )
    yield f"kept: {counted(savings.entries, 'answer')}, {size(savings.bytes)}{needless}"
    if (context := snapshot.context) is not None:
        changed = "" if context.is_complete else ", being counted anew"
        yield (
            f"lists of tools: {context.in_force.wire:,} tokens, {context.in_force.visible:,} of them shown "
            f"to a model as a rule ({context.mode}, {context.encoding}{changed})"
        )


def _config(snapshot: Snapshot) -> str:
    status: ConfigStatus = snapshot.config
    parts = [one_line(snapshot.config_path or "none, the demo servers run", 200), f"version {status.version}"]
    if status.errors:
        parts.append(f"{counted(status.errors, 'reload')} refused")
    if status.is_waiting:
        parts.append("a new one waits to be confirmed (only1mcp reload)")
    if status.error is not None:
        parts.append(f"▲ the file is not in force: {one_line(status.error, 300)}")
    return ", ".join(parts)


def row_cells(server: ServerRow, now: float) -> Iterator[tuple[str, ...]]:
    """The server, and below it its replicas where it has several."""
    memory = sum(child.rss_bytes for child in server.processes)
    name = server.id + (" (lists of before)" if server.is_remembered else "")
    p95 = latency(server.latency.p95_ms)
    yield _cells(name, server, str(server.errors), p95, memory, now)
    if not has_replicas(server):
        return
    for number, replica in enumerate(server.replicas, start=1):
        branch = "└" if number == len(server.replicas) else "├"
        own = sum(child.rss_bytes for child in server.processes if child.replica == replica.id)
        yield _cells(f"{branch} {replica.id}", replica, str(replica.failures), ABSENT, own, now)


def _cells(name: str, row: Row, errors: str, p95: str, memory: int, now: float) -> tuple[str, ...]:
    breaker = ABSENT if row.breaker is BreakerState.CLOSED else row.breaker.value.replace("_", " ")
    return (
        name,
        state_words(row),
        str(row.in_flight),
        count(row.calls),
        errors,
        p95,
        probe_words(row.probe, now) if row.probe is not None else ABSENT,
        breaker,
        str(row.restarts),
        size(memory) if memory else ABSENT,
        why(row, now),
    )
