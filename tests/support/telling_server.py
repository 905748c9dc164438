"""An MCP server on the official SDK whose one resource changes when its tool is called; both eras tell of it.

python tests/support/telling_server.py stdio|PORT
"""

import sys
import warnings
from collections import deque
from typing import Any

import anyio
import mcp_types as types
import uvicorn
from mcp.server import Server, ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated
from mcp.shared.exceptions import MCPDeprecationWarning

URI = "note://one"
Context = ServerRequestContext[Any]
bus = InMemorySubscriptionBus()
subscribers: deque[ServerSession] = deque(maxlen=8)
"""Legacy sessions that are subscribed."""


async def list_tools(ctx: Context, params: Any) -> types.ListToolsResult:
    return types.ListToolsResult(tools=[types.Tool(name="touch", input_schema={"type": "object"})])


async def list_resources(ctx: Context, params: Any) -> types.ListResourcesResult:
    return types.ListResourcesResult(resources=[types.Resource(uri=URI, name="one")])


async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    """Changes the resource, or the one below it that `below` names."""
    uri = URI + (params.arguments or {}).get("below", "")
    await bus.publish(ResourceUpdated(uri))
    for session in tuple(subscribers):
        await session.send_resource_updated(uri)
    return types.CallToolResult(content=[types.TextContent(text=str(len(subscribers)))])


async def subscribe(ctx: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
    subscribers.append(ctx.session)
    return types.EmptyResult()


async def unsubscribe(ctx: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
    subscribers.clear()
    return types.EmptyResult()


server = Server(
    "telling",
    on_list_tools=list_tools,
    on_call_tool=call_tool,
    on_list_resources=list_resources,
    on_subscribe_resource=subscribe,
    on_unsubscribe_resource=unsubscribe,
    on_subscriptions_listen=ListenHandler(bus),
)


async def serve_stdio() -> None:
    async with stdio_server() as (inbound, outbound):
        await server.run(inbound, outbound, server.create_initialization_options())


def main() -> None:
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    if sys.argv[1] == "stdio":
        anyio.run(serve_stdio)
    else:
        app = server.streamable_http_app()
        uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
