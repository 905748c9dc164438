"""Who wants to hear of which single resource, in either era, and what each backend was asked to tell.

A subscription follows its URI: when another server comes to own it, that one is asked instead.
Spec: 2025-11-25 server/resources, "Subscriptions"; 2026-07-28 basic/patterns/subscriptions.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Final

from msgspec import Struct, field

from proxy_core.backends.backend import Backend
from proxy_core.backends.registry import BackendRegistry
from proxy_core.catalog.aliases import alias_of
from proxy_core.catalog.routes import Route
from proxy_core.errors import BackendFault, InvalidParams, NotSubscribable, Overloaded, UnknownResource
from proxy_core.gateway.exchange import Caller, Exchange, Viewer
from proxy_core.gateway.owners import ResourceOwners
from proxy_core.gateway.telling import Telling
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.methods import RESOURCE_UPDATED
from proxy_core.tasks import Tasks

ACK_S: Final = 2.0
"""How long a listen waits for backends to accept its URIs."""
MAX_URIS: Final = 256
"""Of one session or listen."""


class _Subscriber(Struct, eq=False):
    """A legacy session or a modern listen."""

    viewer: Viewer
    deliver: Callable[[str], None]
    subscriptions: "dict[str, _Subscription]" = field(default_factory=dict)
    """By the client's own URIs."""
    has_ended: bool = False


class _Subscription(Struct, eq=False):
    """One URI of one client, and whom it is counted at."""

    subscriber: _Subscriber
    uri: str
    """As the client says it."""
    route: Route
    backend: Backend | None = None
    """None: its server has gone; asked again when a server has the URI."""


class ResourceUpdates:
    """Sole owner of the subscriptions to single resources."""

    def __init__(self, registry: Callable[[], BackendRegistry], owners: ResourceOwners) -> None:
        self._registry = registry
        self._owners = owners
        self._tasks = Tasks("resource updates")
        self._subscribers: set[_Subscriber] = set()
        self._sessions: dict[Caller, _Subscriber] = {}
        self._held: dict[str, dict[str, set[_Subscription]]] = {}
        """Server -> its own URI -> who hears of it."""
        self._following: asyncio.Task[None] | None = None
        self._must_follow = False
        self._telling = Telling[_Subscription]("resource updates: telling")

    def __len__(self) -> int:
        return sum(len(each.subscriptions) for each in self._subscribers)

    # --- legacy -----------------------------------------------------------------------------------------------

    async def subscribe(self, exchange: Exchange) -> bytes:
        """resources/subscribe of a legacy client; updates go to `caller.stream`.

        Raises: UnknownResource; NotSubscribable; Overloaded; BackendFault.
        """
        caller, uri = exchange.caller, _uri(exchange)
        exchange.target = uri
        subscriber = self._session(caller)
        if len(subscriber.subscriptions) >= MAX_URIS and uri not in subscriber.subscriptions:
            raise Overloaded(f"A session can subscribe to {MAX_URIS} resources.")
        route = await self._owners.find(uri, caller.viewer)
        if route is None:
            raise UnknownResource(uri)
        exchange.backend = route.server
        if not await self._subscribe(subscriber, uri, route):
            raise NotSubscribable(uri)
        return b"{}"

    async def unsubscribe(self, exchange: Exchange) -> bytes:
        """resources/unsubscribe. Also of what was never subscribed."""
        exchange.target = uri = _uri(exchange)
        subscriber = self._sessions.get(exchange.caller)
        if subscriber is not None and (subscription := subscriber.subscriptions.pop(uri, None)) is not None:
            self._release(subscription)
        return b"{}"

    def session_ended(self, caller: Caller) -> None:
        """Drop every subscription of this legacy session."""
        subscriber = self._sessions.pop(caller, None)
        if subscriber is not None:
            self._end(subscriber)

    def _session(self, caller: Caller) -> _Subscriber:
        subscriber = self._sessions.get(caller)
        if subscriber is None:

            def deliver(uri: str) -> None:
                if caller.stream is not None:
                    params = jsonrpc.encode({"uri": uri})
                    caller.stream.notify(jsonrpc.notification(RESOURCE_UPDATED, params))

            subscriber = self._sessions[caller] = _Subscriber(caller.viewer, deliver)
            self._subscribers.add(subscriber)
        return subscriber

    # --- modern -----------------------------------------------------------------------------------------------

    async def listen(
        self, caller: Caller, uris: Collection[str], deliver: Callable[[str], None]
    ) -> tuple[list[str], Callable[[], None]]:
        """Subscribe a modern listen: the URIs accepted within `ACK_S`, and what ends the subscription.

        `deliver` gets the client's own URI of what was updated; it must not block and must not raise.
        """
        subscriber = _Subscriber(caller.viewer, deliver)
        self._subscribers.add(subscriber)
        wanted = list(dict.fromkeys(uris))[:MAX_URIS]
        try:
            accepted = await asyncio.gather(*(self._accepts(subscriber, uri) for uri in wanted))
        except asyncio.CancelledError:
            self._end(subscriber)
            raise
        heard = [uri for uri, is_accepted in zip(wanted, accepted, strict=True) if is_accepted]
        return heard, lambda: self._end(subscriber)

    async def _accepts(self, subscriber: _Subscriber, uri: str) -> bool:
        try:
            async with asyncio.timeout(ACK_S):
                route = await self._owners.find(uri, subscriber.viewer)
                return route is not None and await self._subscribe(subscriber, uri, route)
        except (TimeoutError, BackendFault):
            return False

    # --- both -------------------------------------------------------------------------------------------------

    async def _subscribe(self, subscriber: _Subscriber, uri: str, route: Route) -> bool:
        """Whether the server tells of it. Raises: BackendFault if it cannot be asked."""
        if _is_held(subscriber, uri):
            return True
        backend = self._registry().find(route.server)
        if backend is None or not await backend.subscribe(route.origin):
            return False
        if subscriber.has_ended or _is_held(subscriber, uri):
            # It went, or asked twice, while the server thought.
            backend.unsubscribe(route.origin)
        else:
            subscription = subscriber.subscriptions[uri] = _Subscription(subscriber, uri, route)
            self._hold(subscription, route, backend)
        return True

    def _hold(self, subscription: _Subscription, route: Route, backend: Backend) -> None:
        """The server has agreed, and counts it."""
        subscription.route, subscription.backend = route, backend
        self._held.setdefault(route.server, {}).setdefault(route.origin, set()).add(subscription)

    def _release(self, subscription: _Subscription) -> None:
        backend, subscription.backend = subscription.backend, None
        if backend is None:
            return
        route = subscription.route
        of_server = self._held[route.server]
        of_server[route.origin].discard(subscription)
        if not of_server[route.origin]:
            del of_server[route.origin]
        backend.unsubscribe(route.origin)

    def _end(self, subscriber: _Subscriber) -> None:
        subscriber.has_ended = True
        self._subscribers.discard(subscriber)
        for subscription in subscriber.subscriptions.values():
            self._release(subscription)
        subscriber.subscriptions.clear()

    def resource_updated(self, backend: str, uri: str) -> None:
        """`uri` as the backend says it: the one subscribed to, or a resource below it."""
        told: set[tuple[_Subscriber, str]] = set()

        def say(subscription: _Subscription) -> None:
            subscriber = subscription.subscriber
            # It may have let go of it since, or hear of it by another name for the same.
            if subscriber.subscriptions.get(subscription.uri) is not subscription:
                return
            client_uri = self._as_client_says(subscription, uri)
            if (subscriber, client_uri) not in told:
                told.add((subscriber, client_uri))
                subscriber.deliver(client_uri)

        self._telling.tell((backend, uri), lambda: self._concerned(backend, uri), say)

    def _concerned(self, backend: str, uri: str) -> list[_Subscription]:
        return [
            each
            for origin, subscriptions in self._held.get(backend, {}).items()
            if _covers(origin, uri)
            for each in subscriptions
        ]

    def _as_client_says(self, subscription: _Subscription, uri: str) -> str:
        route = subscription.route
        if uri == route.origin:
            return subscription.uri
        if subscription.uri != route.origin:
            return alias_of(route.server, uri)
        return self._owners.told(route.server, subscription.subscriber.viewer, uri)

    # --- following the URIs -----------------------------------------------------------------------------------

    def routes_changed(self) -> None:
        """Servers came or went, or their lists changed: ask those that own the URIs now."""
        self._must_follow = bool(self._subscribers)
        if self._must_follow and (self._following is None or self._following.done()):
            self._following = self._tasks.start(self._follow(), "follow")

    async def _follow(self) -> None:
        while self._must_follow:
            self._must_follow = False
            await asyncio.gather(
                *(
                    self._move(subscription)
                    for subscriber in self._subscribers
                    for subscription in subscriber.subscriptions.values()
                )
            )

    async def _move(self, subscription: _Subscription) -> None:
        """To the server that owns the URI now; the new one is asked before the old one is let go."""
        subscriber, uri = subscription.subscriber, subscription.uri
        # What no list has any more stays where it is: its server may still tell of it, and may list it again.
        route = self._owners.known(uri, subscriber.viewer) or subscription.route
        if not self._owners.reaches(route.server, subscriber.viewer):
            # Its profile shows the server no more; asked again if it does.
            self._release(subscription)
            return
        backend = self._registry().find(route.server)
        if backend is subscription.backend and route == subscription.route:
            return
        taker = backend if backend is not None and await _takes(backend, route.origin) else None
        if subscriber.subscriptions.get(uri) is not subscription:
            if taker is not None:
                taker.unsubscribe(route.origin)
            return
        self._release(subscription)
        if taker is not None:
            self._hold(subscription, route, taker)
            subscriber.deliver(uri)

    async def aclose(self) -> None:
        await self._telling.aclose()
        await self._tasks.aclose()


async def _takes(backend: Backend, uri: str) -> bool:
    try:
        return await backend.subscribe(uri)
    except BackendFault:
        # Asked again when it is in service: its lists change then.
        return False


def _is_held(subscriber: _Subscriber, uri: str) -> bool:
    subscription = subscriber.subscriptions.get(uri)
    return subscription is not None and subscription.backend is not None


def _covers(subscribed: str, updated: str) -> bool:
    """Whether it is the same resource, or one below it."""
    if not updated.startswith(subscribed):
        return False
    return len(updated) == len(subscribed) or subscribed.endswith("/") or updated[len(subscribed)] == "/"


def _uri(exchange: Exchange) -> str:
    uri = jsonrpc.decode(jsonrpc.members(exchange.params).get("uri", jsonrpc.NO_JSON))
    if not isinstance(uri, str):
        raise InvalidParams('"uri" must be a string.')
    return uri
