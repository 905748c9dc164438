"""What happens to one client request: answered from our own state, or asked of the one backend that owns it.

Knows eras only as the caller's; the backend's is its connection's business. Reads top to bottom.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Final

from msgspec import Raw

from proxy_core.access.audit.audit import AuditShut
from proxy_core.access.limits import Limits
from proxy_core.backends.backend import Backend
from proxy_core.backends.call import ANYONE
from proxy_core.backends.lifecycle import IN_SERVICE, SWITCHED_OFF
from proxy_core.backends.lists import METHODS_OF_KIND
from proxy_core.backends.registry import BackendRegistry
from proxy_core.catalog.routes import Route, Routes
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
    UnknownName,
    UnknownReference,
    UnknownResource,
)
from proxy_core.facts import Fact
from proxy_core.gateway import answers, completion, extensions, instructions
from proxy_core.gateway.asking import Asking
from proxy_core.gateway.cache import Cause, ResponseCache, about
from proxy_core.gateway.coalescing import Flights, Subject
from proxy_core.gateway.contexts import Contexts, Measured, unmeasured
from proxy_core.gateway.direct_way import DirectWay
from proxy_core.gateway.endings import Endings, finished_as
from proxy_core.gateway.exchange import Caller, Exchange, Nobody, Viewer
from proxy_core.gateway.listing import Listing
from proxy_core.gateway.meta_calls import MetaCalls
from proxy_core.gateway.modes import Mode
from proxy_core.gateway.operator_desk import OperatorDesk
from proxy_core.gateway.owners import ResourceOwners
from proxy_core.gateway.profiles import Profiles
from proxy_core.gateway.saving import Saving
from proxy_core.gateway.savings import savings_of
from proxy_core.gateway.sealing import Sealing
from proxy_core.gateway.served_lists import ServedLists, uncounted
from proxy_core.gateway.standing import Standing
from proxy_core.gateway.subscriptions import SubscriptionHub
from proxy_core.gateway.task_updates import TaskUpdates
from proxy_core.gateway.tool_forms import ToolForms
from proxy_core.gateway.tool_index import ToolIndex
from proxy_core.gateway.tool_watch import ToolWatch, forgetful
from proxy_core.gateway.updates import ResourceUpdates
from proxy_core.gateway.view import ViewMaker
from proxy_core.protocol import header_params, jsonrpc
from proxy_core.protocol.methods import LIST_METHODS, LOG_LEVELS, SERVER_INFO
from proxy_core.protocol.revisions import SUPPORTED, Era
from proxy_core.protocol.tasks import METHODS as TASK_METHODS
from proxy_core.protocol.tasks import Task
from proxy_core.telemetry.recorder import Recorder
from proxy_core.telemetry.records import CANCELLED
from proxy_core.telemetry.savings import Savings
from proxy_core.telemetry.snapshot import ServerState
from proxy_core.telemetry.trace import Trace

DISCOVER_TTL_MS: Final = 60_000
UNKNOWN_REFRESH_S: Final = 2.0
"""How old a backend's tools must be before a name that they lack has them read again."""

_ANSWERS_BY: Final = {
    "tools/list": "tools/call",
    "resources/list": "resources/read",
    "resources/templates/list": "resources/read",
    "prompts/list": "prompts/get",
}
"""Which answers of a server may rest on a list of its."""

_MAY_SAY_IS_ERROR: Final = frozenset({"tools/call", *TASK_METHODS})
"""What else is answered, lists above all, is long and never says so."""

_UNLIMITED: Final = "ping"
"""Whoever asks whether we are there is answered."""
BYTES_PER_TOKEN: Final = 4
"""Of a list whose tokens are not counted yet: a guess, and better than to take it for free."""

Step = Callable[[Exchange], Awaitable[bytes]]


class Gateway:
    """Also the `Upward` of every backend."""

    def __init__(
        self,
        config: Callable[[], Config],
        hub: SubscriptionHub,
        clock: Clock,
        publish: Callable[[Fact], None],
        measured: Measured = unmeasured,
        recorder: Recorder | None = None,
        served: ServedLists | None = None,
        watch: ToolWatch | None = None,
    ) -> None:
        """`measured`: what a profile's lists cost, for the mode `auto`. `recorder`: of exchanges, if any.
        `served`: adds up what is listed. `watch`: whether tools are what they were; None: forgets with us."""
        self.endings = Endings(clock, publish, recorder)
        self._config = config
        self._clock = clock
        self._publish = publish
        self.served_lists = served or ServedLists(uncounted)
        self.limits = Limits(config(), clock, publish)
        self._registry: BackendRegistry | None = None
        self.hub = hub
        sealer = Sealing(lambda: config().proxy.seal_keys)
        self.cache = ResponseCache(clock, lambda: config().cache)
        self.flights = Flights(clock, lambda: config().batching)
        self.profiles = Profiles(config)
        self._contexts = Contexts(config, measured)
        self._index = ToolIndex()
        forms = ToolForms()
        maker = ViewMaker(self.profiles, self._contexts, forms, self._index, sealer)
        self.watch = watch or forgetful(clock, publish)
        self.listing = Listing(
            lambda: self.registry,
            config,
            hub,
            clock,
            publish,
            self.profiles,
            maker,
            self.cache,
            self.flights,
            self.watch,
        )
        self._meta_calls = MetaCalls(self.listing, self._index, forms)
        self.owners = ResourceOwners(self.listing, clock)
        self.desk = OperatorDesk(config, clock, publish)
        self.asking = Asking(config, lambda: self.registry, clock, sealer, self.owners, self.flights, self.desk)
        self._saving = Saving(config, lambda: self.registry, clock, self.asking, self.cache)
        self.direct = DirectWay(
            clock,
            self.listing,
            self._meta_calls,
            self.asking,
            self._saving,
            self.limits,
            self.endings,
            go_on=self.go_on,
            served=self._served,
        )
        """For what needs no task."""
        self.updates = ResourceUpdates(lambda: self.registry, self.owners)
        self.task_updates = TaskUpdates(self.asking.tasks)
        self._steps: dict[str, Step] = {
            "ping": self._ping,
            "server/discover": self._discover,
            "logging/setLevel": self._set_level,
            "tools/call": self._call_tool,
            "prompts/get": self._get_prompt,
            "resources/read": self._read_resource,
            completion.METHOD: self._complete,
            "resources/subscribe": self.updates.subscribe,
            "resources/unsubscribe": self.updates.unsubscribe,
            **dict.fromkeys(LIST_METHODS, self._list),
            **dict.fromkeys(TASK_METHODS, self.asking.tasks.ask),
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
        trace = self.endings.recorded(exchange, started_at)
        step = self._steps.get(exchange.method, _no_such_method)
        if self.limits.is_any and exchange.method != _UNLIMITED:
            step = partial(self._within, step)
        if self.endings.shuts_out(exchange.method):
            step = _shut_out
        return await self._watched(exchange, step(exchange), started_at, trace)

    async def _watched(
        self, exchange: Exchange, work: Awaitable[bytes], started_at: float, trace: Trace | None
    ) -> bytes:
        """What `work` comes to, told and recorded however it ends."""
        code: int | None = ErrorCode.INTERNAL_ERROR
        result = b""
        failure: Only1Error | None = None
        try:
            result = await work
            code = None
            return result
        except asyncio.CancelledError:
            code = CANCELLED
            raise
        except ParseError as error:
            failure = InvalidParams("The params are not valid.")
            code = failure.code
            raise failure from error
        except Only1Error as error:
            code, failure = error.code, error
            raise
        finally:
            if exchange.permit is not None:
                exchange.permit.leave()
            caller, method = exchange.caller, exchange.method
            is_tool_error = exchange.is_tool_error
            if is_tool_error is None:
                # A structured value with a member of that name is miscounted, no more.
                is_tool_error = method in _MAY_SAY_IS_ERROR and answers.says_is_error(result)
            place = caller, method, exchange.backend, exchange.target
            now = self._clock.monotonic()
            finished = finished_as(*place, started_at, now, code, len(result), is_tool_error)
            self.endings.ended(finished, caller, exchange.params, trace, result, failure, exchange.peer)

    async def _within(self, step: Step, exchange: Exchange) -> bytes:
        """One step, if there are not too many. What goes to a server is counted there by `Asking`."""
        exchange.permit = self.limits.enter(exchange.caller.viewer, self._clock.monotonic())
        return await step(exchange)

    async def go_on(self, exchange: Exchange, started_at: float, work: Callable[[], Awaitable[bytes]]) -> bytes:
        """One that was begun without a task takes longer than that. Raises: Only1Error."""
        if exchange.permit is not None:
            exchange.permit.renew()
        return await self._watched(exchange, work(), started_at, exchange.trace)

    # --- from our own state ---------------------------------------------------------------------------------

    def initialize(self, revision: str, profile: str = "", handshake: Exchange | None = None) -> bytes:
        """The legacy handshake's result: at once, whatever the backends do. `handshake`: for its record."""
        result = jsonrpc.encode(
            {
                "protocolVersion": revision,
                "capabilities": _capabilities(revision),
                "serverInfo": answers.SERVER_INFO_VALUE,
                "instructions": self._instructions(profile),
            }
        )
        if handshake is not None:
            self.endings.said(handshake, result)
        return result

    async def _discover(self, exchange: Exchange) -> bytes:
        profile = exchange.caller.profile
        return jsonrpc.encode(
            {
                "resultType": "complete",
                "supportedVersions": SUPPORTED,
                "capabilities": _capabilities(exchange.caller.revision) | self._extensions(profile),
                "instructions": self._instructions(profile),
                "ttlMs": DISCOVER_TTL_MS,
                # What servers there are is not for those to know who could not ask.
                "cacheScope": "public" if exchange.caller.principal == ANYONE else "private",
                "_meta": {SERVER_INFO: answers.SERVER_INFO_VALUE},
            }
        )

    def _extensions(self, profile: str) -> dict[str, Any]:
        found = extensions.offered(b.peer for b in self._listed(profile) if b.peer is not None)
        return {"extensions": found} if found else {}

    def _listed(self, profile: str) -> Iterator[Backend]:
        return (b for b in self.registry if b.is_listed and self.profiles.shows_server(profile, b.id))

    def _instructions(self, profile: str) -> str:
        told = (b for b in self._listed(profile) if b.settings.instructions and b.peer is not None)
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
        viewer = caller.viewer
        if method == "tools/list" and cursor is None:
            self.limits.check_tokens(viewer)
        standing = self.listing.standing(method, viewer)
        if standing is None:
            await self.listing.ready(method, viewer)
            if self.listing.has_failed(viewer):
                raise BackendUnavailable("*", "None of the servers is available.")
            standing = self.listing.standing_now(method, viewer)
        if not self.listing.is_prepared(method, viewer):
            await self.listing.prepare(viewer)
        return self._page(exchange, viewer, standing, cursor)

    def _served(self, viewer: Viewer, mode: Mode, size: int) -> None:
        """A client got a list of tools. `size`: its bytes."""
        tokens = self.served_lists.add(viewer.profile, mode)
        if self.limits.is_any:
            self.limits.served(viewer, size // BYTES_PER_TOKEN if tokens is None else tokens)

    def _page(self, exchange: Exchange, viewer: Viewer, standing: Standing, cursor: str | None) -> bytes:
        """Raises: InvalidParams."""
        method, caller = exchange.method, exchange.caller
        page = self.listing.page(method, caller.revision, viewer, cursor)
        if method == "tools/list" and cursor is None:
            self._served(viewer, self.listing.view(viewer).mode, len(page))
        return b"".join((b"{", page, standing.suffix(caller.era, self._clock.monotonic()), b"}"))

    # --- of one backend -------------------------------------------------------------------------------------

    async def _call_tool(self, exchange: Exchange) -> bytes:
        params = jsonrpc.members(exchange.params)
        exchange.target = name = _string(params, "name")
        viewer = exchange.caller.viewer
        if self._meta_calls.means(name, viewer):
            return await self._call_meta_tool(exchange, name)
        route = self.listing.routes(viewer).tool(name) or await self._unlisted(name, "tools", viewer)
        if route is None:
            raise UnknownName("tool", name)
        if (
            exchange.param_headers is not None
            and route.header_params
            and self.listing.view(viewer).lists_tool(route)
        ):
            arguments = params.get("arguments", jsonrpc.NO_JSON)
            header_params.check(route.header_params, arguments, exchange.param_headers)
        return await self._saving.ask(exchange, route, {"name": jsonrpc.encode(route.origin)})

    async def _call_meta_tool(self, exchange: Exchange, name: str) -> bytes:
        call = await self._meta_calls.answer(exchange, name)
        if isinstance(call, bytes):
            return call
        # From here on it is the call that is meant. Headers are not asked for: its client was told of none.
        exchange.params, exchange.target = call.params, call.name
        viewer = exchange.caller.viewer
        route = self.listing.routes(viewer).tool(call.name) or await self._unlisted(call.name, "tools", viewer)
        if route is None:
            return await self._meta_calls.unknown(exchange, call.name)
        return await self._saving.ask(exchange, route, {"name": jsonrpc.encode(route.origin)})

    async def _get_prompt(self, exchange: Exchange) -> bytes:
        name = _string(jsonrpc.members(exchange.params), "name")
        exchange.target = name
        viewer = exchange.caller.viewer
        route = self.listing.routes(viewer).prompt(name) or await self._unlisted(name, "prompts", viewer)
        if route is None:
            raise UnknownName("prompt", name)
        return await self._saving.ask(exchange, route, {"name": jsonrpc.encode(route.origin)})

    async def route(self, method: str, name: str, meant: str, viewer: Viewer) -> Route | None:
        """Where this name of a tool or prompt, or URI, leads the viewer.

        `meant`: the tool that a call of our own `call_tool` is about. Raises: Only1Error, if its server is off.
        """
        if method == "resources/read":
            return await self.owners.find(name, viewer)
        kind = "tools" if method == "tools/call" else "prompts"
        if self.is_own_tool(method, name, viewer):
            name = meant
        return _named(self.listing.routes(viewer), kind, name) or await self._unlisted(name, kind, viewer)

    def is_own_tool(self, method: str, name: str, viewer: Viewer) -> bool:
        """Whether this is one of the gateway's own tools for the viewer."""
        return method == "tools/call" and self._meta_calls.means(name, viewer)

    async def _unlisted(self, name: str, kind: str, viewer: Viewer) -> Route | None:
        """A name that no list has: its server may have it by now, so its list is read once more."""
        owner = self.registry.find(self.listing.routes(viewer).owner_guess(name) or "")
        if owner is None:
            await self.listing.ready(f"{kind}/list", viewer)
        else:
            # It is the only one that may have it; the others may take their time.
            await self.listing.first_connect(owner, viewer.principal)
        routes = self.listing.routes(viewer)
        if (route := _named(routes, kind, name)) is not None:
            return route
        backend = self.registry.find(routes.owner_guess(name) or "")
        if backend is None:
            return None
        if not backend.is_listed:
            # Not unknown: its server is down or switched off, and says so.
            backend.refuse()
        read_at = min(backend.lists.get(method).read_at for method in METHODS_OF_KIND[kind])
        if self._clock.monotonic() - read_at < UNKNOWN_REFRESH_S:
            return None
        await backend.refresh(METHODS_OF_KIND[kind])
        await self.listing.own_ready(viewer.principal)
        return _named(self.listing.routes(viewer), kind, name)

    async def _read_resource(self, exchange: Exchange) -> bytes:
        uri = _string(jsonrpc.members(exchange.params), "uri")
        exchange.target = uri
        route = await self.owners.find(uri, exchange.caller.viewer)
        if route is None:
            raise UnknownResource(uri)
        return await self._saving.ask(exchange, route, {"uri": jsonrpc.encode(route.origin)}, uri)

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
            return await self._saving.ask(exchange, route, {"ref": own_ref})
        except BackendError as error:
            if error.code == ErrorCode.METHOD_NOT_FOUND:
                # We say that completions are to be had, so a server without them has none to give.
                return nothing
            raise

    async def _completion_route(self, exchange: Exchange, ref: dict[str, Raw]) -> tuple[Route, str]:
        kind, viewer = _string(ref, "type"), exchange.caller.viewer
        if kind == "ref/prompt":
            exchange.target = name = _string(ref, "name")
            route = self.listing.routes(viewer).prompt(name) or await self._unlisted(name, "prompts", viewer)
            member = "name"
        elif kind == "ref/resource":
            exchange.target = uri = _string(ref, "uri")
            route = self.listing.routes(viewer).template(uri)
            if route is None:
                await self.listing.ready("resources/templates/list", viewer)
                route = self.listing.routes(viewer).template(uri)
            member = "uri"
        else:
            raise InvalidParams("The ref's type must be ref/prompt or ref/resource.")
        if route is None:
            raise UnknownReference
        return route, member

    # --- what backends start by themselves (Upward) ---------------------------------------------------------

    def lists_changed(self, backend: str) -> None:
        self.servers_changed()

    def lists_invalid(self, backend: str, methods: tuple[str, ...]) -> None:
        self.listing.invalid(backend, methods)
        # Whether an answer rests on what has changed, nobody but the server knows.
        self._invalidate(about(backend, {_ANSWERS_BY[method] for method in methods}), Cause.LIST_CHANGED)

    def state_changed(self, backend: str, before: ServerState, now: ServerState) -> None:
        if now in IN_SERVICE:
            if before not in IN_SERVICE:
                # What it said while nobody listened is not known, or it is another process altogether.
                self._invalidate(about(backend), Cause.LOST)
        elif now is ServerState.DRAINING or now in SWITCHED_OFF:
            self._invalidate(about(backend), Cause.DRAIN)
        elif before in IN_SERVICE:
            self.flights.invalidate(about(backend))
            self.cache.expire(backend)

    def clear_cache(self, server: str | None = None) -> int:
        """Make everything cold, or all that one server answered: how many kept answers went, lists left out.

        Raises: UnknownServer.
        """
        backends = list(self.registry) if server is None else [self.registry.get(server)]
        gone = 0
        for backend in backends:
            gone += self._invalidate(about(backend.id), Cause.CLEARED)
            backend.invalidate()
        return gone

    def reloaded(self, before: Config) -> None:
        """Another configuration is in force than `before`."""
        now = self._config()
        self.desk.reloaded()
        self.limits.use(now)
        servers = {server.id: server for server in now.servers}
        is_same = (before.cache, before.routing) == (now.cache, now.routing)
        changed = {old.id for old in before.servers if not is_same or servers.get(old.id) != old}
        if changed:
            self._invalidate(lambda subject: subject.server in changed, Cause.RELOAD)
        old, new = before.profiles, now.profiles
        self.listing.policy_changed({name for name in {*old, *new} if old.get(name) != new.get(name)})
        self.cache.use(servers.keys())
        self.flights.keep(servers.keys())

    def savings(self) -> Savings:
        return savings_of(self.registry, self.cache, self.listing, self.flights)

    def _invalidate(self, concerns: Callable[[Subject], bool], cause: Cause) -> int:
        """Nothing that was asked about these until now is given to anybody who asks from now on."""
        self.flights.invalidate(concerns)
        return self.cache.invalidate(concerns, cause)

    def servers_changed(self) -> None:
        """The set of backends, their order or their settings are others now."""
        self.listing.changed()
        self.updates.routes_changed()

    def approve(self, server: str, tool: str | None, digest: str | None) -> tuple[str, ...]:
        """As `ToolWatch.approve`; clients have at once what was withheld. Raises: UnknownChange."""
        is_own = any(each.principals and each.is_withheld for each in self.watch.changes(server))
        tools = self.watch.approve(server, tool, digest)
        self.servers_changed()
        if is_own:
            # Lists of one principal alone are not compared when everybody's is merged.
            self.hub.changed("tools")
        return tools

    def costs_known(self) -> None:
        """What the lists in force cost was counted: `auto` may have been wrong to estimate."""
        if self._contexts.has_choice:
            self.listing.changed()

    def resource_updated(self, backend: str, uri: str) -> None:
        self._invalidate(partial(_is_told_of, backend, uri), Cause.UPDATED)
        self.updates.resource_updated(backend, uri)

    def task_changed(self, backend: str, replica: str, task: Task) -> None:
        self.task_updates.changed(backend, replica, task)

    def elicitation_complete(self, backend: str, elicitation_id: str) -> None:
        self.asking.elicitation_complete(backend, elicitation_id)

    async def session_request(
        self, backend: str, session: str, request: jsonrpc.Request
    ) -> bytes | jsonrpc.RpcError:
        return await self.asking.session_request(backend, session, request)

    def refused(self, caller: Caller, method: str, error: Only1Error, peer: str = "") -> None:
        """A request of this caller was not taken, as one too many is not."""
        self.endings.refused(caller, method, error, peer)

    def listened(self, caller: Caller, params: Raw, peer: str = "") -> None:
        """A modern client listens from now on: which is no exchange, as it has no end that is waited for."""
        self.endings.said(Exchange("subscriptions/listen", params, caller, Nobody(), peer=peer))

    # --- what legacy clients start by themselves --------------------------------------------------------------

    def notified(self, caller: Caller, method: str, params: Raw) -> None:
        """A legacy client's notification, cancellations left out; those that ask nothing of us are ignored."""
        self.asking.seen(caller)
        if method == "notifications/roots/list_changed":
            for backend in self.registry:
                backend.roots_changed(caller.principal, caller.session)

    def session_ended(self, caller: Caller) -> None:
        """Let go of all that was kept for a legacy client."""
        self.updates.session_ended(caller)
        self.asking.session_ended(caller)
        for backend in self.registry:
            backend.session_ended(caller.session)

    async def aclose(self) -> None:
        """Fail the calls that wait for a client."""
        await self.updates.aclose()
        await self.task_updates.aclose()
        await self.asking.aclose()
        await self.flights.aclose()
        await self._index.aclose()
        await self.watch.mentions.aclose()
        await self.hub.aclose()


async def _shut_out(exchange: Exchange) -> bytes:
    raise AuditShut


async def _no_such_method(exchange: Exchange) -> bytes:
    raise MethodNotFound(f"Method not found: {exchange.method[:128]}")


def _is_told_of(backend: str, uri: str, subject: Subject) -> bool:
    """Whether an update of this URI is one of what was read; one within it is (2025-11-25 server/resources)."""
    if subject.server != backend or subject.method != "resources/read":
        return False
    read = subject.target
    return uri == read or uri.startswith(read if read.endswith("/") else read + "/")


def _capabilities(revision: str) -> dict[str, Any]:
    """A static superset: it never changes while backends come and go, and every method of it answers."""
    capabilities: dict[str, Any] = {
        "tools": {"listChanged": True},
        "prompts": {"listChanged": True},
        "resources": {"listChanged": True, "subscribe": True},
        "logging": {},
    }
    if revision != "2024-11-05":
        capabilities["completions"] = {}
    return capabilities


def _named(routes: Routes, kind: str, name: str) -> Route | None:
    return routes.tool(name) if kind == "tools" else routes.prompt(name)


def _string(members: dict[str, Raw], key: str) -> str:
    value = jsonrpc.decode(members.get(key, jsonrpc.NO_JSON))
    if not isinstance(value, str):
        raise InvalidParams(f'"{key}" must be a string.')
    return value
