"""Whether tools are what they were: judged whenever a server's list is another, told, and withheld if wished.

What is seen first of a server is trusted; from then on a tool that says something else is a change until a
person approves it. Under `on_change: quarantine` clients do without it meanwhile, and without tools that a
known server did not have: otherwise a tool under another name would pass. Costs a call nothing.
Spec: 2025-11-25 server/tools, "Security Considerations".
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final, TypeAlias

from msgspec import Struct, field

from proxy_core.backends.backend import Backend
from proxy_core.backends.call import ANYONE
from proxy_core.backends.lists import EMPTY, Listing
from proxy_core.backends.tool_records import ToolRecords
from proxy_core.catalog.fingerprints import (
    Fingerprint,
    changed_parts,
    fingerprint_of,
    list_digest,
    text_of,
)
from proxy_core.catalog.merge import Catalog
from proxy_core.catalog.rules import GlobRules, decided
from proxy_core.clock import Clock
from proxy_core.errors import UnknownChange
from proxy_core.facts import Fact
from proxy_core.gateway.mention_watch import MentionWatch
from proxy_core.gateway.tool_news import ToolNews
from proxy_core.telemetry.tool_changes import ToolChange, ToolDiff

QUARANTINE: Final = "quarantine"
MAX_OWN_LISTS: Final = 64
"""Principals whose own lists of one server are judged at a time; the oldest are judged anew if they return."""
MAX_NAME_CHARS: Final = 1024

Item: TypeAlias = dict[str, Any]


class Found(Struct, frozen=True):
    """One tool that is not approved."""

    what: str
    """changed or new"""
    now: Fingerprint
    parts: tuple[str, ...]
    item: Item
    since: float
    """Seconds of the epoch."""


class _Judged(Struct):
    """One list of one server, as it was judged last."""

    items: tuple[Item, ...]
    digest: bytes
    by: tuple[str, GlobRules]
    """The settings that it was judged by."""
    found: dict[str, Found] = field(default_factory=dict)
    """By the server's own names."""
    offered: tuple[Item, ...] = ()
    """What clients may have of it."""


class _Told:
    """What waits for a person at one server."""

    __slots__ = ("changes", "counts", "version")

    def __init__(self, version: int, changes: tuple[ToolChange, ...]) -> None:
        self.version = version
        self.changes = changes
        withheld = {each.tool for each in changes if each.is_withheld}
        self.counts = len({each.tool for each in changes}), len(withheld)


class ToolWatch:
    """Owns the records of what is approved, and what is not."""

    def __init__(
        self,
        records: ToolRecords,
        clock: Clock,
        publish: Callable[[Fact], None],
        says: Callable[[str, str, str], None],
    ) -> None:
        """`says`: (server, level, text) for the log."""
        self._records = records
        self._clock = clock
        self._news = ToolNews(clock, publish, says)
        self.mentions = MentionWatch(self._news)
        self._judged: dict[str, dict[str, _Judged]] = {}
        """By server and principal."""
        self._told: dict[str, _Told] = {}
        """Of each server, as it was last asked for."""
        self.version = 0
        """Grows with every change of what is found."""

    # --- what may be offered --------------------------------------------------------------------------------

    def offered(self, backend: Backend, listing: Listing, principal: str = ANYONE) -> tuple[Item, ...]:
        """Those of a list of tools that clients may have."""
        if listing is EMPTY:
            return listing.items
        own, by = self._judged.setdefault(backend.id, {}), (backend.settings.on_change, backend.settings.tools)
        before = own.get(principal)
        if before is not None and before.by == by:
            if before.items is listing.items:
                return before.offered
            digest = list_digest(listing.items)
            if before.digest == digest:
                before.offered = _without(listing.items, before)
                before.items = listing.items
                return before.offered
        else:
            digest = list_digest(listing.items)
        judged = self._judge(backend.id, listing.items, digest, by, principal, before)
        own.pop(principal, None)
        own[principal] = judged
        if len(own) > MAX_OWN_LISTS + 1:
            del own[next(name for name in own if name != ANYONE)]
        return judged.offered

    def _judge(
        self,
        server: str,
        items: tuple[Item, ...],
        digest: bytes,
        by: tuple[str, GlobRules],
        principal: str,
        before: _Judged | None,
    ) -> _Judged:
        judged = _Judged(items, digest, by)
        known, is_shared = self._records.of(server), principal == ANYONE
        approved = _approved(before, by)
        is_known = bool(known)
        seen: set[str] = set()
        back: list[str] = []
        for item in items:
            name = item.get("name")
            # Of two with one name the first counts, and some names are never listed, as the merged list has it.
            if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_CHARS or name in seen:
                continue
            seen.add(name)
            entry = known.get(name)
            if entry is not None and entry.is_listed and approved.get(name) is item:
                continue
            now = fingerprint_of(item)
            if entry is None:
                if is_known and by[0] == QUARANTINE:
                    judged.found[name] = Found("new", now, (), item, self._since(before, name, now))
                    continue
                self._records.approve(server, name, now, item)
                if is_known:
                    self._news.tell(server, name, "new", by[1])
                continue
            if is_shared and not entry.is_listed:
                self._records.listed(server, name, True)
                back.append(name)
            if not entry.has(now.digest):
                parts = changed_parts(entry.parts, now.parts)
                judged.found[name] = Found("changed", now, parts, item, self._since(before, name, now))
        judged.offered = _without(items, judged)
        self._tell(server, judged, before, is_shared)
        if is_shared:
            was_found = before.found.keys() if before is not None else set()
            restored = was_found & seen | set(back)
            self._tell_of_others(server, sorted(restored - judged.found.keys()), seen, by[1])
        self._news.flush(server)
        self.version += 1
        return judged

    def _since(self, before: _Judged | None, name: str, now: Fingerprint) -> float:
        old = before.found.get(name) if before is not None else None
        return old.since if old is not None and old.now.digest == now.digest else self._clock.wall()

    def _tell(self, server: str, judged: _Judged, before: _Judged | None, is_shared: bool) -> None:
        """What was not found when the list was judged before. One that changes always is told of once."""
        rules, is_held = judged.by[1], judged.by[0] == QUARANTINE
        shared = self._judged.get(server, {}).get(ANYONE)
        for name, found in judged.found.items():
            if before is not None and name in before.found and before.by[0] == judged.by[0]:
                continue
            if is_shared or shared is None or name not in shared.found:
                self._news.tell(server, name, found.what, rules, found.parts, is_held)

    def _tell_of_others(
        self, server: str, restored: Iterable[str], seen: Collection[str], rules: GlobRules
    ) -> None:
        """Those that are what they were again, and those that are gone."""
        for name in restored:
            self._news.tell(server, name, "restored", rules)
        for name, entry in list(self._records.of(server).items()):
            if entry.is_listed and name not in seen:
                self._records.listed(server, name, False)
                self._news.tell(server, name, "gone", rules)

    # --- what waits for a person ----------------------------------------------------------------------------

    def counts(self, server: str) -> tuple[int, int]:
        """Tools that are not approved, and how many of them are withheld. Asked for with every picture."""
        return self._told_of(server).counts

    def changes(self, server: str) -> tuple[ToolChange, ...]:
        """Everything that nobody has approved, by name."""
        return self._told_of(server).changes

    def _told_of(self, server: str) -> "_Told":
        """A screen asks for it with every picture: made anew only if something was found or approved."""
        told = self._told.get(server)
        if told is None or told.version != self.version:
            told = self._told[server] = _Told(self.version, self._rows(server))
        return told

    def _rows(self, server: str) -> tuple[ToolChange, ...]:
        rows: dict[tuple[str, str], ToolChange] = {}
        for principal, judged, name, found in self._all(server):
            before = rows.get((name, found.now.digest))
            whose = () if principal == ANYONE or (before and not before.principals) else (principal,)
            rows[name, found.now.digest] = ToolChange(
                server,
                name,
                found.what,
                found.now.digest,
                found.parts,
                judged.by[0] == QUARANTINE,
                min(found.since, before.since) if before else found.since,
                (*before.principals, *whose) if before and whose else whose,
            )
        return tuple(rows[key] for key in sorted(rows))

    def _all(self, server: str) -> Iterator[tuple[str, _Judged, str, Found]]:
        """Those that the configuration would let clients have; everybody's first."""
        own = self._judged.get(server, {})
        for principal in sorted(own, key=lambda name: (name != ANYONE, name)):
            judged = own[principal]
            for name, found in judged.found.items():
                if decided(judged.by[1], name).is_allowed:
                    yield principal, judged, name, found

    async def diff(self, server: str, tool: str, digest: str | None = None) -> ToolDiff:
        """One change in full; `digest`: which, if there are several. Raises: UnknownChange."""
        change = next(
            (one for one in self.changes(server) if one.tool == tool and digest in (None, one.digest)), None
        )
        if change is None:
            raise UnknownChange(f"Nothing about {tool[:100]!r} of {server} waits for an approval.")
        mine = (found for _, _, name, found in self._all(server) if name == tool)
        found = next(each for each in mine if each.now.digest == change.digest)
        before = await self._records.text(server, tool) if found.what == "changed" else None
        return ToolDiff(change, text_of(found.item), before, self.mentions.named_in(server, found.item))

    def approve(self, server: str, tool: str | None = None, digest: str | None = None) -> tuple[str, ...]:
        """Take what a tool says now, or every tool of the server, for what it should say; which these were.

        `digest`: only if it still says that. Raises: UnknownChange.
        """
        mine = [(name, found) for _, _, name, found in self._all(server) if tool in (None, name)]
        meant = [(name, found) for name, found in mine if digest in (None, found.now.digest)]
        if not meant:
            what = f"{tool[:100]!r} of {server}" if tool is not None else server
            if mine:
                raise UnknownChange(f"{what} says something else by now: look at it again before you approve.")
            raise UnknownChange(f"Nothing about {what} waits for an approval.")
        for name, found in meant:
            self._records.approve(server, name, found.now, found.item)
        self._judge_anew(server)
        return tuple(sorted({name for name, _ in meant}))

    def _judge_anew(self, server: str) -> None:
        """When its lists are next merged; what is approved by then is no news."""
        for judged in self._judged.get(server, {}).values():
            judged.digest, judged.items = b"", ()
            known = self._records.of(server)
            for name in [n for n, f in judged.found.items() if (k := known.get(n)) and k.has(f.now.digest)]:
                del judged.found[name]
        self.version += 1

    # --- life -----------------------------------------------------------------------------------------------

    def keep(self, servers: Collection[str]) -> None:
        """Those that are configured; of others nothing waits."""
        for gone in self._judged.keys() - set(servers):
            del self._judged[gone]
            self._told.pop(gone, None)
            self.version += 1

    def merged(self, catalog: Catalog) -> None:
        """What everyone shares is this now."""
        self.mentions.want(catalog)

    async def take_over(self) -> bool:
        """Whether another gateway with the same configuration has approved something that waits here."""
        waiting = [server for server in self._judged if self.counts(server)[0]]
        found = await self._records.take_over(waiting)
        for server in found:
            self._judge_anew(server)
        return bool(found)

    async def save(self) -> None:
        await self._records.save()

    async def aclose(self) -> None:
        """It may be used again afterwards."""
        await self.mentions.aclose()
        await self._records.aclose()


def forgetful(clock: Clock, publish: Callable[[Fact], None]) -> ToolWatch:
    """One that keeps nothing beyond this process, and nothing in the log."""
    return ToolWatch(ToolRecords(None, clock), clock, publish, lambda server, level, text: None)


def _approved(before: _Judged | None, by: tuple[str, GlobRules]) -> dict[str, Item]:
    """By name, what was as it should be: as long as it is the same object, it needs no second look."""
    if before is None or before.by != by:
        return {}
    # Of two with one name the first counts.
    items = {name: item for item in reversed(before.items) if isinstance(name := item.get("name"), str)}
    return {name: item for name, item in items.items() if name not in before.found}


def _without(items: tuple[Item, ...], judged: _Judged) -> tuple[Item, ...]:
    if judged.by[0] != QUARANTINE or not judged.found:
        return items
    return tuple(item for item in items if item.get("name") not in judged.found)
