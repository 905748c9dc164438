"""The part of a catalog that one profile shows. Pure: a merged catalog and rules in, a smaller one out.

Filtered after the merge, never before: an item has the same name in every profile, or is not in it at all.
"""

from collections.abc import Container, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Protocol

from msgspec.structs import replace

from proxy_core.catalog.merge import Catalog, Entry, ToolRules


class ProfileRules(Protocol):
    """What a profile shows."""

    @property
    def servers(self) -> Sequence[str]:
        """Globs of server ids."""
        ...

    @property
    def tools(self) -> ToolRules:
        """Globs of tool names as clients see them."""
        ...


def shows_server(rules: ProfileRules, server: str) -> bool:
    return any(fnmatchcase(server, glob) for glob in rules.servers)


def shows_tool(rules: ToolRules, exposed: str) -> bool:
    """Whether a tool of a server that is shown is shown itself."""
    if any(fnmatchcase(exposed, glob) for glob in rules.deny):
        return False
    return any(fnmatchcase(exposed, glob) for glob in rules.allow)


def part_of(catalog: Catalog, rules: ProfileRules) -> Catalog:
    """What `rules` leave of the catalog, in its order. What is hidden from everyone is nothing of it."""
    servers = tuple(server for server in catalog.servers if shows_server(rules, server))
    shown = frozenset(servers)
    return replace(
        catalog,
        servers=servers,
        tools=tuple(each for each in _of(catalog.tools, shown) if shows_tool(rules.tools, each.exposed)),
        resources=tuple(_of(catalog.resources, shown)),
        templates=tuple(_of(catalog.templates, shown)),
        prompts=tuple(_of(catalog.prompts, shown)),
        links=tuple(link for link in catalog.links if link.server in shown),
        hidden=(),
    )


def _of(entries: Iterable[Entry], servers: Container[str]) -> Iterable[Entry]:
    return (each for each in entries if each.server in servers)
