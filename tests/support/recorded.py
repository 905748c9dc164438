"""The official SDK's client, with every answer kept as it came: its models drop what they do not know."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Self

from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

Json = dict[str, Any]


def transport_to(where: str | tuple[str, ...]) -> AbstractAsyncContextManager[Any]:
    """To a command, or to a URL of one of the two HTTP transports."""
    if isinstance(where, tuple):
        return stdio_client(StdioServerParameters(command=where[0], args=list(where[1:])))
    return sse_client(where) if where.endswith("/sse") else streamable_http_client(where)


class Recorder:
    """A transport that hands everything on and remembers what was answered to which method."""

    def __init__(self, inner: AbstractAsyncContextManager[Any]) -> None:
        self._inner = inner
        self._methods: dict[Any, str] = {}
        self.answers: list[tuple[str, Json]] = []
        """(method, result or error), oldest first."""
        self.heard: list[Json] = []
        """Notifications, oldest first."""

    async def __aenter__(self) -> tuple[Any, Any]:
        read, write = await self._inner.__aenter__()
        return _Tap(read, self.received), _Tap(write, self.sent)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._inner.__aexit__(kind, error, trace)

    def sent(self, item: Any) -> None:
        if hasattr(item.message, "id") and hasattr(item.message, "method"):
            self._methods[item.message.id] = item.message.method

    def received(self, item: Any) -> None:
        if isinstance(item, Exception):
            return
        message = item.message.model_dump(mode="json", by_alias=True, exclude_unset=True)
        if "method" in message:
            self.heard.append(message)
        elif message.get("id") in self._methods:
            outcome = {key: message[key] for key in ("result", "error") if key in message}
            self.answers.append((self._methods[message["id"]], outcome))

    def newest(self, method: str) -> Json:
        return next(outcome for asked, outcome in reversed(self.answers) if asked == method)


class _Tap:
    """A stream of the SDK that shows what passes."""

    def __init__(self, inner: Any, seen: Any) -> None:
        self._inner = inner
        self._seen = seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def send(self, item: Any) -> None:
        self._seen(item)
        await self._inner.send(item)

    async def receive(self) -> Any:
        item = await self._inner.receive()
        self._seen(item)
        return item

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        item = await self._inner.__anext__()
        self._seen(item)
        return item

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *exit: Any) -> bool | None:
        return await self._inner.__aexit__(*exit)


class Talk:
    """One client of one server: asks by the SDK's own verbs, gives what the wire said."""

    def __init__(self, client: Client, recorder: Recorder) -> None:
        self.client = client
        self.recorder = recorder

    async def ask(self, method: str, *arguments: Any, **options: Any) -> Json:
        """`{"result": ...}` or `{"error": ...}`."""
        verb = getattr(self.client, _VERBS[method])
        try:
            await verb(*arguments, **options)
        except MCPError:
            pass
        return self.recorder.newest(method)

    async def pages(self, method: str, member: str) -> list[Json]:
        """The items of all pages."""
        items: list[Json] = []
        cursor: str | None = None
        while True:
            answer = await self.ask(method, cursor=cursor)
            if "error" in answer:
                assert answer["error"]["code"] == -32601, answer
                return items
            items += answer["result"][member]
            cursor = answer["result"].get("nextCursor")
            if cursor is None:
                return items


@asynccontextmanager
async def talking(where: str | tuple[str, ...], mode: str, **options: Any) -> AsyncIterator[Talk]:
    """A client connected in `mode`: legacy, auto or a modern revision."""
    recorder = Recorder(transport_to(where))
    async with Client(recorder, mode=mode, cache=None, **options) as client:
        yield Talk(client, recorder)


_VERBS = {
    "tools/list": "list_tools",
    "tools/call": "call_tool",
    "resources/list": "list_resources",
    "resources/templates/list": "list_resource_templates",
    "resources/read": "read_resource",
    "prompts/list": "list_prompts",
    "prompts/get": "get_prompt",
    "completion/complete": "complete",
}
