"""Which rule of the configuration decided about a name: for a record, never on the way of a request.

Finds whose a name is in the whole catalog, whatever the viewer may see of it. Asks no server.
"""

from typing import Final

from proxy_core.access.policy import COMPLETION, EVERYTHING
from proxy_core.catalog.merge import Catalog
from proxy_core.catalog.names import slug_of
from proxy_core.catalog.routes import Route
from proxy_core.gateway.exchange import Viewer
from proxy_core.gateway.listing import Listing
from proxy_core.gateway.profiles import Profiles
from proxy_core.gateway.tool_watch import ToolWatch

_MAX_KNOWN: Final = 1000
"""Names of one view whose rules are remembered."""


class Deciding:
    def __init__(self, listing: Listing, profiles: Profiles, watch: ToolWatch) -> None:
        self._listing = listing
        self._profiles = profiles
        self._watch = watch

    def rule_for(self, viewer: Viewer, method: str, name: str) -> str:
        """As `Profiles.rule_for`, of a name as this viewer says it; `servers.<id>.on_change` for a tool that is
        withheld. A second time it is looked up."""
        known = self._listing.view(viewer).rules
        rule = known.get((method, name))
        if rule is None:
            if len(known) >= _MAX_KNOWN:
                known.clear()
            rule = known[method, name] = self._found(viewer, method, name)
        return rule

    def _found(self, viewer: Viewer, method: str, name: str) -> str:
        view = self._listing.view(Viewer(viewer.principal, EVERYTHING))
        route: Route | None = None
        if method == "tools/call":
            route = view.routes.tool(name)
            if route is not None:
                name = _exposed(view.catalog, route)
            elif (holder := self._withheld_at(name)) is not None:
                return f"servers.{holder}.on_change"
        elif method == "prompts/get":
            route = view.routes.prompt(name)
        elif method == COMPLETION:
            route = view.routes.prompt(name) or view.routes.template(name)
        elif method.startswith("resources/"):
            route = view.routes.resource(name)
        server, origin = (route.server, route.origin) if route is not None else ("", None)
        return self._profiles.rule_for(viewer.profile, method, name, server, origin)

    def _withheld_at(self, name: str) -> str | None:
        server = slug_of(name) or ""
        tools = (each.tool for each in self._watch.changes(server) if each.is_withheld)
        return server if any(name == f"{server}__{tool}" for tool in tools) else None


def _exposed(catalog: Catalog, route: Route) -> str:
    """The name that rules are about, for a tool that may have been called by its server's own."""
    tools = catalog.tools
    return next(each.exposed for each in tools if (each.server, each.origin) == (route.server, route.origin))
