"""Many servers' lists, one catalog. Lists as the servers sent them in, frozen values out; knows no time.

Order is that of the configuration, then of exposed names by code point, so a server that shuffles its answer
changes nothing. Nothing is ever overridden: what cannot be listed is hidden, with the reason.
Spec: 2025-11-25 server/tools, resources, prompts; members that we do not know are kept as they came.
"""

from collections.abc import Callable, Container, Iterable, Sequence
from functools import partial
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from proxy_core.catalog.aliases import alias_of, split_alias
from proxy_core.catalog.blocks import MAX_SHOWN_NAME as MAX_SHOWN_NAME
from proxy_core.catalog.blocks import ORIGIN_META as ORIGIN_META
from proxy_core.catalog.blocks import Admitted, Block, Maker, admitted, admitted_tool
from proxy_core.catalog.blocks import Entry as Entry
from proxy_core.catalog.blocks import Hidden as Hidden
from proxy_core.catalog.blocks import Item as Item
from proxy_core.catalog.blocks import Kind as Kind
from proxy_core.catalog.blocks import ServerLists as ServerLists
from proxy_core.catalog.blocks import ToolRules as ToolRules
from proxy_core.catalog.names import Naming, Prefix, exposed_prompt_name, exposed_tool_name, slug_of
from proxy_core.catalog.uri_template import MAX_URI_CHARS

_TOOLS: Final = Maker("tool", "name", 1024)
_RESOURCES: Final = Maker("resource", "uri", MAX_URI_CHARS)
_TEMPLATES: Final = Maker("template", "uriTemplate", 2048)
_PROMPTS: Final = Maker("prompt", "name", 1024)


class Link(Struct, frozen=True):
    """The page of a tool: a URI that its server has, listed or not."""

    server: str
    origin: str
    exposed: str


class Catalog(Struct, frozen=True, kw_only=True):
    """Everything that all servers offer, as clients see it."""

    servers: tuple[str, ...] = ()
    """Every server that was merged, in configuration order, also one without items."""
    tools: tuple[Entry, ...] = ()
    resources: tuple[Entry, ...] = ()
    templates: tuple[Entry, ...] = ()
    prompts: tuple[Entry, ...] = ()
    links: tuple[Link, ...] = ()
    hidden: tuple[Hidden, ...] = ()


def merge(lists: Sequence[ServerLists], naming: Naming) -> Catalog:
    """As `Merger.merged`, of lists that were never merged before."""
    return Merger().merged(lists, naming)


class Merger:
    """Merges again and again: what did not change since the last time costs next to nothing.

    An entry whose item is what it was stays the very same object from one catalog to the next.
    """

    def __init__(self) -> None:
        self._blocks: dict[tuple[Kind, str], Block] = {}
        """By kind and server; none for those who have nothing."""

    def merged(self, lists: Sequence[ServerLists], naming: Naming, *, keep: bool = True) -> Catalog:
        """The catalog of `lists`: every configured server in configuration order, with or without items.

        A server that is left out is unknown: its names and aliases protect nothing from another server's.
        `keep`: whether the next time begins from these lists; else from what they were before.
        """
        merging = _Merging(self._blocks, lists, naming)
        for each in lists:
            merging.add(each)
        if keep:
            self._blocks = merging.blocks
        return merging.catalog()


class _Merging:
    """One catalog while it is made, server by server."""

    def __init__(
        self, before: dict[tuple[Kind, str], Block], lists: Sequence[ServerLists], naming: Naming
    ) -> None:
        self.blocks: dict[tuple[Kind, str], Block] = {}
        self._before = before
        self._naming = naming
        self._servers = tuple(each.server for each in lists)
        self._uris, self._uri_templates = _UriOwners(self._servers), _UriOwners(self._servers)
        self._hidden: list[Hidden] = []
        self._tools = _MergedList(_TOOLS, self._hidden, frozenset(self._servers))
        self._resources = _MergedList(_RESOURCES, self._hidden)
        self._templates = _MergedList(_TEMPLATES, self._hidden)
        self._prompts = _MergedList(_PROMPTS, self._hidden, frozenset(self._servers))

    def add(self, lists: ServerLists) -> None:
        server, naming = lists.server, self._naming
        prefix = lists.prefix or naming.prefix
        if lists.tools:
            by = (lists.rules, lists.is_strict, prefix, naming.charset, naming.name_budget)
            name = partial(_tool_name, server, naming, prefix)
            block = self._block(_TOOLS, server, lists.tools, by, name, partial(admitted_tool, lists))
            self._tools.add(lists, block)
        if lists.resources:
            block = self._uri_block(_RESOURCES, server, lists.resources, self._uris)
            self._resources.add(lists, block)
        if lists.templates:
            block = self._uri_block(_TEMPLATES, server, lists.templates, self._uri_templates)
            self._templates.add(lists, block)
        if lists.prompts:
            name = partial(exposed_prompt_name, server, prefix=prefix)
            self._prompts.add(lists, self._block(_PROMPTS, server, lists.prompts, (prefix,), name))

    def _block(
        self,
        maker: Maker,
        server: str,
        items: tuple[Item, ...],
        by: tuple[object, ...],
        exposed_of: Callable[[str], str],
        admit: Callable[[str, Item], Admitted | str] = admitted,
    ) -> Block:
        before = self._before.get((maker.kind, server))
        if before is None or not before.is_of(items, by):
            before = maker.block(server, items, by, exposed_of, admit, before)
        self.blocks[maker.kind, server] = before
        return before

    def _uri_block(self, maker: Maker, server: str, items: tuple[Item, ...], owners: "_UriOwners") -> Block:
        """Of URIs: what they are called depends on the servers before this one."""
        exposed_of = partial(owners.exposed, server)
        block = self._before.get((maker.kind, server))
        is_old = block is None or not block.is_of(items, ())
        if block is None or is_old or any(exposed_of(each.origin) != each.exposed for each in block.entries):
            block = maker.block(server, items, (), exposed_of, admitted, block)
        self.blocks[maker.kind, server] = block
        return block

    def catalog(self) -> Catalog:
        # After every list, so that the page of one server's tool never takes a URI that another server lists.
        tools: tuple[Entry, ...] = tuple(self._tools.entries)
        links: tuple[Link, ...] = ()
        if self._tools.has_pages:
            tools, links = _link_pages(tools, self._uris)
        return Catalog(
            servers=self._servers,
            tools=tools,
            resources=tuple(self._resources.entries),
            templates=tuple(self._templates.entries),
            prompts=tuple(self._prompts.entries),
            links=links,
            hidden=tuple(self._hidden),
        )


def _tool_name(server: str, naming: Naming, prefix: Prefix, tool: str) -> str:
    return exposed_tool_name(server, tool, prefix=prefix, charset=naming.charset, budget=naming.name_budget)


class _MergedList:
    """One kind of item while it is collected, server by server."""

    def __init__(self, maker: Maker, hidden: list[Hidden], slugs: frozenset[str] = frozenset()) -> None:
        """A name that begins with one of `slugs` is that server's and no other's."""
        self._maker = maker
        self._hidden = hidden
        self._slugs = slugs
        self._title_of: dict[str, str] = {}
        """Exposed name -> title of the server that has it."""
        self.entries: list[Entry] = []
        self.has_pages = False

    def add(self, lists: ServerLists, block: Block) -> None:
        """Take one server's items, but for those that its neighbours forbid."""
        self._hidden.extend(block.hidden)
        self.has_pages = self.has_pages or block.has_pages
        names = [each.exposed for each in block.entries]
        if block.has_twins or not (
            block.slugs.isdisjoint(self._slugs) and self._title_of.keys().isdisjoint(names)
        ):
            self._add_singly(lists, block)
            return
        self._title_of.update(dict.fromkeys(names, lists.title))
        self.entries.extend(block.entries)

    def _add_singly(self, lists: ServerLists, block: Block) -> None:
        for entry in block.entries:
            owner = self._title_of.get(entry.exposed)
            if owner is not None:
                self._hide(entry, f"{owner} has the same name for clients and comes first.")
                continue
            slug = slug_of(entry.exposed)
            if slug != lists.server and slug in self._slugs:
                self._hide(entry, f"It reads as a name of {slug}.")
                continue
            self._title_of[entry.exposed] = lists.title
            self.entries.append(entry)

    def _hide(self, entry: Entry, reason: str) -> None:
        self._hidden.append(self._maker.hidden(entry.server, entry.origin, reason))


class _UriOwners:
    """Who has a URI verbatim: the first server, in configuration order, that lists it."""

    def __init__(self, servers: Container[str]) -> None:
        self._servers = servers
        self._owners: dict[str, str] = {}

    def exposed(self, server: str, uri: str) -> str:
        """What clients call this URI of `server`. Called in configuration order."""
        alias = split_alias(uri, self._servers)
        if alias is not None and alias[0] != server:
            # It reads as another server's alias; listed verbatim it would stand in that server's place.
            return alias_of(server, uri)
        return uri if self._owners.setdefault(uri, server) == server else alias_of(server, uri)


def _link_pages(tools: Iterable[Entry], uris: _UriOwners) -> tuple[tuple[Entry, ...], tuple[Link, ...]]:
    """The tools, their pages named as clients must name them, and those pages."""
    entries: list[Entry] = []
    links: dict[Link, None] = {}
    for entry in tools:
        uri = _page_uri(entry.item)
        if uri is None:
            entries.append(entry)
            continue
        link = Link(entry.server, uri, uris.exposed(entry.server, uri))
        links[link] = None
        entries.append(entry if link.exposed == uri else _with_page(entry, link.exposed))
    return tuple(entries), tuple(links)


def _page_uri(tool: Item) -> str | None:
    """The page that shows a tool's result (MCP Apps), if it names one."""
    ui = tool["_meta"].get("ui")
    uri = ui.get("resourceUri") if isinstance(ui, dict) else None
    return uri if isinstance(uri, str) and 0 < len(uri) <= MAX_URI_CHARS else None


def _with_page(entry: Entry, uri: str) -> Entry:
    meta = entry.item["_meta"]
    return replace(entry, item={**entry.item, "_meta": {**meta, "ui": {**meta["ui"], "resourceUri": uri}}})
