"""The everything server on HTTP+SSE, the transport of 2024-11-05.

python -m tests.support.everything_sse --port P
"""

import argparse
import warnings

import uvicorn
from mcp.server.sse import SseServerTransport
from mcp.shared.exceptions import MCPDeprecationWarning
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from tests.support.everything_server import EverythingServer, build


def app_of(server: EverythingServer) -> Starlette:
    transport = SseServerTransport("/messages/")

    async def listen(request: Request) -> Response:
        async with transport.connect_sse(request.scope, request.receive, request._send) as (inbound, outbound):
            await server.run(inbound, outbound, server.create_initialization_options())
        return Response()

    return Starlette(routes=[Route("/sse", listen), Mount("/messages/", app=transport.handle_post_message)])


def main() -> None:
    parser = argparse.ArgumentParser(description="The everything server on HTTP+SSE.")
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    uvicorn.run(
        app_of(build(modern_only=False)), port=given.port, log_level="warning", timeout_graceful_shutdown=1
    )


if __name__ == "__main__":
    main()
