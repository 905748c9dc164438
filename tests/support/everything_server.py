"""The everything server: whatever the official conformance suite asks a server for, on the official SDK.

    python -m tests.support.everything_server --port P | --stdio [--legacy-only | --modern-only]

Of both eras at once unless held to one. This file knows methods and transports; what there is to list is in
everything_catalog, what the tools do in everything_tools, and how they ask their client in everything_asking.
"""

import argparse
import warnings
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import mcp_types as types
import uvicorn
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.runner import serve_loop
from mcp.server.session import ServerSession
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.support import everything_catalog as catalog
from tests.support.everything_asking import Asking, InputNeeded
from tests.support.everything_tools import PROMPTS, TOOLS, ToolFailed, ToolsChange, words

MODERN = "2026-07-28"
NAME = "everything"
KEPT_EVENTS = 1000
KEPT_SESSIONS = 64
RETRY_MS = 100
CACHED_METHODS: tuple[CacheableMethod, ...] = (
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "resources/read",
)
Context = ServerRequestContext[Any, Any]
Json = dict[str, Any]


class EverythingServer(Server[Any]):
    """Announces in the legacy handshake what it does: it tells of changed lists."""

    def create_initialization_options(
        self, notification_options: NotificationOptions | None = None, *_: Any, **__: Any
    ) -> InitializationOptions:
        return super().create_initialization_options(
            notification_options or NotificationOptions(True, True, True)
        )


class Everything:
    """The handlers, and what they share: lists that change, and whom to tell."""

    def __init__(self) -> None:
        self.bus = InMemorySubscriptionBus()
        self.sessions: deque[ServerSession] = deque(maxlen=KEPT_SESSIONS)
        self.subscribed: set[str] = set()
        self.extra_tools: list[Json] = []
        self.extra_prompts: list[Json] = []

    async def list_tools(self, ctx: Context, params: Any) -> Json:
        return {"tools": catalog.TOOLS + self.extra_tools}

    async def list_prompts(self, ctx: Context, params: Any) -> Json:
        return {"prompts": catalog.PROMPTS + self.extra_prompts}

    async def list_resources(self, ctx: Context, params: Any) -> Json:
        return {"resources": catalog.RESOURCES}

    async def list_templates(self, ctx: Context, params: Any) -> Json:
        return {"resourceTemplates": catalog.TEMPLATES}

    async def call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> Json:
        run = TOOLS.get(params.name)
        if run is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}")
        asking = Asking(ctx)
        try:
            result = await run(asking, params.arguments or {})
        except InputNeeded as needed:
            return needed.result
        except ToolFailed as failure:
            return words(str(failure)) | {"isError": True}
        if isinstance(result, ToolsChange):
            return await self._change(result)
        return result

    async def _change(self, change: ToolsChange) -> Json:
        """Add what was not there, or take it away again, and tell everyone who wants to know."""
        if change is ToolsChange.TOOLS:
            self.extra_tools = [] if self.extra_tools else [catalog.EXTRA_TOOL]
            await self.bus.publish(ToolsListChanged())
            await self._tell_legacy(ServerSession.send_tool_list_changed)
        else:
            self.extra_prompts = [] if self.extra_prompts else [catalog.EXTRA_PROMPT]
            await self.bus.publish(PromptsListChanged())
            await self._tell_legacy(ServerSession.send_prompt_list_changed)
        return words(f"The list of {change.value} has changed.")

    async def _tell_legacy(self, tell: Callable[[ServerSession], Awaitable[None]]) -> None:
        for session in tuple(self.sessions):
            await tell(session)

    async def get_prompt(self, ctx: Context, params: types.GetPromptRequestParams) -> Json:
        make = PROMPTS.get(params.name)
        if make is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {params.name}")
        try:
            return {"messages": await make(Asking(ctx), params.arguments or {})}
        except InputNeeded as needed:
            return needed.result

    async def read_resource(self, ctx: Context, params: types.ReadResourceRequestParams) -> Json:
        contents = catalog.contents_of(str(params.uri))
        if contents is None:
            code = types.INVALID_PARAMS if ctx.protocol_version == MODERN else catalog.LEGACY_NOT_FOUND
            raise MCPError(code, "Resource not found", data={"uri": str(params.uri)})
        return {"contents": [contents]}

    async def subscribe(self, ctx: Context, params: types.SubscribeRequestParams) -> Json:
        self.subscribed.add(str(params.uri))
        return {}

    async def unsubscribe(self, ctx: Context, params: types.UnsubscribeRequestParams) -> Json:
        self.subscribed.discard(str(params.uri))
        return {}

    async def complete(self, ctx: Context, params: types.CompleteRequestParams) -> Json:
        values = [value for value in catalog.COMPLETIONS if value.startswith(params.argument.value)]
        return {"completion": {"values": values, "total": len(values), "hasMore": False}}

    async def set_level(self, ctx: Context, params: types.SetLevelRequestParams) -> Json:
        return {}

    async def remember(self, ctx: Context, params: types.NotificationParams) -> None:
        """A legacy client is told of changed lists unasked, from its `initialized` on."""
        self.sessions.append(ctx.session)


def build(modern_only: bool) -> EverythingServer:
    handlers = Everything()
    server = EverythingServer(
        NAME,
        version="1.0.0",
        cache_hints={method: CacheHint(ttl_ms=1000, scope="public") for method in CACHED_METHODS},
        on_subscriptions_listen=ListenHandler(handlers.bus),
    )
    server.middleware.append(RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience=NAME))
    if modern_only:
        server.middleware.append(refuse_initialize)
    for method, params_type, handler in (
        ("tools/list", types.PaginatedRequestParams, handlers.list_tools),
        ("tools/call", types.CallToolRequestParams, handlers.call_tool),
        ("prompts/list", types.PaginatedRequestParams, handlers.list_prompts),
        ("prompts/get", types.GetPromptRequestParams, handlers.get_prompt),
        ("resources/list", types.PaginatedRequestParams, handlers.list_resources),
        ("resources/templates/list", types.PaginatedRequestParams, handlers.list_templates),
        ("resources/read", types.ReadResourceRequestParams, handlers.read_resource),
        ("resources/subscribe", types.SubscribeRequestParams, handlers.subscribe),
        ("resources/unsubscribe", types.UnsubscribeRequestParams, handlers.unsubscribe),
        ("completion/complete", types.CompleteRequestParams, handlers.complete),
        ("logging/setLevel", types.SetLevelRequestParams, handlers.set_level),
    ):
        server.add_request_handler(method, params_type, tagged(handler))
    server.add_notification_handler("notifications/initialized", types.NotificationParams, handlers.remember)
    return server


def tagged(handler: Callable[[Context, Any], Awaitable[Json]]) -> Callable[[Context, Any], Awaitable[Json]]:
    """Every modern result says of what type it is."""

    async def answer(ctx: Context, params: Any) -> Json:
        tag = {"resultType": "complete"} if ctx.protocol_version == MODERN else {}
        return tag | await handler(ctx, params)

    return answer


async def refuse_initialize(ctx: Context, call_next: CallNext) -> HandlerResult:
    """A server of the modern era alone (2026-07-28 basic/versioning); in it the method does not exist."""
    if ctx.method == "initialize" and ctx.protocol_version != MODERN:
        requested = (ctx.params or {}).get("protocolVersion")
        data = {"supported": [MODERN], "requested": requested}
        raise MCPError(types.UNSUPPORTED_PROTOCOL_VERSION, "Only the modern era is served.", data=data)
    return await call_next(ctx)


class WithoutModernHeader:
    """What an old SDK sees of a modern request: it knows neither the revision nor the envelope."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            kept = [pair for pair in scope["headers"] if pair != (b"mcp-protocol-version", MODERN.encode())]
            scope = {**scope, "headers": kept}
        await self._app(scope, receive, send)


class Events(EventStore):
    """The last events of all streams, so that a legacy client can resume (2025-11-25 basic/transports)."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, str, types.JSONRPCMessage | None]] = deque(maxlen=KEPT_EVENTS)
        self._count = 0

    async def store_event(self, stream_id: str, message: types.JSONRPCMessage | None) -> str:
        self._count += 1
        self._kept.append((self._count, stream_id, message))
        return str(self._count)

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        stream = next((stream for number, stream, _ in self._kept if str(number) == last_event_id), None)
        for number, owner, message in tuple(self._kept):
            if owner == stream and number > int(last_event_id) and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


def serve_http(server: EverythingServer, port: int, legacy_only: bool) -> None:
    app: ASGIApp = server.streamable_http_app(event_store=Events(), retry_interval=RETRY_MS)
    if legacy_only:
        app = WithoutModernHeader(app)
    # httptools would leave the spaces around a header value in it.
    uvicorn.run(app, port=port, http="h11", log_level="warning", timeout_graceful_shutdown=1)


async def serve_stdio(server: EverythingServer, legacy_only: bool) -> None:
    async with stdio_server() as (inbound, outbound):
        if legacy_only:
            await serve_loop(server, inbound, outbound, lifespan_state={})
        else:
            await server.run(inbound, outbound, server.create_initialization_options())


def main() -> None:
    parser = argparse.ArgumentParser(description="The everything server.")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", type=int)
    where.add_argument("--stdio", action="store_true")
    era = parser.add_mutually_exclusive_group()
    era.add_argument("--legacy-only", action="store_true")
    era.add_argument("--modern-only", action="store_true")
    given = parser.parse_args()
    # Logging and sampling are deprecated by 2026-07-28, and must work all the same.
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    server = build(given.modern_only)
    if given.stdio:
        anyio.run(serve_stdio, server, given.legacy_only)
    else:
        serve_http(server, given.port, given.legacy_only)


if __name__ == "__main__":
    main()
