"""An MCP server on the official SDK, of both eras and all three transports.

    python tests/support/sdk_server.py --transport stdio|http|sse [--port P]

Has one of everything that a server can offer without asking its client for anything, and remembers how its
calls ended.
"""

import argparse
import asyncio
import base64
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp_types import (
    AudioContent,
    CallToolResult,
    Completion,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
    ToolAnnotations,
)
from pydantic import BaseModel

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
COLOURS = ("amber", "azure", "blue", "black", "green")

server = MCPServer("sdk", title="SDK server", version="1.2.3", instructions="One of everything.")
outcomes: list[str] = []
"""How every `wait` ended."""


class Sum(BaseModel):
    """Two numbers and what they make."""

    a: int
    b: int
    total: int


@server.tool(
    title="Add numbers", annotations=ToolAnnotations(read_only_hint=True), meta={"example.org/unit": "one"}
)
def add(a: int, b: int) -> Sum:
    """Structured output with a schema."""
    return Sum(a=a, b=b, total=a + b)


@server.tool()
def words(text: str) -> list[str]:
    """Structured output that is no object in the tool's own words."""
    return text.split()


@server.tool()
def mixed() -> CallToolResult:
    """Every kind of content, and a `_meta` of its own."""
    inner = TextResourceContents(uri="sdk://notes/embedded", mime_type="text/plain", text="inside")
    return CallToolResult(
        content=[
            TextContent(type="text", text="plain ünïcödé \u2028 \U0001f600"),
            ImageContent(type="image", data=PIXEL, mime_type="image/png"),
            AudioContent(type="audio", data=PIXEL, mime_type="audio/wav"),
            ResourceLink(type="resource_link", uri="sdk://notes/linked", name="linked"),
            EmbeddedResource(type="resource", resource=inner),
        ],
        _meta={"example.org/trace": [1, None, {"deep": True}]},
    )


@server.tool()
def fail(message: str) -> str:
    """A tool error."""
    raise ToolError(message)


@server.tool()
def refuse(code: int) -> str:
    """A JSON-RPC error with data."""
    raise MCPError(code, "Refused, as asked for.", data={"because": "asked"})


@server.tool()
async def steps(text: str, count: int, ctx: Context) -> str:
    """Tells `text` as progress `count` times, then answers with it."""
    for step in range(count):
        await ctx.report_progress(step, count, f"{text} {step}")
        await asyncio.sleep(0)
    return text


@server.tool()
async def announce(text: str, ctx: Context) -> str:
    """A log message of each of two levels, then an answer."""
    await ctx.session.send_log_message("debug", f"debug {text}", related_request_id=ctx.request_id)
    await ctx.session.send_log_message("warning", f"warning {text}", related_request_id=ctx.request_id)
    return text


@server.tool()
async def wait(mark: str, seconds: float, ctx: Context) -> str:
    """Says by progress that it has begun, then waits; how it ended is remembered."""
    await ctx.report_progress(0, 1, f"began {mark}")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        outcomes.append(f"cancelled {mark}")
        raise
    outcomes.append(f"finished {mark}")
    return f"waited {mark}"


@server.tool()
def history() -> list[str]:
    """How the `wait` calls ended so far."""
    return outcomes


@server.resource("sdk://settings", title="Settings", mime_type="application/json")
def settings() -> dict[str, Any]:
    """A resource with a fixed address."""
    return {"theme": "dark", "sizes": [1, 2]}


@server.resource("sdk://picture", mime_type="image/png")
def picture() -> bytes:
    """A binary resource."""
    return base64.b64decode(PIXEL)


@server.resource("sdk://notes/{name}", mime_type="text/plain")
def note(name: str) -> str:
    """A resource behind a template."""
    return f"note {name}"


@server.prompt(title="Review")
def review(code: str, style: str = "kind") -> str:
    """A prompt with a required and an optional argument."""
    return f"Review this in a {style} way: {code}"


@server.completion()
async def complete(ref: Any, argument: Any, context: Any) -> Completion:
    """Colours; with a context, its values first."""
    known = tuple((context.arguments or {}).values()) if context else ()
    values = [value for value in (*known, *COLOURS) if value.startswith(argument.value)]
    return Completion(values=values, total=len(values), has_more=False)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--transport", choices=("stdio", "http", "sse"), default="stdio")
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    if given.transport == "stdio":
        server.run("stdio")
    elif given.transport == "http":
        server.run("streamable-http", port=given.port)
    else:
        server.run("sse", port=given.port)


if __name__ == "__main__":
    main()
