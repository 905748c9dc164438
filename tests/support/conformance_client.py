"""The client that the conformance suite's client scenarios run: directly, or with the gateway in between.

    python -m tests.support.conformance_client [--through FOLDER] URL

It lists all there is, calls every tool, reads every resource and gets every prompt. With FOLDER a gateway that
keeps its files there is started first, and the suite's server at URL is the only one behind it: what the suite
then judges is how the gateway speaks to its servers.
"""

import argparse
import asyncio
import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mcp.shared.exceptions import MCPDeprecationWarning

from tests.support.answering import CALLBACKS, filled
from tests.support.gateway_process import remote, serving
from tests.support.http_client import ENVELOPE, META, MODERN, Client
from tests.support.processes import eventually
from tests.support.recorded import Talk, talking
from tests.support.wire import LEGACY_ERA, connected, last_of

Json = dict[str, Any]
BACKEND = "suite"
SCHEMA_TOOL, ECHO_TOOL = "json_schema_2020_12_tool", "json_schema_echo"
"""Of the second the argument is the first one's schema, as it was listed."""
RAW_SCENARIO = "sep-2322-client-request-state"
"""Its server leaves out `resultType`, as it may; the SDK's client does not get over it."""
ASKING: Json = {META + "clientCapabilities": {"elicitation": {}}}
PATIENCE_S = 20
"""Less than the suite's, which would leave the gateway behind."""
CONFIRMED = {"action": "accept", "content": {"confirmed": True}}


def main() -> None:
    parser = argparse.ArgumentParser(description="Do everything that a server offers.")
    parser.add_argument("--through", type=Path, metavar="FOLDER")
    parser.add_argument("url")
    given = parser.parse_args()
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    if given.through is None:
        asyncio.run(visit(given.url, is_gateway=False))
    else:
        with gateway_before(given.url, given.through) as url:
            asyncio.run(visit(url, is_gateway=True))


@contextmanager
def gateway_before(url: str, folder: Path) -> Iterator[str]:
    """A gateway that has come to terms with the server."""
    folder.mkdir(parents=True)
    with serving(folder, [remote(BACKEND, url)], routing={"prefix": "none"}) as gateway:
        said = (BACKEND, "healthy")
        eventually(lambda: said in {(line["source"], line["message"]) for line in gateway.lines}, gateway.log)
        yield gateway.url


async def visit(url: str, is_gateway: bool) -> None:
    scenario = os.environ["MCP_CONFORMANCE_SCENARIO"]
    is_modern = os.environ["MCP_CONFORMANCE_PROTOCOL_VERSION"] == MODERN
    if scenario == RAW_SCENARIO:
        async with connected(url) as client:
            await confirm_all(client)
        return
    mode = "auto" if is_modern else LEGACY_ERA
    async with talking(url, mode, read_timeout_seconds=PATIENCE_S, **CALLBACKS) as talk:
        await do_everything(talk, is_gateway)


async def do_everything(talk: Talk, is_gateway: bool) -> None:
    offered = talk.client.server_capabilities
    for name, arguments in await calls(talk, is_gateway):
        await talk.ask("tools/call", name, arguments)
    if offered.resources is not None:
        for resource in await talk.pages("resources/list", "resources"):
            await talk.ask("resources/read", resource["uri"])
    if offered.prompts is not None:
        for prompt in await talk.pages("prompts/list", "prompts"):
            await talk.ask("prompts/get", prompt["name"])


async def calls(talk: Talk, is_gateway: bool) -> list[tuple[str, Json]]:
    """The tools to call, with their arguments: those the suite has in mind, else one of every tool."""
    listed = {tool.name for tool in (await talk.client.list_tools()).tools}
    raw = talk.recorder.newest("tools/list")["result"]["tools"]
    wanted = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}")).get("toolCalls")
    if wanted is not None:
        return [(call["name"], call["arguments"]) for call in wanted]
    # The SDK hides the tools that it may not call. Of a gateway all are called: to hide them is its duty.
    tools = {tool["name"]: tool["inputSchema"] for tool in raw if is_gateway or tool["name"] in listed}
    return [
        (name, {"schema": tools[SCHEMA_TOOL]} if name == ECHO_TOOL else filled(schema))
        for name, schema in tools.items()
    ]


async def confirm_all(client: Client) -> None:
    """Begin every call before any of them is confirmed, so that their states could be mixed up."""
    tools = (await _ask(client, "tools/list", {}, 1))["result"]["tools"]
    begun = {tool["name"]: await _ask(client, "tools/call", {"name": tool["name"]}, 1) for tool in tools}
    for name, answer in begun.items():
        result = answer["result"]
        if result.get("resultType") == "input_required":
            responses = dict.fromkeys(result["inputRequests"], CONFIRMED)
            state = {"requestState": result["requestState"]} if "requestState" in result else {}
            await _ask(client, "tools/call", {"name": name, "inputResponses": responses} | state, 2)


async def _ask(client: Client, method: str, params: Json, id: int) -> Json:
    return last_of(await client.ask(method, params, id=id, meta=ENVELOPE | ASKING))


if __name__ == "__main__":
    main()
