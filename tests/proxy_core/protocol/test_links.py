"""What a result points to, renamed; everything else to the last byte as it was."""

import json
from typing import Any

import pytest
from msgspec import Raw

from proxy_core.protocol.links import with_links

LINK = {"type": "resource_link", "name": "a", "uri": "file:///a"}
EMBEDDED = {"type": "resource", "resource": {"uri": "file:///b", "text": "see file:///a"}}
TEXT = {"type": "text", "text": 'file:///a "resource_link"'}


def raw(value: Any) -> Raw:
    return Raw(json.dumps(value).encode())


def aliased(uri: str) -> str:
    return f"gh+{uri}"


def test_links_and_embedded_resources_are_renamed_and_text_is_not():
    result = raw(
        {"content": [TEXT, LINK, EMBEDDED], "isError": False, "structuredContent": {"uri": "file:///a"}}
    )
    assert json.loads(bytes(with_links("tools/call", result, aliased))) == {
        "content": [
            TEXT,
            LINK | {"uri": "gh+file:///a"},
            {"type": "resource", "resource": {"uri": "gh+file:///b", "text": "see file:///a"}},
        ],
        "isError": False,
        "structuredContent": {"uri": "file:///a"},
    }


@pytest.mark.parametrize("block", [LINK, EMBEDDED])
def test_those_in_the_messages_of_a_prompt_too(block: Any):
    result = raw({"messages": [{"role": "user", "content": TEXT}, {"role": "user", "content": block}]})
    renamed = json.loads(bytes(with_links("prompts/get", result, aliased)))["messages"][1]["content"]
    assert "gh+file:///" in json.dumps(renamed)


def test_a_result_whose_uris_all_stay_is_the_very_same_object():
    seen: list[str] = []

    def same(uri: str) -> str:
        seen.append(uri)
        return uri

    result = raw({"content": [TEXT, LINK, EMBEDDED]})
    assert with_links("tools/call", result, same) is result
    assert seen == ["file:///a", "file:///b"]


@pytest.mark.parametrize(
    ("method", "result"),
    [
        ("resources/read", {"contents": [LINK]}),
        ("tools/call", {"content": [TEXT]}),
        ("tools/call", {"content": "resource_link"}),
        ("tools/call", {"content": [{"type": "resource_link"}, 7, None]}),
        (
            "tools/call",
            {"content": [{"type": "resource_link", "uri": 7}, {"type": "resource", "resource": []}]},
        ),
        ("tools/call", {"resource": [LINK]}),
        ("prompts/get", {"messages": [{"content": [LINK]}, "resource"]}),
    ],
)
def test_what_points_nowhere_or_is_malformed_stays_as_it_is(method: str, result: Any):
    body = raw(result)
    assert with_links(method, body, aliased) is body


def test_what_is_no_json_is_left_to_others():
    body = Raw(b'{"content": ["resource_link"')
    assert with_links("tools/call", body, aliased) is body
