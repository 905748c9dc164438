"""What one viewer sees of a catalog: the part that may be reached, the part that is listed, and in which mode.

A view lives as long as the catalog that it was made of. Asks no server.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from msgspec.structs import replace

from proxy_core.backends.call import ANYONE
from proxy_core.catalog.merge import Catalog, Entry
from proxy_core.catalog.routes import Route, Routes
from proxy_core.context.bill import visible_item
from proxy_core.gateway import meta_tools
from proxy_core.gateway.contexts import Contexts
from proxy_core.gateway.exchange import Viewer
from proxy_core.gateway.modes import Costs, Mode, estimated
from proxy_core.gateway.profiles import Profiles
from proxy_core.gateway.tool_forms import ToolForms
from proxy_core.gateway.tool_index import ToolIndex
from proxy_core.gateway.views import ListViews
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.sealed import Sealer
from proxy_core.protocol.translate import UnusableItem


@dataclass(frozen=True)
class View:
    """Has no slots: what few ask for is made when it is asked for."""

    viewer: Viewer
    """Principal: anyone, where nothing is private."""
    catalog: Catalog
    """All of it, whatever the profile."""
    part: Catalog
    """What may be reached."""
    shown: Catalog
    """What lists have."""
    mode: Mode
    pages: ListViews

    @cached_property
    def routes(self) -> Routes:
        return Routes.of(self.catalog, self.part)

    @cached_property
    def tools(self) -> dict[str, Entry]:
        """By exposed name: those that may be reached, listed or not."""
        return {entry.exposed: entry for entry in self.part.tools}

    @property
    def tool_servers(self) -> list[str]:
        """Those that have tools, in list order."""
        return _tool_servers(self.part)

    @property
    def is_prepared(self) -> bool:
        """Whether its list of tools is soon made."""
        return self.mode is Mode.FULL or self.pages.is_prepared

    def lists_tool(self, route: Route) -> bool:
        """Whether the client could learn what the tool wants from a list."""
        if self.mode is not Mode.SEARCH:
            return True
        return any((each.server, each.origin) == (route.server, route.origin) for each in self.shown.tools)


class ViewMaker:
    def __init__(
        self,
        profiles: Profiles,
        contexts: Contexts,
        forms: ToolForms,
        index: ToolIndex,
        sealer: Callable[[], Sealer],
    ) -> None:
        self._profiles = profiles
        self._contexts = contexts
        self._forms = forms
        self._index = index
        self._sealer = sealer

    def made(self, viewer: Viewer, catalog: Catalog, before: ListViews | None = None) -> View:
        """`before`: the pages of this viewer's view of the catalog before."""
        part = self._profiles.part_of(catalog, viewer.profile)
        reached = catalog if part is None else part
        mode_of = self._contexts.mode if viewer.principal == ANYONE else self._contexts.mode_beside
        mode = mode_of(viewer.profile, lambda: self._estimate(reached))
        shown = self._searched(reached) if mode is Mode.SEARCH else reached
        if mode is Mode.SEARCH:
            self._index.want(viewer.principal, catalog.tools)
        forms = None if mode is Mode.FULL else self._forms
        pages = ListViews(shown, self._sealer, viewer.profile, forms, before)
        return View(viewer, catalog, reached, shown, mode, pages)

    def merged(self, catalog: Catalog) -> None:
        """What everyone shares is this now: index it where the configuration says that it is searched."""
        if Mode.SEARCH in self._contexts.configured:
            self._index.want(ANYONE, catalog.tools)
        elif not self._contexts.has_choice:
            self._index.forget()

    async def prepare(self, view: View) -> None:
        """Make what the view's list of tools is made of, without holding the loop."""
        await self._forms.prepare(view.shown.tools)
        view.pages.is_prepared = True

    def compact(self, entry: Entry) -> bytes:
        """As `ToolForms.compact`. Raises: UnusableItem."""
        return self._forms.compact(entry)

    def search_list(self, part: Catalog) -> bytes:
        """The JSON array of the tools that search mode would list of this part."""
        items: list[bytes] = []
        for entry in self._searched(part).tools:
            try:
                items.append(self._forms.compact(entry))
            except UnusableItem:
                continue
        return b"[%s]" % b",".join(items)

    def _searched(self, part: Catalog) -> Catalog:
        # Our own go before a server's of the same name, which has none of its own then but for `call_tool`.
        always = tuple(
            each
            for each in part.tools
            if self._contexts.stays_listed(each.exposed) and each.exposed not in meta_tools.NAMES
        )
        ours = meta_tools.definitions(_tool_servers(part))
        return replace(part, servers=(meta_tools.OURSELVES, *part.servers), tools=(*ours, *always))

    def _estimate(self, part: Catalog) -> Costs:
        full_bytes = sum(len(jsonrpc.encode(visible_item(each.item))) for each in part.tools)
        return estimated(full_bytes, len(part.tools), len(self.search_list(part)))


def _tool_servers(part: Catalog) -> list[str]:
    return list(dict.fromkeys(each.server for each in part.tools))
