"""What happens to one client request: answered from our own state, or asked of the one backend that owns it.

Knows eras only as the caller's; the backend's is its connection's business. Reads top to bottom.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from msgspec import Raw

from proxy_core.backends.lists import METHODS_OF_KIND
from proxy_core.backends.registry import BackendRegistry
from proxy_core.catalog.routes import Route
from proxy_core.clock import Clock
from proxy_core.config.models import Config
from proxy_core.errors import (
    BackendError,
    BackendUnavailable,
    ErrorCode,
    InvalidParams,
    MethodNotFound,
    Only1Error,
    ParseError,
    UnknownResource,
)
from proxy_core.facts import Fact, RequestFinished
from proxy_core.gateway import answers, completion, instructions
from proxy_core.gateway.exchange import Caller, Exchange
from proxy_core.gateway.listing import Listing
from proxy_core.gateway.sink import ExchangeSink
from proxy_core.gateway.subscriptions import SubscriptionHub
from proxy_core.protocol import jsonrpc, meta
from proxy_core.protocol.methods import LIST_METHODS, LOG_LEVELS, OWN_META, SERVER_INFO
from proxy_core.protocol.revisions import SUPPORTED, Era

CANCELLED: Final = -1
"""How a request that its client gave up is counted."""
DISCOVER_TTL_MS: Final = 60_000
UNKNOWN_REFRESH_S: Final = 2.0
"""How old a backend's tools must be before a name that they lack has them read again."""

_IS_ERROR: Final = re.compile(rb'"isError"\s*:\s*true')

Step = Callable[[Exchange], Awaitable[bytes]]


class Gateway:
    """Also the `Upward` of every backend."""

    def __init__(
        self, config: Callable[[], Config], hub: SubscriptionHub, clock: Clock, publish: Callable[[Fact], None]
    ) -> None:
        self._config = config
        self._clock = clock
        self._publish = publish
        self._registry: BackendRegistry | None = None
        self.hub = hub
        self.listing = Listing(lambda: self.registry, lambda: config().routing, hub, clock, publish)
        self._steps: dict[str, Step] = {
            "ping": self._ping,
            "server/discover": self._discover,
            "logging/setLevel": self._set_level,
            "tools/call": self._call_tool,
            "prompts/get": self._get_prompt,
            "resources/read": self._read_resource,
            completion.METHOD: self._complete,
            **dict.fromkeys(LIST_METHODS, self._list),
        }

    def serve(self, registry: BackendRegistry) -> None:
        """The backends to ask; they need this gateway to exist first."""
        self._registry = registry

    @property
    def registry(self) -> BackendRegistry:
        assert self._registry is not None
        return self._registry

    # --- one request ----------------------------------------------------------------------------------------

    async def handle(self, exchange: Exchange) -> bytes:
        """The result's JSON, as the caller's revision wants it. Raises: Only1Error."""
        started_at = self._clock.monotonic()
        code: int | None = ErrorCode.INTERNAL_ERROR
        result = b""
        try:
            step = self._steps.get(exchange.method)
            if step is None:
                raise MethodNotFound(f"Method not found: {exchange.method[:128]}")
            result = await step(exchange)
            code = None
            return result
        except asyncio.CancelledError:
            code = CANCELLED
            raise
        except ParseError as error:
            code = ErrorCode.INVALID_PARAMS
            raise InvalidParams("The params are not valid.") from error
        except Only1Error as error:
            code = error.code
            raise
        finally:
            self._publish(_finished(exchange, started_at, self._clock.monotonic(), code, result))

    # --- from our own state ---------------------------------------------------------------------------------

    def initialize(self, revision: str) -> bytes:
        """The legacy handshake's result: at once, whatever the backends do."""
        return jsonrpc.encode(
            {
                "protocolVersion": revision,
                "capabilities": _capabilities(revision),
                "serverInfo": answers.SERVER_INFO_VALUE,
                "instructions": self._instructions(),
            }
        )

    async def _discover(self, exchange: Exchange) -> bytes:
        return jsonrpc.encode(
            {
                "resultType": "complete",
                "supportedVersions": SUPPORTED,
                "capabilities": _capabilities(exchange.caller.revision),
                "instructions": self._instructions(),
                "ttlMs": DISCOVER_TTL_MS,
                "cacheScope": "public",
                "_meta": {SERVER_INFO: answers.SERVER_INFO_VALUE},
            }
        )

    def _instructions(self) -> str:
        told = (b for b in self.registry if b.is_listed and b.settings.instructions and b.peer is not None)
        return instructions.merged((b.id, b.settings.title, b.peer.instructions) for b in told if b.peer)

    async def _ping(self, exchange: Exchange) -> bytes:
        return b"{}"

    async def _set_level(self, exchange: Exchange) -> bytes:
        level = _string(jsonrpc.members(exchange.params), "level")
        if level not in LOG_LEVELS:
            raise InvalidParams(f"Unknown log level; the levels are {', '.join(LOG_LEVELS)}.")
        exchange.caller.log_level = level
        for backend in self.registry:
            backend.want_log_level(level)
        return b"{}"

    async def _list(self, exchange: Exchange) -> bytes:
        method, caller = exchange.method, exchange.caller
        cursor = jsonrpc.decode(jsonrpc.members(exchange.params).get("cursor", jsonrpc.NO_JSON))
        if cursor is not None and not isinstance(cursor, str):
            raise InvalidParams("The cursor must be a string.")
        await self.listing.ready(method)
        if self.listing.has_failed():
            raise BackendUnavailable("*", "None of the servers is available.")
        page = self.listing.page(method, caller.revision, caller.principal, cursor)
        return b"{%s%s}" % (page, self._list_suffix(caller, method))

    def _list_suffix(self, caller: Caller, method: str) -> bytes:
        partial = self.listing.partial()
        marks: dict[str, Any] = {OWN_META + "partial": partial} if partial else {}
        if caller.era is Era.MODERN:
            ttl_ms, scope = self.listing.hints(method)
            marks[SERVER_INFO] = answers.SERVER_INFO_VALUE
            stamp = b',"resultType":"complete","ttlMs":%d,"cacheScope":"%s"' % (ttl_ms, scope.encode())
        else:
            stamp = b""
        return stamp + (b',"_meta":' + jsonrpc.encode(marks) if marks else b"")

    # --- of one backend -------------------------------------------------------------------------------------

    async def _call_tool(self, exchange: Exchange) -> bytes:
        name = _string(jsonrpc.members(exchange.params), "name")
        exchange.target = name
        route = self.listing.routes.tool(name) or await self._unlisted(name, "tools")
        if route is None:
            raise InvalidParams(f"Unknown tool: {name[:256]}")
        return await self._ask(exchange, route, {"name": jsonrpc.encode(route.origin)})

    async def _get_prompt(self, exchange: Exchange) -> bytes:
        name = _string(jsonrpc.members(exchange.params), "name")
        exchange.target = name
        route = self.listing.routes.prompt(name) or await self._unlisted(name, "prompts")
        if route is None:
            raise InvalidParams(f"Unknown prompt: {name[:256]}")
        return await self._ask(exchange, route, {"name": jsonrpc.encode(route.origin)})

    async def _unlisted(self, name: str, kind: str) -> Route | None:
        """A name that no list has: its server may have it by now, so its list is read once more."""
        await self.listing.ready(f"{kind}/list")
        find = self.listing.routes.tool if kind == "tools" else self.listing.routes.prompt
        if (route := find(name)) is not None:
            return route
        backend = self.registry.find(self.listing.routes.owner_guess(name) or "")
        if backend is None:
            return None
        if not backend.is_listed:
            # Not unknown: its server is down or switched off, and says so.
            backend.replica.refuse()
        read_at = min(backend.lists.get(method).read_at for method in METHODS_OF_KIND[kind])
        if self._clock.monotonic() - read_at < UNKNOWN_REFRESH_S:
            return None
        await backend.refresh((kind,))
        routes = self.listing.routes
        return routes.tool(name) if kind == "tools" else routes.prompt(name)

    async def _read_resource(self, exchange: Exchange) -> bytes:
        uri = _string(jsonrpc.members(exchange.params), "uri")
        exchange.target = uri
        route = self.listing.routes.resource(uri)
        if route is None:
            await self.listing.ready("resources/list")
            route = self.listing.routes.resource(uri)
        if route is None:
            raise UnknownResource(uri)
        return await self._ask(exchange, route, {"uri": jsonrpc.encode(route.origin)}, uri)

    async def _complete(self, exchange: Exchange) -> bytes:
        ref = jsonrpc.members(jsonrpc.members(exchange.params).get("ref", jsonrpc.NO_JSON))
        route, member = await self._completion_route(exchange, ref)
        nothing = answers.result_for(
            exchange.caller, exchange.method, completion.NOTHING, Era.LEGACY, route.server
        )
        peer = self.registry.get(route.server).peer
        if peer is not None:
            if not completion.may_ask(peer.revision, peer.offers("completions")):
                return nothing
            exchange.params = completion.params_for(exchange.params, peer.revision)
        own_ref = jsonrpc.encode(ref | {member: Raw(jsonrpc.encode(route.origin))})
        try:
            return await self._ask(exchange, route, {"ref": own_ref})
        except BackendError as error:
            if error.code == ErrorCode.METHOD_NOT_FOUND:
                # We say that completions are to be had, so a server without them has none to give.
                return nothing
            raise

    async def _completion_route(self, exchange: Exchange, ref: dict[str, Raw]) -> tuple[Route, str]:
        kind = _string(ref, "type")
        if kind == "ref/prompt":
            exchange.target = name = _string(ref, "name")
            route = self.listing.routes.prompt(name) or await self._unlisted(name, "prompts")
            member = "name"
        elif kind == "ref/resource":
            exchange.target = uri = _string(ref, "uri")
            route = self.listing.routes.template(uri)
            if route is None:
                await self.listing.ready("resources/templates/list")
                route = self.listing.routes.template(uri)
            member = "uri"
        else:
            raise InvalidParams("The ref's type must be ref/prompt or ref/resource.")
        if route is None:
            raise InvalidParams("The ref names nothing that is known here.")
        return route, member

    async def _ask(
        self, exchange: Exchange, route: Route, replace: dict[str, bytes], uri: str | None = None
    ) -> bytes:
        """The backend's answer for this caller; `uri` is set for resources/read, as the client wrote it."""
        exchange.backend = route.server
        caller, backend = exchange.caller, self.registry.get(route.server)
        if caller.log_level is not None:
            # Legacy too: the server may have been added since the client set its level.
            backend.want_log_level(caller.log_level)
        sink = ExchangeSink(exchange, meta.progress_token(meta.read_meta(exchange.params)))
        try:
            result, era = await backend.call(
                exchange.method,
                exchange.params,
                replace,
                name=None if exchange.method == completion.METHOD else route.origin,
                sink=sink,
                log_level=caller.log_level,
            )
        except BackendError as error:
            raise answers.error_for(caller, exchange.method, error, uri) from error
        if uri is not None:
            if answers.has_no_contents(result):
                raise UnknownResource(uri)
            result = answers.with_uri(result, route.origin, uri)
        return answers.result_for(caller, exchange.method, result, era, route.server)

    # --- what backends start by themselves (Upward) ---------------------------------------------------------

    def lists_changed(self, backend: str) -> None:
        self.listing.changed()

    async def server_request(self, backend: str, request: jsonrpc.Request) -> bytes | jsonrpc.RpcError:
        """We declared no capability, so nothing but a ping may be asked of a client."""
        return jsonrpc.RpcError(ErrorCode.METHOD_NOT_FOUND, f"Method not found: {request.method[:128]}")


def _capabilities(revision: str) -> dict[str, Any]:
    """A static superset: it never changes while backends come and go, and every method of it answers."""
    capabilities: dict[str, Any] = {
        "tools": {"listChanged": True},
        "prompts": {"listChanged": True},
        "resources": {"listChanged": True},
        "logging": {},
    }
    if revision != "2024-11-05":
        capabilities["completions"] = {}
    return capabilities


def _string(members: dict[str, Raw], key: str) -> str:
    value = jsonrpc.decode(members.get(key, jsonrpc.NO_JSON))
    if not isinstance(value, str):
        raise InvalidParams(f'"{key}" must be a string.')
    return value


def _finished(
    exchange: Exchange, started_at: float, now: float, code: int | None, result: bytes
) -> RequestFinished:
    return RequestFinished(
        now,
        exchange.caller.client,
        exchange.caller.revision,
        exchange.method,
        exchange.backend,
        exchange.target,
        (now - started_at) * 1000,
        code,
        # A structured value with a member of that name is miscounted, no more.
        b'"isError"' in result and _IS_ERROR.search(result) is not None,
        len(result),
    )
