"""Questions of servers, read and put in the words of each revision."""

import json
from typing import Any

import pytest
from msgspec import Raw

from proxy_core.protocol import input_requests
from proxy_core.protocol.input_requests import MAX_QUESTION_BYTES, Question, Unaskable, is_safe_url
from proxy_core.protocol.revisions import LATEST_LEGACY

FORM = {"message": "Name?", "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}}}
PAGE = {"mode": "url", "message": "Sign in", "url": "https://example.com/in", "elicitationId": "e1"}
SAMPLE = {"messages": [{"role": "user", "content": {"type": "text", "text": "hi"}}], "maxTokens": 9}


def raw(value: Any) -> Raw:
    return Raw(json.dumps(value).encode())


def elicitation(**params: Any) -> Question:
    return input_requests.read("elicitation/create", raw(FORM | params))


def legacy(question: Question, revision: str) -> Any:
    return json.loads(input_requests.for_legacy(question, revision))


@pytest.mark.parametrize(
    ("method", "params", "needed"),
    [
        ("elicitation/create", FORM, {"elicitation.form"}),
        ("elicitation/create", FORM | {"mode": "form"}, {"elicitation.form"}),
        ("elicitation/create", FORM | {"mode": None}, {"elicitation.form"}),
        ("elicitation/create", PAGE, {"elicitation.url"}),
        ("sampling/createMessage", SAMPLE, {"sampling"}),
        ("sampling/createMessage", SAMPLE | {"tools": None, "includeContext": ["thisServer"]}, {"sampling"}),
        ("sampling/createMessage", SAMPLE | {"tools": []}, {"sampling", "sampling.tools"}),
        ("sampling/createMessage", SAMPLE | {"toolChoice": {}}, {"sampling", "sampling.tools"}),
        ("sampling/createMessage", SAMPLE | {"includeContext": "thisServer"}, {"sampling", "sampling.context"}),
        ("roots/list", {}, {"roots"}),
    ],
)
def test_a_question_says_what_the_client_must_be_able_to_do(method: str, params: Any, needed: set[str]):
    assert input_requests.read(method, raw(params)).needed == needed
    assert input_requests.read_entry(raw({"method": method, "params": params})).needed == needed


def test_roots_are_asked_for_without_params():
    assert input_requests.read("roots/list", Raw()).params == {}
    assert input_requests.read_entry(Raw(b'{"method":"roots/list"}')).params == {}


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {}),
        ("", {}),
        ("ping", {}),
        ("elicitation/create", {}),
        ("elicitation/create", FORM | {"message": 7}),
        ("elicitation/create", {"message": "no schema"}),
        ("elicitation/create", FORM | {"requestedSchema": "x"}),
        ("elicitation/create", FORM | {"mode": "voice"}),
        ("elicitation/create", FORM | {"mode": ["url"]}),
        ("elicitation/create", PAGE | {"url": 7}),
        ("elicitation/create", PAGE | {"url": "javascript:alert(1)"}),
        ("sampling/createMessage", []),
        ("sampling/createMessage", {"messages": ["x" * MAX_QUESTION_BYTES]}),
    ],
)
def test_what_is_no_question_is_refused(method: str, params: Any):
    with pytest.raises(Unaskable):
        input_requests.read(method, raw(params))


@pytest.mark.parametrize("entry", [7, None, [], "x", {}, {"method": 7}, {"method": "roots/list", "params": []}])
def test_an_entry_that_is_no_request_is_refused(entry: Any):
    with pytest.raises(Unaskable):
        input_requests.read_entry(raw(entry))


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a?b#c",
        "https://ex%41mple.com",
        "http://localhost:8080/x",
        "http://127.0.0.1/",
        "http://[::1]:9/",
        "HTTPS://example.com",
        "https://bücher.example/",
    ],
)
def test_a_page_may_be_https_or_on_this_machine(url: str):
    assert is_safe_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        7,
        None,
        "http://example.com",
        "http://127.0.0.1.evil.example/",
        "http://localhost@evil.example/",
        "http://evil.example\\@127.0.0.1/",
        "https:///nowhere",
        "https://[bad",
        "javascript:alert(1)",
        "javascript://example.com/%0aalert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "ftp://example.com",
        " https://example.com",
        "https://exa mple.com",
        "https://example.com/\nx",
        "//example.com",
    ],
)
def test_no_other_address_is_shown_to_people(url: Any):
    assert not is_safe_url(url)


# --- the server's name ---------------------------------------------------------------------------------------


@pytest.mark.requirement("M20")
def test_a_message_begins_with_who_asks_once():
    question = input_requests.titled(elicitation(), "Box")
    assert json.loads(bytes(question.params["message"])) == "[Box] Name?"
    assert input_requests.titled(question, "Box") is question


@pytest.mark.requirement("M20")
def test_a_page_keeps_its_address_to_the_letter():
    body = b'{"mode":"url","message":"m","url":"https:\\/\\/example.com\\/%7Ea"}'
    question = input_requests.titled(input_requests.read("elicitation/create", Raw(body)), "Box")
    assert bytes(question.params["url"]) == b'"https:\\/\\/example.com\\/%7Ea"'


def test_only_elicitations_have_a_message_to_people():
    question = input_requests.read("sampling/createMessage", raw(SAMPLE | {"message": "x"}))
    assert input_requests.titled(question, "Box") is question


# --- for modern clients --------------------------------------------------------------------------------------


def test_a_modern_client_sees_nothing_of_the_legacy_era():
    question = input_requests.read("elicitation/create", raw(PAGE | {"task": {}, "_meta": {"a": 1}}))
    asked = input_requests.for_modern(question)
    assert asked["method"] == "elicitation/create"
    assert set(asked["params"]) == {"mode", "message", "url"}


# --- for legacy clients --------------------------------------------------------------------------------------


def test_a_legacy_client_gets_no_task_and_no_token_of_anothers_connection():
    meta = {"progressToken": 1, "io.modelcontextprotocol/related-task": {}, "x/y": 2}
    question = elicitation(task={"ttl": 1}, _meta=meta)
    assert legacy(question, LATEST_LEGACY) == FORM | {"_meta": {"x/y": 2}}


def test_a_schema_arrives_as_it_was_written():
    schema = b'{ "type":"object","properties":{"n":{"type":"number","default":1.0e0,"x":[null]}} }'
    body = b'{"message":"m","mode":"form","requestedSchema":' + schema + b"}"
    question = input_requests.read("elicitation/create", Raw(body))
    for revision in (LATEST_LEGACY, "2025-06-18"):
        assert schema in input_requests.for_legacy(question, revision)


def test_what_goes_out_is_one_line():
    question = input_requests.read("elicitation/create", Raw(json.dumps(FORM, indent=1).encode()))
    assert b"\n" not in input_requests.for_legacy(question, LATEST_LEGACY)


def test_titled_choices_become_enum_names_for_the_revision_without_them():
    choices = [{"const": "r", "title": "Red"}, {"const": "g", "title": "Green"}]
    field = {"type": "string", "title": "Colour", "oneOf": choices}
    schema = {"type": "object", "properties": {"c": field, "n": {"type": "number"}}, "required": ["c"]}
    question = elicitation(mode="form", requestedSchema=schema)
    assert legacy(question, LATEST_LEGACY)["requestedSchema"] == schema
    older = legacy(question, "2025-06-18")
    assert "mode" not in older
    assert older["requestedSchema"]["properties"] == {
        "c": {"type": "string", "title": "Colour", "enum": ["r", "g"], "enumNames": ["Red", "Green"]},
        "n": {"type": "number"},
    }
    assert older["requestedSchema"]["required"] == ["c"]


@pytest.mark.parametrize(
    "field",
    [
        {"type": "array", "items": {"enum": ["a"]}},
        {"type": "string", "oneOf": "x"},
        {"type": "string", "oneOf": [{"const": 1, "title": "x"}]},
        {"type": "string", "oneOf": ["a"]},
        7,
    ],
)
def test_a_field_that_a_revision_cannot_express_is_refused(field: Any):
    question = elicitation(requestedSchema={"type": "object", "properties": {"f": field}})
    with pytest.raises(Unaskable):
        input_requests.for_legacy(question, "2025-06-18")
    input_requests.for_legacy(question, LATEST_LEGACY)


@pytest.mark.requirement("M04")
def test_a_page_without_an_id_gets_one():
    bare = input_requests.read(
        "elicitation/create", raw({k: v for k, v in PAGE.items() if k != "elicitationId"})
    )
    assert bare.elicitation_id is None
    assert input_requests.with_elicitation_id(bare, "new").elicitation_id == "new"
    own = input_requests.read("elicitation/create", raw(PAGE))
    assert input_requests.with_elicitation_id(own, "new").elicitation_id == "e1"
    assert input_requests.with_elicitation_id(own, "new", keep=False).elicitation_id == "new"
    assert input_requests.with_elicitation_id(elicitation(), "new") == elicitation()


# --- the error that names pages ------------------------------------------------------------------------------


def test_the_pages_of_an_error_are_read():
    [page] = input_requests.pages(json.dumps({"elicitations": [PAGE]}).encode())
    assert page.elicitation_id == "e1"
    assert input_requests.pages(b'{"elicitations":[]}') == []
    assert input_requests.pages(b"") == []


@pytest.mark.parametrize(
    "data", [[], {"elicitations": [FORM]}, {"elicitations": [7]}, {"elicitations": [PAGE] * 11}]
)
def test_an_error_with_pages_that_cannot_be_shown_is_refused(data: Any):
    with pytest.raises(Unaskable):
        input_requests.pages(json.dumps(data).encode())
