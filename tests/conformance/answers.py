"""Ask for everything the everything server has, in both eras, and say how much came back the same.

The suite is content with an empty list and takes some errors for passes; this is not. Asked by raw clients that
declare no capabilities, and by the SDK's client that has them all and answers what it is asked.
"""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from tests.support import everything_catalog as catalog
from tests.support.answering import CALLBACKS
from tests.support.http_client import Client, Reply, request
from tests.support.recorded import talking
from tests.support.wire import LEGACY_ERA, MODERN_ERA, comes_true, connected

Json = dict[str, Any]
MODES = {LEGACY_ERA: "legacy", MODERN_ERA: "auto"}
"""Era -> how the SDK's client is told of it."""
PATIENCE_S = 20
LISTS = {
    "tools": "tools/list",
    "prompts": "prompts/list",
    "resources": "resources/list",
    "resourceTemplates": "resources/templates/list",
}
# What the gateway sets for itself, or has to (2026-07-28 server/utilities/caching; basic, "_meta").
OWN = ("ttlMs", "cacheScope", "requestState", "io.modelcontextprotocol/serverInfo")
OWN_PREFIX = "dev.only1mcp"
ORIGIN = OWN_PREFIX + "/origin"
SERVER_ID = "everything"
"""Of the everything server, in the configuration of a gateway."""
LEFT_OUT = ("test_trigger_tool_change", "test_trigger_prompt_change", "test_reconnection")
"""They change what there is to compare, or answer on another stream."""
ARGUMENTS = {"test_sampling": {"prompt": "Hi"}, "test_elicitation": {"message": "Hi"}}
PROMPT_ARGUMENTS = {
    "test_prompt_with_arguments": {"arg1": "one", "arg2": "two"},
    "test_prompt_with_embedded_resource": {"resourceUri": "test://static-text"},
}
REQUESTS: dict[str, tuple[str, Json]] = {
    **{f"list {kind}": (method, {}) for kind, method in LISTS.items()},
    **{
        f"call {tool['name']}": (
            "tools/call",
            {"name": tool["name"], "arguments": ARGUMENTS.get(tool["name"], {})},
        )
        for tool in catalog.TOOLS
        if tool["name"] not in LEFT_OUT
    },
    **{
        f"get {prompt['name']}": (
            "prompts/get",
            {"name": prompt["name"], "arguments": PROMPT_ARGUMENTS.get(prompt["name"], {})},
        )
        for prompt in catalog.PROMPTS
    },
    **{
        f"read {uri}": ("resources/read", {"uri": uri})
        for uri in (
            *(resource["uri"] for resource in catalog.RESOURCES),
            "test://template/7/data",
            "test://nothing",
        )
    },
    "complete arg1": (
        "completion/complete",
        {
            "ref": {"type": "ref/prompt", "name": "test_prompt_with_arguments"},
            "argument": {"name": "arg1", "value": "par"},
        },
    ),
    "call of no tool": ("tools/call", {"name": "no_such_tool", "arguments": {}}),
    "get of no prompt": ("prompts/get", {"name": "no_such_prompt"}),
}
MAY_ASK = ("tools/call", "prompts/get")
"""The methods that may ask the client for something."""
Answers = Mapping[str, Json]


async def everything(url: str) -> Mapping[str, Answers]:
    """Who asks -> request -> its answer, without what may differ. Waits until there is something to ask."""
    found: dict[str, Answers] = {}
    for era in MODES:
        async with connected(url, era) as client:
            await comes_true(partial(_has_tools, client), f"{url} lists tools")
            found[f"{era} client"] = {
                name: plain(await _ask(client, *asked)) for name, asked in REQUESTS.items()
            }
    for era, mode in MODES.items():
        found[f"{era} client that answers"] = await _answering(url, mode)
    return found


async def _answering(url: str, mode: str) -> Answers:
    async with talking(url, mode, read_timeout_seconds=PATIENCE_S, **CALLBACKS) as talk:
        return {
            name: plain(await talk.ask(method, params["name"], params.get("arguments")))
            for name, (method, params) in REQUESTS.items()
            if method in MAY_ASK
        }


async def _has_tools(client: Client) -> bool:
    answer = await _ask(client, "tools/list", {})
    return bool(answer.get("result", {}).get("tools"))


async def _ask(client: Client, method: str, params: Json) -> Json:
    reply = await (client.post(request(method, params)) if client.session_id else client.ask(method, params))
    return _response_in(reply)


def _response_in(reply: Reply) -> Json:
    """The JSON body, or what ends the stream; the event that primes a stream for resuming has no data."""
    if not reply.headers.get("Content-Type", "").startswith("text/event-stream"):
        return dict(reply.json)
    frames = [line[6:] for line in reply.body.splitlines() if line.startswith(b"data: ")]
    return dict(json.loads([frame for frame in frames if frame.strip()][-1]))


def plain(answer: Json) -> Json:
    """The outcome alone, without what the gateway sets for itself; of lists this server's part, sorted.

    What an error says is for people, and the gateway may put it in its own words.
    """
    outcome: Json = {key: answer[key] for key in ("result", "error") if key in answer}
    outcome.get("error", {}).pop("message", None)
    for kind in LISTS:
        if kind in (result := outcome.get("result", {})):
            own = (_without_own(item) for item in result[kind] if _is_of_the_server(item))
            result[kind] = sorted(own, key=_canonical)
    return dict(_without_own(outcome))


def _is_of_the_server(item: Json) -> bool:
    origin = item.get("_meta", {}).get(ORIGIN)
    return origin is None or origin["backend"] == SERVER_ID


def _without_own(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_own(item) for item in value]
    if isinstance(value, str):
        # A title that tells the servers of a gateway apart.
        return value.removeprefix(f"[{SERVER_ID}] ")
    if not isinstance(value, dict):
        return value
    kept = {
        key: _without_own(item)
        for key, item in value.items()
        if key not in OWN and not key.startswith(OWN_PREFIX)
    }
    return {key: item for key, item in kept.items() if not (key in ("_meta", "data") and item == {})}


def counts(answers: Answers) -> Mapping[str, int]:
    """List -> how many items; nothing if no list was asked for."""
    listed = [kind for kind in LISTS if f"list {kind}" in answers]
    return {kind: len(answers[f"list {kind}"].get("result", {}).get(kind, ())) for kind in listed}


def equal(answers: Answers, direct: Answers) -> list[str]:
    """The requests whose answers are the same JSON."""
    return [name for name in direct if _canonical(answers[name]) == _canonical(direct[name])]


def _canonical(answer: Any) -> str:
    return json.dumps(answer, sort_keys=True)
