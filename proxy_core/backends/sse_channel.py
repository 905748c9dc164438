"""HTTP+SSE towards a backend, the transport of 2024-11-05: one event stream in, a POST for each message out.

The server names the URL for POSTs in its first event; another origin there would send our credentials away,
so it is refused. Spec: 2024-11-05 basic/transports, "HTTP with SSE".
"""

import asyncio
from collections.abc import Callable
from contextlib import closing, suppress
from http import HTTPStatus
from typing import Final

from proxy_core.backends.channel import Outgoing, Receiver
from proxy_core.backends.credentials import Credentials, LoginNeeded
from proxy_core.backends.http_client import (
    MAX_EVENT_BYTES,
    HttpClient,
    Posts,
    events,
    refused,
)
from proxy_core.backends.http_pool import Unreachable
from proxy_core.backends.http_url import Url
from proxy_core.config.models import HttpTransport, SseTransport
from proxy_core.errors import (
    BackendFault,
    BackendProtocolError,
    BackendStreamLost,
    BackendTimeout,
    BackendUnavailable,
)
from proxy_core.protocol.lines import FrameTooLarge
from proxy_core.protocol.sse import SseParser
from proxy_core.tasks import Tasks

_POST_HEADERS: Final = {"content-type": "application/json"}
MAX_ACCEPTED_BYTES: Final = 1 << 20
"""Of what a server says to a message that it takes."""
POST_GRACE_S: Final = 1.0
"""An answer may overtake the end of its own POST, which gets so long before it is broken off."""


class SseChannel:
    def __init__(
        self,
        backend: str,
        transport: SseTransport | HttpTransport,
        receiver: Receiver,
        connect_s: float,
        on_note: Callable[[str], None],
        credentials: Credentials | None = None,
    ) -> None:
        self._credentials = credentials
        self._backend = backend
        self._transport = transport
        self._receiver = receiver
        self._connect_s = connect_s
        self._on_note = on_note
        self._tasks = Tasks(f"sse:{backend}")
        self._http: HttpClient | None = None
        self._endpoint: asyncio.Future[Url] | None = None
        self._posts = Posts(backend, connect_s)
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        return None

    def kill(self) -> bool:
        return False

    async def open(self) -> None:
        self._http = HttpClient(
            self._backend, self._transport.headers, self._connect_s, credentials=self._credentials
        )
        self._endpoint = asyncio.get_running_loop().create_future()
        self._tasks.start(self._stream(self._http, self._endpoint), "stream")
        try:
            async with asyncio.timeout(self._connect_s):
                await asyncio.shield(self._endpoint)
        except TimeoutError as error:
            raise BackendTimeout(
                self._backend,
                "The server did not name its endpoint.",
                "its event stream sent no `endpoint` event",
            ) from error

    async def _stream(self, http: HttpClient, endpoint: "asyncio.Future[Url]") -> None:
        try:
            await self._read_stream(http, endpoint)
            fault: BackendFault = BackendStreamLost(self._backend, "The server ended its event stream.")
        except FrameTooLarge:
            fault = BackendProtocolError(self._backend, "The server sent an event that is too large.")
        except BackendFault as error:
            fault = error
        if not endpoint.done():
            endpoint.set_exception(fault)
        else:
            self._ended(fault)

    async def _read_stream(self, http: HttpClient, endpoint: "asyncio.Future[Url]") -> None:
        headers = {"accept": "text/event-stream"}
        with closing(await http.ask("GET", Url.of(self._transport.url), headers)) as response:
            if response.status != 200 or response.content_type != b"text/event-stream":
                raise refused(self._backend, response.status)
            async for event in events(response, SseParser(MAX_EVENT_BYTES)):
                if event.event == "endpoint" and not endpoint.done():
                    endpoint.set_result(self._resolve(response.url, event.data))
                elif event.event == "message" and event.data:
                    self._receiver.message(event.data, None)

    def _resolve(self, stream: Url, data: bytes) -> Url:
        try:
            endpoint = stream.joined(data.decode())
        except (ValueError, UnicodeDecodeError) as error:
            raise BackendProtocolError(self._backend, "The server named an invalid endpoint.") from error
        if endpoint.origin != stream.origin:
            raise BackendProtocolError(
                self._backend, "The server named an endpoint on another origin.", f"{endpoint.origin}"[:200]
            )
        return endpoint

    async def send(self, message: Outgoing) -> None:
        await self._posts.run(message, self._post)

    async def _post(self, message: Outgoing) -> None:
        http, endpoint = self._http, self._endpoint
        if http is None or endpoint is None or self._is_closed:
            raise Unreachable(self._backend, "the connection is closed")
        try:
            answered = await http.ask("POST", endpoint.result(), _POST_HEADERS, message.data)
        except LoginNeeded as fault:
            self._ended(fault)
            raise
        with closing(answered) as response:
            if response.status == HTTPStatus.NOT_FOUND:
                raise self._session_lost()
            if response.status >= 300:
                raise refused(self._backend, response.status)
            with suppress(BackendFault):
                # Read, so that the connection can be used again.
                await response.read(MAX_ACCEPTED_BYTES)

    def _session_lost(self) -> BackendUnavailable:
        """The server knows our session no more, whatever becomes of its stream; the message was not taken."""
        fault = BackendUnavailable(
            self._backend, "The server ended our session.", "it answered 404 to a message"
        )
        self._ended(fault)
        return fault

    def _ended(self, fault: BackendFault) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._receiver.closed(fault)

    def begin(self, data: bytes, request_id: int, name: str) -> bool:
        return False

    def abort(self, request_id: int) -> None:
        if request_id in self._posts:
            asyncio.get_running_loop().call_later(POST_GRACE_S, self._posts.abort, request_id)

    def start_stream(self, revision: str) -> None:
        """The stream is open from the start."""

    async def aclose(self) -> None:
        self._is_closed = True
        await self._tasks.aclose()
        if self._endpoint is not None and self._endpoint.done() and not self._endpoint.cancelled():
            # Read a failure that nobody waited for.
            self._endpoint.exception()
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()
