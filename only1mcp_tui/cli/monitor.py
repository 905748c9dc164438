"""`only1mcp monitor`: the screen over a gateway that runs elsewhere; leaving it leaves the gateway alone.

Textual is imported when it is known that there is a terminal to draw on.
"""

import asyncio
import os
import sys
from typing import Final

import click

from only1mcp_tui.cli.exits import Exit
from only1mcp_tui.cli.output import note
from only1mcp_tui.cli.reach import Address, reached, reaching
from proxy_core.config.models import TuiConfig
from proxy_core.errors import Only1Error
from proxy_core.telemetry.logs import setup_logging

LEFT: Final = "The gateway runs on."


@click.command("monitor")
@click.option("--readonly", is_flag=True, help="Look, and change nothing.")
@reaching
def monitor_command(address: Address, readonly: bool) -> None:
    """Open the screen over a running gateway. Quitting it leaves the gateway alone."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    if not all(stream.isatty() for stream in streams) or os.environ.get("TERM") == "dumb":
        raise Only1Error("There is no terminal to draw on; only1mcp status tells the same as text.")
    click.get_current_context().exit(watch(address, readonly=readonly))


def watch(address: Address, tui: TuiConfig | None = None, *, readonly: bool = False) -> int:
    """The screen, until it is left. Raises: GatewayUnreachable, TokenRefused."""
    setup_logging("info", "pretty", None, to_stderr=False)
    code = asyncio.run(_watched(address, tui, readonly))
    note(LEFT)
    return code


async def _watched(address: Address, tui: TuiConfig | None, readonly: bool) -> int:
    from only1mcp_tui.app import Only1App
    from only1mcp_tui.screens.kept import Kept, kept_path

    async with reached(address) as control:
        control.follow()
        app = Only1App(control, tui=tui, kept=Kept(kept_path(os.environ)), readonly=readonly)
        await app.run_async()
    return app.return_code or Exit.OK
