"""`only1mcp context`: what the lists of tools cost a model, by server and tool, and in each mode."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import click
from msgspec import to_builtins
from msgspec.structs import replace

from only1mcp_tui.cli.common import json_option, loaded_config
from only1mcp_tui.cli.exits import Exit
from only1mcp_tui.cli.output import complain, counted, note, say, say_json, table
from only1mcp_tui.cli.reach import Address, locating, reached
from only1mcp_tui.cli.rows import row_of
from only1mcp_tui.cli.source import enabled, own_proxy
from proxy_core.config.demo import demo_config
from proxy_core.control import Control
from proxy_core.control_client import GatewayUnreachable
from proxy_core.telemetry.context_bill import (
    APPROXIMATE,
    ContextBill,
    Cost,
    ModeCosts,
    ServerCost,
    ToolCost,
    search_words,
)

COUNT_S: Final = 30.0
"""How long to wait for a count: it starts a moment after the lists have changed."""
PAUSE_S: Final = 0.1
TOP: Final = 10
_UNKNOWN: Final = "-"


@click.command("context")
@click.option("--server", metavar="ID", help="This server's tools alone.")
@click.option(
    "--top",
    type=click.IntRange(0, 100_000),
    default=TOP,
    show_default=True,
    metavar="N",
    help="How many of the biggest tools and descriptions to list.",
)
@locating
@json_option
@click.pass_context
def context_command(
    ctx: click.Context, locate: Callable[[], Address], server: str | None, top: int, as_json: bool
) -> None:
    """Show what the lists of tools cost a model, in tokens, and what each context mode would cost.

    TOKENS counts the exact JSON that a client gets; VISIBLE its name, description and inputSchema alone, which
    is what hosts put before the model as a rule.
    """
    bill = asyncio.run(_bill(ctx, locate(), server))
    if bill is None:
        complain("The tokens could not be counted; the log says why.")
        ctx.exit(Exit.FAILURE)
    if not bill.is_complete:
        note("The lists have changed and are not counted again yet; these are the figures of before.")
    if as_json:
        say_json(plain(bill, top))
        return
    for line in lines(bill, top):
        say(line)


async def _bill(ctx: click.Context, address: Address, server: str | None) -> ContextBill | None:
    """Of the one server, if one is named. None: nothing was counted in time. Raises: UnknownServer."""
    async with _control(ctx, address) as control:
        if server is not None:
            row_of(control.snapshot(), server)
        deadline_at = time.monotonic() + COUNT_S
        bill = await control.context_bill()
        while not bill.is_complete and time.monotonic() < deadline_at:
            await asyncio.sleep(PAUSE_S)
            bill = await control.context_bill()
    if not (bill.is_complete or bill.profiles):
        return None
    return bill if server is None else _of(bill, server)


@asynccontextmanager
async def _control(ctx: click.Context, address: Address) -> AsyncIterator[Control]:
    """The running gateway; where none runs and none was named, one of our own, for this command alone."""
    async with AsyncExitStack() as stack:
        control: Control
        try:
            control = await stack.enter_async_context(reached(address))
        except GatewayUnreachable as error:
            given = ctx.params
            if given["socket_file"] is not None or given["url"] is not None:
                raise
            note(f"{error.message} Starting the servers for this command alone.")
            loaded = loaded_config(ctx, given["config"]) or demo_config()
            control = await stack.enter_async_context(own_proxy(loaded, enabled(loaded.config)))
        yield control


def _of(bill: ContextBill, server: str) -> ContextBill:
    return replace(
        bill,
        servers=tuple(row for row in bill.servers if row.id == server),
        tools=tuple(row for row in bill.tools if row.server == server),
        descriptions=tuple(row for row in bill.descriptions if row.server == server),
    )


# --- as JSON --------------------------------------------------------------------------------------------------


def plain(bill: ContextBill, top: int) -> dict[str, Any]:
    """`tokens` and what stands under `modes` is wire; what hosts show a model stands beside it as `visible`."""
    modes = (("full", bill.modes.full), ("compact", bill.modes.compact), ("search", bill.modes.search))
    return {
        "encoding": bill.encoding,
        "approximate": APPROXIMATE,
        "is_complete": bill.is_complete,
        "mode": bill.mode,
        "modes": {mode: cost and cost.wire for mode, cost in modes},
        "visible": {mode: cost and cost.visible for mode, cost in modes},
        "searches": to_builtins(bill.searches),
        "servers": [{"id": row.id, "tools": row.tools, **_plain_costs(row)} for row in bill.servers],
        "tools": [
            {"server": row.server, "name": row.name, **_plain_costs(row)} for row in _biggest(bill.tools, top)
        ],
        "descriptions": [to_builtins(row) for row in bill.descriptions[:top]],
        "profiles": [
            {"profile": row.profile, "mode": row.mode, "tools": row.tools, **to_builtins(row.modes)}
            for row in bill.profiles
        ],
    }


def _plain_costs(row: ServerCost | ToolCost) -> dict[str, int]:
    return {
        "tokens": row.full.wire,
        "visible": row.full.visible,
        "compact_tokens": row.compact.wire,
        "compact_visible": row.compact.visible,
    }


# --- as text --------------------------------------------------------------------------------------------------


def lines(bill: ContextBill, top: int) -> Iterator[str]:
    tools = sum(row.tools for row in bill.servers)
    yield f"{counted(tools, 'tool')} of {counted(len(bill.servers), 'server')}; mode in force: {bill.mode}"
    yield f"encoding {bill.encoding}; {APPROXIMATE}"
    yield ""
    yield table(("MODE", "TOKENS", "OF FULL", "VISIBLE", "OF FULL"), _mode_rows(bill.modes))
    if bill.modes.search is not None:
        yield search_words(bill.searches)
    yield ""
    servers = sorted(bill.servers, key=lambda row: row.full.wire, reverse=True)
    yield table(
        ("SERVER", "TOOLS", "TOKENS", "VISIBLE", "COMPACT", "VISIBLE"),
        ((row.id, str(row.tools), *_cells(row)) for row in servers),
    )
    if top and bill.tools:
        yield ""
        yield table(
            ("BIGGEST TOOLS", "TOKENS", "VISIBLE", "COMPACT", "VISIBLE"),
            ((row.name, *_cells(row)) for row in _biggest(bill.tools, top)),
        )
    if top and bill.descriptions:
        yield ""
        yield table(
            ("BIGGEST DESCRIPTIONS", "TOKENS", "OF ITS TOOL"),
            ((row.name, _number(row.tokens), f"{row.share:.0%}") for row in bill.descriptions[:top]),
        )
    if len(bill.profiles) > 1:
        yield ""
        yield table(
            ("PROFILE", "MODE", "TOOLS", "TOKENS", "VISIBLE"),
            (
                (row.profile or _UNKNOWN, row.mode, str(row.tools), *_cost_cells(row.in_force))
                for row in bill.profiles
            ),
        )


def _mode_rows(modes: ModeCosts) -> Iterator[tuple[str, ...]]:
    full = modes.full
    for mode, cost in (("full", full), ("compact", modes.compact), ("search", modes.search)):
        if cost is None:
            yield (mode, *[_UNKNOWN] * 4)
            continue
        yield (
            mode,
            _number(cost.wire),
            _share(cost.wire, full.wire),
            _number(cost.visible),
            _share(cost.visible, full.visible),
        )


def _biggest(tools: Sequence[ToolCost], top: int) -> list[ToolCost]:
    return sorted(tools, key=lambda row: row.full.wire, reverse=True)[:top]


def _cells(row: ServerCost | ToolCost) -> tuple[str, ...]:
    return (*_cost_cells(row.full), *_cost_cells(row.compact))


def _cost_cells(cost: Cost) -> tuple[str, str]:
    return _number(cost.wire), _number(cost.visible)


def _number(tokens: int) -> str:
    return f"{tokens:,}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else _UNKNOWN
