"""The picture of a gateway as text of 80 columns: what the Overview screen tells, for whoever has no screen."""

from collections.abc import Iterable, Iterator
from textwrap import wrap
from typing import Final

from only1mcp_tui.cli.approve import changes_line
from only1mcp_tui.cli.output import counted, one_line, table
from only1mcp_tui.cli.questions import waiting_line
from only1mcp_tui.cli.rows import Row, state_words, why
from only1mcp_tui.view.numbers import ABSENT, count, duration, latency, percent, rate, share, size
from only1mcp_tui.view.states import era_badge
from only1mcp_tui.view.targets import has_replicas, probe_words
from proxy_core.telemetry.snapshot import ClientRow, ConfigStatus, ReplicaRow, ServerRow, Snapshot, Totals

HEADINGS: Final = ("SERVER", "STATE", "INFL", "CALLS", "RPS", "ERR %", "P95", "MEMORY")
WIDTH: Final = 80
INDENT: Final = "    "
NO_BREAK: Final = "\u00a0"
NAME_LIMIT: Final = 18
CLIENTS_SHOWN: Final = 8
"""Those seen last."""


def head_lines(snapshot: Snapshot) -> Iterator[str]:
    """The gateway, its configuration, its totals; a heading with a line or two each."""
    up = duration(snapshot.at - snapshot.started_at)
    yield f"only1mcp {one_line(snapshot.version, 40)} on {snapshot.url or 'no port yet'}, up {up}"
    yield from _told("configuration", _config(snapshot))
    yield from _told("totals", _totals(snapshot.totals))
    if waiting := waiting_line(snapshot):
        yield from _told("asked", (waiting,))
    if changes := changes_line(snapshot):
        yield from _told("tools", (changes,))
    yield from _told("kept", _savings(snapshot))
    if (context := snapshot.context) is not None:
        changed = "" if context.is_complete else ", being counted anew"
        yield from _told(
            "lists of tools",
            (
                f"{context.in_force.wire:,} tokens",
                f"{context.in_force.visible:,} of them shown to a model as a rule "
                f"({context.mode}, {context.encoding}{changed})",
            ),
        )
    yield from _clients(snapshot)


def _told(heading: str, words: Iterable[str]) -> list[str]:
    return _wrapped(f"{heading}: {_joined(words)}", "")


def _joined(facts: Iterable[str]) -> str:
    """Lines end between short facts, and only inside of those that are sentences."""
    return ", ".join(fact.replace(" ", NO_BREAK) if len(fact) < WIDTH // 2 else fact for fact in facts)


def _wrapped(text: str, indent: str) -> list[str]:
    lines = wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(NO_BREAK, " ") for line in lines]


def _totals(totals: Totals) -> Iterator[str]:
    yield counted(totals.calls, "call")
    yield f"{totals.errors} failed"
    yield f"{rate(totals.calls_per_s)}/s"
    yield f"{percent(totals.errors_per_s, totals.calls_per_s)} % of them failed"
    yield f"{totals.in_flight} in flight"
    spent = totals.latency
    yield f"p50 {latency(spent.p50_ms)}"
    yield f"p95 {latency(spent.p95_ms)}"
    yield f"p99 {latency(spent.p99_ms)}"
    yield counted(totals.sessions, "session")
    yield counted(totals.streams, "stream")
    yield f"loop lag {latency(totals.loop_lag_p99_ms)}"


def _savings(snapshot: Snapshot) -> Iterator[str]:
    savings = snapshot.savings
    saved = savings.hits + sum(row.saved for row in savings.joins)
    yield counted(savings.entries, "answer")
    yield size(savings.bytes)
    yield f"{counted(saved, 'call')} saved"
    if savings.served_share is not None:
        yield f"{share(savings.served_share)} of answers needed no call"


def _clients(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.clients:
        yield f"clients: {len(snapshot.clients)}"
    for client in snapshot.clients[:CLIENTS_SHOWN]:
        yield f"{INDENT}{_client(client, snapshot.at)}"
    if (more := len(snapshot.clients) - CLIENTS_SHOWN) > 0:
        yield f"{INDENT}and {more} more"


def _client(client: ClientRow, now: float) -> str:
    badge, _ = era_badge(client.era, client.revision)
    who = f"{one_line(client.name, 18) or 'unnamed'} ({one_line(client.principal, 14)})"
    return f"{who}, {badge}, {_requests(client.requests)}, {duration(now - client.last_at)} ago"


def _requests(number: int) -> str:
    return "1 request" if number == 1 else f"{count(number)} requests"


def _config(snapshot: Snapshot) -> Iterator[str]:
    status: ConfigStatus = snapshot.config
    yield one_line(snapshot.config_path or "none, the demo servers run", 200)
    yield f"version {status.version}"
    if status.errors:
        yield f"{counted(status.errors, 'reload')} refused"
    if status.is_waiting:
        yield "a new one waits to be confirmed (only1mcp reload)"
    if status.error is not None:
        yield f"▲ the file is not in force: {one_line(status.error, 300)}"


# --- servers ------------------------------------------------------------------------------------------------


def server_lines(snapshot: Snapshot) -> Iterator[str]:
    """A line of the table for each server and replica, and below it in words what is no number."""
    told = [each for server in snapshot.servers for each in _rows(server, snapshot.at)]
    heading, *lines = table(HEADINGS, (cells for cells, _ in told)).splitlines()
    yield heading
    for line, (_, facts) in zip(lines, told, strict=True):
        yield line
        yield from facts


def _rows(server: ServerRow, now: float) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Cells and facts of the server, and of its replicas where it has several."""
    yield _server_cells(server), _facts(server, now)
    if not has_replicas(server):
        return
    for number, replica in enumerate(server.replicas, start=1):
        branch = "└" if number == len(server.replicas) else "├"
        yield _replica_cells(server, replica, branch), _facts(replica, now)


def _server_cells(server: ServerRow) -> tuple[str, ...]:
    memory = sum(child.rss_bytes for child in server.processes)
    return (
        one_line(server.id, NAME_LIMIT),
        state_words(server),
        str(server.in_flight),
        count(server.calls),
        rate(server.calls_per_s),
        percent(server.errors_per_s, server.calls_per_s),
        latency(server.latency.p95_ms),
        size(memory) if memory else ABSENT,
    )


def _replica_cells(server: ServerRow, replica: ReplicaRow, branch: str) -> tuple[str, ...]:
    """Rate and latency are known of the whole server alone."""
    memory = sum(child.rss_bytes for child in server.processes if child.replica == replica.id)
    return (
        f"{branch} {one_line(replica.id, NAME_LIMIT - 2)}",
        state_words(replica),
        str(replica.in_flight),
        count(replica.calls),
        ABSENT,
        ABSENT,
        ABSENT,
        size(memory) if memory else ABSENT,
    )


def _facts(row: Row, now: float) -> list[str]:
    reason = one_line(why(row, now), 300)
    told = _wrapped(f"▸ {reason}", INDENT) if reason else []
    return [*told, *_wrapped(_joined(_plain_facts(row, now)), INDENT)]


def _plain_facts(row: Row, now: float) -> Iterator[str]:
    yield f"for {duration(now - row.since_at)}"
    badge, _ = era_badge(row.era, row.revision)
    yield row.transport if badge == ABSENT else f"{badge} over {row.transport}"
    yield counted(row.tools, "tool")
    if isinstance(row, ServerRow) and row.tokens is not None:
        yield f"{row.tokens.visible:,} tokens"
    if row.probe is not None:
        yield f"probe {probe_words(row.probe, now)}"
    failed = row.errors if isinstance(row, ServerRow) else row.failures
    if failed:
        yield f"{count(failed)} failed"
    if row.restarts:
        yield counted(row.restarts, "restart")
    if isinstance(row, ServerRow) and row.queued:
        yield f"{count(row.queued)} queued"
    if isinstance(row, ServerRow) and row.is_remembered:
        yield "lists of before"
