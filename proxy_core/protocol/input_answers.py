"""Whether what a client answers has the shape that the question wants. Pure.

What is in an answer is for the server that asked.
Spec: 2026-07-28 basic/patterns/mrtr, "Error Handling"; client/elicitation, client/sampling, client/roots.
"""

from typing import Final

from msgspec import Raw

from proxy_core.errors import ParseError
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.input_requests import ELICITATION, SAMPLING, Question

CANCELLED: Final = b'{"action":"cancel"}'
"""What a server is told of a person who was not there to be asked."""

_ACTIONS: Final = frozenset({"accept", "decline", "cancel"})
_ROLES: Final = frozenset({"user", "assistant"})


def is_answer(question: Question, raw: Raw) -> bool:
    try:
        answer = jsonrpc.members(raw)
        if question.method == ELICITATION:
            return _is_elicitation_answer(question, answer)
        return _is_sampling_answer(answer) if question.method == SAMPLING else _is_roots_answer(answer)
    except ParseError:
        return False


def action(raw: Raw) -> str | None:
    """What a person did about an elicitation; None if that is not said in due form."""
    try:
        found = jsonrpc.decode(jsonrpc.members(raw).get("action", jsonrpc.NO_JSON))
    except ParseError:
        return None
    return found if isinstance(found, str) and found in _ACTIONS else None


def _is_elicitation_answer(question: Question, answer: dict[str, Raw]) -> bool:
    done = jsonrpc.decode(answer.get("action", jsonrpc.NO_JSON))
    if not isinstance(done, str) or done not in _ACTIONS:
        return False
    if done != "accept" or question.is_for_url:
        return True
    content = jsonrpc.decode(answer.get("content", jsonrpc.NO_JSON))
    filled = {} if content is None else content
    if not isinstance(filled, dict) or not all(_is_field_value(value) for value in filled.values()):
        return False
    return all(name in filled for name in _required(question))


def _is_field_value(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(each, str) for each in value)
    return isinstance(value, str | int | float | bool)


def _required(question: Question) -> list[str]:
    schema = jsonrpc.members(question.params["requestedSchema"])
    names = jsonrpc.decode(schema.get("required", jsonrpc.NO_JSON))
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _is_sampling_answer(answer: dict[str, Raw]) -> bool:
    role, model = (jsonrpc.decode(answer.get(name, jsonrpc.NO_JSON)) for name in ("role", "model"))
    content = bytes(answer.get("content", jsonrpc.NO_JSON))
    return isinstance(model, str) and isinstance(role, str) and role in _ROLES and content[:1] in (b"{", b"[")


def _is_roots_answer(answer: dict[str, Raw]) -> bool:
    roots = jsonrpc.decode(answer.get("roots", jsonrpc.NO_JSON))
    return isinstance(roots, list) and all(
        isinstance(root, dict) and isinstance(root.get("uri"), str) for root in roots
    )
