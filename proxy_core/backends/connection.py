"""One open line to a backend: the handshake, requests and their answers, what the backend starts by itself.

Sole writer of its correlation, its revision and its capabilities. Knows no clients: a call's notifications go
to the sink that came with it, everything else goes up by `ConnectionOwner`.
Spec: 2026-07-28 basic (modern); 2025-11-25 basic/lifecycle (legacy).
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeAlias

from msgspec import Raw

from proxy_core.backends.channel import Channel, Outgoing, Receiver
from proxy_core.backends.correlation import Correlation, Pending
from proxy_core.backends.handshake import CLIENT_INFO, NO_CAPABILITIES, Handshake, modern_params
from proxy_core.backends.opening import Initialized, TransportKind
from proxy_core.backends.peer import nobody
from proxy_core.backends.upward import CallSink
from proxy_core.clock import Clock
from proxy_core.config.models import ServerConfig
from proxy_core.errors import (
    BackendError,
    BackendFault,
    BackendSessionLost,
    BackendTimeout,
    BackendUnavailable,
    ErrorCode,
    NotServable,
    Only1Error,
    ParseError,
)
from proxy_core.protocol import jsonrpc, meta
from proxy_core.protocol.methods import LIST_CHANGED
from proxy_core.protocol.revisions import LEGACY_REVISIONS, MODERN, Era
from proxy_core.tasks import Tasks

LISTEN_S: Final = 10 * 365 * 86_400.0
"""A listen has no deadline; its end is the backend's or ours."""
LISTEN_PAUSE_S: Final = 30.0
"""Longest pause before a broken listen is opened again; one that lasted longer counts as good."""
PROBE_S: Final = 5.0
_KIND_OF_CHANGE: Final = {method: kind for kind, method in LIST_CHANGED.items()}

Waiter: TypeAlias = asyncio.Future[Raw]


class ConnectionOwner(Protocol):
    """The replica above. Calls are synchronous and must not raise, but for `server_request`."""

    def connection_lost(self, fault: BackendFault) -> None: ...

    def list_changed(self, kind: str) -> None:
        """tools, resources or prompts"""
        ...

    def session_renewed(self) -> None:
        """The backend had ended our session and opened another, which knows nothing of the old one."""
        ...

    def said(self, level: str, text: str) -> None:
        """For the server's log: something it did that no call caused."""
        ...

    async def server_request(self, request: jsonrpc.Request) -> bytes | jsonrpc.RpcError: ...


class Connection(Receiver):
    def __init__(
        self,
        settings: ServerConfig,
        make_channel: Callable[[TransportKind, Receiver], Channel],
        owner: ConnectionOwner,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._make_channel = make_channel
        self._owner = owner
        self._clock = clock
        self._tasks = Tasks(f"connection:{settings.id}")
        self._correlation: Correlation[Waiter] = Correlation(f"g{secrets.token_hex(8)}-")
        self._channel: Channel | None = None
        self._fault: BackendFault | None = None
        self._is_closing = False
        self._is_open = False
        self._renewal: asyncio.Task[None] | None = None
        """While a session that the backend ended is being replaced."""
        self._sessions = 1
        """How many sessions this connection has opened; a call that lost one compares it."""
        self._handshake = Handshake(self, settings)
        self.id = settings.id
        self.peer = nobody(MODERN)
        """Meaningful once `open` has returned."""
        self.transport: TransportKind = settings.transport.type
        """What it turned out to be: an http backend may answer on HTTP+SSE only."""

    # --- opening --------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect and agree on a revision.

        Raises: BackendFault, its `detail` saying in a person's words what went wrong.
        """
        try:
            await self._handshake.open()
        except NotServable as refusal:
            # What ended the channel says more than that the handshake came to nothing.
            raise (self._fault or refusal) from None
        if self._fault is not None:
            # It answered and went.
            raise self._fault
        self._is_open = True
        await self._opened()

    async def reopen(self, kind: TransportKind) -> None:
        """A fresh channel in place of the present one, for the handshake. Raises: BackendFault."""
        if self._channel is not None:
            await self._channel.aclose()
        self._fault = None
        self.transport = kind
        self._channel = self._make_channel(kind, self)
        await self._channel.open()

    async def _opened(self) -> None:
        if self.peer.era is Era.LEGACY:
            await self.notify("notifications/initialized")
            if self._channel is not None:
                self._channel.start_stream(self.peer.revision)
        elif any(self.peer.announces(kind) for kind in LIST_CHANGED):
            self._tasks.start(self._listen(), "listen")

    async def _in_session(self, ask: Callable[[], Awaitable[Raw]]) -> Raw:
        """Ask, and once more on a new session if ours has ended; all who lost it share one renewal.

        A 404 means that nothing was processed, so asking again cannot do anything twice.
        """
        await self._renewed()
        session = self._sessions
        try:
            return await ask()
        except BackendSessionLost:
            if self._renewal is None and self._sessions == session:
                self._renewal = self._tasks.start(self._renew_session(), "renew")
            await self._renewed()
            return await ask()

    async def _renewed(self) -> None:
        if self._renewal is not None:
            # Unlike awaiting it, this hands on neither its failure nor its cancellation: `ask` says what is.
            await asyncio.wait((self._renewal,))

    async def _renew_session(self) -> None:
        """Handshake again on the same channel; without success the connection is lost."""
        try:
            outcome = await self._handshake.initialize()
            if not isinstance(outcome, Initialized) or outcome.revision not in LEGACY_REVISIONS:
                raise BackendUnavailable(self.id, "The server ended our session and did not open another.")
            await self._opened()
        except BackendFault as fault:
            self.closed(fault)
        else:
            self._sessions += 1
            self._owner.session_renewed()
        finally:
            self._renewal = None

    # --- asking ---------------------------------------------------------------------------------------------

    async def call(
        self,
        method: str,
        params: Raw,
        replace: dict[str, bytes],
        *,
        name: str | None = None,
        sink: CallSink | None = None,
        log_level: str | None = None,
    ) -> Raw:
        """One client call: `params` as the client sent them, with the members in `replace` put in their place.

        The result is the backend's own JSON. Raises: BackendError for its error answer, BackendFault otherwise.
        """
        return await self._in_session(lambda: self._call(method, params, replace, name, sink, log_level))

    async def _call(
        self,
        method: str,
        params: Raw,
        replace: dict[str, bytes],
        name: str | None,
        sink: CallSink | None,
        log_level: str | None,
    ) -> Raw:
        timeouts = self._settings.timeouts
        pending = self._open_request(method, timeouts.call_idle_s, timeouts.call_s, sink)
        token = self._correlation.token(pending) if sink is not None and sink.wants_progress else None
        try:
            if self.peer.era is Era.MODERN:
                body = meta.for_modern_backend(
                    params, replace, token, MODERN, NO_CAPABILITIES, CLIENT_INFO, log_level
                )
            else:
                body = meta.for_legacy_backend(params, replace, token)
        except Only1Error:
            self._correlation.close(pending.id)
            raise
        return await self._exchange(pending, body, name)

    async def ask(self, method: str, params: dict[str, Any] | None = None, *, timeout_s: float) -> Raw:
        """A request of the gateway's own: declares no capabilities."""
        own = jsonrpc.encode(params or {})
        body = modern_params(own) if self.peer.era is Era.MODERN else own
        return await self._in_session(lambda: self.request(method, body, idle_s=timeout_s, cap_s=timeout_s))

    async def probe(self) -> None:
        """Whether the backend answers at all, by the cheapest request of its era."""
        method = "server/discover" if self.peer.era is Era.MODERN else "ping"
        await self.ask(method, timeout_s=PROBE_S)

    async def notify(self, method: str, params: dict[str, Any] | None = None) -> None:
        """Raises: BackendFault."""
        body = jsonrpc.notification(method, jsonrpc.encode(params) if params else b"")
        await self._send(self._outgoing(body, method=method))

    @property
    def pid(self) -> int | None:
        return self._channel.pid if self._channel is not None else None

    @property
    def in_flight(self) -> int:
        return len(self._correlation)

    def _open_request(
        self, method: str, idle_s: float, cap_s: float, sink: CallSink | None = None
    ) -> Pending[Waiter]:
        if self._fault is not None:
            raise self._fault
        if self._channel is None or self._is_closing:
            raise BackendUnavailable(self.id, "The server is not connected.")
        waiter: Waiter = asyncio.get_running_loop().create_future()
        return self._correlation.open(
            method, waiter, now=self._clock.monotonic(), idle_s=idle_s, cap_s=cap_s, sink=sink
        )

    async def request(self, method: str, params: bytes, *, idle_s: float, cap_s: float) -> Raw:
        return await self._exchange(self._open_request(method, idle_s, cap_s), params, None)

    async def _exchange(self, pending: Pending[Waiter], params: bytes, name: str | None) -> Raw:
        request_id, waiter = pending.id, pending.waiter
        message = jsonrpc.one_line(jsonrpc.request(b"%d" % request_id, pending.method, params))
        try:
            await self._send(self._outgoing(message, request_id, pending.method, name))
            return await waiter
        except asyncio.CancelledError:
            # Whoever asked has gone: the backend need not go on.
            if self.waits_for(request_id):
                self._give_up(pending)
            raise
        finally:
            self._correlation.close(request_id)
            # A fault raised by send leaves the waiter unread; its exception, if any, is the same fault.
            if waiter.done() and not waiter.cancelled():
                waiter.exception()

    def _outgoing(
        self, data: bytes, request_id: int | None = None, method: str = "", name: str | None = None
    ) -> Outgoing:
        is_modern = self.peer.era is Era.MODERN
        # initialize never carries a version header left over from the probe, and 2024-11-05 knows none.
        revision = self.peer.revision if is_modern or method != "initialize" else None
        return Outgoing(data, request_id, method, name, revision, is_modern)

    async def _send(self, message: Outgoing) -> None:
        if self._fault is not None:
            raise self._fault
        if self._channel is None:
            raise BackendUnavailable(self.id, "The server is not connected.")
        await self._channel.send(message)

    # --- giving up ------------------------------------------------------------------------------------------

    def sweep(self, now: float) -> None:
        """Fail the requests whose time has run out."""
        for pending in self._correlation.expired(now):
            timeout_s = pending.idle_s if now >= pending.idle_at else self._settings.timeouts.call_s
            fault = BackendTimeout(self.id, f"The server did not answer within {timeout_s:g} seconds.")
            self.request_failed(pending.id, fault, pending)
            self._give_up(pending)

    def _give_up(self, pending: Pending[Waiter]) -> None:
        self._correlation.close(pending.id)
        if self._channel is None:
            return
        self._channel.abort(pending.id)
        # The handshake cannot be cancelled; on modern HTTP the closed stream says it all.
        silent = pending.method in ("initialize", "server/discover", "subscriptions/listen")
        if not silent and not (self.peer.era is Era.MODERN and self.transport == "http"):
            self._tasks.start(self._send_cancelled(pending.id), "cancelled")

    async def _send_cancelled(self, request_id: int) -> None:
        try:
            await self.notify("notifications/cancelled", {"requestId": request_id})
        except BackendFault as fault:
            self._owner.said("debug", f"could not send a cancellation: {fault.detail}")

    async def aclose(self) -> None:
        """End every request in flight and close the channel. Safe to call twice."""
        self._is_closing = True
        self._fail_all(BackendUnavailable(self.id, "The connection to the server was closed."))
        await self._tasks.aclose()
        if self._channel is not None:
            await self._channel.aclose()

    def _fail_all(self, fault: BackendFault) -> None:
        for pending in self._correlation:
            self.request_failed(pending.id, fault)

    # --- what arrives (Receiver) ----------------------------------------------------------------------------

    def message(self, data: bytes, origin: int | None) -> None:
        try:
            message = jsonrpc.parse(data)
        except jsonrpc.NotOneMessage as error:
            if error.is_array and self.peer.era is Era.LEGACY:
                self._batch(data, origin)
            else:
                self.skipped(error.message, data)
            return
        except ParseError as error:
            self.skipped(error.message, data)
            return
        match message:
            case jsonrpc.Response():
                self._answered(message, origin)
            case jsonrpc.Notification():
                self._notified(message, origin)
            case jsonrpc.Request():
                self._asked(message)

    def _batch(self, data: bytes, origin: int | None) -> None:
        # Only 2025-03-26 knows arrays, but an answer in one is still an answer.
        items = jsonrpc.array_items(data)
        if len(items) > MAX_BATCH:
            self.skipped(f"an array of {len(items)} messages", data)
            return
        for item in items:
            if not jsonrpc.is_array(item):
                self.message(item, origin)

    def _answered(self, response: jsonrpc.Response, origin: int | None) -> None:
        # A peer that could not read our id answers without one; its own stream still tells which it was.
        pending = self._correlation.close(origin if response.id is None else response.id)
        if pending is None or pending.waiter.done():
            return
        if self._channel is not None:
            # It may have come on another stream than its own, which then has nothing more to bring.
            self._channel.abort(pending.id)
        if jsonrpc.is_empty(response.error):
            pending.waiter.set_result(response.result)
        else:
            error = jsonrpc.rpc_error(response.error)
            pending.waiter.set_exception(
                BackendError(self.id, error.code, error.message[:4096], bytes(error.data))
            )

    def request_failed(
        self, request_id: int, fault: BackendFault, pending: Pending[Waiter] | None = None
    ) -> None:
        pending = self._correlation.close(request_id) or pending
        if pending is not None and not pending.waiter.done():
            pending.waiter.set_exception(fault)

    def waits_for(self, request_id: int) -> bool:
        return self._correlation.get(request_id) is not None

    def closed(self, fault: BackendFault) -> None:
        if self._fault is not None:
            return
        self._fault = fault
        self._fail_all(fault)
        # Until it is open, `open` is told by its own requests, and may start the server again.
        if self._is_open and not self._is_closing:
            self._owner.connection_lost(fault)

    def skipped(self, reason: str, sample: bytes) -> None:
        text = sample[:200].decode(errors="replace")
        self._owner.said("warning", f"skipped something that is not MCP ({reason}): {text}")

    def _notified(self, notification: jsonrpc.Notification, origin: int | None) -> None:
        method = notification.method
        if method == "notifications/progress":
            self._progressed(notification.params)
        elif method == "notifications/message":
            self._logged(notification.params, origin)
        elif (kind := _KIND_OF_CHANGE.get(method)) is not None:
            self._owner.list_changed(kind)

    def _progressed(self, params: Raw) -> None:
        try:
            members = jsonrpc.members(params)
            token = jsonrpc.decode(members.get("progressToken", jsonrpc.NO_JSON))
            value = jsonrpc.decode(members.get("progress", jsonrpc.NO_JSON))
        except ParseError:
            return
        pending = self._correlation.progressed(token, value, self._clock.monotonic())
        if pending is not None and pending.sink is not None:
            pending.sink.progress(members)

    def _logged(self, params: Raw, origin: int | None) -> None:
        # What a call's own stream carries is that call's or nobody's, even if another is the only one left.
        pending = self._correlation.only_one_with_sink() if origin is None else self._correlation.get(origin)
        if pending is not None and pending.sink is not None:
            pending.sink.log(params)
            return
        try:
            data = jsonrpc.members(params).get("data", jsonrpc.NO_JSON)
        except ParseError:
            return
        self._owner.said("info", bytes(data)[:2048].decode(errors="replace"))

    def _asked(self, request: jsonrpc.Request) -> None:
        if self.peer.era is Era.MODERN:
            self._owner.said(
                "warning", f"dropped a request that a modern server may not send: {request.method[:80]}"
            )
        elif len(self._tasks) < MAX_SERVER_REQUESTS:
            self._tasks.start(self._answer(request), "server-request")
        else:
            self._owner.said("warning", "dropped a request: too many of this server's are unanswered")

    async def _answer(self, request: jsonrpc.Request) -> None:
        if request.method == "ping":
            answer: bytes | jsonrpc.RpcError = b"{}"
        else:
            answer = await self._owner.server_request(request)
        if isinstance(answer, jsonrpc.RpcError):
            body = jsonrpc.error(request.raw_id, answer.code, answer.message)
        else:
            body = jsonrpc.result(request.raw_id, answer)
        try:
            await self._send(self._outgoing(body))
        except BackendFault as fault:
            self._owner.said("debug", f"could not answer the server's {request.method[:80]}: {fault.detail}")

    # --- the modern feed of list changes --------------------------------------------------------------------

    async def _listen(self) -> None:
        """Keep one subscriptions/listen open; after a break re-listen and read everything again."""
        wanted = {f"{kind}ListChanged": True for kind in LIST_CHANGED if self.peer.announces(kind)}
        params = modern_params(jsonrpc.encode({"notifications": wanted}))
        failures = 0
        while True:
            begun_at = self._clock.monotonic()
            try:
                await self.request("subscriptions/listen", params, idle_s=LISTEN_S, cap_s=LISTEN_S)
            except BackendError as error:
                if error.code == ErrorCode.METHOD_NOT_FOUND:
                    self._owner.said(
                        "debug", "it announces list changes but does not know subscriptions/listen"
                    )
                    return
            except BackendFault:
                if self._fault is not None:
                    return
            lasted_s = self._clock.monotonic() - begun_at
            failures = 1 if lasted_s > LISTEN_PAUSE_S else failures + 1
            await asyncio.sleep(min(LISTEN_PAUSE_S, 0.5 * 2 ** min(failures, 6)))
            for kind in LIST_CHANGED:
                self._owner.list_changed(kind)


MAX_SERVER_REQUESTS: Final = 32
"""Requests of one backend that wait for an answer; more are dropped."""
MAX_BATCH: Final = 1000
"""Messages in one array."""
