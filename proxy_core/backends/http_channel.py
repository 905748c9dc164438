"""Streamable HTTP towards a backend, both eras: each message is a POST, each answer JSON or an event stream.

Owns the session id of a legacy backend and its GET stream. A request's POST runs in the task of whoever asks,
so a call costs no task of its own and cancelling it closes its stream, which is the modern way to cancel.
Spec: 2026-07-28 and 2025-11-25 basic/transports, "Streamable HTTP".
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from typing import Final

from msgspec import Struct

from proxy_core.backends.channel import Outgoing, Receiver
from proxy_core.backends.credentials import REFUSALS, Credentials, LoginNeeded
from proxy_core.backends.http_client import (
    MAX_EVENT_BYTES,
    MAX_JSON_BYTES,
    REDIRECTS,
    HttpClient,
    Posts,
    events,
    refused,
)
from proxy_core.backends.http_connection import HttpConnection, HttpResponse
from proxy_core.backends.http_pool import HttpPool, Unreachable
from proxy_core.backends.http_url import Url
from proxy_core.backends.resumption import MIN_PAUSE_S, RETRY_MS, Resumption
from proxy_core.config.models import HttpTransport
from proxy_core.errors import (
    BackendFailing,
    BackendFault,
    BackendProtocolError,
    BackendSessionLost,
    BackendStreamLost,
    BackendUnavailable,
    ParseError,
)
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.headers import (
    LAST_EVENT_ID,
    MCP_METHOD,
    MCP_NAME,
    MCP_PROTOCOL_VERSION,
    MCP_SESSION_ID,
    encode_value,
)
from proxy_core.protocol.lines import FrameTooLarge
from proxy_core.protocol.revisions import MODERN
from proxy_core.protocol.sse import SseParser
from proxy_core.protocol.tasks import CALL
from proxy_core.tasks import Tasks

_SESSION_ID: Final = re.compile(r"[\x21-\x7e]{1,1024}")
_BASE_HEADERS: Final = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
_NOT_YET: Final = frozenset({409, 429})
"""Of a GET that resumes: the server may think that the old connection lives, or that we ask too often."""
CLOSE_S: Final = 2.0
RETRY_CAP_S: Final = 30.0
MAX_HEADS: Final = 1024
MAX_REFUSAL_BYTES: Final = 1 << 20


class HttpChannel:
    def __init__(
        self,
        backend: str,
        transport: HttpTransport,
        receiver: Receiver,
        connect_s: float,
        on_note: Callable[[str], None],
        credentials: Credentials | None = None,
    ) -> None:
        """`on_note` gets what a person debugging this server would want to know."""
        self._credentials = credentials
        self._backend = backend
        self._transport = transport
        self._receiver = receiver
        self._connect_s = connect_s
        self._on_note = on_note
        self._tasks = Tasks(f"http:{backend}")
        self._url = Url.of(transport.url)
        self._http: HttpClient | None = None
        self._pool: HttpPool | None = None
        """Of its own URL; none once the server is found to redirect, which takes a task to follow."""
        self._posts = Posts(backend, connect_s)
        self._begun: dict[int, _Answer] = {}
        """What was begun without a task, by request."""
        self._heads: dict[str, bytes] = {}
        """Of calls without headers of their own; by the name of the tool, which a legacy one does not say."""
        self._stream_task: asyncio.Task[None] | None = None
        self._has_streamed = False
        self._is_closed = False
        self._revision: str | None = None
        """Of a legacy server, once that has agreed on it."""
        self.session_id: str | None = None

    @property
    def pid(self) -> int | None:
        return None

    def kill(self) -> bool:
        return False

    async def open(self) -> None:
        self._http = HttpClient(
            self._backend, self._transport.headers, self._connect_s, credentials=self._credentials
        )
        self._pool = self._http.pool(self._url)

    # --- one message out, its answer in ---------------------------------------------------------------------

    async def send(self, message: Outgoing) -> None:
        await self._posts.run(message, self._post)

    def begin(self, data: bytes, request_id: int, name: str) -> bool:
        """Only on a connection that is open and idle. To give up, it is closed."""
        pool = self._pool
        connection = None if pool is None else pool.take()
        if connection is None:
            return False
        said = name if self._revision is None else ""
        head = self._heads.get(said) or self._head_of(said)
        self._begun[request_id] = answer = _Answer(self, request_id, data, name, self.session_id, connection)
        connection.tell(self._request(head, data), answer)
        return True

    def _head_of(self, name: str) -> bytes:
        """The same for every call of a tool, as long as the session is."""
        assert self._http is not None
        if len(self._heads) >= MAX_HEADS:
            self._heads.clear()
        headers = self._headers(self._call_of(b"", 0, name))
        head = self._heads[name] = self._http.head("POST", self._url, headers)
        return head

    def _message_of(self, answer: "_Answer") -> Outgoing:
        return self._call_of(answer.data, answer.request_id, answer.name)

    def _call_of(self, data: bytes, request_id: int, name: str) -> Outgoing:
        """A call that is begun, or was, in the revision that its server speaks."""
        if self._revision is None:
            return Outgoing(data, request_id, CALL, name, MODERN, True)
        return Outgoing(data, request_id, CALL, name, self._revision)

    def answered(self, answer: "_Answer", body: bytes) -> None:
        """The whole of an ordinary answer is there."""
        request_id = answer.request_id
        if self._begun.pop(request_id, None) is None:
            return
        if self._receiver.message(body, request_id):
            self._receiver.request_failed(request_id, self._of_no_request())

    def streamed(self, answer: "_Answer", response: HttpResponse, piece: bytes) -> None:
        """An event stream goes on."""
        request_id = answer.request_id
        try:
            for event in answer.stream.parser.feed(piece):
                if event.data and not self._receiver.message(event.data, request_id):
                    # The answer ends the stream, whether or not the server closes it.
                    self._begun.pop(request_id, None)
                    response.leave()
                    return
        except FrameTooLarge:
            response.close()
            self.failed(answer, self._too_large())

    def stream_ended(self, answer: "_Answer", fault: BackendFault | None) -> None:
        """Before the answer had come."""
        fault = fault or self._without_answer()
        if self._revision is None or not isinstance(fault, BackendStreamLost) or self._is_closed:
            self.failed(answer, fault)
        elif answer.request_id in self._begun:
            answer.reading = self._tasks.start(self._resume_begun(answer, fault), "read")

    def read_on(self, answer: "_Answer", response: HttpResponse) -> None:
        """An answer that takes longer, or is none."""
        answer.reading = self._tasks.start(self._read_begun(answer, response), "read")

    def failed(self, answer: "_Answer", fault: BackendFault) -> None:
        if self._begun.pop(answer.request_id, None) is not None:
            self._receiver.request_failed(answer.request_id, fault)

    async def _read_begun(self, answer: "_Answer", response: HttpResponse) -> None:
        message = self._message_of(answer)
        async with self._seen_to(answer):
            try:
                if self._is_to_be_asked_anew(response):
                    response.close()
                    await self._ask(message)
                else:
                    await self._read_to_end(response, message, answer.stream, answer.session_id)
            finally:
                response.close()

    async def _resume_begun(self, answer: "_Answer", fault: BackendStreamLost) -> None:
        async with self._seen_to(answer):
            await self._resume(self._message_of(answer), answer.stream, answer.session_id, fault)

    @asynccontextmanager
    async def _seen_to(self, answer: "_Answer") -> AsyncIterator[None]:
        """What was begun without a task has one now, and is told there if it fails."""
        try:
            yield
        except BackendFault as fault:
            if isinstance(fault, Unreachable):
                self._lost(fault)
            self._receiver.request_failed(answer.request_id, fault)
        except FrameTooLarge:
            self._receiver.request_failed(answer.request_id, self._too_large())
        finally:
            self._begun.pop(answer.request_id, None)

    async def _post(self, message: Outgoing) -> None:
        try:
            await self._ask(message)
        except Unreachable as fault:
            self._lost(fault)
            raise
        except FrameTooLarge as error:
            raise self._too_large() from error

    async def _ask(self, message: Outgoing) -> None:
        stream = Resumption(MAX_EVENT_BYTES)
        headers = self._headers(message)
        try:
            response = await self._posted(message, headers)
        except BackendStreamLost as fault:
            await self._resume(message, stream, headers.get(MCP_SESSION_ID, self.session_id), fault)
            return
        if response is not None:
            await self._read_to_end(response, message, stream, headers.get(MCP_SESSION_ID))

    async def _posted(self, message: Outgoing, headers: dict[str, str]) -> HttpResponse | None:
        """None: it was an ordinary answer, and has been handed on."""
        request_id = message.request_id
        is_ordinary = request_id is not None and message.method != "initialize"
        connection = self._pool.take() if is_ordinary and self._pool is not None else None
        if connection is None or request_id is None:
            return await self._requested("POST", headers, message.data)
        assert self._http is not None
        head = self._http.head("POST", self._url, headers)
        awaited = _Awaited(self, request_id, asyncio.get_running_loop().create_future())
        try:
            connection.tell(self._request(head, message.data), awaited)
            response = await awaited.future
        except BaseException:
            # An answer that comes yet must not be another's.
            connection.close()
            raise
        if response is not None and self._is_to_be_asked_anew(response):
            response.close()
            return await self._requested("POST", headers, message.data)
        return response

    def _request(self, head: bytes, data: bytes) -> bytes:
        if self._credentials is not None:
            head += self._credentials.line
        return b"%bcontent-length: %d\r\n\r\n%b" % (head, len(data), data)

    def _is_to_be_asked_anew(self, response: HttpResponse) -> bool:
        """Whether nothing was done there: it is elsewhere, or wants another login."""
        return response.status in REDIRECTS or (self._credentials is not None and response.status in REFUSALS)

    def came_whole(self, request_id: int, body: bytes) -> None:
        """An ordinary answer. Read here and now, before what comes next takes its place in the caches."""
        self._posts.answered(request_id)
        if self._receiver.message(body, request_id):
            self._receiver.request_failed(request_id, self._of_no_request())

    async def _requested(self, method: str, headers: dict[str, str], data: bytes | None = None) -> HttpResponse:
        if self._http is None or self._is_closed:
            raise Unreachable(self._backend, "the connection is closed")
        try:
            response = await self._http.ask(method, self._url, headers, data)
        except LoginNeeded as fault:
            self._lost(fault)
            raise
        if response.url != self._url:
            self._pool = None
        return response

    def _headers(self, message: Outgoing) -> dict[str, str]:
        headers = _BASE_HEADERS | _version_header(message.revision)
        if message.is_modern:
            headers[MCP_METHOD] = message.method
            if message.name is not None:
                headers[MCP_NAME] = encode_value(message.name)
            headers.update(message.param_headers)
        elif self.session_id is not None and message.method != "initialize":
            headers[MCP_SESSION_ID] = self.session_id
        return headers

    async def _read_to_end(
        self, response: HttpResponse, message: Outgoing, stream: Resumption, session_id: str | None
    ) -> None:
        """Over further connections, if its stream breaks off. `session_id`: what was sent."""
        try:
            try:
                await self._read(response, message, stream, session_id)
            finally:
                response.close()
        except BackendStreamLost as fault:
            await self._resume(message, stream, session_id or self.session_id, fault)

    async def _read(
        self, response: HttpResponse, message: Outgoing, stream: Resumption, session_id: str | None
    ) -> None:
        """`session_id`: what was sent."""
        request_id = message.request_id
        if response.status >= 300:
            await self._refused(response, message, session_id)
            return
        if request_id is None:
            await self._pass_over(response)
            return
        if message.method == "initialize":
            self._keep_session(response.header(b"mcp-session-id"))
        content_type = response.content_type
        if content_type == b"text/event-stream":
            await self._read_events(response, stream.parser, request_id)
            return
        if content_type == b"application/json" and response.status == 200:
            self._receiver.message(await response.read(MAX_JSON_BYTES), request_id)
            fault = self._of_no_request()
        else:
            detail = f"HTTP status {response.status}, content type {content_type.decode(errors='replace')[:80]}"
            fault = BackendProtocolError(self._backend, "The server did not answer as MCP says.", detail)
        self._receiver.request_failed(request_id, fault)

    def _too_large(self) -> BackendProtocolError:
        return BackendProtocolError(self._backend, "The server sent an event that is too large.")

    def _of_no_request(self) -> BackendProtocolError:
        return BackendProtocolError(self._backend, "The server's answer belongs to no request of ours.")

    async def _pass_over(self, response: HttpResponse) -> None:
        """What is said to a message without an answer: read, so that the connection can be used again."""
        with suppress(BackendFault):
            await response.read(MAX_REFUSAL_BYTES)

    async def _read_events(self, response: HttpResponse, parser: SseParser, request_id: int) -> None:
        """Until the answer is there. Raises: BackendStreamLost if it does not come."""
        async for event in events(response, parser):
            if event.data and not self._receiver.message(event.data, request_id):
                # The answer ends the stream, whether or not the server closes it.
                response.leave()
                return
        raise self._without_answer()

    def _without_answer(self) -> BackendStreamLost:
        return BackendStreamLost(self._backend, "The server ended its stream without an answer.")

    async def _refused(self, response: HttpResponse, message: Outgoing, sent: str | None) -> None:
        status, request_id = response.status, message.request_id
        body = await response.read(MAX_REFUSAL_BYTES)
        if sent is not None and _is_session_lost(status, body):
            raise self._session_lost(sent)
        if status in REFUSALS or status >= 500 or request_id is None or not _is_rpc_error(body):
            raise refused(self._backend, status)
        self._receiver.message(body, request_id)
        self._receiver.request_failed(request_id, refused(self._backend, status))

    def _session_lost(self, session_id: str) -> BackendSessionLost:
        if session_id == self.session_id:
            # A refusal that comes late says nothing of the session that was opened since.
            self._use_session(None)
        return BackendSessionLost(self._backend, "The server ended our session.")

    def _keep_session(self, session_id: str | None) -> None:
        if session_id is not None and _SESSION_ID.fullmatch(session_id) is None:
            raise BackendProtocolError(self._backend, "The server gave an invalid session id.")
        self._use_session(session_id)

    def _use_session(self, session_id: str | None) -> None:
        self.session_id = session_id
        self._heads.clear()

    def abort(self, request_id: int) -> None:
        answer = self._begun.pop(request_id, None)
        if answer is None:
            self._posts.abort(request_id)
        else:
            answer.abort()

    def _lost(self, fault: BackendFault) -> None:
        if not self._is_closed:
            self._close()
            self._receiver.closed(fault)

    # --- an answer whose stream broke off -------------------------------------------------------------------

    async def _resume(
        self, message: Outgoing, stream: Resumption, session_id: str | None, fault: BackendStreamLost
    ) -> None:
        """Go on from the last event until the answer is there. Raises: BackendFault if it does not come."""
        request_id = message.request_id
        if request_id is None:
            raise fault
        while self._receiver.waits_for(request_id):
            pause_s = None if message.is_modern else stream.pause_s()
            if pause_s is None:
                raise fault
            if stream.is_polled:
                self._receiver.will_be_polled(request_id)
            await asyncio.sleep(pause_s)
            headers = _stream_headers(stream, message.revision, session_id)
            try:
                with closing(await self._requested("GET", headers)) as response:
                    goes_on = await self._read_on(response, message, request_id, stream, session_id)
            except Unreachable:
                raise
            except (BackendStreamLost, BackendUnavailable) as broken:
                self._on_note(f"the stream of an answer to {message.method} broke: {broken.detail}")
            else:
                if not goes_on:
                    raise fault

    async def _read_on(
        self,
        response: HttpResponse,
        message: Outgoing,
        request_id: int,
        stream: Resumption,
        sent: str | None,
    ) -> bool:
        """Read what a resumed stream brings; False if the server does not resume it."""
        status = response.status
        if status == 200 and response.content_type == b"text/event-stream":
            await self._read_events(response, stream.parser, request_id)
            return True
        if status >= 500 or status in _NOT_YET:
            raise BackendFailing(self._backend, "The server is failing.", f"HTTP status {status}", status)
        if status in REFUSALS:
            raise refused(self._backend, status)
        body = await response.read(MAX_REFUSAL_BYTES)
        # A tool may have begun to act, so it is not called again on another session.
        if sent is not None and message.method != "tools/call" and _is_session_lost(status, body):
            raise self._session_lost(sent)
        return False

    # --- the stream for what a legacy backend starts by itself ----------------------------------------------

    def start_stream(self, revision: str) -> None:
        self._revision = revision
        self._heads.clear()
        if self._stream_task is not None:
            # A session that was renewed: the old stream belonged to the old one.
            self._stream_task.cancel()
        self._has_streamed = False
        self._stream_task = self._tasks.start(self._stream(), "stream")

    async def _stream(self) -> None:
        """GET, for ever: reconnect after `retry` milliseconds, doubling while it fails; 405 ends it."""
        stream = Resumption(MAX_EVENT_BYTES)
        failures = 0
        while True:
            stream.reconnected()
            try:
                if not await self._stream_once(stream):
                    return
                failures = 0
            except (BackendFault, FrameTooLarge) as fault:
                failures += 1
                self._on_note(f"its event stream broke: {getattr(fault, 'detail', fault)}")
                if isinstance(fault, Unreachable):
                    self._lost(fault)
                    return
            delay_s = (stream.parser.retry_ms or RETRY_MS) / 1000 * 2 ** min(failures, 6)
            await asyncio.sleep(min(max(delay_s, MIN_PAUSE_S), RETRY_CAP_S))

    async def _stream_once(self, stream: Resumption) -> bool:
        """Read the stream to its end; False if the server offers none."""
        headers = _stream_headers(stream, self._revision, self.session_id)
        with closing(await self._requested("GET", headers)) as response:
            if response.status >= 500:
                raise refused(self._backend, response.status)
            if response.status != 200 or response.content_type != b"text/event-stream":
                return False
            if self._has_streamed and stream.last_event_id is None:
                # With an id, the server repeats what was sent in between.
                self._receiver.missed()
            self._has_streamed = True
            async for event in events(response, stream.parser):
                if event.data:
                    self._receiver.message(event.data, None)
        return True

    # --- the end --------------------------------------------------------------------------------------------

    def _close(self) -> None:
        """Nothing is sent any more."""
        self._is_closed = True
        self._pool = None

    async def aclose(self) -> None:
        self._close()
        await self._tasks.aclose()
        http, self._http = self._http, None
        if http is None:
            return
        if self.session_id is not None:
            await self._end_session(http, self.session_id)
        await http.aclose()

    async def _end_session(self, http: HttpClient, session_id: str) -> None:
        headers = {MCP_SESSION_ID: session_id} | _version_header(self._revision)
        try:
            async with asyncio.timeout(CLOSE_S):
                with closing(await http.ask("DELETE", self._url, headers)):
                    self.session_id = None
        except (BackendFault, TimeoutError) as fault:
            self._on_note(f"could not end the session: {getattr(fault, 'detail', 'no answer')}")


class _Answer(Struct, eq=False):
    """Hears of the response to a call that nobody awaits (`http_connection.Told`)."""

    channel: HttpChannel
    request_id: int
    data: bytes
    name: str
    session_id: str | None
    """What was sent."""
    connection: HttpConnection
    response: HttpResponse | None = None
    reading: asyncio.Task[None] | None = None
    resumption: Resumption | None = None
    is_bringing: bool = False
    """Whether its stream is being read just now."""

    @property
    def stream(self) -> Resumption:
        """Most answers are none, and need none."""
        if self.resumption is None:
            self.resumption = Resumption(MAX_EVENT_BYTES)
        return self.resumption

    def done(self) -> bool:
        return False

    def whole(self, body: bytes) -> None:
        self.channel.answered(self, body)

    def set_result(self, response: HttpResponse) -> None:
        self.response = response
        kind = response.content_type if response.status == 200 else b""
        if kind == b"application/json" and response.is_small:
            response.on_end = self._ended
        elif kind == b"text/event-stream" and b"content-encoding" not in response.headers:
            response.on_piece, response.on_end = self._streams, self._stream_ended
        else:
            self.channel.read_on(self, response)

    def set_exception(self, fault: BackendFault) -> None:
        self.channel.failed(self, fault)

    def _streams(self, piece: bytes) -> None:
        assert self.response is not None
        self.is_bringing = True
        self.channel.streamed(self, self.response, piece)
        self.is_bringing = False

    def _stream_ended(self, fault: BackendFault | None) -> None:
        self.channel.stream_ended(self, fault)

    def _ended(self, fault: BackendFault | None) -> None:
        if fault is not None:
            self.channel.failed(self, fault)
        elif self.response is not None:
            self.channel.answered(self, self.response.take())

    def abort(self) -> None:
        """Nobody waits for it any more."""
        if self.is_bringing or (self.reading is not None and self.reading is asyncio.current_task()):
            # It has just brought the answer, and ends by itself.
            return
        if self.reading is not None:
            self.reading.cancel()
        if self.response is not None:
            # Not the connection, which may carry another's by now. Nor is it for the task that reads, which may
            # be cancelled before its first step.
            self.response.close()
        else:
            self.connection.close()


class _Awaited(Struct, eq=False):
    """Hears of the response to a request whose task waits (`http_connection.Told`)."""

    channel: HttpChannel
    request_id: int
    future: "asyncio.Future[HttpResponse | None]"

    def done(self) -> bool:
        return self.future.done()

    def whole(self, body: bytes) -> None:
        self.channel.came_whole(self.request_id, body)
        self.set_result(None)

    def set_result(self, response: HttpResponse | None) -> None:
        if not self.future.done():
            self.future.set_result(response)

    def set_exception(self, fault: BackendFault) -> None:
        if not self.future.done():
            self.future.set_exception(fault)


def _version_header(revision: str | None) -> dict[str, str]:
    return {} if revision in (None, "2024-11-05") else {MCP_PROTOCOL_VERSION: str(revision)}


def _stream_headers(stream: Resumption, revision: str | None, session_id: str | None) -> dict[str, str]:
    headers = {"accept": "text/event-stream"} | _version_header(revision)
    if session_id is not None:
        headers[MCP_SESSION_ID] = session_id
    if stream.last_event_id is not None:
        headers[LAST_EVENT_ID] = stream.last_event_id
    return headers


def _is_session_lost(status: int, body: bytes) -> bool:
    # Some servers say 400 where the spec says 404.
    return status == 404 or (status == 400 and b"session" in body.lower())


def _is_rpc_error(body: bytes) -> bool:
    try:
        message = jsonrpc.parse(body)
    except (jsonrpc.NotOneMessage, ParseError):
        return False
    return isinstance(message, jsonrpc.Response) and not jsonrpc.is_empty(message.error)
