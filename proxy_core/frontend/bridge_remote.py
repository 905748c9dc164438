"""A gateway at a URL, as the bridge sees it: messages go out in POSTs, what comes back is cut into messages.

Knows HTTP and nothing of sessions or eras: the headers are given. Faults are told in words that say what to do.
Spec: 2026-07-28 and 2025-11-25 basic/transports, "Streamable HTTP".
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Final, NamedTuple, TypeAlias

from proxy_core.backends.http_client import (
    MAX_EVENT_BYTES,
    MAX_JSON_BYTES,
    HttpClient,
    events,
    refused,
)
from proxy_core.backends.http_connection import HttpResponse
from proxy_core.backends.http_url import Url
from proxy_core.errors import (
    BackendAuthRequired,
    BackendFault,
    BackendHttpError,
    BackendProtocolError,
    BackendSessionLost,
    BackendStreamLost,
    BackendUnavailable,
    ParseError,
)
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.headers import LAST_EVENT_ID, MCP_SESSION_ID
from proxy_core.protocol.lines import FrameTooLarge
from proxy_core.protocol.sse import SseParser

NAME: Final = "gateway"
CONNECT_S: Final = 10.0
ACCEPT_S: Final = 10.0
"""How long a message that has no answer may wait to be accepted."""
RESUMES: Final = 5
"""How often a broken stream is taken up again before something new has come on it."""
RETRY_MS: Final = 1000
MAX_RETRY_S: Final = 5.0
_MAX_REFUSAL_BYTES: Final = 1 << 20
_POST_HEADERS: Final = {"accept": "application/json, text/event-stream", "content-type": "application/json"}

Ids: TypeAlias = dict[jsonrpc.RequestId, bytes]
"""Requests that wait for their answers, with the exact JSON of each id."""
Heard: TypeAlias = Callable[[bytes, jsonrpc.Message], None]
"""Gets each message, as one line and parsed. Must not raise."""


class Answer(NamedTuple):
    line: bytes
    """A response."""
    session_id: str | None


class Remote:
    def __init__(self, url: str, token: str | None) -> None:
        self.url = url
        self._target = Url.of(url)
        self._http = HttpClient(NAME, {} if token is None else {"Authorization": f"Bearer {token}"}, CONNECT_S)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def ask(self, body: bytes, headers: Mapping[str, str], waiting: Ids, heard: Heard) -> str | None:
        """POST requests and hear everything up to the last of their answers; the session id that came along.

        Cancelled, it drops the connection. Raises: BackendFault.
        """
        parser = SseParser(MAX_EVENT_BYTES)
        with closing(await self._post(body, headers)) as response:
            if response.status >= 300:
                await _refused(response, waiting, heard, MCP_SESSION_ID in headers)
            elif response.content_type == b"application/json":
                _hear(await response.read(MAX_JSON_BYTES), waiting, heard)
            elif response.content_type == b"text/event-stream":
                await _hear_events(response, parser, waiting, heard)
            session_id = response.header(b"mcp-session-id")
        await self._resume(parser, headers, waiting, heard)
        return session_id

    async def answer(
        self, body: bytes, headers: Mapping[str, str], request: jsonrpc.Request, heard: Callable[[bytes], None]
    ) -> Answer:
        """POST one request; `heard` gets the lines before its answer. Raises: BackendFault."""
        answers: list[bytes] = []

        def sort(line: bytes, message: jsonrpc.Message) -> None:
            if isinstance(message, jsonrpc.Response) and message.id == request.id:
                answers.append(line)
            else:
                heard(line)

        session_id = await self.ask(body, headers, {request.id: request.raw_id}, sort)
        return Answer(answers[0], session_id)

    async def tell(self, body: bytes, headers: Mapping[str, str]) -> None:
        """POST what has no answer. Raises: BackendFault."""
        try:
            async with asyncio.timeout(ACCEPT_S):
                with closing(await self._post(body, headers)) as response:
                    if response.status >= 300:
                        await _refused(response, {}, _ignore, MCP_SESSION_ID in headers)
                    await response.read(_MAX_REFUSAL_BYTES)
        except TimeoutError as error:
            raise BackendStreamLost(NAME, "The gateway does not accept messages.") from error

    async def stream(self, headers: Mapping[str, str], parser: SseParser, heard: Heard) -> bool:
        """Hear the session's own stream to its end; False if there is none. Raises: BackendFault."""
        return await self._get(headers, parser, {}, heard)

    async def end_session(self, headers: Mapping[str, str]) -> None:
        """Raises: BackendFault."""
        (await self._http.ask("DELETE", self._target, headers)).close()

    # --- HTTP -----------------------------------------------------------------------------------------------

    async def _post(self, body: bytes, headers: Mapping[str, str]) -> HttpResponse:
        return await self._http.ask("POST", self._target, {**_POST_HEADERS, **headers}, body)

    async def _get(self, headers: Mapping[str, str], parser: SseParser, waiting: Ids, heard: Heard) -> bool:
        every = {"accept": "text/event-stream", **headers}
        if parser.last_event_id is not None:
            every[LAST_EVENT_ID] = parser.last_event_id
        with closing(await self._http.ask("GET", self._target, every)) as response:
            if response.status >= 500 or response.status == 404:
                await _refused(response, {}, heard, MCP_SESSION_ID in every)
            if response.status != 200 or response.content_type != b"text/event-stream":
                return False
            await _hear_events(response, parser, waiting, heard)
        return True

    async def _resume(self, parser: SseParser, headers: Mapping[str, str], waiting: Ids, heard: Heard) -> None:
        """Take a stream up again that ended before the answer did, where it has ids to take it up from."""
        attempts = 0
        while waiting:
            if parser.last_event_id is None or attempts == RESUMES:
                raise BackendStreamLost(NAME, "The gateway ended its answer before it was complete.")
            before = parser.last_event_id
            await asyncio.sleep(retry_s(parser, attempts))
            parser = resuming(parser)
            attempts += 1
            if not await self._got_again(headers, parser, waiting, heard):
                raise BackendStreamLost(NAME, "The gateway does not take its answer up again.")
            if parser.last_event_id != before:
                attempts = 0

    async def _got_again(
        self, headers: Mapping[str, str], parser: SseParser, waiting: Ids, heard: Heard
    ) -> bool:
        try:
            return await self._get(headers, parser, waiting, heard)
        except BackendSessionLost:
            # The request itself was taken: it must not be sent again in another session.
            return False


def resuming(parser: SseParser) -> SseParser:
    """A fresh parser that goes on from the last whole event of a stream that has ended."""
    fresh = SseParser(MAX_EVENT_BYTES, parser.last_event_id)
    fresh.retry_ms = parser.retry_ms
    return fresh


def retry_s(parser: SseParser, failures: int) -> float:
    wanted_s = (RETRY_MS if parser.retry_ms is None else parser.retry_ms) / 1000
    return min(wanted_s * 2.0**failures, MAX_RETRY_S)


def advice(fault: BackendFault, url: str) -> str:
    """What to tell the person whose client is at the other end."""
    if isinstance(fault, BackendAuthRequired):
        return (
            f"The gateway at {url} did not accept our token. Put one of its tokens into the environment "
            "variable ONLY1MCP_TOKEN, or into the one that --token-env names."
        )
    if isinstance(fault, BackendHttpError):
        return f"{url} answered with HTTP status {fault.status}. Is it the URL of the gateway's MCP endpoint?"
    if isinstance(fault, BackendUnavailable):
        return (
            f"The gateway at {url} cannot be used: {fault.detail}. Is it running? Start it with `only1mcp`, "
            "or `only1mcp --headless`, and try again."
        )
    return f"The gateway at {url} failed: {fault.message} Whether the request was carried out is not known."


async def _hear_events(response: HttpResponse, parser: SseParser, waiting: Ids, heard: Heard) -> None:
    was_waiting = bool(waiting)
    try:
        async for event in events(response, parser):
            if event.data:
                _hear(event.data, waiting, heard)
            if was_waiting and not waiting:
                # The last answer ends the stream, whether or not the gateway closes it.
                response.close()
                return
    except FrameTooLarge as error:
        raise BackendProtocolError(NAME, "The gateway sent an event that is too large.") from error


def _hear(body: bytes, waiting: Ids, heard: Heard) -> None:
    """One message, or a batch of answers."""
    for data in jsonrpc.array_items(body) if jsonrpc.is_array(body) else (body,):
        try:
            line = jsonrpc.one_line(data)
            message = jsonrpc.parse(line)
        except (ParseError, jsonrpc.NotOneMessage) as error:
            raise BackendProtocolError(NAME, "The gateway did not answer as MCP says.") from error
        if isinstance(message, jsonrpc.Response) and message.id is not None:
            waiting.pop(message.id, None)
        heard(line, message)


async def _refused(response: HttpResponse, waiting: Ids, heard: Heard, had_session: bool) -> None:
    """Pass the gateway's own error on to every request. Raises: BackendFault if there is none."""
    status = response.status
    body = await response.read(_MAX_REFUSAL_BYTES)
    if status == 404 and had_session:
        raise BackendSessionLost(NAME, "The gateway ended our session.")
    error = _rpc_error(body)
    if status in (401, 403) or error is None:
        raise refused(NAME, status)
    if status >= 500:
        raise BackendUnavailable(NAME, error.message, f"it says: {error.message}")
    for request_id, raw_id in list(waiting.items()):
        del waiting[request_id]
        line = jsonrpc.one_line(jsonrpc.error(raw_id, error.code, error.message, bytes(error.data)))
        heard(line, jsonrpc.parse(line))


def _rpc_error(body: bytes) -> jsonrpc.RpcError | None:
    try:
        message = jsonrpc.parse(body)
    except (ParseError, jsonrpc.NotOneMessage):
        return None
    is_error = isinstance(message, jsonrpc.Response) and not jsonrpc.is_empty(message.error)
    return jsonrpc.rpc_error(message.error) if is_error and isinstance(message, jsonrpc.Response) else None


def _ignore(line: bytes, message: jsonrpc.Message) -> None:
    """Nothing waits for it."""
