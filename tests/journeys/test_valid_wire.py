"""Every message between a client and the gateway, and between the gateway and its servers, is valid MCP.

Real clients and servers on the official SDK do whatever they can, with a tap on both legs; each message is held
against its method, its direction and its revision. What comes of the calls is for other tests.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp_types import PromptReference, ResourceTemplateReference

from tests.support import everything_catalog as catalog
from tests.support import http_tap, stdio_tap
from tests.support.answering import CALLBACKS, filled
from tests.support.gateway_process import remote, serving, stdio
from tests.support.processes import MODULE_ENV, eventually, free_port, module_command, running
from tests.support.recorded import Talk, talking
from tests.support.wire import comes_true
from tests.support.wire_tape import Seen, all_problems, read

SERVERS = {
    "http": (),
    "http-legacy": ("--legacy-only",),
    "http-modern": ("--modern-only",),
    "stdio": (),
    "stdio-legacy": ("--legacy-only",),
    "stdio-modern": ("--modern-only",),
}
LEGACY = "2025-11-25"
TOOLS_CHANGED = "notifications/tools/list_changed"
MODULE = "tests.support.everything_server"
PROMPT_ARGUMENTS = {"arg1": "one", "arg2": "two", "resourceUri": "test://static-text"}
URIS = (*(str(resource["uri"]) for resource in catalog.RESOURCES), "test://template/7/data", "test://nothing")


@dataclass(frozen=True)
class House:
    """A gateway with every kind of the everything server; tapped before it and behind it."""

    url: str
    front: Path
    behind: dict[str, Path]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    behind = {name: folder / f"{name}.jsonl" for name in SERVERS}
    with ExitStack() as doors:
        servers = [_server(doors, name, flags, behind[name]) for name, flags in SERVERS.items()]
        gateway = doors.enter_context(serving(folder, servers, routing={"name_budget": 128}))
        healthy = {(name, "healthy") for name in SERVERS}
        eventually(
            lambda: healthy <= {(line["source"], line["message"]) for line in gateway.lines},
            f"all servers are healthy; the gateway said: {gateway.log}",
        )
        front = folder / "front.jsonl"
        yield House(doors.enter_context(http_tap.tapped(gateway.url, front)), front, behind)


def _server(doors: ExitStack, name: str, flags: tuple[str, ...], tape: Path) -> dict[str, object]:
    if name.startswith("stdio"):
        command = stdio_tap.tapped(module_command(MODULE, "--stdio", *flags), tape)
        return stdio(name, command, env=MODULE_ENV)
    port = free_port()
    command = module_command(MODULE, "--port", str(port), *flags)
    doors.enter_context(running(command, port, tape.with_suffix(".server.log"), MODULE_ENV))
    return remote(name, doors.enter_context(http_tap.tapped(f"http://127.0.0.1:{port}/mcp", tape)))


@pytest.mark.filterwarnings(f"ignore::{MCPDeprecationWarning.__module__}.{MCPDeprecationWarning.__name__}")
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_every_message_on_both_legs_is_valid(house: House, mode: str, server: str) -> None:
    before = {tape: len(_seen(tape)) for tape in (house.front, house.behind[server])}
    async with talking(house.url, mode, log_level="debug", logging_callback=_heard, **CALLBACKS) as talk:
        await _do_everything(talk, server)
    talks = [_seen(tape)[count:] for tape, count in before.items()]
    assert [problem for seen in talks for problem in all_problems(seen)] == []
    for seen in talks:
        kinds = Counter(each.kind for each in seen)
        assert kinds["tools/call"] >= len(catalog.TOOLS)
        assert kinds["notifications/progress"] and kinds["notifications/message"]
        assert kinds[TOOLS_CHANGED]
        assert any("elicitation/create" in each.text for each in seen)


@pytest.mark.parametrize("server", SERVERS)
def test_every_message_of_the_start_is_valid(house: House, server: str) -> None:
    seen = _seen(house.behind[server])
    assert list(all_problems(seen)) == []
    assert {"answer to tools/list", "answer to prompts/list"} <= {each.kind for each in seen}


async def _do_everything(talk: Talk, server: str) -> None:
    async with AsyncExitStack() as listening:
        if talk.client.protocol_version == LEGACY:
            await talk.client.send_ping()
            await talk.client.set_logging_level("info")
        else:
            await listening.enter_async_context(talk.client.listen(tools_list_changed=True))
        await _call_and_get(talk, server)
        await _read_and_complete(talk, server)
        await comes_true(lambda: TOOLS_CHANGED in _heard_by(talk), "the client is told of the changed tools")


async def _call_and_get(talk: Talk, server: str) -> None:
    tools = {tool["name"]: tool for tool in await talk.pages("tools/list", "tools")}
    prompts = {prompt["name"]: prompt for prompt in await talk.pages("prompts/list", "prompts")}
    for tool in catalog.TOOLS:
        name = f"{server}__{tool['name']}"
        await talk.ask("tools/call", name, filled(tools[name]["inputSchema"]), progress_callback=_progressed)
    for prompt in catalog.PROMPTS:
        name = f"{server}__{prompt['name']}"
        wanted = [argument["name"] for argument in prompts[name].get("arguments", ())]
        await talk.ask("prompts/get", name, {each: PROMPT_ARGUMENTS[each] for each in wanted})


async def _read_and_complete(talk: Talk, server: str) -> None:
    # Servers that have the same address are told apart by their id; the first one keeps its own.
    alias = "" if server == next(iter(SERVERS)) else f"{server}+"
    await talk.pages("resources/list", "resources")
    await talk.pages("resources/templates/list", "resourceTemplates")
    for uri in URIS:
        await talk.ask("resources/read", alias + uri)
    prompt = PromptReference(name=f"{server}__test_prompt_with_arguments")
    await talk.ask("completion/complete", prompt, {"name": "arg1", "value": "par"})
    template = ResourceTemplateReference(uri=alias + catalog.TEMPLATES[0]["uriTemplate"])
    await talk.ask("completion/complete", template, {"name": "id", "value": "1"})
    await talk.ask("tools/call", f"{server}__no_such_tool", {})
    if talk.client.protocol_version == LEGACY:
        await talk.client.subscribe_resource(alias + URIS[0])
        await talk.client.unsubscribe_resource(alias + URIS[0])


def _seen(tape: Path) -> list[Seen]:
    return read(tape) if tape.exists() else []


def _heard_by(talk: Talk) -> set[str]:
    return {str(message["method"]) for message in talk.recorder.heard}


async def _heard(params: object) -> None:
    """Log messages come to those who listen."""


async def _progressed(progress: float, total: float | None, message: str | None) -> None:
    """Progress comes to those who listen."""
