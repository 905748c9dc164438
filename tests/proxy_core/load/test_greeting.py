"""What is asked before a load, of servers of both eras and of what is no server."""

import pytest

from proxy_core.errors import GatewayUnreachable, TokenRefused
from proxy_core.load.greeting import AUTO, NoSuchTool, Unfit, greeted
from proxy_core.load.target import target_of
from tests.support.backend_server import (
    DISCOVERED,
    INITIALIZED,
    accepts,
    answers,
    closed_port,
    refuses,
    rpc_error,
    serving,
)

LEGACY_TABLE = {
    "server/discover": refuses(400),
    "initialize": answers(INITIALIZED, Mcp_Session_Id="abc"),
    "notifications/initialized": accepts,
    "DELETE": accepts,
}
TOOLS = [
    {"name": "look", "annotations": {"readOnlyHint": True}, "inputSchema": {"type": "object"}},
    {
        "name": "change",
        "inputSchema": {
            "type": "object",
            "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
        },
    },
]


async def test_a_modern_server_is_known_by_its_discovery():
    async with serving({"server/discover": answers(DISCOVERED)}) as server:
        async with greeted(await target_of(server.url), AUTO, None) as known:
            assert (known.revision, known.is_modern) == ("2026-07-28", True)
    assert server.keys == ["server/discover"]


@pytest.mark.parametrize("era", [AUTO, "legacy"])
async def test_a_legacy_server_is_shaken_hands_with_and_left(era: str):
    async with serving(dict(LEGACY_TABLE)) as server:
        async with greeted(await target_of(server.url), era, None) as known:
            assert (known.revision, known.is_modern) == ("2025-06-18", False)
            assert known.dialect.session == "abc"
    expected = ["initialize", "notifications/initialized", "DELETE"]
    assert server.keys == (["server/discover"] if era == AUTO else []) + expected
    assert server.of("DELETE")[0].headers["Mcp-Session-Id"] == "abc"


async def test_a_session_is_left_also_by_whoever_changes_his_mind():
    async with serving(dict(LEGACY_TABLE)) as server:
        with pytest.raises(KeyError):
            async with greeted(await target_of(server.url), "legacy", None):
                raise KeyError
    assert server.keys[-1] == "DELETE"


async def test_a_server_that_knows_no_modern_revision_is_spoken_to_in_a_legacy_one():
    old = answers(DISCOVERED | {"supportedVersions": ["2025-11-25"]})
    async with serving({**LEGACY_TABLE, "server/discover": old}) as server:
        async with greeted(await target_of(server.url), AUTO, None) as known:
            assert not known.is_modern


async def test_a_token_is_sent_and_a_refusal_says_what_to_do():
    async with serving({"server/discover": refuses(401)}) as server:
        with pytest.raises(TokenRefused, match=r"does not know the token.*--token-env"):
            async with greeted(await target_of(server.url), AUTO, "hunter2"):
                pass
        assert server.seen[0].headers["Authorization"] == "Bearer hunter2"
        with pytest.raises(TokenRefused, match="wants a token"):
            async with greeted(await target_of(server.url), AUTO, None):
                pass


@pytest.mark.parametrize("era", [AUTO, "legacy", "modern"])
async def test_what_does_not_speak_mcp_is_said(era: str):
    async with serving({}) as server:
        with pytest.raises(Unfit, match="as an MCP server does: HTTP 405"):
            async with greeted(await target_of(server.url), era, None):
                pass


@pytest.mark.parametrize(
    "answer",
    [answers({"protocolVersion": 7}), answers({"protocolVersion": "a b"}), answers({}), rpc_error(-32603)],
)
async def test_a_handshake_without_a_revision_is_none(answer: object):
    async with serving({**LEGACY_TABLE, "initialize": answer}) as server:  # type: ignore[dict-item]
        with pytest.raises(Unfit, match="initialize"):
            async with greeted(await target_of(server.url), "legacy", None):
                pass


async def test_a_port_that_nobody_listens_on_is_said():
    target = await target_of(f"http://127.0.0.1:{await closed_port()}/mcp")
    with pytest.raises(GatewayUnreachable, match="Nothing answers at http"):
        async with greeted(target, AUTO, None):
            pass


async def test_tools_are_looked_for_on_every_page():
    pages = [answers({"tools": TOOLS[:1], "nextCursor": "2"}), answers({"tools": TOOLS[1:]})]
    async with serving({"server/discover": answers(DISCOVERED), "tools/list": list(pages)}) as server:
        async with greeted(await target_of(server.url), AUTO, None) as known:
            tool = await known.tool("change")
    assert not tool.only_reads
    assert tool.header_lines({"region": "eu"}) == [("Mcp-Param-Region", "eu")]
    assert server.of("tools/list")[1].message["params"]["cursor"] == "2"


async def test_a_tool_that_only_reads_says_so_and_one_that_is_not_there_is_named():
    table = {"server/discover": answers(DISCOVERED), "tools/list": answers({"tools": TOOLS})}
    async with serving(dict(table)) as server:
        async with greeted(await target_of(server.url), AUTO, None) as known:
            assert (await known.tool("look")).only_reads
            with pytest.raises(NoSuchTool, match=r"no tool 'lok'; did you mean look\?"):
                await known.tool("lok")
            with pytest.raises(NoSuchTool, match="it has 2"):
                await known.tool("zzzzzz")
