"""`only1mcp status`: how the running gateway is, the facts of the Overview screen as text."""

import asyncio

import click
from msgspec import to_builtins

from only1mcp_tui.cli.output import note, one_line, say, say_json
from only1mcp_tui.cli.reach import Address, reached, steering
from only1mcp_tui.cli.status_lines import head_lines, server_lines
from proxy_core.telemetry.snapshot import Snapshot


@click.command("status")
@steering
def status_command(address: Address, as_json: bool) -> None:
    """Show how the running gateway is: its servers and replicas, clients, configuration, totals."""
    snapshot = asyncio.run(_picture(address))
    if as_json:
        say_json(to_builtins(snapshot))
        return
    for line in head_lines(snapshot):
        say(line)
    say("")
    for line in server_lines(snapshot):
        say(line)
    for notice in snapshot.notices:
        note(f"{notice.level}: {one_line(notice.text, 300)}")


async def _picture(address: Address) -> Snapshot:
    async with reached(address) as control:
        return control.snapshot()
