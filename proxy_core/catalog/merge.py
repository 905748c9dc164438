"""Many servers' lists, one catalog. Pure: lists as the servers sent them in, frozen values out.

Order is that of the configuration, then of exposed names by code point, so a server that shuffles its answer
changes nothing. Nothing is ever overridden: what cannot be listed is hidden, with the reason.
Spec: 2025-11-25 server/tools, resources, prompts; members that we do not know are kept as they came.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from proxy_core.catalog.aliases import alias_of, split_alias
from proxy_core.catalog.names import Naming, Prefix, exposed_prompt_name, exposed_tool_name, slug_of
from proxy_core.catalog.rules import NOT_ALLOWED, GlobRules, decided
from proxy_core.catalog.uri_template import MAX_URI_CHARS
from proxy_core.protocol import header_params
from proxy_core.protocol.header_params import HeaderParam, InvalidAnnotation
from proxy_core.protocol.methods import OWN_META

Item: TypeAlias = dict[str, Any]
Kind: TypeAlias = Literal["tool", "resource", "template", "prompt"]

ORIGIN_META: Final = OWN_META + "origin"
MAX_SHOWN_NAME: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLists:
    """What one server has, in its own words and order."""

    server: str
    title: str
    rules: GlobRules
    """On the server's own names of tools."""
    tools: tuple[Item, ...] = ()
    resources: tuple[Item, ...] = ()
    templates: tuple[Item, ...] = ()
    prompts: tuple[Item, ...] = ()
    prefix: Prefix | None = None
    """How this server's names begin; None: as the naming says."""
    is_strict: bool = False
    """Whether an invalid `x-mcp-header` costs the whole tool, as modern HTTP has it, or only itself."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One listed item."""

    server: str
    origin: str
    """The server's own name, URI or template."""
    exposed: str
    item: Item
    """What clients get. Shared by all who read the catalog: never changed in place."""
    header_params: tuple[HeaderParam, ...] = ()
    """Tools: arguments that travel as headers too."""


@dataclass(frozen=True, slots=True)
class Link:
    """The page of a tool: a URI that its server has, listed or not."""

    server: str
    origin: str
    exposed: str


@dataclass(frozen=True, slots=True)
class Hidden:
    """One item that is not listed."""

    server: str
    kind: Kind
    name: str
    """The server's own, cut to a length that can be shown; empty if it has none."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
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
    """The catalog of `lists`: every configured server in configuration order, also one that has nothing now.

    A server that is left out is unknown: its names and aliases protect nothing from another server's.
    """
    servers = tuple(each.server for each in lists)
    uris, uri_templates = _UriOwners(servers), _UriOwners(servers)
    hidden: list[Hidden] = []
    tools = _MergedList("tool", "name", 1024, hidden, frozenset(servers))
    resources = _MergedList("resource", "uri", MAX_URI_CHARS, hidden)
    templates = _MergedList("template", "uriTemplate", 2048, hidden)
    prompts = _MergedList("prompt", "name", 1024, hidden, frozenset(servers))
    for each in lists:
        prefix = each.prefix or naming.prefix
        tools.add(
            each, each.tools, partial(_tool_name, each.server, naming, prefix), partial(_admitted_tool, each)
        )
        resources.add(each, each.resources, partial(uris.exposed, each.server))
        templates.add(each, each.templates, partial(uri_templates.exposed, each.server))
        prompts.add(each, each.prompts, partial(exposed_prompt_name, each.server, prefix=prefix))
    # After every list, so that the page of one server's tool never takes a URI that another server lists.
    linked, links = _link_pages(tools.entries, uris)
    return Catalog(
        servers=servers,
        tools=linked,
        resources=tuple(resources.entries),
        templates=tuple(templates.entries),
        prompts=tuple(prompts.entries),
        links=links,
        hidden=tuple(hidden),
    )


def _tool_name(server: str, naming: Naming, prefix: Prefix, tool: str) -> str:
    return exposed_tool_name(server, tool, prefix=prefix, charset=naming.charset, budget=naming.name_budget)


class _Admitted(NamedTuple):
    """An item that may be listed."""

    item: Item
    header_params: tuple[HeaderParam, ...] = ()


def _admitted_tool(lists: ServerLists, name: str, tool: Item) -> _Admitted | str:
    """The tool as it may be listed, or why it may not."""
    decision = decided(lists.rules, name)
    if not decision.is_allowed:
        return f"The configuration {'does not allow' if decision.by == NOT_ALLOWED else 'denies'} it."
    schema = tool.get("inputSchema")
    if not isinstance(schema, dict) or not header_params.is_annotated(schema):
        return _Admitted(tool)
    try:
        mended = schema if lists.is_strict else header_params.without_invalid(schema)
        return _Admitted({**tool, "inputSchema": mended}, header_params.annotations(mended))
    except InvalidAnnotation as error:
        return error.message


def _admitted(_name: str, item: Item) -> _Admitted | str:
    return _Admitted(item)


class _MergedList:
    """One kind of item while it is collected, server by server."""

    def __init__(
        self,
        kind: Kind,
        member: str,
        max_chars: int,
        hidden: list[Hidden],
        slugs: frozenset[str] = frozenset(),
    ) -> None:
        """`member` of an item holds its name or URI, which is at most `max_chars` long.

        A name that begins with one of `slugs` is that server's and no other's.
        """
        self._kind = kind
        self._member = member
        self._max_chars = max_chars
        self._hidden = hidden
        self._slugs = slugs
        self._title_of: dict[str, str] = {}
        """Exposed name -> title of the server that has it."""
        self.entries: list[Entry] = []

    def add(
        self,
        lists: ServerLists,
        items: Iterable[Item],
        exposed_of: Callable[[str], str],
        admit: Callable[[str, Item], _Admitted | str] = _admitted,
    ) -> None:
        """Take one server's items, under the names that `exposed_of` makes, without those not admitted."""
        named = [
            (exposed_of(origin), origin, admitted)
            for origin, admitted in self._usable(lists.server, items, admit)
        ]
        # Names that are kept go before names that were made, so which of two equal ones wins has no luck in it.
        named.sort(key=lambda each: (each[0], not each[0].endswith(each[1]), each[1]))
        for exposed, origin, (item, params) in named:
            owner = self._title_of.get(exposed)
            if owner is not None:
                self._hide(lists.server, origin, f"{owner} has the same name for clients and comes first.")
                continue
            slug = slug_of(exposed)
            if slug != lists.server and slug in self._slugs:
                self._hide(lists.server, origin, f"It reads as a name of {slug}.")
                continue
            self._title_of[exposed] = lists.title
            listed = _listed(item, self._member, exposed, lists.server, origin)
            self.entries.append(Entry(lists.server, origin, exposed, listed, params))

    def _usable(
        self, server: str, items: Iterable[Item], admit: Callable[[str, Item], _Admitted | str]
    ) -> Iterator[tuple[str, _Admitted]]:
        seen: set[str] = set()
        for item in items:
            origin = item.get(self._member)
            if not isinstance(origin, str) or not origin:
                self._hide(server, "", f"It has no {self._member}.")
            elif len(origin) > self._max_chars:
                self._hide(server, origin, f"Its {self._member} is longer than {self._max_chars} characters.")
            elif origin in seen:
                self._hide(server, origin, "The server lists it twice; the first is kept.")
            elif isinstance(admitted := admit(origin, item), str):
                self._hide(server, origin, admitted)
            else:
                seen.add(origin)
                yield origin, admitted

    def _hide(self, server: str, origin: str, reason: str) -> None:
        self._hidden.append(Hidden(server, self._kind, origin[:MAX_SHOWN_NAME], reason))


def _listed(item: Item, member: str, exposed: str, server: str, origin: str) -> Item:
    meta = item.get("_meta")
    # Keys under our prefix are ours to set; a server that sends them would speak in our name.
    kept = {k: v for k, v in meta.items() if not k.startswith(OWN_META)} if isinstance(meta, dict) else {}
    kept[ORIGIN_META] = {"backend": server, "name": origin}
    return {**item, member: exposed, "_meta": kept}


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
