"""Who has a URI: what results pointed to can be read, by whoever they were sent to, from whoever sent it."""

from typing import Any

import pytest

from proxy_core.errors import UnknownResource
from tests.support.scripted_channel import result
from tests.support.stub_backends import House, StubServer, client, prompt, resource, template, tool

LINK = {"type": "resource_link", "name": "report", "uri": "file:///report"}
EMBEDDED = {"type": "resource", "resource": {"uri": "file:///part", "text": "p"}}


def linking(*blocks: Any, revision: str = "2025-06-18", **more: Any) -> StubServer:
    """Its tool and its prompt answer with these; reading says who was asked for what."""
    server = StubServer(revision, tools=[tool("run")], prompts=[prompt("show")], **more)
    server.on("tools/call", result({"content": list(blocks)}))
    server.on("prompts/get", result({"messages": [{"role": "user", "content": each} for each in blocks]}))
    server.on(
        "resources/read", lambda asked: asked.answer({"contents": [{"uri": asked.params["uri"], "text": ""}]})
    )
    return server


def asked_for(server: StubServer) -> list[str]:
    return [each.params["uri"] for each in server.asked if each.message["method"] == "resources/read"]


async def read(house: House, uri: str, **caller: Any) -> Any:
    return (await house.ask("resources/read", {"uri": uri}, client(**caller)))["contents"][0]["uri"]


@pytest.mark.requirement("N09")
@pytest.mark.parametrize("block", [LINK, EMBEDDED])
async def test_what_a_tool_points_to_is_readable_by_that_principal_only(block: Any):
    uri = block.get("uri") or block["resource"]["uri"]
    async with House({"box": linking(block)}).open() as house:
        assert isinstance(await house.refused("resources/read", {"uri": uri}), UnknownResource)
        await house.call("box__run", client(principal="ann"))
        assert await read(house, uri, principal="ann") == uri
        with pytest.raises(UnknownResource):
            await read(house, uri, principal="bob")
        assert asked_for(house.servers["box"]) == [uri]


@pytest.mark.requirement("N09")
async def test_what_a_prompt_points_to_is_readable_too():
    async with House({"box": linking(LINK)}).open() as house:
        await house.ask("prompts/get", {"name": "box__show"})
        assert await read(house, LINK["uri"]) == LINK["uri"]


async def test_a_link_is_forgotten_after_an_hour():
    async with House({"box": linking(LINK)}).open() as house:
        await house.call("box__run")
        house.clock.advance(3601)  # type: ignore[attr-defined]
        assert isinstance(await house.refused("resources/read", {"uri": LINK["uri"]}), UnknownResource)


async def test_a_link_goes_before_a_template():
    one = linking(templates=[template("file:///{name}")])
    async with House({"one": one, "two": linking(LINK)}).open() as house:
        assert await read(house, LINK["uri"], principal="bob") == LINK["uri"]
        await house.call("two__run", client(principal="ann"))
        await read(house, LINK["uri"], principal="ann")
        assert (len(asked_for(one)), len(asked_for(house.servers["two"]))) == (1, 1)


@pytest.mark.parametrize("revision", ["2025-06-18", "2026-07-28"])
async def test_a_link_to_what_another_server_lists_is_given_as_an_alias(revision: str):
    one = linking(resources=[resource(LINK["uri"])])
    two = linking(LINK, {"type": "text", "text": LINK["uri"]}, revision=revision)
    async with House({"one": one, "two": two}).open() as house:
        link, text = (await house.call("two__run"))["content"]
        assert link["uri"] == "two+file:///report"
        assert text["text"] == LINK["uri"]
        assert await read(house, link["uri"]) == "two+file:///report"
        assert asked_for(two) == [LINK["uri"]]


async def test_a_client_too_old_for_links_gets_the_readable_name_in_words():
    one = linking(resources=[resource(LINK["uri"])])
    async with House({"one": one, "two": linking(LINK)}).open() as house:
        content = (await house.call("two__run", client("2025-03-26")))["content"]
        assert content == [{"type": "text", "text": "report: two+file:///report"}]


async def test_a_link_that_reads_like_another_servers_alias_leads_to_its_own_server():
    forged = LINK | {"uri": "one+file:///secret"}
    async with House({"one": linking(), "two": linking(forged)}).open() as house:
        uri = (await house.call("two__run"))["content"][0]["uri"]
        assert uri == "two+one+file:///secret"
        await read(house, uri)
        assert asked_for(house.servers["one"]) == []
        assert asked_for(house.servers["two"]) == ["one+file:///secret"]


async def test_a_link_of_absurd_length_is_left_alone():
    long = LINK | {"uri": "file:///" + "x" * 9000}
    async with House({"box": linking(long)}).open() as house:
        assert (await house.call("box__run"))["content"] == [long]


# --- pages of MCP Apps ---------------------------------------------------------------------------------------

PAGE = "ui://clock/face"
MIME = "text/html;profile=mcp-app"


def with_page(revision: str = "2026-07-28") -> StubServer:
    server = linking(revision=revision, resources=[resource(PAGE, mimeType=MIME)])
    server.items["tools/list"] = [tool("show", _meta={"ui": {"resourceUri": PAGE, "visibility": ["app"]}})]
    contents = {"uri": PAGE, "mimeType": MIME, "text": "<html>"}
    server.on("resources/read", lambda asked: asked.answer({"contents": [contents]}))
    return server


@pytest.mark.requirement("N12")
@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
async def test_the_page_of_a_tool_is_read_under_the_name_that_its_tool_gives(revision: str):
    async with House({"one": with_page(), "two": with_page("2025-11-25")}).open() as house:
        tools = (await house.ask("tools/list", {}, client(revision)))["tools"]
        uris = [each["_meta"]["ui"]["resourceUri"] for each in tools]
        assert uris == [PAGE, "ui://two.clock/face"]
        assert all(each["_meta"]["ui"]["visibility"] == ["app"] for each in tools)
        listed = (await house.ask("resources/list", {}, client(revision)))["resources"]
        assert [(each["uri"], each["mimeType"]) for each in listed] == [(uri, MIME) for uri in uris]
        for uri in uris:
            contents = (await house.ask("resources/read", {"uri": uri}, client(revision)))["contents"]
            assert contents == [{"uri": uri, "mimeType": MIME, "text": "<html>"}]
        assert [len(asked_for(server)) for server in house.servers.values()] == [1, 1]
