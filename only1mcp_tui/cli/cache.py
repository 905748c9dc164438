"""`only1mcp cache`: what the running gateway did not have to ask its servers, and how to make it ask again."""

import asyncio
from collections.abc import Iterator
from typing import Final

import click
from msgspec import to_builtins

from only1mcp_tui.cli.output import counted, note, say, say_json, table
from only1mcp_tui.cli.reach import Address, reached, steering
from only1mcp_tui.view.numbers import ABSENT, count, duration, share, size
from proxy_core.telemetry.savings import CacheRow, JoinRow, Savings

CACHES: Final = ("SERVER", "METHOD", "HITS", "MISSES", "SHARE", "ENTRIES", "SIZE", "AGE AT HIT", "EVICTED")
JOINS: Final = ("SERVER", "METHOD", "ASKED", "MADE", "SAVED", "WINDOWS", "MEAN WAIT")


@click.group("cache")
def cache_command() -> None:
    """Show what the kept answers saved, or drop them."""


@cache_command.command("stats", short_help="Show what kept answers and joined requests saved.")
@steering
def stats_command(address: Address, as_json: bool) -> None:
    """Show hits, misses, evictions and joined requests, by server and method."""
    savings = asyncio.run(_savings(address))
    if as_json:
        say_json(to_builtins(savings))
        return
    if not savings.caches:
        say("Nothing is kept yet, and nothing was looked up.")
        return
    say(f"kept: {counted(savings.entries, 'answer')}, {size(savings.bytes)}")
    say(f"hits: {count(savings.hits)} of {count(savings.hits + savings.misses)} ({share(savings.hit_share)})")
    say(f"answered without a call of their own: {share(savings.served_share)} of {count(_needed(savings))}")
    say("")
    say(table(CACHES, [_cache_cells(row) for row in savings.caches]))
    say("")
    for wire in savings.wires:
        say(f"{wire.server}: {counted(wire.requests, 'request')} in {count(wire.batches)} JSON-RPC batches")
    if not savings.joins:
        say("No request was left to ask that could have been joined.")
        return
    say(f"calls saved by joining: {share(savings.saved_share)} of {count(_asked(savings))}")
    say("")
    say(table(JOINS, [_join_cells(row) for row in savings.joins]))


@cache_command.command("clear", short_help="Drop the kept answers of these servers, or all.")
@click.argument("servers", nargs=-1, metavar="[SERVER]...")
@steering
def clear_command(servers: tuple[str, ...], address: Address, as_json: bool) -> None:
    """Drop the kept answers of these servers, or all; lists are read again when they are asked for."""
    dropped = asyncio.run(_cleared(address, servers))
    if as_json:
        say_json({"ok": True, "answers": dropped})
        return
    say(f"{counted(dropped, 'kept answer')} dropped")
    note("Lists are read from their servers again when somebody asks for them.")


async def _savings(address: Address) -> Savings:
    async with reached(address) as control:
        return control.snapshot().savings


async def _cleared(address: Address, servers: tuple[str, ...]) -> int:
    async with reached(address) as control:
        if not servers:
            return await control.clear_cache()
        return sum([await control.clear_cache(server) for server in servers])


def _asked(savings: Savings) -> int:
    return sum(row.asked for row in savings.joins)


def _needed(savings: Savings) -> int:
    return savings.hits + _asked(savings)


def _cache_cells(row: CacheRow) -> tuple[str, ...]:
    looked_up = row.hits + row.misses
    stale = f" +{row.stale_hits} stale" if row.stale_hits else ""
    age = f"{duration(row.mean_age_s)}, at most {duration(row.max_age_s)}" if row.hits else ABSENT
    return (
        row.server,
        row.method,
        f"{count(row.hits)}{stale}",
        count(row.misses),
        share(row.hits / looked_up if looked_up else None),
        count(row.entries),
        size(row.bytes),
        age,
        ", ".join(_evicted(row)) or ABSENT,
    )


def _evicted(row: CacheRow) -> Iterator[str]:
    for cause, times in row.evictions:
        yield f"{times} {cause.replace('_', ' ')}"


def _join_cells(row: JoinRow) -> tuple[str, ...]:
    full = f" ({count(row.windows_full)} full)" if row.windows_full else ""
    mean_s = row.window_wait_s / row.windows if row.windows else None
    return (
        row.server,
        row.method,
        count(row.asked),
        count(row.made),
        share(row.saved / row.asked if row.asked else None),
        f"{count(row.windows)}{full}",
        ABSENT if mean_s is None else f"{mean_s * 1000:.0f} ms",
    )
