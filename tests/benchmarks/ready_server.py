"""What a cached list is compared with: aiohttp.web under uvloop, answering each POST with the same ready bytes.

Run as `python -m tests.benchmarks.ready_server FILE`, which holds the body.
"""

import asyncio
import sys
from pathlib import Path

import uvloop
from aiohttp import web


async def serve(ready: bytes) -> None:
    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=ready, content_type="application/json")

    app = web.Application()
    app.router.add_post("/mcp", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site.port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]).read_bytes()))
