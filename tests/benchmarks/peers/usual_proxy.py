"""A proxy as it is usually written in Python: aiohttp.web, a ClientSession, and json both ways.

Run as `python -m tests.benchmarks.peers.usual_proxy URL`; prints the port that it serves.
"""

import json
import sys
from typing import Any

import uvloop
from aiohttp import ClientSession, TCPConnector, web

from tests.benchmarks.peers.aiohttp_site import serve_posts

PASSED_ON = ("MCP-Protocol-Version", "Mcp-Method", "Mcp-Name")


async def serve(url: str) -> None:
    async with ClientSession(connector=TCPConnector(limit=0), json_serialize=json.dumps) as session:

        async def forward(request: web.Request) -> web.Response:
            message: dict[str, Any] = await request.json()
            headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
            headers["Accept"] = "application/json, text/event-stream"
            async with session.post(url, json=message, headers=headers) as response:
                return web.json_response(await response.json(), status=response.status)

        await serve_posts(forward)


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
