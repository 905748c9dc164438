"""Where what a backend says during one call goes: back to the client that made it, in that client's own terms.

Spec: basic/utilities/progress; server/utilities/logging (modern: only on the request's own stream, and only
if it asked for a level); 2025-11-25 client/elicitation, client/sampling, client/roots.
"""

from typing import Final, Protocol

from msgspec import Raw

from proxy_core.errors import ErrorCode, ParseError
from proxy_core.gateway.exchange import Caller, Exchange, Outlet
from proxy_core.gateway.questions import Questions, Undeclared
from proxy_core.protocol import input_requests, jsonrpc
from proxy_core.protocol.capabilities import Feature
from proxy_core.protocol.input_requests import MAX_QUESTIONS, Question, Unaskable
from proxy_core.protocol.jsonrpc import RpcError
from proxy_core.protocol.methods import LOG_LEVELS
from proxy_core.protocol.revisions import Era

_RANK: Final = {f'"{level}"'.encode(): rank for rank, level in enumerate(LOG_LEVELS)}


class WaitingRoom(Protocol):
    """Keeps questions until a client that is away comes back with the answers."""

    async def put(self, question: Question) -> bytes | RpcError: ...


class ExchangeSink:
    __slots__ = (
        "_asked",
        "_caller",
        "_last_progress",
        "_outlet",
        "_questions",
        "_server",
        "_target",
        "_token",
        "_trace",
        "client",
        "refused",
        "room",
        "wants_progress",
    )

    def __init__(self, exchange: Exchange, token: Raw, server: str, questions: Questions) -> None:
        """`token`: the JSON of the client's progress token, or empty."""
        self._server = server
        self._target = exchange.target or ""
        self._questions = questions
        self._caller: Caller = exchange.caller
        self._outlet: Outlet | None = exchange.outlet
        self._token = token
        self._trace = exchange.trace
        self._asked = 0
        self._last_progress = float("-inf")
        self.wants_progress = not jsonrpc.is_empty(token)
        self.client: object = exchange.caller if exchange.caller.era is Era.LEGACY else exchange
        self.refused: frozenset[Feature] = frozenset()
        """What the server needed of a client that does not have it."""
        self.room: WaitingRoom | None = None
        """Where a modern client can be asked: the call goes on while it is away."""

    def leave(self) -> None:
        """The client has been answered for now; nobody hears of progress and logs meanwhile."""
        self._outlet = None

    def come_back(self, exchange: Exchange, token: Raw) -> None:
        """The same client with a new request: from now on it hears on that one's stream."""
        self._caller = exchange.caller
        self._outlet = exchange.outlet
        self._token = token
        self._trace = exchange.trace
        self._last_progress = float("-inf")

    # --- what a server tells ----------------------------------------------------------------------------------

    def progress(self, params: dict[str, Raw]) -> None:
        if self._outlet is None or jsonrpc.is_empty(self._token):
            return
        # Input may take several requests to the server; to the client they are one, whose values must rise.
        value = jsonrpc.decode(params["progress"])
        if value > self._last_progress:
            self._last_progress = value
            own = jsonrpc.encode(params | {"progressToken": self._token})
            self._outlet.notify(jsonrpc.notification("notifications/progress", jsonrpc.one_line(own)))

    def log(self, params: Raw) -> None:
        if self._outlet is not None and self._wants(params):
            self._outlet.notify(jsonrpc.notification("notifications/message", jsonrpc.one_line(bytes(params))))

    def _wants(self, params: Raw) -> bool:
        caller = self._caller
        if caller.log_level is None:
            return caller.era is Era.LEGACY
        try:
            level = bytes(jsonrpc.members(params).get("level", jsonrpc.NO_JSON))
        except ParseError:
            return False
        rank = _RANK.get(level)
        return rank is not None and rank >= LOG_LEVELS.index(caller.log_level)

    def let_go(self) -> None:
        if self._outlet is not None:
            self._outlet.let_go()

    # --- what a server asks -----------------------------------------------------------------------------------

    def may_ask(self, method: str, params: Raw) -> bool:
        try:
            question = input_requests.read(method, params)
        except Unaskable:
            return False
        if self._is_for_desk(question):
            return True
        return self._can_be_asked() and question.needed <= self._caller.capabilities.features

    async def server_request(self, request: jsonrpc.Request) -> bytes | RpcError:
        try:
            question = self._checked(request)
            if self._is_for_desk(question):
                return await self._questions.ask_desk(
                    self._server, self._caller, self._target, question, self._trace
                )
        except Unaskable as refusal:
            return RpcError(refusal.code, refusal.message)
        if self.room is not None:
            return await self.room.put(question)
        assert self._outlet is not None
        return await self._questions.answer(self._server, self._caller, self._outlet, question)

    def _checked(self, request: jsonrpc.Request) -> Question:
        question = input_requests.read(request.method, request.params)
        if not self._is_for_desk(question):
            question = self._checked_for_client(question)
        self._asked += 1
        if self._asked > MAX_QUESTIONS:
            raise Unaskable(ErrorCode.INTERNAL_ERROR, "This call has asked too many questions.")
        return question

    def _checked_for_client(self, question: Question) -> Question:
        if not question.needed <= self._caller.capabilities.features:
            raise self.refuse(question)
        if not self._can_be_asked():
            raise Unaskable(ErrorCode.INTERNAL_ERROR, "The client cannot be asked during this request.")
        return self._questions.titled(self._server, question)

    def _is_for_desk(self, question: Question) -> bool:
        return self._questions.for_desk(question, self._caller.capabilities)

    def refuse(self, question: Question) -> Undeclared:
        """The refusal of what the client did not declare; it may explain why the call fails later."""
        self.refused |= question.needed
        return Undeclared(question)

    def _can_be_asked(self) -> bool:
        return self._caller.era is Era.LEGACY or self.room is not None
