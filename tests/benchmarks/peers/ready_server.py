"""What a cached list is compared with: aiohttp.web under uvloop, answering each POST with the same ready bytes.

Run as `python -m tests.benchmarks.peers.ready_server FILE`, which holds the body.
"""

import sys
from pathlib import Path

import uvloop
from aiohttp import web

from tests.benchmarks.peers.aiohttp_site import serve_posts


async def serve(ready: bytes) -> None:
    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=ready, content_type="application/json")

    await serve_posts(answer)


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]).read_bytes()))
