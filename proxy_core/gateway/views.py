"""Ready bytes of the merged lists: one view for each list method and revision, built when first asked for.

A view lives as long as the catalog it was made from. Knows no backends and no time.
Spec: 2026-07-28 server/utilities/pagination; keyset cursors, so a change between two pages loses nothing.
"""

import logging
from bisect import bisect_right
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from proxy_core.catalog.merge import Catalog, Entry
from proxy_core.errors import InvalidParams
from proxy_core.gateway.tool_forms import ToolForms
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.methods import LIST_METHODS
from proxy_core.protocol.sealed import Sealer
from proxy_core.protocol.translate import NORMALISERS, UnusableItem

log = logging.getLogger(__name__)

PAGE_ITEMS: Final = 1000
"""Most clients read one page only."""
CURSOR: Final = "cursor"
_SHELF: Final = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "templates",
    "prompts/list": "prompts",
}


class _View(Struct, frozen=True):
    keys: tuple[tuple[int, str], ...]
    """(place of the server, exposed name), rising: what a cursor names."""
    items: tuple[bytes, ...]
    entries: tuple[Entry, ...]
    """What each of those was made of."""


class ListViews:
    def __init__(
        self,
        catalog: Catalog,
        sealer: Callable[[], Sealer],
        profile: str = "",
        forms: ToolForms | None = None,
        before: "ListViews | None" = None,
    ) -> None:
        """`forms`: of the tools, where they are not to be listed as they are.

        `before`: the same lists of an earlier catalog; what was made of entries that stayed is used again.
        """
        self._forms = forms
        self.is_prepared = False
        """Whether those forms are there, as long as nothing takes their place."""
        self._catalog = catalog
        self._sealer = sealer
        self._profile = profile
        self._place = {server: place for place, server in enumerate(catalog.servers)}
        self._views: dict[tuple[str, str], _View] = {}
        self._old: dict[tuple[str, str], _View] = {}
        """Of an earlier catalog, the last that somebody asked for; each as long as there is no newer one."""
        if before is not None and before._forms is forms:
            self._old = dict(before._views or before._old)
        self._first_pages: dict[tuple[str, str], bytes] = {}

    def page(self, method: str, revision: str, principal: str, cursor: str | None) -> bytes:
        """The members of one page without the braces: `"tools":[...]` and `"nextCursor"` if there is more.

        Raises: InvalidParams for a cursor that is not one of ours for this list and principal.
        """
        if cursor is None:
            ready = self._first_pages.get((method, revision))
            if ready is not None:
                return ready
        view = self._view(method, revision)
        start = 0 if cursor is None else self._start(view, method, principal, cursor)
        end = min(start + PAGE_ITEMS, len(view.items))
        members = b'"%s":[%s]' % (LIST_METHODS[method].encode(), b",".join(view.items[start:end]))
        if end < len(view.items):
            return members + b',"nextCursor":' + jsonrpc.encode(self._cursor(view, method, principal, end))
        if cursor is None:
            self._first_pages[method, revision] = members
        return members

    def _cursor(self, view: _View, method: str, principal: str, end: int) -> str:
        place, exposed = view.keys[end - 1]
        server = self._catalog.servers[place]
        payload = {"m": method, "s": server, "k": exposed} | self._owner(principal)
        return self._sealer().seal(CURSOR, payload)

    def _owner(self, principal: str) -> dict[str, str]:
        """Whose cursor it is: the list of another profile is another list."""
        return {"p": principal, "f": self._profile}

    def _start(self, view: _View, method: str, principal: str, cursor: str) -> int:
        payload = self._sealer().open(CURSOR, cursor)
        place = self._place.get(str(payload.get("s")))
        expected = {"m": method} | self._owner(principal)
        if any(payload.get(key) != value for key, value in expected.items()) or place is None:
            raise InvalidParams("Invalid or expired cursor.")
        return bisect_right(view.keys, (place, str(payload.get("k"))))

    def _view(self, method: str, revision: str) -> _View:
        view = self._views.get((method, revision))
        if view is None:
            view = self._views[method, revision] = self._build(method, revision)
        return view

    def _build(self, method: str, revision: str) -> _View:
        entries: tuple[Entry, ...] = getattr(self._catalog, _SHELF[method])
        old = self._old.pop((method, revision), None)
        # By identity: to compare an item costs as much as to write it. The old view keeps its entries alive.
        ready = {} if old is None else dict(zip(map(id, old.entries), old.items, strict=True))
        keys: list[tuple[int, str]] = []
        items: list[bytes] = []
        listed: list[Entry] = []
        for entry in entries:
            try:
                item = ready.get(id(entry)) or self._item(method, entry, revision)
            except UnusableItem as error:
                # Said once for each catalog and revision: a view is built once.
                log.warning("left out of %s: %s", method, error.message, extra={"source": entry.server})
                continue
            keys.append((self._place[entry.server], entry.exposed))
            items.append(item)
            listed.append(entry)
        return _View(tuple(keys), tuple(items), tuple(listed))

    def _item(self, method: str, entry: Entry, revision: str) -> bytes:
        """Raises: UnusableItem."""
        if self._forms is not None and method == "tools/list":
            return self._forms.compact(entry)
        return jsonrpc.encode(NORMALISERS[method](entry.item, revision))
