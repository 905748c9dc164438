"""A recorded request made again by an operator: past every cache, joined by nobody, and recorded as well.

It is made as the operator sees things. Who made it first, under which profile and in which session, is not
taken over: neither what they may reach nor what they may be asked is anybody else's to use.
"""

import asyncio
from typing import Final

from msgspec import Raw, Struct

from proxy_core.backends.registry import BackendRegistry
from proxy_core.catalog.routes import Route
from proxy_core.errors import NotReplayable, Only1Error, ParseError, UnknownReplica
from proxy_core.gateway.exchange import Aim, Caller, Exchange, Nobody
from proxy_core.gateway.gateway import Gateway
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.methods import LIST_METHODS
from proxy_core.protocol.revisions import LATEST_LEGACY, Era
from proxy_core.telemetry.exchanges import ExchangeDetail, ExchangeRow, Hop, MessageKind
from proxy_core.telemetry.recorder import Recorder

OPERATOR: Final = "only1mcp"
"""What the gateway calls itself where it is the client."""
LISTS_S: Final = 10.0
"""How long the servers' lists are waited for, where a list is asked for again."""
_KINDS: Final = {"tools/call": "tool", "prompts/get": "prompt", "resources/read": "resource"}


def operator() -> Caller:
    """Who asks when a person at the gateway does."""
    return Caller(Era.LEGACY, LATEST_LEGACY, client=OPERATOR)


def operator_like(row: ExchangeRow) -> Caller:
    """The operator in the era of who asked first: in another one an equal answer would look different."""
    return Caller(Era(row.era), row.revision, client=OPERATOR)


class Replay(Struct, frozen=True):
    """How a replay ended."""

    detail: ExchangeDetail
    server: str
    """Who was asked; empty: nobody."""


class Replaying:
    def __init__(self, gateway: Gateway, recorder: Recorder) -> None:
        self._gateway = gateway
        self._recorder = recorder

    @property
    def _registry(self) -> BackendRegistry:
        return self._gateway.registry

    async def replay(self, id: int, target: str | None) -> Replay:
        """As `Control.replay`."""
        original = await self._recorder.detail(id)
        if original.why_not_replayable:
            raise NotReplayable(original.why_not_replayable)
        if not self._recorder.is_on:
            raise NotReplayable(
                "Nothing is recorded now (inspect.exchanges: 0), so what came of it could not be shown."
            )
        method, params = original.row.method, _params(original)
        aim = await self._aim(method, params, original.row.target, target)
        if method in LIST_METHODS:
            await self._read_lists(method)
        exchange = Exchange(method, params, operator_like(original.row), Nobody(), replay_of=id, aim=aim)
        exchange.arrival = f"a replay of {id}" + (f", at {target}" if target else "")
        try:
            await self._gateway.handle(exchange)
        except Only1Error:
            # Part of what is told.
            pass
        if exchange.trace is None:
            raise NotReplayable("It was made again, but recording was switched off meanwhile.")
        return Replay(await self._recorder.detail(exchange.trace.id), exchange.backend or "")

    async def _read_lists(self, method: str) -> None:
        reading = (backend.refresh((method,)) for backend in self._registry if backend.is_listed)
        try:
            async with asyncio.timeout(LISTS_S):
                await asyncio.gather(*reading, return_exceptions=True)
        except TimeoutError:
            # Then the list is as it was.
            pass

    # --- whom to ask ------------------------------------------------------------------------------------------

    async def _aim(self, method: str, params: Raw, shown: str, target: str | None) -> Aim | None:
        """Raises: UnknownServer, UnknownReplica, NotReplayable."""
        chosen = None if target is None else self._chosen(target)
        if method not in _KINDS:
            if chosen is not None:
                raise NotReplayable(f"For {method} no server can be chosen.")
            return None
        try:
            name = _name(method, params)
            route = await self._gateway.route(method, name, shown, operator().viewer)
        except Only1Error:
            # Known, and its server is away: which is what the replay will tell.
            return None
        if route is None and self._gateway.is_own_tool(method, name, operator().viewer) and chosen is None:
            return None
        if route is None:
            raise NotReplayable(
                f"As the operator sees it there is no {_KINDS[method]} {(name or shown)[:256]}."
            )
        return None if chosen is None else self._aimed(method, route, *chosen)

    def _chosen(self, target: str) -> tuple[str, str | None]:
        server, slash, replica = target.partition("/")
        backend = self._registry.get(server)
        if not slash:
            return server, None
        known = tuple(member.id for member in backend.members)
        if replica not in known:
            raise UnknownReplica(server, replica, known)
        return server, replica

    def _aimed(self, method: str, route: Route, server: str, replica: str | None) -> Aim:
        if server == route.server or method == "resources/read":
            return Aim(server, replica, route.header_params)
        catalog = self._gateway.listing.catalog
        entries = catalog.tools if method == "tools/call" else catalog.prompts
        for entry in entries:
            if (entry.server, entry.origin) == (server, route.origin):
                return Aim(server, replica, entry.header_params)
        raise NotReplayable(f"The server {server} has no {_KINDS[method]} {route.origin[:256]}.")


def _params(original: ExchangeDetail) -> Raw:
    """As the client sent them, but for what it said of itself there."""
    for message in original.messages:
        if message.hop is Hop.CLIENT and not message.is_outgoing and message.kind is MessageKind.REQUEST:
            members = jsonrpc.members(Raw(message.body.encode()))
            members.pop("_meta", None)
            return Raw(jsonrpc.encode(members))
    raise NotReplayable("The request was not kept.")


def _name(method: str, params: Raw) -> str:
    member = "uri" if method == "resources/read" else "name"
    try:
        name = jsonrpc.decode(jsonrpc.members(params).get(member, jsonrpc.NO_JSON))
    except ParseError:
        return ""
    return name if isinstance(name, str) else ""
