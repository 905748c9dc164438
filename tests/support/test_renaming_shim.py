"""What the shim renames, and that it leaves the rest alone."""

import json
from typing import Any

import pytest
from mcp.shared.inbound import encode_header_value
from multidict import CIMultiDict

from tests.support.renaming_shim import Renaming

Json = dict[str, Any]
shim = Renaming("notes__")


def sent(method: str, params: Json, headers: Json | None = None) -> tuple[Any, CIMultiDict[str]]:
    """(params, headers) as the server sees them."""
    seen = CIMultiDict(headers or {})
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    return json.loads(shim.request(seen, body))["params"], seen


@pytest.mark.parametrize("method", ["tools/call", "prompts/get"])
def test_a_call_gets_the_prefix_in_body_and_header(method: str) -> None:
    params, headers = sent(method, {"name": "add", "arguments": {"name": "x"}}, {"mcp-name": "add"})
    assert params == {"name": "notes__add", "arguments": {"name": "x"}}
    assert headers["Mcp-Name"] == "notes__add"


def test_an_encoded_header_is_encoded_again() -> None:
    _, headers = sent("tools/call", {"name": "zähle"}, {"Mcp-Name": encode_header_value("zähle")})
    assert headers["Mcp-Name"] == encode_header_value("notes__zähle")


def test_what_the_server_has_to_refuse_is_still_there_to_refuse() -> None:
    two = CIMultiDict([("Mcp-Name", "add"), ("Mcp-Name", "=?base64?!?=")])
    body = b'{"method":"tools/call","params":{"name":7}}'
    assert shim.request(two, body) == body
    assert two.getall("Mcp-Name") == ["notes__add", "=?base64?!?="]


def test_a_completion_gets_the_prefix_for_prompts_alone() -> None:
    prompt, _ = sent("completion/complete", {"ref": {"type": "ref/prompt", "name": "ask"}})
    resource, _ = sent("completion/complete", {"ref": {"type": "ref/resource", "uri": "a:b", "name": "ask"}})
    assert (prompt["ref"]["name"], resource["ref"]["name"]) == ("notes__ask", "ask")


def test_lists_and_errors_lose_the_prefix() -> None:
    listed = shim.message(b'{"id":1,"result":{"tools":[{"name":"notes__add"},{"name":"other"}]}}')
    refused = shim.message(b'{"id":1,"error":{"code":-32602,"message":"Unknown tool: notes__sub"}}')
    assert [tool["name"] for tool in json.loads(listed)["result"]["tools"]] == ["add", "other"]
    assert json.loads(refused)["error"]["message"] == "Unknown tool: sub"


@pytest.mark.parametrize(
    "body", [b'{"id":1, "result": {"content":[]}}', b"[ ]", b"no JSON", b'{"method":"ping"}']
)
def test_everything_else_stays_as_it_was(body: bytes) -> None:
    assert shim.message(body) == body
    assert shim.request(CIMultiDict(), body) == body
