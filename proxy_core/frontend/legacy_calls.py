"""What a legacy client sends once it has shaken hands, whichever HTTP transport brought it.

Each request is a task of its session, and outlives the connection that asked. Knows no HTTP.
Spec: 2025-11-25 basic/lifecycle; basic/utilities/cancellation; basic/transports, "Sending Messages".
"""

import asyncio
from collections.abc import Callable
from typing import Final

from msgspec import Raw

from proxy_core.errors import InvalidRequest, Overloaded, ParseError
from proxy_core.frontend.quota import Quota
from proxy_core.frontend.responses import Handler, Outcome
from proxy_core.frontend.sessions import LegacySessions, Session
from proxy_core.frontend.underway import Underway
from proxy_core.gateway.exchange import Caller, Exchange, Nobody, Outlet
from proxy_core.protocol import capabilities, jsonrpc
from proxy_core.protocol.classify import cancelled_id, client_name
from proxy_core.protocol.methods import LIST_METHODS
from proxy_core.protocol.revisions import Era, negotiate_legacy
from proxy_core.tasks import Tasks
from proxy_core.telemetry.trace import Headers

CANCELLED: Final = "notifications/cancelled"
_MAX_TASK_NAME: Final = 40
_NOBODY: Final = Nobody()


class LegacyCalls:
    def __init__(self, handler: Handler, quota: Quota, sessions: LegacySessions, underway: Underway) -> None:
        self._handler = handler
        self.underway = underway
        self.quota = quota
        self.sessions = sessions
        self.tasks = Tasks("legacy calls")

    def begin(
        self,
        session: Session,
        request: jsonrpc.Request,
        outlet: Outlet,
        on_end: Callable[[Outcome | None], None],
        headers: Headers = (),
        arrival: str = "",
        peer: str = "",
    ) -> None:
        """Start to serve a request; `on_end` gets its outcome, or None if it was cancelled.

        `headers` of the HTTP request, how it arrived and from where: for its record.

        Raises: InvalidRequest if its id is in use, Overloaded.
        """
        if request.id in session.calls:
            raise InvalidRequest("A request with this id is still in flight.")
        principal = session.caller.principal
        try:
            self.quota.enter(principal)
        except Overloaded as error:
            self._handler.refused(session.caller, request.method, error, peer)
            raise
        exchange = Exchange(
            request.method, request.params, session.caller, outlet, headers=headers, arrival=arrival, peer=peer
        )
        work = self.underway.outcome_of(self._handler, exchange, request.raw_id)
        call = self.tasks.start(work, request.method[:_MAX_TASK_NAME])
        self.sessions.begin_call(session, request.id, call)

        # Not a `finally` of the task: one that is cancelled before its first step would skip it.
        def end(call: asyncio.Task[Outcome]) -> None:
            self.quota.leave(principal)
            self.sessions.end_call(session, request.id)
            on_end(None if call.cancelled() else call.result())

        call.add_done_callback(end)

    def at_once(self, session: Session, request: jsonrpc.Request, headers: Headers = ()) -> bytes | None:
        """The result of a list, if it is ready; None: nothing was done. Raises: Overloaded."""
        if request.method not in LIST_METHODS or request.id in session.calls:
            return None
        if self.quota.is_full(session.caller.principal) or not _is_first_page(request.params):
            return None
        lane = self._handler.direct.list_lane(session.caller, request.method)
        return None if lane is None else self._handler.direct.at_once(lane, request.params, headers)

    def take(self, session: Session, message: jsonrpc.Notification | jsonrpc.Response) -> None:
        """Act on what has no answer; what it names and we do not know is ignored."""
        if isinstance(message, jsonrpc.Response):
            session.requests.answer(message)
        elif message.method == CANCELLED:
            _cancel(session, message.params)
        else:
            self._handler.notified(session.caller, message.method, message.params)

    async def aclose(self) -> None:
        """End every session; the calls in flight are cancelled and awaited."""
        self.sessions.end_all()
        await self.tasks.aclose()


def caller_of(handshake: jsonrpc.Request, principal: str) -> Caller:
    """Who the client says it is, in the revision that it gets. Raises: ParseError."""
    params = jsonrpc.members(handshake.params)
    revision = negotiate_legacy(jsonrpc.decode(params.get("protocolVersion", jsonrpc.NO_JSON)))
    return Caller(
        Era.LEGACY,
        revision,
        principal,
        client_name(params.get("clientInfo", jsonrpc.NO_JSON)),
        capabilities=capabilities.read(params.get("capabilities", jsonrpc.NO_JSON), revision),
    )


def handshake(request: jsonrpc.Request, caller: Caller, headers: Headers = ()) -> Exchange:
    """An initialize, for its record."""
    return Exchange(request.method, request.params, caller, Nobody(), headers=headers)


def _is_first_page(params: Raw) -> bool:
    """Whether a list is asked for with nothing that would have to be looked at."""
    try:
        return jsonrpc.members(params).keys() <= {"_meta"}
    except ParseError:
        return False


def _cancel(session: Session, params: Raw) -> None:
    request_id = cancelled_id(params)
    call = None if request_id is None else session.calls.get(request_id)
    if call is not None:
        call.cancel()
