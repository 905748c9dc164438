"""What the traffic inspector hears of an exchange between its client and us: begun, said, asked, ended.

Where nothing is recorded nothing here is called. What is held and what is shown of it is the matter of
`telemetry/recorder.py`.
"""

from typing import Final

from msgspec import Raw, Struct

from proxy_core.backends.recording import error_object
from proxy_core.errors import BackendError, ClientError, ErrorCode, Only1Error, UnknownResource
from proxy_core.facts import RequestFinished
from proxy_core.gateway.exchange import Exchange, Outlet
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.revisions import Era
from proxy_core.telemetry.exchanges import ExchangeStatus
from proxy_core.telemetry.recorder import Recorder
from proxy_core.telemetry.records import status_of
from proxy_core.telemetry.trace import Failure, Trace

UNRECORDED: Final = frozenset({"ping", "subscriptions/listen"})
"""Said too often, and a stream that may be open for days."""


class RecordedOutlet(Struct, eq=False):
    """The outlet of an exchange, and its trace that hears what goes out by it."""

    _outlet: Outlet
    _trace: Trace

    def notify(self, message: bytes) -> None:
        self._trace.told(message)
        self._outlet.notify(message)

    def let_go(self) -> None:
        self._outlet.let_go()

    async def request(self, method: str, params: bytes, *, timeout_s: float) -> Raw:
        self._trace.put(method, params)
        try:
            answer = await self._outlet.request(method, params, timeout_s=timeout_s)
        except ClientError as error:
            self._trace.came_back(
                method, error_object(error.code, error.message, error.raw_data), is_error=True
            )
            raise
        except Only1Error as error:
            self._trace.step("unanswered", error.message)
            raise
        self._trace.came_back(method, answer)
        return answer


def begun(recorder: Recorder, exchange: Exchange, at: float) -> Trace:
    """Record this exchange from now on."""
    trace = recorder.begin(
        exchange.method,
        exchange.params,
        exchange.caller,
        at,
        exchange.headers,
        exchange.arrival,
        exchange.replay_of,
    )
    exchange.trace = trace
    exchange.outlet = RecordedOutlet(exchange.outlet, trace)
    return trace


def ended(
    recorder: Recorder, trace: Trace, finished: RequestFinished, result: bytes, error: Only1Error | None
) -> None:
    trace.target = finished.target or ""
    status = status_of(finished)
    failure = _failure(error, finished.era) if status is ExchangeStatus.ERROR else None
    recorder.end(trace, finished.at, status, result if failure is None else failure.body, failure)


def _failure(error: Only1Error | None, era: str) -> Failure:
    """As the client is told of it; None: it was not foreseen."""
    if error is None:
        return Failure(ErrorCode.INTERNAL_ERROR, error_object(ErrorCode.INTERNAL_ERROR, "Internal error"))
    code = error.code
    if era == Era.LEGACY and isinstance(error, UnknownResource):
        code = ErrorCode.LEGACY_RESOURCE_NOT_FOUND
    if isinstance(error, BackendError | ClientError):
        return Failure(code, error_object(code, error.message, error.raw_data))
    data = error.data()
    return Failure(code, error_object(code, error.message, b"" if data is None else jsonrpc.encode(data)))
