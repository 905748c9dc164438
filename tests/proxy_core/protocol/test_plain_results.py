"""A tool's ordinary result, signed anew in one step: the same as the long way makes of it, or left to that."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from proxy_core.protocol import results

OURS = b'{"name":"only1mcp","version":"1"}'
THEIRS = {"io.modelcontextprotocol/serverInfo": {"name": "box", "version": "0"}}
TEXT = [{"type": "text", "text": "hi"}]
PLAIN = {"resultType": "complete", "content": TEXT, "_meta": THEIRS}


def made(value: Any) -> Any:
    """By itself, and as the answer to a request, which is the same."""
    data = json.dumps(value).encode()
    plain = results.plain_result(Raw(data))
    answer = results.plain_answer(b'{"jsonrpc":"2.0","id":7,"result":%b}' % data)
    assert (plain is None) is (answer is None)
    if plain is None or answer is None:
        return None
    ours = results.plain_for_modern(plain, OURS)
    assert (ours, answer.id) == (results.plain_for_modern(answer.result, OURS), 7)
    assert plain.is_error is (value.get("isError") is True)
    return json.loads(ours)


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
        PLAIN | {"isError": False},
        PLAIN | {"content": TEXT * 3},
        PLAIN | {"content": [TEXT[0] | {"annotations": {"priority": 1}, "_meta": {"x": 1}}, *TEXT]},
        PLAIN | {"content": [{"type": "text", "text": 'a "resource" of type resource_link: d\u00e9j\u00e0'}]},
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
        PLAIN | {"content": [{"type": "text"}]},
        PLAIN | {"content": [{"type": "text", "text": 7}]},
        PLAIN | {"content": [{"type": "text", "text": None}]},
        PLAIN | {"content": [{"type": "text", "text": "x", "more": 1}]},
        PLAIN | {"content": [*TEXT, {"type": "audio", "data": "", "mimeType": "a/b"}]},
        PLAIN | {"content": [{"type": "resource", "resource": {"uri": "a:b", "text": "text"}}]},
        PLAIN | {"content": [{"type": "resource_link", "uri": "a:b", "name": "text"}]},
        PLAIN | {"content": [{"type": "hologram", "text": "x"}]},
        PLAIN | {"content": ["text"]},
    ],
)
def test_what_is_out_of_the_ordinary_is_left_to_the_long_way(value: Any) -> None:
    assert made(value) is None


@pytest.mark.parametrize("data", [b"", b"{", b'{"content":[],}', b'{"content":[}'])
def test_what_is_no_json_is_left_to_it_too(data: bytes) -> None:
    assert results.plain_result(Raw(data)) is None
    assert results.plain_answer(b'{"jsonrpc":"2.0","id":7,"result":%b}' % data) is None


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
    "data",
    [
        b'{"jsonrpc":"1.0","id":7,"result":{"content":[]}}',
        b'{"jsonrpc":"2.0","id":"7","result":{"content":[]}}',
        b'{"jsonrpc":"2.0","id":7,"result":{"content":[]},"error":{}}',
        b'{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"x"}}',
        b'{"jsonrpc":"2.0","method":"notifications/progress","params":{}}',
        b'{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"\xff"}]}}',
        b'[{"jsonrpc":"2.0","id":7,"result":{"content":[]}}]',
    ],
)
def test_what_is_no_ordinary_answer_is_left_to_others(data: bytes) -> None:
    assert results.plain_answer(data) is None
