"""The shapes of answers."""

import json
from typing import Any

import pytest
from msgspec import Raw

from proxy_core.protocol import input_requests
from proxy_core.protocol.input_answers import CANCELLED, action, is_answer

SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def raw(value: Any) -> Raw:
    return Raw(json.dumps(value).encode())


FORM = input_requests.read("elicitation/create", raw({"message": "m", "requestedSchema": SCHEMA}))
EMPTY_FORM = input_requests.read("elicitation/create", raw({"message": "m", "requestedSchema": {}}))
PAGE = input_requests.read(
    "elicitation/create", raw({"mode": "url", "message": "m", "url": "https://a.example"})
)
SAMPLING = input_requests.read("sampling/createMessage", raw({"messages": [], "maxTokens": 1}))
ROOTS = input_requests.read("roots/list", Raw())
SAID = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "x"}}


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (FORM, {"action": "accept", "content": {"name": "Ann", "tags": ["a"], "n": 1.5, "b": True}}),
        (FORM, {"action": "decline"}),
        (FORM, {"action": "cancel", "content": None}),
        (EMPTY_FORM, {"action": "accept"}),
        (PAGE, {"action": "accept"}),
        (PAGE, {"action": "decline"}),
        (SAMPLING, SAID),
        (SAMPLING, SAID | {"content": [{"type": "text", "text": "x"}]}),
        (ROOTS, {"roots": []}),
        (ROOTS, {"roots": [{"uri": "file:///a", "name": "a"}]}),
    ],
)
def test_an_answer_in_due_form_is_taken(question: Any, answer: Any):
    assert is_answer(question, raw(answer))


@pytest.mark.requirement("M08")
@pytest.mark.parametrize("question", [FORM, EMPTY_FORM, PAGE, SAMPLING, ROOTS])
@pytest.mark.parametrize("answer", [None, 7, "accept", [], {}, True, {"action": "yes"}, {"action": ["accept"]}])
def test_an_answer_of_no_shape_is_refused(question: Any, answer: Any):
    assert not is_answer(question, raw(answer))


@pytest.mark.requirement("M08")
@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (FORM, {"action": "accept"}),
        (FORM, {"action": "accept", "content": {}}),
        (FORM, {"action": "accept", "content": []}),
        (FORM, {"action": "accept", "content": {"name": None}}),
        (FORM, {"action": "accept", "content": {"name": {"first": "Ann"}}}),
        (FORM, {"action": "accept", "content": {"name": [1]}}),
        (SAMPLING, SAID | {"role": "system"}),
        (SAMPLING, SAID | {"model": None}),
        (SAMPLING, SAID | {"content": "x"}),
        (ROOTS, {"roots": {}}),
        (ROOTS, {"roots": ["file:///a"]}),
        (ROOTS, {"roots": [{"uri": 1}]}),
    ],
)
def test_an_answer_to_another_question_is_refused(question: Any, answer: Any):
    assert not is_answer(question, raw(answer))


def test_what_is_not_json_is_no_answer():
    assert not is_answer(FORM, Raw(b"{"))
    assert action(Raw(b"{")) is None


def test_the_action_is_told():
    assert action(Raw(CANCELLED)) == "cancel"
    assert action(raw({"action": "accept"})) == "accept"
    for other in ({}, {"action": "maybe"}, {"action": 1}, 7):
        assert action(raw(other)) is None
