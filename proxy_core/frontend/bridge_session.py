"""A legacy client's session at the gateway, renewed behind the client's back if the gateway loses it.

Spec: 2025-11-25 basic/transports, "Session Management" and "Listening for Messages from the Server".
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeVar

from msgspec import Raw

from proxy_core.backends.http_client import MAX_EVENT_BYTES
from proxy_core.errors import BackendFault, BackendProtocolError, BackendSessionLost, ParseError
from proxy_core.frontend.bridge_remote import MAX_RETRY_S, NAME, Answer, Ids, Remote, resuming, retry_s
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.headers import MCP_PROTOCOL_VERSION, MCP_SESSION_ID
from proxy_core.protocol.methods import LIST_CHANGED
from proxy_core.protocol.revisions import LEGACY_REVISIONS
from proxy_core.protocol.sse import SseParser
from proxy_core.tasks import Tasks

CLOSE_S: Final = 2.0
MAX_KEPT: Final = 10_000
INITIALIZED: Final = "notifications/initialized"
_KEPT_METHODS: Final = frozenset({"logging/setLevel", "resources/subscribe"})
_OWN_ID: Final = "only1mcp-bridge"
"""Of the bridge's own requests. Each is a POST of its own, so no id of the client's can be mixed up with it."""
_SESSION_ID: Final = re.compile(r"[\x21-\x7e]{1,1024}")
T = TypeVar("T")
log = logging.getLogger(__name__)


class Session(NamedTuple):
    id: str | None
    """None: the gateway keeps none."""
    revision: str

    @property
    def headers(self) -> dict[str, str]:
        headers = {} if self.revision == "2024-11-05" else {MCP_PROTOCOL_VERSION: self.revision}
        return headers if self.id is None else headers | {MCP_SESSION_ID: self.id}


class LegacySession:
    """The one session of the client at the other end of the pipe, and its stream."""

    def __init__(self, remote: Remote, write: Callable[[bytes], None]) -> None:
        """`write` gets what the gateway says unasked, a line each."""
        self._remote = remote
        self._write = write
        self._now: Session | None = None
        self._initialize = jsonrpc.NO_JSON
        self._announced: tuple[str, ...] = ()
        """Notifications that make the client read its lists again."""
        self._kept: dict[tuple[str, str], bytes] = {}
        """What the session was told and a new one must be told again: params by method and URI."""
        self._renewing = asyncio.Lock()
        self._tasks = Tasks("bridge session")
        self._stream: asyncio.Task[None] | None = None

    @property
    def takes_batches(self) -> bool:
        return self._now is not None and self._now.revision == "2025-03-26"

    async def initialize(self, body: bytes, request: jsonrpc.Request) -> bytes:
        """The client's own handshake; the answer as one line. Raises: BackendFault."""
        old, self._now = self._now, None
        self._kept.clear()
        answer = await self._open(body, request)
        self._initialize = request.params
        if old is not None:
            self._tasks.start(self._end(old), "end-old")
        return answer

    async def ask(self, body: bytes, request: jsonrpc.Request, heard: Callable[[bytes], None]) -> bytes:
        """The answer to a request, as one line. Raises: BackendFault."""
        answer = await self._in_session(
            lambda headers: self._remote.answer(body, headers, request, heard),
        )
        self._keep(request)
        return answer.line

    async def ask_all(self, body: bytes, ids: Ids, heard: Callable[[bytes], None]) -> None:
        """A batch; its answers are heard like everything else. Raises: BackendFault."""
        await self._in_session(
            lambda headers: self._remote.ask(body, headers, ids, lambda line, message: heard(line))
        )

    async def tell(self, body: bytes, message: jsonrpc.Notification | jsonrpc.Response) -> None:
        """A notification or an answer of the client's. Raises: BackendFault."""
        if isinstance(message, jsonrpc.Response):
            # What was asked in a session that is lost, nobody asks any more: no reason for a new one.
            await self._remote.tell(body, self._headers)
            return
        await self._in_session(lambda headers: self._remote.tell(body, headers))
        if message.method == INITIALIZED:
            self._listen()

    async def aclose(self) -> None:
        """End the session, if the gateway still answers."""
        await self._tasks.aclose()
        if self._now is not None:
            await self._end(self._now)

    # --- one session after the other ------------------------------------------------------------------------

    @property
    def _headers(self) -> dict[str, str]:
        return {} if self._now is None else self._now.headers

    async def _in_session(self, post: Callable[[dict[str, str]], Awaitable[T]]) -> T:
        """Post in the session there is; if the gateway has lost it, once more in a new one."""
        session = self._now
        try:
            return await post(self._headers)
        except BackendSessionLost:
            if session is None:
                raise
            await self._renew(session)
            return await post(self._headers)

    async def _renew(self, lost: Session) -> None:
        """Open a session like the lost one, unless that has happened already. Raises: BackendFault."""
        async with self._renewing:
            if self._now is not lost:
                return
            log.info("the gateway has lost our session; opening another")
            request = _own_request("initialize", bytes(self._initialize))
            await self._open(_bytes_of(request), request, like=lost)
            await self._remote.tell(jsonrpc.notification(INITIALIZED), self._headers)
            for (method, _), params in list(self._kept.items()):
                again = _own_request(method, params)
                await self._remote.answer(_bytes_of(again), self._headers, again, self._write)
            self._listen()
        for notification in self._announced:
            self._write(jsonrpc.notification(notification))

    async def _open(self, body: bytes, request: jsonrpc.Request, like: Session | None = None) -> bytes:
        answer = await self._remote.answer(body, {}, request, self._write)
        opened = _opened(answer)
        if opened is None:
            if like is not None:
                raise BackendProtocolError(NAME, "It does not open a session for us any more.")
            return answer.line
        if like is not None and opened.session.revision != like.revision:
            raise BackendProtocolError(NAME, "It speaks another revision than before: restart the client.")
        self._now, self._announced = opened
        return answer.line

    async def _end(self, session: Session) -> None:
        if session.id is None:
            return
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._remote.end_session(session.headers)
        except (BackendFault, TimeoutError):
            log.debug("the session could not be ended")

    def _keep(self, request: jsonrpc.Request) -> None:
        """Remember what a new session has to be told again."""
        uri = _uri(request.params) if request.method.startswith("resources/") else ""
        if request.method in _KEPT_METHODS and len(self._kept) < MAX_KEPT:
            self._kept[request.method, uri] = bytes(request.params)
        elif request.method == "resources/unsubscribe":
            self._kept.pop(("resources/subscribe", uri), None)

    # --- what the gateway says unasked ----------------------------------------------------------------------

    def _listen(self) -> None:
        """Open the stream of the session there is now."""
        if self._stream is not None:
            self._stream.cancel()
        if self._now is not None and self._now.id is not None:
            self._stream = self._tasks.start(self._hear(self._now), "stream")

    async def _hear(self, session: Session) -> None:
        """For as long as this is the session: whatever breaks, the stream is opened again."""
        parser = SseParser(MAX_EVENT_BYTES)
        failures = 0
        while self._now is session:
            try:
                if not await self._remote.stream(session.headers, parser, lambda line, _: self._write(line)):
                    return
                failures = 0
            except BackendSessionLost:
                self._tasks.start(self._renew_soon(session), "renew")
                return
            except BackendFault as fault:
                failures += 1
                log.debug("the stream broke: %s", fault.detail)
            await asyncio.sleep(retry_s(parser, failures))
            parser = resuming(parser)

    async def _renew_soon(self, lost: Session) -> None:
        """As long as it takes: an idle client must hear of changes again without asking for anything."""
        while self._now is lost:
            try:
                await self._renew(lost)
            except BackendFault as fault:
                log.debug("no new session yet: %s", fault.detail)
                await asyncio.sleep(MAX_RETRY_S)


class _Opened(NamedTuple):
    session: Session
    announced: tuple[str, ...]


def _opened(answer: Answer) -> _Opened | None:
    """What a handshake's answer opened; None if it is an error."""
    try:
        result = jsonrpc.members(jsonrpc.members(answer.line).get("result", jsonrpc.NO_JSON))
        revision = jsonrpc.decode(result.get("protocolVersion", jsonrpc.NO_JSON))
        capabilities = jsonrpc.decode(result.get("capabilities", jsonrpc.NO_JSON))
    except ParseError:
        return None
    if revision not in LEGACY_REVISIONS or not isinstance(capabilities, dict):
        return None
    session_id = answer.session_id
    if session_id is not None and not _SESSION_ID.fullmatch(session_id):
        return None
    announced = (LIST_CHANGED[kind] for kind in LIST_CHANGED if _announces(capabilities.get(kind)))
    return _Opened(Session(session_id, str(revision)), tuple(announced))


def _announces(capability: object) -> bool:
    return isinstance(capability, dict) and capability.get("listChanged") is True


def _own_request(method: str, params: bytes) -> jsonrpc.Request:
    return jsonrpc.Request(_OWN_ID, jsonrpc.encode(_OWN_ID), method, Raw(params))


def _bytes_of(request: jsonrpc.Request) -> bytes:
    return jsonrpc.request(request.raw_id, request.method, request.params)


def _uri(params: Raw) -> str:
    try:
        return str(jsonrpc.decode(jsonrpc.members(params).get("uri", jsonrpc.NO_JSON)))
    except ParseError:
        return ""
