"""The official SDK's client with a person and a model behind it: it answers whatever a server asks it for.

What it was asked is kept, so that a test can compare what reaches a client with and without the gateway.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import mcp_types as types
from mcp import Client

from tests.support.recorded import Json, Recorder, transport_to

MODEL = "test-model"
ROOT_URI = "file:///home/ada/project"
_BY_TYPE: dict[str, Any] = {"integer": 7, "number": 1.5, "boolean": True}


@dataclass
class AskedClient:
    """One connected client, and everything that happened to it."""

    client: Client
    recorder: Recorder
    asked: list[tuple[str, Json]] = field(default_factory=list)
    """(method, params) of every question, in order."""
    progress: list[float] = field(default_factory=list)
    logs: list[Any] = field(default_factory=list)
    says: str = "said"
    """What the person types wherever a text is wanted."""

    async def elicit(self, context: Any, params: Any) -> types.ElicitResult:
        plain = dumped(params)
        self.asked.append(("elicitation/create", plain))
        properties = plain.get("requestedSchema", {}).get("properties", {})
        content = {name: _filled(schema, self.says) for name, schema in properties.items()}
        return types.ElicitResult(action="accept", content=content)

    async def sample(self, context: Any, params: Any) -> types.CreateMessageResult:
        self.asked.append(("sampling/createMessage", dumped(params)))
        text = types.TextContent(type="text", text="Paris")
        return types.CreateMessageResult(role="assistant", content=text, model=MODEL, stop_reason="endTurn")

    async def roots(self, context: Any) -> types.ListRootsResult:
        self.asked.append(("roots/list", {}))
        return types.ListRootsResult(roots=[types.Root(uri=ROOT_URI, name="project")])

    async def report(self, progress: float, total: float | None, message: str | None) -> None:
        self.progress.append(progress)

    async def log(self, params: Any) -> None:
        self.logs.append(params.data)


@asynccontextmanager
async def asked_client(where: str | tuple[str, ...], mode: str, **options: Any) -> AsyncIterator[AskedClient]:
    """Connected to a URL or a command, declaring everything that it can be asked for."""
    recorder = Recorder(transport_to(where))
    holder: list[AskedClient] = []
    client = Client(
        recorder,  # type: ignore[arg-type]  # the SDK takes any context manager of two streams
        mode=mode,  # type: ignore[arg-type]  # its type lists no plain str
        elicitation_callback=lambda context, params: holder[0].elicit(context, params),
        sampling_callback=lambda context, params: holder[0].sample(context, params),
        list_roots_callback=lambda context: holder[0].roots(context),
        logging_callback=lambda params: holder[0].log(params),
        **options,
    )
    holder.append(AskedClient(client, recorder))
    async with client:
        yield holder[0]


def dumped(model: Any) -> Json:
    plain: Json = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {key: value for key, value in plain.items() if key != "_meta"}


def _filled(schema: Json, text: str) -> Any:
    if "default" in schema:
        return schema["default"]
    if options := schema.get("enum"):
        return options[0]
    if titled := schema.get("oneOf"):
        return titled[0]["const"]
    if schema.get("type") == "array":
        items = schema["items"]
        return [items["enum"][0] if "enum" in items else items["anyOf"][0]["const"]]
    return text if schema["type"] == "string" else _BY_TYPE[schema["type"]]
