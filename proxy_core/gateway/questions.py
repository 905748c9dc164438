"""Servers' questions on their way to clients: what may be asked of whom, under which name, and how it is asked.

Knows no backends: whoever has a question says whose it is.
Spec: 2025-11-25 client/elicitation, client/sampling, client/roots; 2026-07-28 basic/patterns/mrtr.
"""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from msgspec import Raw

from proxy_core.config.models import Config
from proxy_core.errors import ClientError, ClientSilent, ErrorCode
from proxy_core.gateway.exchange import Caller, Outlet
from proxy_core.gateway.operator_desk import OperatorDesk
from proxy_core.protocol import input_requests, jsonrpc
from proxy_core.protocol.capabilities import ClientCapabilities
from proxy_core.protocol.input_answers import CANCELLED
from proxy_core.protocol.input_requests import Question, Unaskable
from proxy_core.protocol.jsonrpc import RpcError
from proxy_core.protocol.text import clean_text
from proxy_core.telemetry.trace import Trace

ANSWER_S: Final = 600.0
"""How long a client, and the person in front of it, may think."""
COMPLETE: Final = "notifications/elicitation/complete"
MAX_PAGES: Final = 1000
"""Pages that clients were sent to and that a backend may still report as done."""
MAX_ID_CHARS: Final = 1024
_MAX_TITLE_BYTES: Final = 320
_MAX_MESSAGE_CHARS: Final = 4096
_MAX_DATA_BYTES: Final = 65_536


class Undeclared(Unaskable):
    """The client did not say that it can be asked this."""

    def __init__(self, question: Question) -> None:
        super().__init__(ErrorCode.METHOD_NOT_FOUND, f"The client does not support {question.method}.")


class Questions:
    def __init__(self, config: Callable[[], Config], desk: OperatorDesk | None = None) -> None:
        """`desk`: where what a client cannot be asked is answered by others, if the configuration says so."""
        self._config = config
        self.desk = desk
        self._waits: set[asyncio.Timeout] = set()
        self._is_closed = False
        self._pages: OrderedDict[tuple[str, str], Caller] = OrderedDict()
        """By backend and elicitation id, the legacy client that was sent there."""

    # --- what may be asked, and under whose name --------------------------------------------------------------

    def checked(self, server: str, question: Question, capabilities: ClientCapabilities) -> Question:
        """The question as a client may be shown it. Raises: Undeclared."""
        if not question.needed <= capabilities.features:
            raise Undeclared(question)
        return self.titled(server, question)

    def titled(self, server: str, question: Question) -> Question:
        """With the server's name before what it says to people: only the gateway knows who asks."""
        title = self._title(server)
        return question if title is None else input_requests.titled(question, title)

    def _title(self, server: str) -> str | None:
        servers = self._config().servers
        settings = next((each for each in servers if each.id == server), None)
        if settings is None:
            return server
        wanted = settings.elicitation_prefix
        is_wanted = len(servers) > 1 if wanted == "auto" else wanted
        return (" ".join(clean_text(settings.title, _MAX_TITLE_BYTES).split()) or server) if is_wanted else None

    # --- asking whoever watches over the gateway --------------------------------------------------------------

    def for_desk(self, question: Question, capabilities: ClientCapabilities) -> bool:
        """Whether this client cannot be asked it, and an operator can."""
        is_declared = question.needed <= capabilities.features
        return not is_declared and self.desk is not None and self.desk.takes(question)

    async def ask_desk(
        self, server: str, caller: Caller, target: str, question: Question, trace: Trace | None
    ) -> bytes:
        """Raises: Unaskable."""
        assert self.desk is not None  # as `for_desk` has said
        return await self.desk.ask(server, caller, target, question, trace)

    # --- asking a legacy client -------------------------------------------------------------------------------

    async def ask(self, server: str, caller: Caller, outlet: Outlet, question: Question) -> Raw:
        """The client's result. Raises: ClientError, ClientSilent, Unaskable."""
        question = input_requests.with_elicitation_id(question, new_elicitation_id())
        params = input_requests.for_legacy(question, caller.revision)
        if question.elicitation_id is not None:
            self.sent_to_page(server, question.elicitation_id, caller)
        if self._is_closed:
            raise ClientSilent("The gateway is stopping.")
        try:
            async with asyncio.timeout(ANSWER_S) as wait:
                self._waits.add(wait)
                try:
                    return await outlet.request(question.method, params, timeout_s=ANSWER_S)
                finally:
                    self._waits.discard(wait)
        except TimeoutError:
            raise ClientSilent("The client did not answer.") from None

    async def answer(self, server: str, caller: Caller, outlet: Outlet, question: Question) -> bytes | RpcError:
        """The same in the terms of the legacy server that asks."""
        try:
            return bytes(await self.ask(server, caller, outlet, question))
        except ClientError as error:
            return _relayed(error)
        except ClientSilent as error:
            return unanswered(question, error.message)
        except Unaskable as refusal:
            return RpcError(refusal.code, refusal.message)

    def close(self) -> None:
        """Nobody is waited for from now on."""
        self._is_closed = True
        if self.desk is not None:
            self.desk.close()
        for wait in self._waits:
            if not wait.expired():
                wait.reschedule(0)

    # --- pages ------------------------------------------------------------------------------------------------

    def sent_to_page(self, server: str, elicitation_id: str, caller: Caller) -> None:
        if len(elicitation_id) > MAX_ID_CHARS:
            return
        self._pages[server, elicitation_id] = caller
        if len(self._pages) > MAX_PAGES:
            self._pages.popitem(last=False)

    def page_done(self, server: str, elicitation_id: str) -> None:
        """Tell the client that was sent there, once."""
        caller = self._pages.pop((server, elicitation_id), None)
        if caller is not None and caller.stream is not None:
            caller.stream.notify(complete(elicitation_id))

    def forget(self, caller: Caller) -> None:
        for key in [key for key, sent in self._pages.items() if sent is caller]:
            del self._pages[key]


def new_elicitation_id() -> str:
    return secrets.token_hex(16)


def complete(elicitation_id: str) -> bytes:
    return jsonrpc.notification(COMPLETE, jsonrpc.encode({"elicitationId": elicitation_id}))


def unanswered(question: Question, why: str) -> bytes | RpcError:
    """What a server is told in the place of a client that says nothing."""
    return CANCELLED if question.is_elicitation else RpcError(ErrorCode.INTERNAL_ERROR, why)


def _relayed(error: ClientError) -> RpcError:
    data = error.raw_data if len(error.raw_data) <= _MAX_DATA_BYTES else b""
    return RpcError(error.code, error.message[:_MAX_MESSAGE_CHARS], Raw(data))
