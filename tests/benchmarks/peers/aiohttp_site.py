"""What the peers written with aiohttp.web have in common: one handler of POSTs, on a port that is printed."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web


async def serve_posts(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> None:
    """Serve until cancelled, without an access log."""
    app = web.Application()
    app.router.add_post("/mcp", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site.port, flush=True)
    await asyncio.Event().wait()
