"""Ordinary calls read in two steps: as `classify_post` reads them, or not at all."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.protocol import direct_request
from proxy_core.protocol.classify import ModernRequest, classify_post
from proxy_core.protocol.direct_request import DirectRequest, KnownMeta, Routed
from proxy_core.protocol.headers import Headers
from proxy_core.protocol.methods import LIST_METHODS

P = "io.modelcontextprotocol/"
META = {P + "protocolVersion": "2026-07-28", P + "clientCapabilities": {}}
NAMES = st.sampled_from(["a__b", "a", "é", "=?base64?eA==?=", ""])


def headers(name: str = "a__b", method: str = "tools/call", version: str = "2026-07-28") -> Headers:
    return [("mcp-protocol-version", version), ("mcp-method", method), ("mcp-name", name)]


def body(*, meta: Any = META, **more: Any) -> bytes:
    params = {"name": "a__b", "arguments": {"x": 1}, "_meta": meta} | more.pop("params", {})
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params} | more).encode()


ROUTED = Routed("tools/call", "a__b")


def read(data: bytes, routed: Routed) -> tuple[DirectRequest, KnownMeta] | None:
    """Both steps."""
    found = direct_request.read(data, routed)
    known = None if found is None else direct_request.known_meta(found.own_meta)
    return None if found is None or known is None else (found, known)


def test_an_ordinary_call_is_read() -> None:
    found = read(body(), ROUTED)
    assert found is not None
    request, known = found
    assert (request.raw_id, json.loads(bytes(request.arguments))) == (b"7", {"x": 1})
    assert (known.client, known.capabilities.features) == ("", frozenset())


def test_a_client_is_known_by_what_it_says_of_itself() -> None:
    info = {P + "clientInfo": {"name": "x" * 200}, P + "clientCapabilities": {"elicitation": {}}}
    found = read(body(meta=META | info), ROUTED)
    assert found is not None
    known = found[1]
    assert (known.client, known.capabilities.features) == ("x" * 80, {"elicitation.form"})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{",
        b"null",
        body(id=None),
        body(id=1.5),
        body(id=True),
        body(jsonrpc="1.0"),
        body(method="tools/list"),
        body(result={}),
        body(params={"name": "other"}),
        body(params={"name": 7}),
        body(params={"task": {}}),
        body(params={"inputResponses": {}}),
        body(params={"requestState": "x"}),
        body(params={"more": 1}),
        body(meta=None),
        body(meta=META | {"progressToken": 1}),
        body(meta=META | {P + "logLevel": "info"}),
        body(meta=META | {P + "protocolVersion": "2025-11-25"}),
        body(meta=META | {P + "clientCapabilities": []}),
        body(meta=META | {"x": "y" * 2000}),
        body().replace(b'"x": 1', b'"x": "\xff"'),
        json.dumps(
            {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "a__b", "_meta": META}}
        ).encode(),
    ],
)
def test_what_is_out_of_the_ordinary_is_left_to_others(data: bytes) -> None:
    assert read(data, ROUTED) is None


def listed(method: str = "tools/list", **params: Any) -> bytes:
    return json.dumps(
        {"jsonrpc": "2.0", "id": 7, "method": method, "params": {"_meta": META} | params}
    ).encode()


@pytest.mark.parametrize("method", LIST_METHODS)
def test_a_first_page_of_a_list_is_read(method: str) -> None:
    routed = direct_request.routed_by(headers(method=method)[:2])
    assert routed == Routed(method, "")
    found = read(listed(method), routed)
    assert found is not None
    assert (found[0].raw_id, bytes(found[0].arguments)) == (b"7", b"")


@pytest.mark.parametrize(
    "data",
    [
        listed(cursor="x"),
        listed(cursor=None),
        listed(arguments={}),
        listed(name="a"),
        listed(_meta=META | {"progressToken": 1}),
        listed("prompts/list"),
        body(),
    ],
)
def test_a_list_that_asks_for_more_is_left_to_others(data: bytes) -> None:
    assert read(data, Routed("tools/list", "")) is None


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (headers(), "a__b"),
        (headers("=?base64?w6k=?="), "é"),
        (headers(" a__b\t"), "a__b"),
        (headers("", "tools/call"), None),
        (headers(method="prompts/get"), None),
        (headers(version="2025-11-25"), None),
        (headers("=?base64?w6k?="), None),
        (headers()[:2], None),
        (headers()[1:], None),
        ([*headers(), ("mcp-name", "a__b")], None),
        ([], None),
    ],
)
def test_which_tool_headers_name(lines: Headers, name: str | None) -> None:
    assert direct_request.routed_by(lines) == (None if name is None else Routed("tools/call", name))


@given(
    st.dictionaries(
        st.sampled_from(["jsonrpc", "id", "method", "params", "x"]),
        st.sampled_from(["2.0", 1, "1", None, "tools/call", {}, {"name": "a__b"}, 1.0]),
    ),
    st.dictionaries(
        st.sampled_from(["name", "arguments", "_meta", "task", "x"]),
        st.sampled_from(["a__b", "é", {}, META, META | {"v": 1}, META | {"progressToken": "t"}, None, []]),
    ),
    NAMES,
    st.booleans(),
)
def test_what_is_read_here_is_read_so_elsewhere(
    own: dict[str, Any], params: dict[str, Any], name: str, is_whole: bool
) -> None:
    whole = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params} if is_whole else {}
    data = json.dumps(whole | own).encode()
    lines = headers(name)
    routed = direct_request.routed_by(lines)
    found = read(data, routed) if routed is not None else None
    if found is None:
        return
    posted = classify_post(lines, data)
    assert isinstance(posted, ModernRequest)
    request, known = found
    assert posted.request.raw_id == request.raw_id
    assert bytes(posted.request.params) == bytes(request.params)
    assert routed is not None and json.loads(data)["params"]["name"] == routed.name
    assert (posted.client_name, posted.log_level) == (known.client, None)
    assert bytes(posted.progress_token) == b""
