"""A modern server's need for input, met by asking the legacy client that made the call and calling again.

Spec: 2026-07-28 basic/patterns/mrtr, "Client Requirements"; 2025-11-25 client/elicitation.
"""

import asyncio
from typing import Final

from msgspec import Raw
from msgspec.structs import replace

from proxy_core.backends.backend import Backend
from proxy_core.backends.call import Answer, Call
from proxy_core.errors import BackendProtocolError, ClientError, ClientSilent, TooManyRounds
from proxy_core.gateway import questions
from proxy_core.gateway.exchange import Exchange
from proxy_core.gateway.questions import Questions
from proxy_core.protocol import input_requests, jsonrpc, results
from proxy_core.protocol.input_answers import CANCELLED
from proxy_core.protocol.input_requests import MAX_QUESTIONS, Question, Unaskable
from proxy_core.protocol.results import InputRequired
from proxy_core.protocol.revisions import Era

MAX_ROUNDS: Final = 10
FIRST_PAUSE_S: Final = 0.05
MAX_PAUSE_S: Final = 0.25


def needed_by(server: str, answer: Answer) -> InputRequired | None:
    """What the server needs before it answers; None if it has answered. Raises: BackendProtocolError."""
    if answer.era is Era.LEGACY or answer.plain is not None:
        return None
    try:
        needed = results.input_required(answer.result)
    except results.UnusableResult as error:
        raise BackendProtocolError(
            server, "The server's answer is not a valid result.", error.message
        ) from error
    if needed is not None and len(needed.requests) > MAX_QUESTIONS:
        raise BackendProtocolError(server, "The server asked for too much input at once.")
    return needed


def unusable(server: str, refusal: Unaskable) -> BackendProtocolError:
    """A need for input that cannot be met."""
    return BackendProtocolError(server, "The server asked for input that cannot be given.", refusal.message)


class Rounds:
    def __init__(self, asked: Questions) -> None:
        self._questions = asked

    async def play(self, backend: Backend, call: Call, exchange: Exchange, needed: InputRequired) -> Answer:
        """The server's answer once it has what it needs. Raises: Only1Error, among them the client's own."""
        page_ids: list[str] = []
        pause_s = FIRST_PAUSE_S
        for _ in range(MAX_ROUNDS):
            more: dict[str, bytes] = {}
            if call.trace is not None:
                call.trace.begin_round()
            if needed.requests:
                asked = self._read(backend.id, exchange, needed)
                page_ids += [id_ for each in asked.values() if (id_ := each.elicitation_id) is not None]
                more["inputResponses"] = jsonrpc.encode(await self._ask(backend.id, exchange, asked))
            else:
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, MAX_PAUSE_S)
            if needed.state is not None:
                more["requestState"] = jsonrpc.encode(needed.state)
            if call.trace is not None:
                call.trace.is_round = True
            answer = await backend.call(replace(call, replace=call.replace | more, on_parked=None))
            still_needed = needed_by(backend.id, answer)
            if still_needed is None:
                for elicitation_id in page_ids:
                    exchange.outlet.notify(questions.complete(elicitation_id))
                return answer
            needed = still_needed
        raise TooManyRounds(backend.id, "The server keeps asking for input.")

    async def at_desk(
        self, backend: Backend, call: Call, exchange: Exchange, needed: InputRequired
    ) -> Answer | InputRequired:
        """What a modern client cannot be asked, asked of an operator, and the call made again with that.

        What the server then still needs is its client's to give; so is what nobody here can be asked.
        Raises: Only1Error.
        """
        was_mixed = False
        for _ in range(MAX_ROUNDS):
            asked = self._for_desk(backend.id, exchange, needed)
            is_mixed = len(asked) < len(needed.requests)
            # A server that keeps no state forgets what it was told, and would ask for it again without end.
            if not asked or (is_mixed and was_mixed):
                return needed
            was_mixed = is_mixed
            brought = jsonrpc.members(Raw(call.replace.get("inputResponses", b"{}")))
            responses = brought | await self._ask(backend.id, exchange, asked)
            more = {"inputResponses": jsonrpc.encode(responses)}
            if needed.state is not None:
                more["requestState"] = jsonrpc.encode(needed.state)
            answer = await backend.call(replace(call, replace=call.replace | more, on_parked=None))
            still_needed = needed_by(backend.id, answer)
            if still_needed is None:
                return answer
            needed = still_needed
        raise TooManyRounds(backend.id, "The server keeps asking for input.")

    def _for_desk(self, server: str, exchange: Exchange, needed: InputRequired) -> dict[str, Question]:
        """Raises: BackendProtocolError, for what is no question."""
        capabilities = exchange.caller.capabilities
        try:
            read = {key: input_requests.read_entry(entry) for key, entry in needed.requests.items()}
        except Unaskable as refusal:
            raise unusable(server, refusal) from refusal
        return {key: each for key, each in read.items() if self._questions.for_desk(each, capabilities)}

    def _read(self, server: str, exchange: Exchange, needed: InputRequired) -> dict[str, Question]:
        return {key: self._one(server, exchange, entry) for key, entry in needed.requests.items()}

    def _one(self, server: str, exchange: Exchange, entry: Raw) -> Question:
        try:
            question = input_requests.read_entry(entry)
            if self._questions.for_desk(question, exchange.caller.capabilities):
                return question
            question = self._questions.checked(server, question, exchange.caller.capabilities)
        except Unaskable as refusal:
            raise unusable(server, refusal) from refusal
        # Modern servers have no ids for pages, so ours can tell nobody that one is done but this client.
        return input_requests.with_elicitation_id(question, questions.new_elicitation_id(), keep=False)

    async def _ask(self, server: str, exchange: Exchange, asked: dict[str, Question]) -> dict[str, Raw]:
        """Everything at once. The first failure ends the rest, and those requests are cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {
                    key: group.create_task(self._answer(server, exchange, question))
                    for key, question in asked.items()
                }
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        return {key: task.result() for key, task in tasks.items()}

    async def _answer(self, server: str, exchange: Exchange, question: Question) -> Raw:
        caller = exchange.caller
        try:
            if self._questions.for_desk(question, caller.capabilities):
                target = exchange.target or ""
                return Raw(await self._questions.ask_desk(server, caller, target, question, exchange.trace))
            return await self._questions.ask(server, caller, exchange.outlet, question)
        except (ClientError, ClientSilent):
            if question.is_elicitation:
                return Raw(CANCELLED)
            raise
        except Unaskable as refusal:
            raise unusable(server, refusal) from refusal
