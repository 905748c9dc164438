import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from proxy_core.errors import Only1Error
from proxy_core.protocol.contents import result_for_revision
from proxy_core.protocol.results import UnusableResult
from proxy_core.protocol.revisions import LEGACY_REVISIONS, SUPPORTED

MODERN = "2026-07-28"
TEXT = {"type": "text", "text": "hi"}
LINK = {"type": "resource_link", "name": "Read me", "uri": "file:///r"}
AUDIO = {"type": "audio", "data": "AAAA", "mimeType": "audio/wav"}


def raw(value: Any) -> Raw:
    return Raw(json.dumps(value).encode())


def called(value: Any, revision: str) -> Any:
    return json.loads(bytes(result_for_revision("tools/call", raw(value), revision)))


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


@pytest.mark.parametrize("revision", SUPPORTED)
@pytest.mark.parametrize(
    "value",
    [
        {"content": [TEXT], "isError": True},
        {"content": [], "structuredContent": {"type": "object"}, "_meta": {"type": "strange"}},
        {"content": [{"type": "resource", "resource": {"uri": "a", "text": '{"type":"odd"}'}}]},
        {"content": [{"type": "image", "data": "", "mimeType": "image/png", "x": 1.0}]},
    ],
)
def test_a_result_that_the_client_can_read_is_the_very_same_object(revision: str, value: Any):
    result = raw(value)
    assert result_for_revision("tools/call", result, revision) is result


@pytest.mark.requirement("N20")
def test_a_resource_link_is_text_for_clients_before_2025_06_18():
    for revision in ("2025-03-26", "2024-11-05"):
        assert called({"content": [TEXT, LINK]}, revision) == {"content": [TEXT, text("Read me: file:///r")]}
    for revision in ("2025-06-18", "2025-11-25", MODERN):
        assert called({"content": [TEXT, LINK]}, revision) == {"content": [TEXT, LINK]}


@pytest.mark.requirement("N20")
def test_audio_is_text_for_the_oldest_clients():
    assert called({"content": [AUDIO]}, "2024-11-05") == {"content": [text("[audio: audio/wav]")]}
    assert called({"content": [AUDIO]}, "2025-03-26") == {"content": [AUDIO]}


@pytest.mark.parametrize("revision", SUPPORTED)
def test_a_content_type_that_no_one_knows_is_told_as_its_json(revision: str):
    odd = {"type": "hologram", "data": "x"}
    assert called({"content": [odd, TEXT]}, revision) == {"content": [text(json.dumps(odd)), TEXT]}


@pytest.mark.parametrize("revision", SUPPORTED)
def test_a_result_without_content_gets_an_empty_one(revision: str):
    assert called({"structuredContent": {"a": 1}}, revision) == {"structuredContent": {"a": 1}, "content": []}


@pytest.mark.requirement("N19")
@pytest.mark.parametrize("value", [[1, 2], "x", 5, None, True])
def test_structured_content_that_is_no_object_is_told_in_text_to_legacy_clients(value: Any):
    result = {"content": [TEXT], "structuredContent": value}
    assert called(result, MODERN) == result
    for revision in LEGACY_REVISIONS:
        assert called(result, revision) == {"content": [TEXT, text(json.dumps(value))]}


@pytest.mark.requirement("N19")
def test_a_text_that_already_says_the_structured_content_is_not_repeated():
    told = {"content": [text("[1,2]")], "structuredContent": [1, 2]}
    assert called(told, "2025-11-25") == {"content": [text("[1,2]")]}


def test_a_prompts_messages_are_read_the_same_way():
    messages = [{"role": "user", "content": LINK}, {"role": "user", "content": TEXT}]
    result = raw({"messages": messages})
    assert result_for_revision("prompts/get", result, MODERN) is result
    for_old = json.loads(bytes(result_for_revision("prompts/get", result, "2025-03-26")))
    assert for_old == {"messages": [{"role": "user", "content": text("Read me: file:///r")}, messages[1]]}


def test_a_type_outside_the_content_costs_a_look_but_changes_nothing():
    result = raw({"messages": [{"role": "user", "content": TEXT, "_meta": {"type": "odd"}}]})
    assert result_for_revision("prompts/get", result, MODERN) is result


def test_other_results_are_left_alone():
    result = raw({"contents": [{"type": "odd"}]})
    assert result_for_revision("resources/read", result, "2024-11-05") is result


def test_content_that_is_no_list_of_objects_is_unusable():
    for content in ("x", {"type": "odd"}, [1, {"type": "odd"}]):
        with pytest.raises(UnusableResult):
            called({"content": content, "structuredContent": 1}, "2025-11-25")


@settings(max_examples=200)
@given(
    junk=st.binary(max_size=60),
    start=st.sampled_from([b"", b'{"content":[', b'{"content":[{"type":"odd","a":', b'{"structuredContent":']),
    end=st.sampled_from([b"", b"}", b"]}", b"}]}"]),
    method=st.sampled_from(["tools/call", "prompts/get", "resources/read"]),
    revision=st.sampled_from(SUPPORTED),
)
def test_any_bytes_are_made_readable_or_refused(
    junk: bytes, start: bytes, end: bytes, method: str, revision: str
):
    try:
        result_for_revision(method, Raw(start + junk + end), revision)
    except Only1Error:
        pass
