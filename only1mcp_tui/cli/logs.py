"""`only1mcp logs`: the last lines of the running gateway and of its servers' stderr, and those that follow."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import click
from msgspec import to_builtins

from only1mcp_tui.cli.output import one_line, say, say_line
from only1mcp_tui.cli.reach import Address, reached, steering
from proxy_core.telemetry.snapshot import LogLine

LEVELS: Final = ("debug", "info", "warning", "error")
PAUSE_S: Final = 0.5
TEXT_LIMIT: Final = 2000
MOST: Final = 5000
"""What a gateway keeps."""

Wanted = Callable[[LogLine], bool]


@click.command("logs")
@click.option("-n", "--lines", type=click.IntRange(0, 5000), default=50, show_default=True, help="How many.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is logged from now on, until ctrl+c.")
@click.option("--level", type=click.Choice(LEVELS), default="debug", help="Least level shown.")
@click.option("--source", metavar="NAME", help="Only what this server, or this part of the gateway, said.")
@steering
def logs_command(
    lines: int, follow: bool, level: str, source: str | None, address: Address, as_json: bool
) -> None:
    """Show the last log lines, those of the servers' stderr among them. With --json, one object a line."""

    def is_wanted(line: LogLine) -> bool:
        return _rank(line.level) >= _rank(level) and source in (None, line.source)

    tell = _tell_json if as_json else _tell
    try:
        asyncio.run(_lines(address, lines, follow, is_wanted, tell))
    except KeyboardInterrupt:
        # How one stops following.
        return


async def _lines(
    address: Address, count: int, follow: bool, is_wanted: Wanted, tell: Callable[[LogLine], None]
) -> None:
    async with reached(address) as control:
        page = await control.fetch_logs(limit=MOST)
        wanted = list(filter(is_wanted, page.lines))
        for line in wanted[len(wanted) - min(count, len(wanted)) :]:
            tell(line)
        while follow:
            await asyncio.sleep(PAUSE_S)
            page = await control.fetch_logs(page.seq, MOST)
            for line in filter(is_wanted, page.lines):
                tell(line)


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else len(LEVELS)


def _tell(line: LogLine) -> None:
    at = time.strftime("%H:%M:%S", time.localtime(line.wall))
    fields = "".join(f"  {key}={value}" for key, value in line.fields)
    head = f"{at} {one_line(line.level, 7):<7} {one_line(line.source, 40):<12}"
    say(f"{head} {one_line(line.text, TEXT_LIMIT)}{one_line(fields, TEXT_LIMIT)}".rstrip())


def _tell_json(line: LogLine) -> None:
    say_line({**to_builtins(line), "fields": dict(line.fields)})
