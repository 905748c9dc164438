"""The front door over HTTP: who may knock, which route it is, and what an answer or an error looks like.

One endpoint on the socket, where the file's mode keeps strangers out, and one on the port, where tokens do. No
web page gets in at either: a request with an Origin is refused, and no answer lets a browser send more.
"""

import asyncio
import logging
from collections.abc import Collection
from functools import partial
from typing import Final

import msgspec

from proxy_core.access.audit.actor import acting_as
from proxy_core.access.audit.audit import Audit
from proxy_core.admin_wire import PREFIX, ErrorAnswer, ErrorBody, decoded, encoded, error_body, status_of
from proxy_core.clock import Clock
from proxy_core.control import Control
from proxy_core.errors import HttpRefusal, InvalidParams, Only1Error, Overloaded
from proxy_core.frontend.admin_events import AdminEvents
from proxy_core.frontend.admin_routes import Admin, Asked, Route, routes_at
from proxy_core.frontend.event_stream import EventStreams
from proxy_core.frontend.guards import JSON, Guard, media_type
from proxy_core.frontend.principals import Principals
from proxy_core.frontend.refused_heads import refusal_of
from proxy_core.frontend.wire import HeaderList, Streamed, WireAnswer, WireHead, WireReply, WireRequest
from proxy_core.tasks import Tasks

OWNER: Final = "owner"
"""Who asks on the socket."""
MAX_VERBS: Final = 64
"""Under way at once, those included that nobody waits for any more."""
MAX_LOGGED_NAME: Final = 100
_HEADERS: Final[HeaderList] = [("Content-Type", JSON), ("Cache-Control", "no-store")]
_STOPPING: Final = HttpRefusal(503, "The gateway is stopping.", {"Connection": "close"})
_LOOK_ALONE: Final = HttpRefusal(
    403,
    "This token may look and not steer. `admin: steer` in its entry of auth.tokens lets it, and so does the "
    "socket of the gateway's owner.",
)
log = logging.getLogger(__name__)


def socket_guard(max_body_bytes: int) -> Guard:
    """The rules of the socket. A page that reaches it through some forwarder says its own name as the host."""
    names = frozenset({"localhost", "127.0.0.1", "[::1]"})
    return Guard("", frozenset(), names, frozenset(), max_body_bytes)


class AdminApi:
    """What both endpoints share: the front door, the readers of events, and the verbs under way."""

    def __init__(self, control: Control, streams: EventStreams, clock: Clock) -> None:
        self._events = AdminEvents(control, streams, clock)
        self._admin = Admin(control, self._events)
        self._verbs = Tasks("admin verbs")
        self.is_stopping = False
        """Set once: no verb is begun any more. What is seen may still be looked at."""

    def end_of(self, principals: Collection[str]) -> None:
        """End the event streams of those who may not read any more."""
        self._events.end_of(principals)

    async def aclose(self) -> None:
        """End the event streams, and give up the verbs that are under way."""
        self.is_stopping = True
        await self._verbs.aclose()
        await self._events.aclose()

    async def answer(self, route: Route, asked: Asked) -> WireAnswer:
        """Whatever happens but a cancellation, there is something to answer."""
        if not route.verb:
            return await self._run(route, asked)
        if self.is_stopping:
            return _refused(_STOPPING)
        if len(self._verbs) >= MAX_VERBS:
            return _failed(Overloaded(f"Too many verbs at once; the limit is {MAX_VERBS}."))
        _audit(route, asked)
        verb = self._verbs.start(self._run(route, asked), route.verb)
        try:
            await asyncio.wait([verb])
        except asyncio.CancelledError:
            if not route.goes_on:
                verb.cancel()
            raise
        return _refused(_STOPPING) if verb.cancelled() else verb.result()

    async def _run(self, route: Route, asked: Asked) -> WireAnswer:
        try:
            with acting_as(asked.principal):
                answer = await route.run(self._admin, asked)
            return answer if isinstance(answer, Streamed) else WireReply(200, _HEADERS, encoded(answer))
        except Only1Error as error:
            return _failed(error)
        except Exception:
            log.exception("an admin request failed: %s %s", route.method, route.path)
            return _reply(500, ErrorBody("internal", "Internal error"))


class AdminEndpoint:
    """One door of the admin API."""

    def __init__(self, api: AdminApi, guard: Guard, principals: Principals | None) -> None:
        """`principals` None: whoever comes in is the owner."""
        self.guard = guard
        self.principals = principals
        self.audit: Audit | None = None
        self._api = api

    @property
    def max_body_bytes(self) -> int:
        return self.guard.max_body_bytes

    def admit(self, head: WireHead) -> WireReply | None:
        refusal = (
            self.guard.host_refusal(head)
            or _page_refusal(head)
            or self._strangers_refusal(head)
            or _route_refusal(head)
            or self._onlookers_refusal(head)
        )
        return None if refusal is None else self.refuse(head, refusal)

    def refuse(self, head: WireHead, refusal: HttpRefusal) -> WireReply:
        if self.audit is not None:
            self.audit.refused(refusal_of("admin", head, refusal))
        return _refused(refusal)

    async def answer(self, request: WireRequest) -> WireAnswer:
        head = request.head
        # Once more: a token may have been taken back while the body came.
        if (refused := self._strangers_refusal(head) or self._onlookers_refusal(head)) is not None:
            return self.refuse(head, refused)
        routes, ids = _routes_of(head)
        route = routes[head.method]
        try:
            body = _body_of(request, route)
        except HttpRefusal as refusal:
            return _refused(refusal)
        except InvalidParams as error:
            return _failed(error)
        return await self._api.answer(
            route, Asked(ids, body, request, head.principal, partial(self._may_steer, head.principal))
        )

    def _strangers_refusal(self, head: WireHead) -> HttpRefusal | None:
        try:
            head.principal = OWNER if self.principals is None else self.principals.identify_operator(head)
        except HttpRefusal as refusal:
            return refusal
        return None

    def _may_steer(self, principal: str) -> bool:
        return self.principals is None or self.principals.may_steer(principal)

    def _onlookers_refusal(self, head: WireHead) -> HttpRefusal | None:
        verb = _routes_of(head)[0][head.method].verb
        return _LOOK_ALONE if verb and not self._may_steer(head.principal) else None


def _page_refusal(head: WireHead) -> HttpRefusal | None:
    if "origin" in head.values:
        return HttpRefusal(403, "The admin API serves no web pages.")
    return None


def _route_refusal(head: WireHead) -> HttpRefusal | None:
    routes, _ = _routes_of(head)
    if not routes:
        return HttpRefusal(404, "There is nothing here.")
    if head.method not in routes:
        allow = ", ".join(sorted(routes))
        return HttpRefusal(405, "This HTTP method is not served here.", {"Allow": allow})
    return None


def _routes_of(head: WireHead) -> tuple[dict[str, Route], dict[str, str]]:
    prefix = PREFIX + "/"
    return routes_at(head.path.removeprefix(prefix)) if head.path.startswith(prefix) else ({}, {})


def _body_of(request: WireRequest, route: Route) -> object:
    """Raises: HttpRefusal, InvalidParams."""
    values = request.head.values
    if not request.body:
        raw = b"{}"
    elif values.get("content-encoding", "identity").lower() != "identity":
        raise HttpRefusal(415, "A compressed body is not accepted.", {"Accept-Encoding": "identity"})
    elif media_type(values.get("content-type", "")) != JSON:
        raise HttpRefusal(415, f"The Content-Type must be {JSON}.")
    else:
        raw = request.body
    try:
        return decoded(raw, route.body)
    except msgspec.DecodeError as error:
        raise InvalidParams(f"The body is not what this route takes: {error}.") from error


def _audit(route: Route, asked: Asked) -> None:
    """Who did what; never what was in the body, but for the name of a tool."""
    name = getattr(asked.body, "name", "")[:MAX_LOGGED_NAME]
    level = getattr(asked.body, "level", "")[:MAX_LOGGED_NAME]
    what = asked.target or name or level
    by = "" if asked.principal == OWNER else f" by {asked.principal}"
    log.info("admin: %s%s%s", route.verb, f" {what}" if what else "", by)


def _failed(error: Only1Error) -> WireReply:
    body = error_body(error)
    return _reply(error.status if isinstance(error, HttpRefusal) else status_of(body), body)


def _refused(refusal: HttpRefusal) -> WireReply:
    reply = _failed(refusal)
    return WireReply(reply.status, [*reply.headers, *refusal.headers.items()], reply.body)


def _reply(status: int, body: ErrorBody) -> WireReply:
    return WireReply(status, _HEADERS, encoded(ErrorAnswer(body)))
