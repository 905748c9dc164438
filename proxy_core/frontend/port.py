"""What the port serves, by path: MCP first, then health and numbers, then the admin API if asked for.

Knows no sockets, and nothing of what it hands on.
"""

from typing import Final

from proxy_core.frontend.admin import AdminEndpoint
from proxy_core.frontend.endpoint import McpEndpoint
from proxy_core.frontend.pages import PATHS, Pages
from proxy_core.frontend.wire import Endpoint

_ADMIN: Final = "/admin/"


class Port:
    def __init__(self, mcp: McpEndpoint, pages: Pages, admin: AdminEndpoint, *, has_admin: bool) -> None:
        self._mcp = mcp
        self._pages = pages
        self._admin = admin
        self.has_admin = has_admin

    def endpoint_at(self, path: str) -> Endpoint:
        """Who answers there; what is served nowhere is refused by MCP's."""
        # Whatever MCP's path is called, its clients were told it.
        if path == self._mcp.guard.path:
            return self._mcp
        if path in PATHS:
            return self._pages
        if self.has_admin and path.startswith(_ADMIN):
            return self._admin
        return self._mcp
