"""Reading a backend's lists, every page of them, within bounds.

Spec: 2026-07-28 server/utilities/pagination (an empty cursor is a cursor) and server/utilities/caching.
"""

import operator
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from proxy_core.backends.connection import Connection
from proxy_core.context.slices import in_slices
from proxy_core.errors import BackendError, BackendProtocolError, ErrorCode, ParseError
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.methods import LIST_METHODS
from proxy_core.protocol.revisions import Era

LIST_S: Final = 15.0
MAX_PAGES: Final = 100
MAX_ITEMS: Final = 5000
MAX_LISTING_BYTES: Final = 32 * 1024 * 1024
"""Of all pages together, as they came."""
MAX_ITEM_DEPTH: Final = 64
"""Objects and arrays within each other; far below what the JSON codec can write."""
MAX_TTL_MS: Final = 86_400_000
FED_TTL_MS: Final = 60_000
"""What a list of a legacy backend that announces changes is good for."""
UNFED_TTL_MS: Final = 5_000

FEATURE_OF: Final = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resources",
    "prompts/list": "prompts",
}
METHODS_OF_KIND: Final = {
    "tools": ("tools/list",),
    "resources": ("resources/list", "resources/templates/list"),
    "prompts": ("prompts/list",),
}


class Listing(Struct, frozen=True):
    """One list of one backend, all pages."""

    items: tuple[dict[str, Any], ...] = ()
    ttl_ms: int = FED_TTL_MS
    is_private: bool = False
    read_at: float = field(default=0.0)
    is_synthetic: bool = False
    """Whether `ttl_ms` is ours: its server is of the legacy era, which knows no such hint."""
    is_fed: bool = False
    """Whether its server announces changes."""
    size: int = 0
    """In bytes, as it came."""
    is_from_modern_http: bool = False
    """Whether arguments of its tools may have to travel as headers, which invalid annotations make unsafe."""

    @property
    def stays_new(self) -> bool:
        """Whether it is told as good for the same time always: its server would say if it had another."""
        return self.is_synthetic and self.is_fed

    def told_ttl_ms(self, now: float) -> int:
        """What clients are told that it is good for, from now on (2026-07-28 server/utilities/caching)."""
        if self.stays_new:
            return self.ttl_ms
        return max(0, self.ttl_ms - int((now - self.read_at) * 1000))

    def good_until(self, ours_s: float) -> float:
        """When it has to be read again, in monotonic seconds; `ours_s`: the longest that the config allows."""
        return self.read_at + (ours_s if self.is_synthetic else min(ours_s, self.ttl_ms / 1000))


EMPTY: Final = Listing()


class Lists(Struct, frozen=True):
    """All four lists of a server."""

    by_method: dict[str, Listing] = field(default_factory=dict)

    def get(self, method: str) -> Listing:
        return self.by_method.get(method, EMPTY)

    def replaced(self, method: str, listing: Listing) -> "Lists":
        return Lists(self.by_method | {method: listing})


async def read_listing(
    connection: Connection, method: str, now: Callable[[], float], note: Callable[[str], None]
) -> Listing:
    """Follow `nextCursor` to the end. A feature that was not offered is an empty list and asks nothing.

    Raises: BackendError, BackendFault.
    """
    peer, feature = connection.peer, FEATURE_OF[method]
    if not peer.offers(feature):
        return Listing(read_at=now())
    items: list[dict[str, Any]] = []
    seen: set[str] = set()
    params: dict[str, Any] = {}
    ttl_ms, is_private, size = MAX_TTL_MS, False, 0
    is_synthetic, is_fed = peer.era is Era.LEGACY, peer.announces(feature)
    default_ttl_ms = FED_TTL_MS if is_fed else UNFED_TTL_MS
    for _ in range(MAX_PAGES):
        page, page_size = await _read_page(connection, method, params)
        size += page_size
        if size > MAX_LISTING_BYTES:
            note(
                f"{method} was cut at {len(items)} items: all of them are larger than {MAX_LISTING_BYTES} bytes"
            )
            break
        # A legacy server that has such a member means something else by it.
        ttl_ms = min(ttl_ms, default_ttl_ms if is_synthetic else _ttl_ms(page, default_ttl_ms))
        is_private = is_private or page.get("cacheScope") == "private"
        items += await _items(page, LIST_METHODS[method], note)
        cursor = page.get("nextCursor")
        if not isinstance(cursor, str):
            break
        if cursor in seen or len(items) >= MAX_ITEMS:
            note(f"{method} was cut at {len(items)} items: its cursor repeats or it has no end")
            break
        seen.add(cursor)
        params = {"cursor": cursor}
    else:
        note(f"{method} was cut after {MAX_PAGES} pages")
    is_from_modern_http = peer.era is Era.MODERN and connection.transport == "http"
    return Listing(
        tuple(items[:MAX_ITEMS]),
        ttl_ms,
        is_private,
        now(),
        is_synthetic=is_synthetic,
        is_fed=is_fed,
        size=size,
        is_from_modern_http=is_from_modern_http,
    )


async def with_items_of(old: Listing, new: Listing) -> Listing:
    """`new` with the very items of `old` where they are the same JSON: what was made of them is still good."""
    if not old.items or not new.items:
        return new
    known = {_label(item): item for item in reversed(old.items)}
    items = [
        was if (was := known.get(_label(item))) is not None and _is_same(was, item) else item
        async for item in in_slices(new.items)
    ]
    is_unchanged = len(items) == len(old.items) and all(map(operator.is_, items, old.items))
    return replace(new, items=old.items if is_unchanged else tuple(items))


def _label(item: dict[str, Any]) -> tuple[str | None, ...]:
    """What an item is found again by."""
    said = (item.get(member) for member in ("name", "uri", "uriTemplate"))
    return tuple(value if isinstance(value, str) else None for value in said)


def _is_same(was: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether they say the same to the letter; to Python 1, 1.0 and true would be equal."""
    try:
        return was == now and msgspec.json.encode(was) == msgspec.json.encode(now)
    except (ValueError, OverflowError):
        # Half a surrogate pair, or a number beyond all bounds: legal in JSON, and not written by msgspec.
        return False


async def _read_page(connection: Connection, method: str, params: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """One page, and how many bytes it took."""
    try:
        raw = await connection.ask(method, params, timeout_s=LIST_S)
        page = jsonrpc.decode(raw)
    except BackendError as error:
        if error.code == ErrorCode.METHOD_NOT_FOUND:
            # Offered as a whole, but without this list: many servers have resources and no templates.
            return {}, 0
        raise
    except ParseError:
        page = None
    if not isinstance(page, dict):
        raise BackendProtocolError(connection.id, f"The server's answer to {method} is not a list.")
    return page, memoryview(raw).nbytes


async def _items(page: dict[str, Any], member: str, note: Callable[[str], None]) -> list[dict[str, Any]]:
    found = page.get(member, [])
    if not isinstance(found, list):
        note(f"{member} is not an array")
        return []
    good = [item for item in found if isinstance(item, dict)]
    if len(good) < len(found):
        note(f"{len(found) - len(good)} of its {member} are not objects and were left out")
    shallow = [item async for item in in_slices(good) if not _is_deeper(item, MAX_ITEM_DEPTH)]
    if len(shallow) < len(good):
        note(f"{len(good) - len(shallow)} of its {member} are nested too deeply and were left out")
    return shallow


def _is_deeper(value: Any, depth: int) -> bool:
    """Whether objects and arrays are nested more than `depth` times; found without recursion."""
    level = [value]
    for _ in range(depth):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return any(isinstance(each, dict | list) for each in level)


def _ttl_ms(page: dict[str, Any], default_ms: int) -> int:
    """The page's own hint; negative or not an integer counts as 0, absent as ours."""
    ttl = page.get("ttlMs")
    if ttl is None:
        return default_ms
    if isinstance(ttl, bool) or not isinstance(ttl, int) or ttl < 0:
        return 0
    return min(ttl, MAX_TTL_MS)
