"""`only1mcp monitor --web`: the screen in a browser on this machine, behind a link that works once.

Only a monitor is served, never the gateway itself: each tab is a process of its own, and there may be eight.
"""

import asyncio
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Final

import click
from aiohttp import web

from only1mcp_tui.cli.exits import Exit
from only1mcp_tui.cli.output import note, say
from only1mcp_tui.cli.reach import Address, reached_by, way_to
from only1mcp_tui.cli.web_door import Door
from proxy_core.errors import PortInUse
from proxy_core.telemetry.logs import setup_logging

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def serve(address: Address, host: str, port: int, readonly: bool) -> int:
    """Until a signal ends it. Raises: UsageError, PortInUse, GatewayUnreachable, TokenRefused."""
    if host not in LOOPBACK:
        raise click.UsageError(
            f"--web serves on loopback alone, not on {host}: whoever opens it may steer the gateway. From "
            "another machine, forward the port with ssh -L, or run only1mcp monitor ssh://HOST there."
        )
    setup_logging("warning", "pretty", None)
    asyncio.run(_served(address, "127.0.0.1" if host == "localhost" else host, port, readonly))
    return Exit.OK


async def _served(address: Address, host: str, port: int, readonly: bool) -> None:
    from only1mcp_tui.cli.web_page import MonitorServer

    async with way_to(address) as way:
        async with reached_by(way):
            """There is a gateway, and it lets us look."""
        listener = _listener(host, port)
        door = Door(host, listener.getsockname()[1])
        app = await MonitorServer(_command(way.address, readonly), door)._make_app()
        # Its access log would hold the link.
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            say(door.link)
            note("Open this link in a browser on this machine; it works once. ctrl+c ends this alone.")
            await _stopped()
        finally:
            await runner.cleanup()


def _listener(host: str, port: int) -> socket.socket:
    """Bound before it is told. Raises: PortInUse."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise PortInUse(host, port, "") from error
    return made


def _command(address: Address, readonly: bool) -> Sequence[str]:
    # The gateway's token goes on in the environment: `ps` shows this to everyone. -P: the folder that we happen
    # to be in holds none of our modules.
    command = (sys.executable, "-P", "-m", "only1mcp_tui", "monitor", str(address))
    return (*command, "--readonly") if readonly else command


async def _stopped() -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    try:
        await stop.wait()
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
