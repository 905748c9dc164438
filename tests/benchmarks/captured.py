"""Lists of real servers as `capture_lists` wrote them, and smaller sets of those servers."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy_core.context.index_build import Source


@dataclass(frozen=True, slots=True)
class Server:
    """One server of a catalogue."""

    id: str
    tools: list[dict[str, Any]]

    def name_of(self, tool: str) -> str:
        """As the tasks name a tool: the exposed name, before it is cut to what clients allow."""
        return f"{self.id}__{tool}"

    def sources(self) -> Iterable[Source]:
        for tool in self.tools:
            name = self.name_of(tool["name"])
            yield Source(name, self.id, name, tool)


def read_catalog(folder: Path) -> list[Server]:
    """The servers of a folder, in the order of their names."""
    read = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json")))
    return [Server(each["server"], each["tools"]) for each in read]


def count_tools(servers: Iterable[Server]) -> int:
    return sum(len(server.tools) for server in servers)


def some_of(servers: Sequence[Server], at_most: int, start: int = 0) -> list[Server]:
    """A set of at most so many tools: the servers in turn from the one at `start`, each that still fits."""
    chosen: list[Server] = []
    for server in (*servers[start:], *servers[:start]):
        if count_tools(chosen) + len(server.tools) <= at_most:
            chosen.append(server)
    return chosen
