"""A tools/call that is answered without a task: from its server's answer to its client's, in one step.

What turns out to be more than that goes on in a task of whoever serves the client.
"""

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Protocol

from proxy_core.backends.call import Answer, Met
from proxy_core.backends.direct_call import DirectCall
from proxy_core.catalog.routes import Route
from proxy_core.errors import BackendError, BackendFault, Only1Error
from proxy_core.gateway.asking import Asking
from proxy_core.gateway.exchange import Exchange
from proxy_core.protocol import jsonrpc
from proxy_core.telemetry.records import CANCELLED


class DirectEnd(Protocol):
    """Whoever serves the client. One of these is called, once; none may raise."""

    def result(self, result: bytes) -> None:
        """As JSON, already shaped for the caller's revision."""
        ...

    def failed(self, error: Only1Error) -> None: ...

    def go_on(self, work: Callable[[], Coroutine[Any, Any, bytes]]) -> None:
        """It takes a task: run this there, which comes to a result or raises Only1Error."""
        ...


class Keeper(Protocol):
    """The gateway."""

    asking: Asking

    def told(
        self,
        exchange: Exchange,
        started_at: float,
        code: int | None,
        result: bytes,
        failure: Only1Error | None = None,
    ) -> None: ...

    async def go_on(
        self, exchange: Exchange, started_at: float, work: Callable[[], Awaitable[bytes]]
    ) -> bytes: ...


class DirectExchange:
    """`backends.direct_call.Ended` of its call."""

    __slots__ = ("_call", "_ended", "_exchange", "_gateway", "_replace", "_route", "_started_at")

    def __init__(
        self, gateway: Keeper, exchange: Exchange, route: Route, started_at: float, ended: DirectEnd
    ) -> None:
        self._gateway = gateway
        self._exchange = exchange
        self._route = route
        self._started_at = started_at
        self._ended = ended
        self._replace = {"name": jsonrpc.encode(route.origin)}
        self._call: DirectCall | None = None

    def begin(self) -> bool:
        """Whether it could be done like this; if not, nothing was."""
        self._call = self._gateway.asking.begin(self._exchange, self._route, self._replace, self)
        return self._call is not None

    def cancel(self) -> None:
        """Its client has gone. Not to be called once anything was told."""
        if self._call is not None:
            self._call.cancel()
            self._gateway.told(self._exchange, self._started_at, CANCELLED, b"")

    def answered(self, answer: Answer) -> None:
        exchange, self._call = self._exchange, None
        try:
            result = self._gateway.asking.result_of(exchange, self._route, answer)
        except Only1Error as error:
            self._gateway.told(exchange, self._started_at, error.code, b"", error)
            self._ended.failed(error)
            return
        except Exception as error:
            # Not to be let out into the connection that brought the answer, which has done nothing wrong.
            self._go_on(partial(_raising, error))
            return
        if result is None:
            asking = self._gateway.asking
            self._go_on(partial(asking.go_on_with, exchange, self._route, self._replace, answer))
            return
        self._gateway.told(exchange, self._started_at, None, result)
        self._ended.result(result)

    def failed(self, failure: BackendError | BackendFault) -> None:
        self._call = None
        self._exchange.met = Met(failure, self._started_at)
        self._go_on(partial(self._gateway.asking.ask, self._exchange, self._route, self._replace))

    def _go_on(self, work: Callable[[], Awaitable[bytes]]) -> None:
        self._ended.go_on(partial(self._gateway.go_on, self._exchange, self._started_at, work))


async def _raising(error: Exception) -> bytes:
    raise error
