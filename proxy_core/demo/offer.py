"""What a demo offers, and the request that it is asked to serve.

Knows tools, resources and prompts; not the pipes, and of the wire only what a notification looks like.
Spec: server/tools, server/resources, server/prompts; server/utilities/completion.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from msgspec import Raw

from proxy_core.errors import Only1Error
from proxy_core.protocol import jsonrpc

Json: TypeAlias = dict[str, Any]


class ToolFailure(Only1Error):
    """The tool could not do what was asked; the model reads the message and may try otherwise."""


@dataclass(frozen=True, slots=True)
class Tool:
    definition: Json
    """As it is listed."""
    run: Callable[["Call"], Awaitable[Json | str]]
    """Gives structured content, or text. Raises: ToolFailure, or any Only1Error for a protocol error."""


@dataclass(frozen=True, slots=True)
class Prompt:
    definition: Json
    write: Callable[[Json], str]
    """Arguments to the text of the one message. Raises: InvalidParams."""


class Demo:
    """What a demo offers; each overrides what it has."""

    name = "demo"
    instructions = ""
    changing: frozenset[str] = frozenset()
    """Kinds of lists that change while the server runs."""

    def __init__(self) -> None:
        self.tools: dict[str, Tool] = {}
        self.prompts: dict[str, Prompt] = {}
        self.templates: list[Json] = []
        self.changed: Callable[[str], None] = lambda kind: None
        """Tell clients that the list of this kind is another now; set by the server."""

    def resources(self) -> list[Json]:
        return []

    def read(self, uri: str) -> Json | None:
        """The one content of the resource; None if there is none."""
        return None

    def complete(self, argument: str, value: str) -> list[str]:
        """What the argument of that name may become, best first."""
        return []


@dataclass(eq=False, slots=True)
class Call:
    """One request being served: its arguments, and the way back to who asked."""

    raw_id: bytes
    method: str
    params: Json
    send_line: Callable[[bytes], None]
    """Puts a line on the pipe as it is."""
    wants_log: Callable[[str], bool]
    progress_token: Raw
    """JSON, or empty."""

    @property
    def arguments(self) -> Json:
        arguments = self.params.get("arguments")
        return arguments if isinstance(arguments, dict) else {}

    def text(self, name: str, default: str | None = None) -> str:
        """A string argument. Raises: ToolFailure."""
        value = self.arguments.get(name, default)
        if not isinstance(value, str):
            raise ToolFailure(f"{name} must be a string.")
        return value

    def number(self, name: str, least: float, most: float) -> float:
        """A number argument. Raises: ToolFailure."""
        value = self.arguments.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
            raise ToolFailure(f"{name} must be a number from {least:g} to {most:g}.")
        return value

    def integer(self, name: str, least: int, most: int) -> int:
        """An integer argument. Raises: ToolFailure."""
        value = self.number(name, least, most)
        if value != int(value):
            raise ToolFailure(f"{name} must be a whole number.")
        return int(value)

    def progress(self, done: float, total: float, message: str) -> None:
        """Tell how far the work is, if the caller asked to be told."""
        if jsonrpc.is_empty(self.progress_token):
            return
        params = {"progressToken": self.progress_token, "progress": done, "total": total, "message": message}
        self.notify("notifications/progress", params)

    def log(self, level: str, data: str) -> None:
        """A log notification, if the caller wants this level."""
        if self.wants_log(level):
            self.notify("notifications/message", {"level": level, "logger": "demo", "data": data})

    def notify(self, method: str, params: Json) -> None:
        self.send_line(jsonrpc.notification(method, jsonrpc.encode(params)))
