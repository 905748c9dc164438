"""Questions of servers to people whose client cannot be asked: put before whoever watches over the gateway.

Off unless `elicitation.answer_in_terminal` says so. Each question is bounded, has a deadline, and ends with its
call. Who asked and who answered is told in the log and as facts: names of fields, never what was filled in.
Spec: 2026-07-28 client/elicitation; 2025-11-25 client/elicitation.
"""

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Raw, Struct
from msgspec.structs import replace

from proxy_core import forms
from proxy_core.clock import Clock
from proxy_core.config.models import Config
from proxy_core.errors import ErrorCode, InvalidParams, UnknownQuestion
from proxy_core.facts import Fact, OperatorAnswered, OperatorAsked
from proxy_core.forms import FormField, FormValue
from proxy_core.gateway.exchange import Caller
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.capabilities import TASKS, ClientCapabilities, Feature
from proxy_core.protocol.input_answers import CANCELLED
from proxy_core.protocol.input_requests import Question, Unaskable
from proxy_core.telemetry.snapshot import OpenQuestion
from proxy_core.telemetry.trace import Trace

ASKED: Final = "operator asked"
ANSWERED: Final = "operator answered"
"""Steps of the record, between which a person has the call."""
MAX_OPEN: Final = 32
LONGEST_S: Final = 600.0
"""However patient the call is; a client that can be asked has no longer either."""
MAX_MESSAGE: Final = 4096
"""Characters."""
MAX_SCHEMA_BYTES: Final = 16_384
MAX_URL: Final = 4096
MAX_NAME: Final = 200
REMEMBERED: Final = 64
"""Questions that are over, for the sentence to whoever answers too late."""
ACTIONS: Final = ("accept", "decline", "cancel")
_CAN: Final[frozenset[Feature]] = frozenset({"elicitation.form", "elicitation.url"})
log = logging.getLogger(__name__)


class _Waiting(Struct, eq=False):
    shown: OpenQuestion
    fields: tuple[FormField, ...]
    answer: asyncio.Future[bytes]
    by: str = ""
    outcome: str = "withdrawn"
    filled: tuple[str, ...] = ()


class OperatorDesk:
    """Sole owner of the questions that wait for an operator."""

    def __init__(self, config: Callable[[], Config], clock: Clock, publish: Callable[[Fact], None]) -> None:
        self._config = config
        self._clock = clock
        self._publish = publish
        self._open: dict[str, _Waiting] = {}
        self._over: OrderedDict[str, str] = OrderedDict()
        """What became of the latest ones, by id."""
        self._is_closed = False

    @property
    def is_open(self) -> bool:
        return self._config().elicitation.answer_in_terminal and not self._is_closed

    @property
    def questions(self) -> tuple[OpenQuestion, ...]:
        return tuple(waiting.shown for waiting in self._open.values())

    def takes(self, question: Question) -> bool:
        return question.is_elicitation and self.is_open

    def declared(self, capabilities: ClientCapabilities) -> ClientCapabilities:
        """What servers are told that a client with these can be asked.

        Nothing more for one that sees to tasks by itself: it would be handed their questions.
        """
        if not self.is_open or _CAN <= capabilities.features or capabilities.declares(TASKS):
            return capabilities
        return replace(capabilities, features=capabilities.features | _CAN)

    # --- asking ---------------------------------------------------------------------------------------------

    async def ask(
        self, server: str, caller: Caller, target: str, question: Question, trace: Trace | None = None
    ) -> bytes:
        """The result of the elicitation; `cancel` if nobody answers in time. Raises: Unaskable.

        `trace`: where the call is recorded that it was asked for.
        """
        waiting = self._put(server, caller, target, question)
        if trace is not None:
            trace.step(ASKED, waiting.shown.mode)
        left_s = waiting.shown.until - waiting.shown.asked_at
        try:
            async with asyncio.timeout(left_s):
                return await waiting.answer
        except TimeoutError:
            waiting.outcome = "expired"
            return CANCELLED
        finally:
            self._close(waiting)
            if trace is not None:
                trace.step(ANSWERED, waiting.outcome)

    def _put(self, server: str, caller: Caller, target: str, question: Question) -> _Waiting:
        if len(self._open) >= MAX_OPEN:
            raise Unaskable(ErrorCode.INTERNAL_ERROR, "Too many questions wait for an operator.")
        fields = _fields(question)
        now = self._clock.monotonic()
        shown = OpenQuestion(
            self._new_id(),
            server,
            caller.client[:MAX_NAME],
            caller.principal[:MAX_NAME],
            target[:MAX_NAME],
            str(_member(question, "message"))[:MAX_MESSAGE],
            "url" if question.is_for_url else "form",
            "" if question.is_for_url else bytes(question.params["requestedSchema"]).decode(),
            _url(question),
            now,
            now + self._patience_s(server),
        )
        waiting = _Waiting(shown, fields, asyncio.get_running_loop().create_future())
        self._open[shown.id] = waiting
        self._tell_asked(waiting)
        return waiting

    def _new_id(self) -> str:
        """Nobody's before: an answer that comes late must not meet another question."""
        while (new := secrets.token_hex(4)) in self._open or new in self._over:
            pass
        return new

    def _patience_s(self, server: str) -> float:
        settings = next((each for each in self._config().servers if each.id == server), None)
        return LONGEST_S if settings is None else min(LONGEST_S, settings.timeouts.call_idle_s)

    def _close(self, waiting: _Waiting) -> None:
        shown = waiting.shown
        del self._open[shown.id]
        self._over[shown.id] = _became(waiting)
        if len(self._over) > REMEMBERED:
            self._over.popitem(last=False)
        self._tell_over(waiting)

    # --- answering ------------------------------------------------------------------------------------------

    def answer(self, id: str, action: str, content: Mapping[str, object] | None, by: str) -> None:
        """Raises: UnknownQuestion, InvalidParams."""
        waiting = self._open.get(id)
        if waiting is None or waiting.answer.done():
            became = self._over.get(id, "there is none with this id") if waiting is None else _became(waiting)
            raise UnknownQuestion(f"The question {id[:40]!r} is not open: {became}.")
        if action not in ACTIONS:
            raise InvalidParams(f"The action must be one of {', '.join(ACTIONS)}.")
        values = _values(waiting, action, content)
        waiting.by, waiting.outcome, waiting.filled = by, action, tuple(values)
        result = {"action": action, "content": values} if _has_content(waiting, action) else {"action": action}
        waiting.answer.set_result(jsonrpc.encode(result))

    # --- the end of all ------------------------------------------------------------------------------------

    def reloaded(self) -> None:
        """The option may have been switched off: then nobody is waited for."""
        if not self.is_open:
            self._cancel_all()

    def close(self) -> None:
        self._is_closed = True
        self._cancel_all()

    def _cancel_all(self) -> None:
        for waiting in self._open.values():
            if not waiting.answer.done():
                waiting.answer.set_result(CANCELLED)

    # --- the audit ------------------------------------------------------------------------------------------

    def _tell_asked(self, waiting: _Waiting) -> None:
        shown, names = waiting.shown, tuple(field.name[:MAX_NAME] for field in waiting.fields)
        self._publish(
            OperatorAsked(
                shown.asked_at,
                shown.id,
                shown.server,
                shown.client,
                shown.principal,
                shown.target,
                shown.mode,
                names,
            )
        )
        log.info(
            "question %s of server %s for an operator (%s, by a call of %r for %r of %s)%s",
            shown.id,
            shown.server,
            shown.mode,
            shown.target,
            shown.client,
            shown.principal,
            _naming(names),
        )

    def _tell_over(self, waiting: _Waiting) -> None:
        shown = waiting.shown
        now = self._clock.monotonic()
        self._publish(
            OperatorAnswered(now, shown.id, shown.server, waiting.outcome, waiting.by, waiting.filled)
        )
        log.info(
            "question %s of server %s: %s%s", shown.id, shown.server, _became(waiting), _naming(waiting.filled)
        )


def _fields(question: Question) -> tuple[FormField, ...]:
    """Raises: Unaskable, for what a person could not be shown in full."""
    if question.is_for_url:
        return ()
    schema = bytes(question.params["requestedSchema"])
    if len(schema) > MAX_SCHEMA_BYTES:
        raise Unaskable(ErrorCode.INVALID_PARAMS, "The form is too large to be shown to an operator.")
    try:
        return forms.read(schema)
    except InvalidParams as error:
        raise Unaskable(ErrorCode.INVALID_PARAMS, error.message) from error


def _url(question: Question) -> str:
    """Raises: Unaskable, for one that a person could not be shown in full."""
    url = str(_member(question, "url")) if question.is_for_url else ""
    if len(url) > MAX_URL:
        raise Unaskable(ErrorCode.INVALID_PARAMS, "The URL is too long to be shown to an operator.")
    return url


def _member(question: Question, name: str) -> object:
    return jsonrpc.decode(question.params.get(name, Raw(b'""')))


def _has_content(waiting: _Waiting, action: str) -> bool:
    return action == "accept" and waiting.shown.mode == "form"


def _values(waiting: _Waiting, action: str, content: Mapping[str, object] | None) -> dict[str, FormValue]:
    """Raises: InvalidParams."""
    if not _has_content(waiting, action):
        if content:
            raise InvalidParams("Only a form that is accepted takes content.")
        return {}
    return forms.checked(waiting.fields, content or {})


def _became(waiting: _Waiting) -> str:
    match waiting.outcome:
        case "expired":
            return "nobody answered in time"
        case "withdrawn":
            return "its call ended before it was answered"
    words = {"accept": "accepted", "decline": "declined", "cancel": "cancelled"}[waiting.outcome]
    return f"it was {words} by {waiting.by}"


def _naming(names: tuple[str, ...]) -> str:
    return f"; fields: {', '.join(names)}" if names else ""
