"""One server's lists out of those of its replicas: all that any has, who has it, and in what they differ. Pure.

Replicas should have the same lists. Where they do not, a client sees everything, a call goes only to those that
have what it names, and a person is told.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from msgspec import Struct

from proxy_core.backends.lists import EMPTY, MAX_ITEMS, Listing
from proxy_core.protocol.text import clean_text

Item: TypeAlias = dict[str, Any]

MAX_DIFFERENCES: Final = 20
MAX_SHOWN_BYTES: Final = 64
MAX_SHOWN_REPLICAS: Final = 5


class _Kind(NamedTuple):
    word: str
    member: str
    """Of an item, that holds its name."""


KINDS: Final = {
    "tools/list": _Kind("tool", "name"),
    "resources/list": _Kind("resource", "uri"),
    "resources/templates/list": _Kind("template", "uriTemplate"),
    "prompts/list": _Kind("prompt", "name"),
}


class Lists(Protocol):
    """All lists of one replica."""

    def get(self, method: str) -> Listing:
        """`EMPTY` itself for one that was never read."""


class Merged(Struct, frozen=True):
    """What the replicas of one server have together."""

    by_method: dict[str, Listing]
    """Without those that no replica has read."""
    holders: dict[tuple[str, str], frozenset[str]]
    """List method and name -> ids of the replicas that have it. Only what some have and some have not."""
    differences: tuple[str, ...]
    """Sentences for a person, of a bounded number and length."""


def merged(parts: Sequence[tuple[str, Lists]]) -> Merged:
    """`parts`: ids of replicas and their lists, in configuration order; the first that defines an item wins.

    A replica that has not read a list yet is not said to differ, but holds nothing of it either.
    """
    by_method: dict[str, Listing] = {}
    holders: dict[tuple[str, str], frozenset[str]] = {}
    differences = _Differences()
    for method, kind in KINDS.items():
        read = {replica: listing for replica, lists in parts if (listing := lists.get(method)) is not EMPTY}
        if not read:
            continue
        if len(parts) == 1:
            by_method[method] = parts[0][1].get(method)
            continue
        found = _found(read, kind.member)
        by_method[method] = _together(list(read.values()), found)
        for name, definitions in found.items():
            if len(definitions) < len(parts):
                holders[method, name] = frozenset(definitions)
            differences.compare(kind.word, name, definitions, len(read))
    return Merged(by_method, holders, differences.told())


def _found(read: Mapping[str, Listing], member: str) -> dict[str, dict[str, Item]]:
    """Name -> replica -> the item, both in the order in which they came."""
    found: dict[str, dict[str, Item]] = {}
    for replica, listing in read.items():
        for item in listing.items:
            name = item.get(member)
            # What is left out here is hidden from clients for the same reason, if all have the same.
            if isinstance(name, str) and name:
                found.setdefault(name, {}).setdefault(replica, item)
    return dict(islice(found.items(), MAX_ITEMS))


def _together(listings: Sequence[Listing], found: Mapping[str, Mapping[str, Item]]) -> Listing:
    """Every item once; as old as the oldest, good for as long as the shortest, private if any is."""
    first = listings[0]
    are_alike = all(each.items == first.items for each in listings)
    union = Listing(
        items=first.items if are_alike else tuple(next(iter(each.values())) for each in found.values()),
        ttl_ms=min(each.ttl_ms for each in listings),
        is_private=any(each.is_private for each in listings),
        read_at=min(each.read_at for each in listings),
        is_synthetic=all(each.is_synthetic for each in listings),
        is_fed=all(each.is_fed for each in listings),
        size=sum(each.size for each in listings),
        is_from_modern_http=any(each.is_from_modern_http for each in listings),
    )
    return first if union == first else union


class _Differences:
    """Sentences while they are collected; those beyond the bound are only counted."""

    def __init__(self) -> None:
        self._sentences: list[str] = []
        self._more = 0

    def compare(self, word: str, name: str, definitions: Mapping[str, Item], replicas: int) -> None:
        """`definitions`: by replica, of those out of `replicas` that have it."""
        if len(definitions) < replicas:
            self._add(word, name, f"only at {_listed(list(definitions))}")
        first = next(iter(definitions.values()))
        others = [replica for replica, item in definitions.items() if item != first]
        if others:
            self._add(word, name, f"not defined at {_listed(others)} as at {next(iter(definitions))}")

    def _add(self, word: str, name: str, what: str) -> None:
        if len(self._sentences) == MAX_DIFFERENCES:
            self._more += 1
            return
        shown = " ".join(clean_text(name, MAX_SHOWN_BYTES).split())
        self._sentences.append(f"{word} `{shown}` {what}")

    def told(self) -> tuple[str, ...]:
        return (*self._sentences, *([f"and {self._more} more"] if self._more else []))


def _listed(replicas: Sequence[str]) -> str:
    more = len(replicas) - MAX_SHOWN_REPLICAS
    shown = ", ".join(replicas[:MAX_SHOWN_REPLICAS])
    return f"{shown} and {more} more" if more > 0 else shown
