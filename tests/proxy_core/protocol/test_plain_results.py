"""A tool's ordinary result, signed anew in one step: the same as the long way makes of it, or left to that."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from proxy_core.protocol import contents, results

OURS = b'{"name":"only1mcp","version":"1"}'
THEIRS = {"io.modelcontextprotocol/serverInfo": {"name": "box", "version": "0"}}
TEXT = [{"type": "text", "text": "hi"}]
PLAIN = {"resultType": "complete", "content": TEXT, "_meta": THEIRS}


def made(value: Any) -> Any:
    plain = results.plain_tool_result(Raw(json.dumps(value).encode()), OURS)
    return None if plain is None else json.loads(plain)


@pytest.mark.parametrize(
    "value",
    [
        PLAIN,
        {"content": TEXT},
        {"content": [], "_meta": {}},
        PLAIN | {"isError": True},
        PLAIN | {"structuredContent": {"a": [1, 2]}},
        PLAIN | {"_meta": THEIRS | {"vendor/key": 1}},
        PLAIN | {"_meta": None},
    ],
)
def test_it_is_what_the_long_way_makes_of_it(value: dict[str, Any]) -> None:
    long_way = results.result_for_modern(Raw(json.dumps(value).encode()), OURS)
    assert made(value) == json.loads(long_way)


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        7,
        {"content": "x"},
        PLAIN | {"resultType": "input_required"},
        PLAIN | {"resultType": "task"},
        PLAIN | {"resultType": 1},
        PLAIN | {"ttlMs": 5},
        PLAIN | {"cacheScope": "public"},
        PLAIN | {"anything": 1},
        PLAIN | {"_meta": {"x": "y" * 2000}},
    ],
)
def test_what_is_out_of_the_ordinary_is_left_to_the_long_way(value: Any) -> None:
    assert made(value) is None


@pytest.mark.parametrize("data", [b"", b"{", b'{"content":[],}', b'{"content":[}'])
def test_what_is_no_json_is_left_to_it_too(data: bytes) -> None:
    assert results.plain_tool_result(Raw(data), OURS) is None


@given(
    st.dictionaries(
        st.sampled_from(["content", "resultType", "isError", "structuredContent", "_meta", "ttlMs", "x"]),
        st.sampled_from([TEXT, [], {}, "complete", True, None, THEIRS, 5, "task"]),
    )
)
def test_the_two_ways_never_differ(value: dict[str, Any]) -> None:
    short = made(value)
    if short is not None:
        assert short == json.loads(results.result_for_modern(Raw(json.dumps(value).encode()), OURS))


@pytest.mark.parametrize(
    ("data", "needs"),
    [
        (b'{"type":"text","text":"a resource"}', False),
        (b'{"type": "audio"}', False),
        (b'{"type":"resource"}', True),
        (b'{"type":"resource_link"}', True),
        (b'{"type":"hologram"}', True),
        (b'{"type":"re\\u0073ource"}', True),
    ],
)
def test_content_that_points_somewhere_or_is_new_is_looked_at(data: bytes, needs: bool) -> None:
    assert contents.may_need_a_look(data, "2026-07-28") is needs
