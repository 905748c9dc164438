"""Answers to modern clients that say: bring this first. Whatever the server behind it speaks.

Knows no backends; what must be known again at the retry is sealed into the state.
Spec: 2026-07-28 basic/patterns/mrtr; 2025-11-25 client/elicitation, "URL Elicitation Required Error".
"""

from typing import Any

from msgspec import Raw

from proxy_core.errors import (
    BackendError,
    BackendProtocolError,
    ElicitationDeclined,
    MissingCapability,
    Only1Error,
)
from proxy_core.gateway.answers import MAX_ERROR_DATA_BYTES, SERVER_INFO
from proxy_core.gateway.exchange import Exchange
from proxy_core.gateway.questions import Questions
from proxy_core.gateway.rounds import unusable
from proxy_core.gateway.states import StateKind, States
from proxy_core.protocol import input_requests, jsonrpc, results
from proxy_core.protocol.capabilities import as_object
from proxy_core.protocol.input_answers import action
from proxy_core.protocol.input_requests import Question, Unaskable
from proxy_core.protocol.results import InputRequired
from proxy_core.protocol.revisions import Era


class InputRequests:
    def __init__(self, questions: Questions, states: States) -> None:
        self._questions = questions
        self._states = states

    # --- a modern server's own --------------------------------------------------------------------------------

    def passed_on(self, server: str, replica: str, exchange: Exchange, needed: InputRequired) -> bytes:
        """As the server said it, but for the name of who asks and the wrapping of its state.

        Raises: BackendProtocolError if it asks for what this client did not declare.
        """
        requests = {key: self._shown(server, exchange, raw) for key, raw in needed.requests.items()}
        state = None
        if needed.state is not None:
            try:
                state = self._states.seal(StateKind.WRAP, exchange, needed.state, replica)
            except Only1Error as error:
                raise BackendProtocolError(server, "The server's state is too large.") from error
        return results.needing_input(requests, state, SERVER_INFO, needed.members)

    def _shown(self, server: str, exchange: Exchange, raw: Raw) -> Raw:
        try:
            question = input_requests.read_entry(raw)
            shown = self._questions.checked(server, question, exchange.caller.capabilities)
        except Unaskable as refusal:
            raise unusable(server, refusal) from refusal
        if shown is question:
            return raw
        return Raw(jsonrpc.encode(jsonrpc.members(raw) | {"params": Raw(jsonrpc.encode(shown.params))}))

    # --- a call of a legacy server that goes on ---------------------------------------------------------------

    def parked(self, exchange: Exchange, park_id: str, requests: dict[str, Any]) -> bytes:
        state = self._states.seal(StateKind.PARK, exchange, park_id)
        return results.needing_input(requests, state, SERVER_INFO)

    # --- pages to be visited before a legacy server does anything (-32042) ------------------------------------

    def pages_first(self, server: str, exchange: Exchange, error: BackendError) -> bytes:
        """Raises: MissingCapability, BackendProtocolError."""
        pages = self.pages(server, error)
        if not pages:
            raise BackendProtocolError(server, "The server needs a page to be visited and names none.")
        if "elicitation.url" not in exchange.caller.capabilities.features:
            raise MissingCapability(as_object(frozenset({"elicitation.url"})))
        requests = {f"r{number}": input_requests.for_modern(page) for number, page in enumerate(pages, 1)}
        state = self._states.seal(StateKind.RETRY, exchange, str(len(pages)))
        return results.needing_input(requests, state, SERVER_INFO)

    def pages_error(self, server: str, exchange: Exchange, error: BackendError) -> BackendError:
        """The error for a client that knows it; its pages are remembered. Raises: BackendProtocolError."""
        pages = self.pages(server, error)
        for page in pages:
            if page.elicitation_id is not None:
                self._questions.sent_to_page(server, page.elicitation_id, exchange.caller)
        data = jsonrpc.members(error.raw_data) | {
            "elicitations": Raw(jsonrpc.encode([p.params for p in pages]))
        }
        return BackendError(server, error.code, error.message, jsonrpc.encode(data))

    def pages(self, server: str, error: BackendError) -> list[Question]:
        """Those that the error names, as a person is shown them. Raises: BackendProtocolError."""
        if len(error.raw_data) > MAX_ERROR_DATA_BYTES:
            raise BackendProtocolError(server, "The server's error is too large.")
        try:
            return [self._questions.titled(server, page) for page in input_requests.pages(error.raw_data)]
        except Unaskable as refusal:
            raise unusable(server, refusal) from refusal

    def was_declined(self, kept: str, responses: dict[str, Raw]) -> bool:
        """Whether a person said no to any of the pages; one left unanswered is for the server to ask again."""
        keys = (f"r{number}" for number in range(1, int(kept) + 1))
        return any(action(responses[key]) in ("decline", "cancel") for key in keys if key in responses)

    def declined(self, server: str, exchange: Exchange) -> bytes:
        """Raises: ElicitationDeclined, where a result cannot say it."""
        words = "The page that the server needs was declined."
        if exchange.method != "tools/call":
            raise ElicitationDeclined(server, words)
        said = {"content": [{"type": "text", "text": words}], "isError": True}
        if exchange.caller.era is Era.LEGACY:
            return jsonrpc.encode(said)
        return results.result_for_modern(Raw(jsonrpc.encode(said)), SERVER_INFO)
