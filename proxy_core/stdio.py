"""The front door of `only1mcp stdio`: what the command may use of the rooms below, and nothing heavy.

Spec: basic/transports, "stdio".
"""

import asyncio
import logging
import signal
import sys

from proxy_core.frontend.pipe import Pipe, claim_stdio

__all__ = ["Pipe", "bridge", "claim_stdio"]


def bridge(pipe: Pipe, url: str, token: str | None) -> None:
    """Carry what the client at `pipe` says to the gateway at `url` and back, until the client has ended."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="only1mcp: %(message)s")
    asyncio.run(_bridge(pipe, url, token))


async def _bridge(pipe: Pipe, url: str, token: str | None) -> None:
    # A gateway that serves by itself has no use for this.
    from proxy_core.frontend.bridge import Bridge

    running = Bridge(url, token, pipe)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.stop)
    await running.run()
