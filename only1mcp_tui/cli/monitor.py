"""`only1mcp monitor`: the screen over a gateway that runs elsewhere; leaving it leaves the gateway alone.

Textual is imported when it is known that there is something to draw on.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Final

import click

from only1mcp_tui.cli.exits import Exit
from only1mcp_tui.cli.output import note
from only1mcp_tui.cli.reach import Address, address_at, locating, reached
from proxy_core.config.models import TuiConfig
from proxy_core.errors import Only1Error
from proxy_core.telemetry.logs import setup_logging

LEFT: Final = "The gateway runs on."
LOOPBACK: Final = ("127.0.0.1", "localhost")
WEB_DRIVER: Final = "TEXTUAL_DRIVER"
"""Set where what we draw goes to a browser's tab."""


@click.command("monitor")
@click.argument("target", required=False)
@click.option("--readonly", is_flag=True, help="Look, and change nothing.")
@click.option(
    "--web", is_flag=True, help="Show it in a browser on this machine, behind a link that works once."
)
@click.option("--host", default=LOOPBACK[0], show_default=True, help="With --web: a loopback address.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="With --web; 0 lets the system choose.")
@locating
@click.pass_context
def monitor_command(
    ctx: click.Context,
    locate: Callable[[], Address],
    target: str | None,
    readonly: bool,
    web: bool,
    host: str,
    port: int,
) -> None:
    """Open the screen over a running gateway. Quitting it leaves the gateway alone.

    TARGET says where it is: http(s)://HOST:PORT of one with admin.on_port, the path of its admin socket, or
    ssh://[USER@]HOST[:PORT][/PATH/OF/SOCKET]. Without it, it is the one that the configuration is for.
    """
    address = _address(ctx, locate, target)
    if web:
        from only1mcp_tui.cli.web import serve

        ctx.exit(serve(address, host, port, readonly))
    if host != LOOPBACK[0] or port:
        raise click.UsageError("--host and --port are for --web; where the gateway is, TARGET says.")
    if not _can_draw():
        raise Only1Error("There is no terminal to draw on; only1mcp status tells the same as text.")
    ctx.exit(watch(address, readonly=readonly))


def _address(ctx: click.Context, locate: Callable[[], Address], target: str | None) -> Address:
    if target is None:
        return locate()
    if ctx.params.get("socket_file") is not None or ctx.params.get("url") is not None:
        raise click.UsageError("TARGET, --socket and --url are ways to the same gateway; give one.")
    return address_at(target)


def _can_draw() -> bool:
    if os.environ.get(WEB_DRIVER):
        return True
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return all(stream.isatty() for stream in streams) and os.environ.get("TERM") != "dumb"


def watch(address: Address, tui: TuiConfig | None = None, *, readonly: bool = False) -> int:
    """The screen, until it is left. Raises: GatewayUnreachable, TokenRefused."""
    setup_logging("info", "pretty", None, to_stderr=False)
    code = asyncio.run(_watched(address, tui, readonly))
    if not os.environ.get(WEB_DRIVER):
        note(LEFT)
    return code


async def _watched(address: Address, tui: TuiConfig | None, readonly: bool) -> int:
    from only1mcp_tui.app import Only1App
    from only1mcp_tui.screens.kept import Kept, kept_path

    async with reached(address) as control:
        await control.fetch_session()
        control.follow()
        app = Only1App(control, tui=tui, kept=Kept(kept_path(os.environ)), readonly=readonly)
        await app.run_async()
    return app.return_code or Exit.OK
