"""An MCP server over stdio, on the official SDK, that says what a file says that its tools are.

python tests/support/changing_server.py FILE
The file holds a JSON array of tools; `list_changed` is told whenever it is another.
"""

import json
import sys
import warnings
from collections import deque
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
from mcp.server import NotificationOptions, Server, ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp.shared.exceptions import MCPDeprecationWarning

Context = ServerRequestContext[Any]
FILE = Path(sys.argv[1])
LOOK_S = 0.05
bus = InMemorySubscriptionBus()
sessions: deque[ServerSession] = deque(maxlen=1)
"""The legacy one, if any."""


async def list_tools(ctx: Context, params: Any) -> types.ListToolsResult:
    sessions.append(ctx.session)
    return types.ListToolsResult(tools=[types.Tool(**tool) for tool in json.loads(FILE.read_text())])


async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=f"called {params.name}")])


async def tell() -> None:
    said = FILE.read_text()
    while True:
        await anyio.sleep(LOOK_S)
        if (now := FILE.read_text()) != said:
            said = now
            await bus.publish(ToolsListChanged())
            for session in sessions:
                await session.send_tool_list_changed()


async def main() -> None:
    server = Server(
        "changing",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_subscriptions_listen=ListenHandler(bus),
    )
    options = server.create_initialization_options(NotificationOptions(tools_changed=True))
    async with stdio_server() as (inbound, outbound), anyio.create_task_group() as group:
        group.start_soon(tell)
        await server.run(inbound, outbound, options)
        group.cancel_scope.cancel()


if __name__ == "__main__":
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    anyio.run(main)
