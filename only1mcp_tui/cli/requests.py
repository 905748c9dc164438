"""`only1mcp requests`: what the traffic inspector recorded, as lines, or one of them in full as JSON.

The gateway masks secrets when it records, so what is printed here is masked as on the screen.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator
from typing import Final

import click
from msgspec import to_builtins

from only1mcp_tui.cli.output import note, one_line, say, say_line, table
from only1mcp_tui.cli.reach import Address, reached, steering
from only1mcp_tui.view.exchange_json import exchange_json
from only1mcp_tui.view.exchanges import fields_of, numbers_of, parse_exchange_filter, status_words
from only1mcp_tui.view.filters import Filter
from only1mcp_tui.view.numbers import latency
from proxy_core.telemetry.exchanges import ExchangeRow

MOST: Final = 5000
"""What a gateway gives at once."""
HEADINGS: Final = ("ID", "TIME", "STATUS", "TOOK", "CLIENT", "WHAT")
CLIENT_LIMIT, WHAT_LIMIT = 10, 27
"""So that a line has 80 columns at most; the JSON cuts nothing."""


@click.command("requests")
@click.argument("id", type=click.IntRange(1), required=False)
@click.option("-n", "--limit", type=click.IntRange(1, MOST), default=20, show_default=True, help="How many.")
@click.option("--filter", "expression", default="", help="As on the screen: status:error ms:>200 server:x.")
@steering
def requests_command(id: int | None, limit: int, expression: str, address: Address, as_json: bool) -> None:
    """Show the newest requests of clients, the last one below; with an ID that one in full, as JSON.

    With --json the list is one object a line.
    """
    if id is not None:
        say(asyncio.run(_one(address, id)))
        return
    chosen = parse_exchange_filter(expression)
    if chosen.unclear:
        raise click.UsageError(f"--filter cannot mean {one_line(' '.join(chosen.unclear), 80)}.")
    rows = asyncio.run(_rows(address, chosen, limit))
    if as_json:
        for row in rows:
            say_line(to_builtins(row))
    elif rows:
        say(table(HEADINGS, _cells(rows)))
    else:
        note("No such request is recorded." if expression else "No request is recorded.")


async def _one(address: Address, id: int) -> str:
    """Raises: UnknownExchange."""
    async with reached(address) as control:
        return exchange_json(await control.exchange(id), 2)


async def _rows(address: Address, chosen: Filter, limit: int) -> list[ExchangeRow]:
    """Those that pass the filter, oldest first."""
    async with reached(address) as control:
        page = await control.fetch_exchanges(MOST if chosen.terms else limit)
    rows = sorted(page.rows, key=lambda row: row.id)
    return [row for row in rows if chosen.matches(fields_of(row, False), numbers_of(row))][-limit:]


def _cells(rows: Iterable[ExchangeRow]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        words, _ = status_words(row)
        yield (
            str(row.id),
            time.strftime("%H:%M:%S", time.localtime(row.wall)),
            words,
            latency(row.duration_ms),
            one_line(row.client or row.principal, CLIENT_LIMIT),
            one_line(row.target or row.method, WHAT_LIMIT),
        )
