"""What an exchange comes to on the wire: a result or an error, as plain JSON or as the last event of a stream.

The one place where a failure nobody foresaw is caught: it is logged whole and told without internals.
Spec: 2026-07-28 basic/transports/streamable-http; 2025-11-25 basic/transports; basic, "Error Codes".
"""

import logging
from collections.abc import Awaitable
from math import ceil
from typing import Final, NamedTuple, Protocol

from msgspec import Raw

from proxy_core.errors import (
    BackendError,
    ClientError,
    ErrorCode,
    HttpRefusal,
    Only1Error,
    Overloaded,
    ParseError,
    UnknownResource,
)
from proxy_core.frontend.event_stream import STREAM_HEADERS, EventStream
from proxy_core.frontend.guards import JSON
from proxy_core.frontend.wire import STREAMED, HeaderList, WireAnswer, WireReply
from proxy_core.gateway.direct_way import DirectWay
from proxy_core.gateway.exchange import Caller, Exchange
from proxy_core.gateway.subscriptions import SubscriptionHub
from proxy_core.gateway.task_updates import TaskUpdates
from proxy_core.gateway.updates import ResourceUpdates
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.classify import Refused
from proxy_core.protocol.revisions import Era

JSON_HEADERS: Final[HeaderList] = [("Content-Type", JSON)]
ACCEPTED: Final = WireReply(202, [])
log = logging.getLogger(__name__)


# A cancelled request has no answer, yet HTTP wants one: of the two content types the transport allows for
# a request, only an event stream can be complete with no message in it.
NO_ANSWER: Final = WireReply(200, STREAM_HEADERS)


class Handler(Protocol):
    """What the eras ask of the gateway."""

    hub: SubscriptionHub
    updates: ResourceUpdates
    task_updates: TaskUpdates
    direct: DirectWay

    async def handle(self, exchange: Exchange) -> bytes:
        """The result as JSON, already shaped for the caller's revision. Raises: Only1Error."""
        ...

    def initialize(self, revision: str, profile: str = "", handshake: Exchange | None = None) -> bytes:
        """The result of a legacy handshake under this profile, as JSON; `handshake` is for its record."""
        ...

    def refused(self, caller: Caller, method: str, error: Only1Error, peer: str = "") -> None:
        """A request was not handed on, as one too many is not."""
        ...

    def listened(self, caller: Caller, params: Raw, peer: str = "") -> None:
        """A `subscriptions/listen` of this caller was acknowledged."""
        ...

    def notified(self, caller: Caller, method: str, params: Raw) -> None:
        """A legacy client's notification; cancellations are the era's own business."""
        ...

    def session_ended(self, caller: Caller) -> None:
        """Let go of what was kept for this legacy client."""
        ...


class Outcome(NamedTuple):
    """A complete JSON-RPC response, and the HTTP status that it has while nothing was streamed."""

    status: int
    body: bytes
    headers: HeaderList = JSON_HEADERS


async def outcome_of(handler: Handler, exchange: Exchange, raw_id: bytes) -> Outcome:
    """Ask the gateway; whatever happens but a cancellation, there is something to answer."""
    work = handler.handle(exchange)
    return await outcome_of_work(work, exchange.method, exchange.caller.era, raw_id)


async def outcome_of_work(work: Awaitable[bytes], method: str, era: Era, raw_id: bytes) -> Outcome:
    """The same for work that has begun."""
    try:
        return Outcome(200, jsonrpc.result(raw_id, await work))
    except Only1Error as error:
        return failure(error, raw_id, era)
    except Exception:
        log.exception("a request failed: %.80r", method)
        return Outcome(200, _internal_error(raw_id))


def failure(error: Only1Error, raw_id: bytes, era: Era) -> Outcome:
    """An error of a handler: legacy sends it with 200, modern with the status that belongs to its code."""
    if isinstance(error, HttpRefusal):
        headers = [*JSON_HEADERS, *error.headers.items()]
        return Outcome(error.http_status, _error_body(error, raw_id, era), headers)
    status = error.http_status if era is Era.MODERN else 200
    if isinstance(error, Overloaded) and error.retry_in_s is not None:
        # In whole seconds (RFC 9110, section 10.2.3); what the error says beside it is exact.
        headers = [*JSON_HEADERS, ("Retry-After", str(ceil(error.retry_in_s)))]
        return Outcome(status, _error_body(error, raw_id, era), headers)
    return Outcome(status, _error_body(error, raw_id, era))


async def deliver(stream: EventStream, outcome: Outcome) -> WireAnswer:
    """Plain JSON if nothing went before it, else the final event; then nothing more."""
    if not stream.is_committed:
        stream.withhold()
        return reply(outcome)
    await stream.end(as_line(outcome.body))
    return STREAMED


async def deliver_legacy(carrier: EventStream, ready: WireReply | None) -> WireAnswer:
    """`ready`, unless it went out as an event already; None: there is nothing to answer."""
    if carrier.is_committed:
        await carrier.finished()
        return STREAMED
    return NO_ANSWER if ready is None else ready


def reply(outcome: Outcome) -> WireReply:
    return WireReply(outcome.status, outcome.headers, outcome.body)


def refused(refusal: Refused) -> WireReply:
    """A fault of the message itself: a 4xx in both eras, since no handler saw it."""
    return reply(Outcome(refusal.error.http_status, _error_body(refusal.error, refusal.raw_id, refusal.era)))


def http_refusal(error: HttpRefusal, raw_id: bytes | None = None) -> WireReply:
    body = jsonrpc.error(raw_id, error.code, error.message)
    return WireReply(error.status, [*JSON_HEADERS, *error.headers.items()], body)


def as_line(body: bytes) -> bytes:
    """A response as one line, which is what a stream can carry."""
    try:
        return jsonrpc.one_line(body)
    except ParseError:
        log.warning("an answer was not JSON and could not be streamed")
        return _internal_error(None)


def _error_body(error: Only1Error, raw_id: bytes | None, era: Era) -> bytes:
    code = error.code
    if era is Era.LEGACY and isinstance(error, UnknownResource):
        code = ErrorCode.LEGACY_RESOURCE_NOT_FOUND
    return jsonrpc.error(raw_id, code, error.message, _raw_data(error))


def _raw_data(error: Only1Error) -> bytes:
    if isinstance(error, BackendError | ClientError):
        return error.raw_data
    data = error.data()
    return b"" if data is None else jsonrpc.encode(data)


def _internal_error(raw_id: bytes | None) -> bytes:
    return jsonrpc.error(raw_id, ErrorCode.INTERNAL_ERROR, "Internal error")
