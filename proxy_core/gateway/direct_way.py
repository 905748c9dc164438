"""The way of requests that need no task: a list that is ready, a call that is ordinary in every way.

What is the same for many of them is worked out once, in a lane (`direct_list`, `direct_exchange`); here is what
each of them meets of the gateway: whether its lane still holds, limits, the record, and that it has ended.
"""

from collections.abc import Awaitable, Callable

from msgspec import Raw

from proxy_core.access.limits import Limits, Permit
from proxy_core.clock import Clock
from proxy_core.errors import Only1Error, Overloaded
from proxy_core.gateway.asking import Asking
from proxy_core.gateway.direct_exchange import CallLane
from proxy_core.gateway.direct_list import ListLane
from proxy_core.gateway.endings import Endings, finished_as
from proxy_core.gateway.exchange import Caller, Exchange, Viewer
from proxy_core.gateway.listing import Listing
from proxy_core.gateway.meta_calls import MetaCalls
from proxy_core.gateway.modes import Mode
from proxy_core.gateway.saving import Saving
from proxy_core.protocol import tasks
from proxy_core.telemetry.trace import Headers, Trace

GoOn = Callable[[Exchange, float, Callable[[], Awaitable[bytes]]], Awaitable[bytes]]
Served = Callable[[Viewer, Mode, int], None]


class DirectWay:
    """As `direct_exchange.Keeper`, too."""

    def __init__(
        self,
        clock: Clock,
        listing: Listing,
        meta_calls: MetaCalls,
        asking: Asking,
        saving: Saving,
        limits: Limits,
        endings: Endings,
        *,
        go_on: GoOn,
        served: Served,
    ) -> None:
        """`go_on`: what a call takes that becomes more than ordinary. `served`: is told of a list of tools that
        went to a client, and its bytes."""
        self.asking = asking
        self.go_on = go_on
        self.reserves = endings.reserves
        self._now = clock.monotonic
        self._listing = listing
        self._meta_calls = meta_calls
        self._saving = saving
        self._limits = limits
        self._endings = endings
        self._served = served

    def keeps(self, lane: CallLane | ListLane) -> bool:
        """Whether the catalog is what it was when it was made; each reload makes it another.

        Within one turn of the loop (`Proxy._put_in_force`), in which no request begins: so nobody who asks, by
        the same head, is somebody else by now, or is served by other rules.
        """
        return lane.version == self._listing.version

    def begins(self) -> float | None:
        """Now, in monotonic seconds, if a request may begin without a task; None if it may not."""
        audit = self._endings.audit
        return None if audit is not None and audit.is_shut else self._now()

    # --- calls ------------------------------------------------------------------------------------------------

    def lane(self, caller: Caller, name: str, own_meta: bytes) -> CallLane | None:
        """For a client's calls of this tool that are made in no task; None if none are.

        `own_meta`: their `_meta`, JSON of at most a kilobyte without progress token and log level. They have
        nothing but that and arguments. Taken are those that are ordinary in every way.
        """
        viewer = caller.viewer
        if self._meta_calls.means(name, viewer) or not self._saving.is_plain_tool(name):
            return None
        route = self._listing.routes(viewer).tool(name)
        if route is None or route.header_params:
            return None
        way = self.asking.lane(caller, route, own_meta)
        if way is None:
            return None
        place = (self._listing.version, caller, name, route, way)
        return CallLane(self, *place, is_limited=self._limits.is_any)

    def enter(self, lane: CallLane, begun_at: float, params: Raw, peer: str) -> Permit:
        """What a call takes of limits. Raises: Overloaded, and has told that it ended so."""
        limits = self._limits
        if lane.limits_version != limits.version:
            lane.meters = limits.meters(lane.caller.viewer, lane.route.server, lane.route.origin)
            lane.limits_version = limits.version
        try:
            limits.take(lane.meters, begun_at)
        except Overloaded as refusal:
            # No server was asked.
            self._turned_away(lane.caller, tasks.CALL, lane.name, begun_at, refusal, params, peer)
            raise
        return Permit(limits, lane.meters, True)

    def traced(self, lane: CallLane, params: Raw, headers: Headers, begun_at: float) -> Trace | None:
        """As `Endings.traced`, of a call that has begun."""
        trace = self._endings.traced(lane.caller, tasks.CALL, params, headers, begun_at)
        if trace is not None:
            trace.server = lane.route.server
            trace.step("routed", lane.route.origin)
        return trace

    def call_ended(
        self,
        lane: CallLane,
        begun_at: float,
        code: int | None,
        result: bytes,
        params: Raw,
        is_tool_error: bool,
        trace: Trace | None,
        failure: Only1Error | None,
        peer: str,
    ) -> None:
        """`result`: JSON; `code` and perhaps `failure` where there is none."""
        caller, server = lane.caller, lane.route.server
        finished = finished_as(
            caller, tasks.CALL, server, lane.name, begun_at, self._now(), code, len(result), is_tool_error
        )
        self._endings.ended(finished, caller, params, trace, result, failure, peer)

    def refused(self, caller: Caller, method: str, error: Only1Error, peer: str = "") -> None:
        """As `Endings.refused`."""
        self._endings.refused(caller, method, error, peer)

    # --- lists ------------------------------------------------------------------------------------------------

    def list_lane(self, caller: Caller, method: str) -> ListLane | None:
        """For a client's requests for the first page of this list; None if that is not ready."""
        viewer = caller.viewer
        if not self._listing.is_prepared(method, viewer):
            return None
        standing = self._listing.stands(method, viewer)
        page = self._listing.page(method, caller.revision, viewer, None)
        version, mode = self._listing.version, self._listing.view(viewer).mode
        return ListLane(version, caller, method, mode, page, standing)

    def at_once(self, lane: ListLane, params: Raw, headers: Headers = ()) -> bytes | None:
        """The result; None: nothing was done, and it takes the ordinary way. Raises: Overloaded.

        `headers`: of the HTTP request that brought it, for the record.
        """
        begun_at = self.begins()
        if begun_at is None or not lane.is_ready(begun_at):
            return None
        caller, method = lane.caller, lane.method
        if self._limits.is_any:
            self._let_list_in(lane, begun_at, params)
        trace = None
        if self.reserves(begun_at):
            trace = self._endings.traced(caller, method, params, headers, begun_at)
        result = lane.result(begun_at)
        if method == "tools/list":
            self._served(lane.viewer, lane.mode, len(lane.page))
        finished = finished_as(caller, method, None, None, begun_at, self._now(), None, len(result), False)
        self._endings.ended(finished, caller, params, trace, result)
        return result

    def _let_list_in(self, lane: ListLane, begun_at: float, params: Raw) -> None:
        viewer = lane.viewer
        try:
            if lane.method == "tools/list":
                self._limits.check_tokens(viewer)
            # It is answered before anything else could ask how many are in flight.
            self._limits.enter(viewer, begun_at).leave()
        except Overloaded as refusal:
            self._turned_away(lane.caller, lane.method, None, begun_at, refusal, params)
            raise

    def _turned_away(
        self,
        caller: Caller,
        method: str,
        target: str | None,
        begun_at: float,
        why: Overloaded,
        params: Raw,
        peer: str = "",
    ) -> None:
        """One that would have taken no task was one too many."""
        finished = finished_as(caller, method, None, target, begun_at, self._now(), why.code, 0, False)
        self._endings.ended(finished, caller, params, failure=why, peer=peer)
