"""Our open requests to one client: an id for each, and whoever waits for its answer.

Knows no transport: a `Line` takes the messages, and the answers are handed in by whoever reads the client.
Spec: 2025-11-25 basic, "Requests"; basic/lifecycle, "Timeouts"; basic/utilities/cancellation.
"""

import asyncio
import secrets
from typing import Final, NamedTuple, Protocol

from msgspec import Raw

from proxy_core.errors import ClientError, ClientSilent, ParseError
from proxy_core.protocol import jsonrpc

MAX_OPEN: Final = 32
"""Questions that one client may have before it at once."""
MAX_ERROR_MESSAGE: Final = 1024
MAX_ERROR_DATA_BYTES: Final = 16_384
_ID_BYTES: Final = 16


class Line(Protocol):
    """What carries messages to the client. It neither blocks nor raises."""

    def notify(self, message: bytes) -> None: ...


class _Open(NamedTuple):
    line: Line
    answer: asyncio.Future[jsonrpc.Response | None]
    """None: there will be none."""


class ClientRequests:
    """Sole owner of the requests that one client was sent. Only what is handed to `answer` can answer them."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._is_over = False

    def __len__(self) -> int:
        return len(self._open)

    async def ask(self, line: Line, method: str, params: bytes, *, timeout_s: float) -> Raw:
        """The result's JSON. If we stop waiting, the client is told so. Raises: ClientError, ClientSilent."""
        if self._is_over or len(self._open) >= MAX_OPEN:
            raise ClientSilent("The client has gone, or has too many questions before it.")
        request_id = "s-" + secrets.token_urlsafe(_ID_BYTES)
        message = _one_line(request_id, method, params)
        opened = _Open(line, asyncio.get_running_loop().create_future())
        self._open[request_id] = opened
        try:
            line.notify(message)
            async with asyncio.timeout(timeout_s):
                response = await opened.answer
        except TimeoutError as error:
            line.notify(_cancelled(request_id))
            raise ClientSilent("The client did not answer in time.") from error
        except asyncio.CancelledError:
            line.notify(_cancelled(request_id))
            raise
        finally:
            del self._open[request_id]
        return _result_of(response)

    def answer(self, response: jsonrpc.Response) -> None:
        """A response of this client; one that answers nothing, or comes too late, is ignored."""
        opened = self._open.get(response.id) if isinstance(response.id, str) else None
        if opened is not None and not opened.answer.done():
            opened.answer.set_result(response)

    def lose(self, line: Line) -> None:
        """Nobody will ever read `line` again: what was asked on it stays without an answer."""
        for opened in self._open.values():
            if opened.line is line and not opened.answer.done():
                opened.answer.set_result(None)

    def end(self) -> None:
        """The client has gone for good. Safe to call twice."""
        self._is_over = True
        for opened in self._open.values():
            if not opened.answer.done():
                opened.answer.set_result(None)


def _one_line(request_id: str, method: str, params: bytes) -> bytes:
    try:
        return jsonrpc.one_line(jsonrpc.request(jsonrpc.encode(request_id), method, params))
    except ParseError as error:
        raise ClientSilent("The question cannot be put to the client.") from error


def _cancelled(request_id: str) -> bytes:
    params = jsonrpc.encode({"requestId": request_id})
    return jsonrpc.notification("notifications/cancelled", params)


def _result_of(response: jsonrpc.Response | None) -> Raw:
    if response is None:
        raise ClientSilent("The client has gone.")
    if jsonrpc.is_empty(response.error):
        return response.result
    error = jsonrpc.rpc_error(response.error)
    data = bytes(error.data)
    raise ClientError(
        error.code, error.message[:MAX_ERROR_MESSAGE], data if len(data) <= MAX_ERROR_DATA_BYTES else b""
    )
