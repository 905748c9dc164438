"""Ask one server for everything it has, and say what it answered in a form that can be compared.

The same survey is made of a server alone and of the same server behind the gateway. Left out of the comparison
is only what the protocol has the gateway set for itself, and `execution`, which it removes from every tool.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mcp_types import PromptReference, ResourceTemplateReference

from tests.support.recorded import Json, Talk

OWN = "dev.only1mcp/"
SERVER_INFO = "io.modelcontextprotocol/serverInfo"
_STAMPS = ("resultType", "ttlMs", "cacheScope")
_LISTS = {
    "tools": ("tools/list", "tools", "name"),
    "prompts": ("prompts/list", "prompts", "name"),
    "resources": ("resources/list", "resources", "uri"),
    "templates": ("resources/templates/list", "resourceTemplates", "uriTemplate"),
}
Arguments = Json | Callable[[Json], Json]
"""Of a tool; or what makes them from the outcomes so far."""


@dataclass(frozen=True)
class Plan:
    """What to ask of one kind of server. A tool or prompt that it lists and the plan lacks fails the survey."""

    calls: dict[str, Arguments]
    prompts: dict[str, dict[str, str]] = field(default_factory=dict)
    uris: dict[str, str] = field(default_factory=dict)
    """Template -> one URI of it."""
    completions: tuple[tuple[str, str, str, str], ...] = ()
    """prompt or template, its name, the argument, its value."""
    skipped: frozenset[str] = frozenset()
    """Tools that are for another test."""
    asking: frozenset[str] = frozenset()
    """Tools that are listed only to a client that can be asked something; for another test too."""
    varying: frozenset[str] = frozenset()
    """What answers differently each time: of these the shape is compared."""
    transient: str = "\0"
    """Prefix of URIs that come and go with the calls."""


async def survey(talk: Talk, plan: Plan, server: str | None = None) -> Json:
    """Everything, by the server's own names. `server`: its id, if the gateway is asked."""
    return await _Survey(talk, plan, server).run()


class _Survey:
    def __init__(self, talk: Talk, plan: Plan, server: str | None) -> None:
        self._talk = talk
        self._plan = plan
        self._server = server
        self._exposed: dict[tuple[str, str], str] = {}
        self._found: Json = {}

    async def run(self) -> Json:
        for kind in _LISTS:
            self._found[kind] = await self._list(kind)
        self._must_be("tools", {*self._plan.calls, *self._plan.skipped})
        self._must_be("prompts", set(self._plan.prompts))
        self._must_be("templates", set(self._plan.uris))
        await self._call_tools()
        await self._read_resources()
        await self._get_prompts()
        await self._complete()
        return self._found

    def _must_be(self, kind: str, planned: set[str]) -> None:
        listed = set(self._found[kind])
        assert listed == planned, f"{kind}: listed but not planned {listed - planned}, or {planned - listed}"

    async def _list(self, kind: str) -> Json:
        method, member, key = _LISTS[kind]
        own: Json = {}
        for item in await self._talk.pages(method, member):
            origin = item.get("_meta", {}).get(OWN + "origin", {"backend": None, "name": item[key]})
            if kind == "resources" and origin["name"].startswith(self._plan.transient):
                continue
            if kind == "tools" and origin["name"] in self._plan.asking:
                continue
            if origin["backend"] == self._server:
                self._exposed[kind, origin["name"]] = item[key]
                own[origin["name"]] = self._comparable(item | {key: origin["name"]})
                own[origin["name"]].pop("execution", None)
        return own

    async def _call_tools(self) -> None:
        for name, arguments in self._plan.calls.items():
            given = arguments(self._found) if callable(arguments) else arguments
            await self._note(f"call {name}", "tools/call", self._exposed["tools", name], given)

    async def _read_resources(self) -> None:
        for uri in self._found["resources"]:
            await self._note(f"read {uri}", "resources/read", self._exposed["resources", uri])
        for template, uri in self._plan.uris.items():
            # An alias puts the server's id before the whole address.
            alias = self._exposed["templates", template].removesuffix(template)
            await self._note(f"read {template}", "resources/read", alias + uri)

    async def _get_prompts(self) -> None:
        for name, arguments in self._plan.prompts.items():
            await self._note(f"get {name}", "prompts/get", self._exposed["prompts", name], arguments)

    async def _complete(self) -> None:
        for kind, name, argument, value in self._plan.completions:
            exposed = self._exposed[f"{kind}s", name]
            ref = PromptReference(name=exposed) if kind == "prompt" else ResourceTemplateReference(uri=exposed)
            label = f"complete {name} {argument}"
            await self._note(label, "completion/complete", ref, {"name": argument, "value": value})

    async def _note(self, label: str, method: str, *arguments: Any) -> None:
        outcome = self._comparable(await self._talk.ask(method, *arguments))
        what = label.split(" ")[1]
        self._found[label] = shape(outcome) if what in self._plan.varying else outcome

    def _comparable(self, value: Any) -> Any:
        """Without our stamps; addresses without our alias."""
        if isinstance(value, list):
            return [self._comparable(item) for item in value]
        if not isinstance(value, dict):
            return value
        kept = {key: self._comparable(item) for key, item in value.items() if key not in _STAMPS}
        if isinstance(meta := kept.get("_meta"), dict):
            kept["_meta"] = {key: item for key, item in meta.items() if not key.startswith((OWN, SERVER_INFO))}
            if not kept["_meta"]:
                del kept["_meta"]
        if self._server is not None and isinstance(kept.get("uri"), str):
            kept["uri"] = kept["uri"].removeprefix(f"{self._server}+")
        return kept


def shape(value: Any) -> Any:
    """The types in place of the values; a list's by its first item."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return type(value).__name__
