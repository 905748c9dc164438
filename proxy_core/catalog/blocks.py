"""One server's items of one kind, made ready for the merged lists: once, as long as they are what they were.

What is here depends on the server and the settings alone; what depends on its neighbours is `merge`'s. Pure.
Nothing is ever overridden: what cannot be listed is hidden, with the reason.
"""

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias

from msgspec import Struct

from proxy_core.catalog.names import Prefix, slug_of
from proxy_core.protocol import header_params
from proxy_core.protocol.header_params import HeaderParam, InvalidAnnotation
from proxy_core.protocol.methods import OWN_META

Item: TypeAlias = dict[str, Any]
Kind: TypeAlias = Literal["tool", "resource", "template", "prompt"]

ORIGIN_META: Final = OWN_META + "origin"
MAX_SHOWN_NAME: Final = 128


class ToolRules(Protocol):
    """Globs on a server's own tool names."""

    @property
    def allow(self) -> Sequence[str]: ...

    @property
    def deny(self) -> Sequence[str]: ...


class ServerLists(Struct, frozen=True, kw_only=True):
    """What one server has, in its own words and order."""

    server: str
    title: str
    rules: ToolRules
    tools: tuple[Item, ...] = ()
    resources: tuple[Item, ...] = ()
    templates: tuple[Item, ...] = ()
    prompts: tuple[Item, ...] = ()
    prefix: Prefix | None = None
    """How this server's names begin; None: as the naming says."""
    is_strict: bool = False
    """Whether an invalid `x-mcp-header` costs the whole tool, as modern HTTP has it, or only itself."""


class Entry(Struct, frozen=True):
    """One listed item."""

    server: str
    origin: str
    """The server's own name, URI or template."""
    exposed: str
    item: Item
    """What clients get. Shared by all who read the catalog: never changed in place."""
    header_params: tuple[HeaderParam, ...] = ()
    """Tools: arguments that travel as headers too."""


class Hidden(Struct, frozen=True):
    """One item that is not listed."""

    server: str
    kind: Kind
    name: str
    """The server's own, cut to a length that can be shown; empty if it has none."""
    reason: str


class Admitted(NamedTuple):
    """An item that may be listed."""

    item: Item
    header_params: tuple[HeaderParam, ...] = ()


class Block(Struct, frozen=True, eq=False):
    """What one server adds to a merged list, if its neighbours let it."""

    items: tuple[Item, ...]
    """As the server sent them."""
    by: tuple[object, ...]
    """What decided on names and admission."""
    entries: tuple[Entry, ...] = ()
    """By exposed name; where two are equal, the one first that kept its name."""
    sources: tuple[Item, ...] = ()
    """What each of those was made of."""
    hidden: tuple[Hidden, ...] = ()
    slugs: frozenset[str] = frozenset()
    """Other ids that names here begin with."""
    has_twins: bool = False
    """Two entries have the same exposed name."""
    has_pages: bool = False
    """A tool may name a page that shows its result (MCP Apps)."""

    def is_of(self, items: tuple[Item, ...], by: tuple[object, ...]) -> bool:
        """Whether it would be made again just so."""
        return self.items is items and self.by == by

    def by_origin(self) -> dict[str, tuple[Item, Entry]]:
        """The items that are listed, and what was made of each."""
        return {entry.origin: (item, entry) for item, entry in zip(self.sources, self.entries, strict=True)}


class Maker(Struct, frozen=True):
    """How blocks of one kind are made. `member` of an item holds its name or URI."""

    kind: Kind
    member: str
    max_chars: int

    def block(
        self,
        server: str,
        items: tuple[Item, ...],
        by: tuple[object, ...],
        exposed_of: Callable[[str], str],
        admit: Callable[[str, Item], Admitted | str],
        before: Block | None = None,
    ) -> Block:
        """Of the items as they are now, without those not admitted.

        `exposed_of`: the name that clients are to see. `before`: whose entries are taken over where the item is
        the same object, so that whatever was made of an entry is still of use.
        """
        hidden: list[Hidden] = []
        old = {} if before is None or before.by != by else before.by_origin()
        made = list(self._made(server, items, exposed_of, admit, hidden, old))
        # Names that are kept go before names that were made, so which of two equal ones wins has no luck in it.
        made.sort(
            key=lambda each: (each[1].exposed, not each[1].exposed.endswith(each[1].origin), each[1].origin)
        )
        entries = tuple(entry for _, entry in made)
        names = {each.exposed for each in entries}
        return Block(
            items,
            by,
            entries,
            tuple(item for item, _ in made),
            tuple(hidden),
            frozenset(slug for name in names if (slug := slug_of(name)) and slug != server),
            has_twins=len(names) < len(entries),
            has_pages=any("ui" in each.item["_meta"] for each in entries),
        )

    def _made(
        self,
        server: str,
        items: tuple[Item, ...],
        exposed_of: Callable[[str], str],
        admit: Callable[[str, Item], Admitted | str],
        hidden: list[Hidden],
        old: dict[str, tuple[Item, Entry]],
    ) -> Iterator[tuple[Item, Entry]]:
        """The items that are listed, and their entries; `hidden` gets the others."""
        seen: set[str] = set()
        for item in items:
            origin = item.get(self.member)
            if not isinstance(origin, str) or not origin:
                hidden.append(self.hidden(server, "", f"It has no {self.member}."))
                continue
            if len(origin) > self.max_chars:
                reason = f"Its {self.member} is longer than {self.max_chars} characters."
                hidden.append(self.hidden(server, origin, reason))
                continue
            if origin in seen:
                hidden.append(self.hidden(server, origin, "The server lists it twice; the first is kept."))
                continue
            exposed = exposed_of(origin)
            known = old.get(origin)
            if known is not None and known[0] is item and known[1].exposed == exposed:
                entry = known[1]
            elif isinstance(admitted := admit(origin, item), str):
                hidden.append(self.hidden(server, origin, admitted))
                continue
            else:
                entry = self._entry(server, origin, exposed, admitted)
            seen.add(origin)
            yield item, entry

    def _entry(self, server: str, origin: str, exposed: str, admitted: Admitted) -> Entry:
        listed = _listed(admitted.item, self.member, exposed, server, origin)
        return Entry(server, origin, exposed, listed, admitted.header_params)

    def hidden(self, server: str, origin: str, reason: str) -> Hidden:
        return Hidden(server, self.kind, origin[:MAX_SHOWN_NAME], reason)


def admitted_tool(lists: ServerLists, name: str, tool: Item) -> Admitted | str:
    """The tool as it may be listed, or why it may not."""
    if any(fnmatchcase(name, glob) for glob in lists.rules.deny):
        return "The configuration denies it."
    if not any(fnmatchcase(name, glob) for glob in lists.rules.allow):
        return "The configuration does not allow it."
    schema = tool.get("inputSchema")
    if not isinstance(schema, dict) or not header_params.is_annotated(schema):
        return Admitted(tool)
    try:
        mended = schema if lists.is_strict else header_params.without_invalid(schema)
        return Admitted({**tool, "inputSchema": mended}, header_params.annotations(mended))
    except InvalidAnnotation as error:
        return error.message


def admitted(_name: str, item: Item) -> Admitted | str:
    return Admitted(item)


def _rank(entry: Entry) -> tuple[str, bool, str]:
    return entry.exposed, not entry.exposed.endswith(entry.origin), entry.origin


def _listed(item: Item, member: str, exposed: str, server: str, origin: str) -> Item:
    meta = item.get("_meta")
    # Keys under our prefix are ours to set; a server that sends them would speak in our name.
    kept = {k: v for k, v in meta.items() if not k.startswith(OWN_META)} if isinstance(meta, dict) else {}
    kept[ORIGIN_META] = {"backend": server, "name": origin}
    return {**item, member: exposed, "_meta": kept}
