"""The part of a catalog that one profile shows. Pure: a merged catalog and a policy in, a smaller one out.

Filtered after the merge, never before: an item has the same name in every profile, or is not in it at all.
"""

from typing import Protocol

from proxy_core.catalog.merge import Catalog


class Shows(Protocol):
    """What a profile shows; everything else is not there for its clients."""

    def server(self, server: str) -> bool: ...

    def tool(self, exposed: str) -> bool:
        """Of a server that is shown. Likewise below."""
        ...

    def prompt(self, exposed: str) -> bool: ...

    def resource(self, server: str, uri: str) -> bool:
        """By the server's own URI or template, whatever a client calls it."""
        ...


def part_of(catalog: Catalog, shows: Shows) -> Catalog:
    """What is shown of the catalog, in its order. What is hidden from everyone is nothing of it."""
    servers = tuple(server for server in catalog.servers if shows.server(server))
    shown = frozenset(servers)
    return Catalog(
        servers=servers,
        tools=tuple(each for each in catalog.tools if each.server in shown and shows.tool(each.exposed)),
        prompts=tuple(each for each in catalog.prompts if each.server in shown and shows.prompt(each.exposed)),
        resources=tuple(
            each
            for each in catalog.resources
            if each.server in shown and shows.resource(each.server, each.origin)
        ),
        templates=tuple(
            each
            for each in catalog.templates
            if each.server in shown and shows.resource(each.server, each.origin)
        ),
        links=tuple(
            each for each in catalog.links if each.server in shown and shows.resource(each.server, each.origin)
        ),
    )
