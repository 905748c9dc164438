"""Which server has a URI for whom: what the lists say, and what results have pointed to.

Sole owner of the URIs that results pointed to. Asks no server: a URI that nobody spoke of has no owner.
Spec: 2025-11-25 server/resources; server/tools, "Resource Links".
"""

from functools import partial

from msgspec import Raw

from proxy_core.catalog.aliases import alias_of
from proxy_core.catalog.routes import Route
from proxy_core.catalog.seen import SeenUris
from proxy_core.catalog.uri_template import MAX_URI_CHARS
from proxy_core.clock import Clock
from proxy_core.gateway.exchange import Viewer
from proxy_core.gateway.listing import Listing
from proxy_core.protocol.links import with_links


class ResourceOwners:
    def __init__(self, listing: Listing, clock: Clock) -> None:
        self._listing = listing
        self._clock = clock
        self._seen = SeenUris()

    async def find(self, uri: str, viewer: Viewer) -> Route | None:
        """The owner, waiting for the lists as far as it takes them to tell."""
        route = self.known(uri, viewer)
        if route is None:
            await self._listing.ready("resources/list", viewer)
            route = self.known(uri, viewer)
        return route

    def known(self, uri: str, viewer: Viewer) -> Route | None:
        seen_at = self._seen.server_of(viewer, uri, self._clock.monotonic())
        return self._listing.routes(viewer).resource(uri, seen_at)

    def shows(self, resource: Route, viewer: Viewer) -> bool:
        """Whether the viewer may have this resource."""
        return self._listing.routes(viewer).shows(resource)

    def reaches(self, server: str, viewer: Viewer) -> bool:
        """Whether anything of this server is the viewer's to have."""
        policy = self._listing.view(viewer).policy
        return policy is None or policy.server(server)

    def allows_tool(self, server: str, tool: str, viewer: Viewer) -> bool:
        """Whether what came of a tool, by its server's own name, is the viewer's to have."""
        return self._listing.allows_tool(server, tool, viewer)

    def told(self, server: str, viewer: Viewer, uri: str) -> str:
        """What to call a URI that this server speaks of; the viewer can read it under that name."""
        if len(uri) > MAX_URI_CHARS:
            return uri
        # Also of what the viewer may not read: then it reads nothing under this name, nor another's.
        if self._listing.routes(viewer).owner(uri, seen_at=server) != Route(server, uri):
            # Another server has it under this name, or it reads as an alias.
            return alias_of(server, uri)
        self._seen.remember(viewer, uri, server, self._clock.monotonic())
        return uri

    def with_links(self, method: str, result: Raw, server: str, viewer: Viewer) -> Raw:
        """The result with what it points to under names that this viewer can read."""
        return with_links(method, result, partial(self.told, server, viewer))
