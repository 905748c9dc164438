"""Answers that are given again: ready bytes, each good for a while, the least recently used given up first.

Sole owner of them and of what is counted about them. Bounded in entries for each method and in bytes over all.
Knows no backends and asks nothing; what may be kept, and whether its question is still current, others decide.
Spec: 2026-07-28 server/utilities/caching, "ttlMs", "cacheScope".
"""

import itertools
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from enum import StrEnum
from hashlib import blake2b
from typing import Final, NamedTuple

from msgspec import Struct, field

from proxy_core.clock import Clock
from proxy_core.config.saving import CacheConfig
from proxy_core.gateway.coalescing import Subject

EVERYONE: Final = ""
"""Whose an entry is that all share."""
LONG_BYTES: Final = 64
"""Of parameters; longer ones stand in the key as their digest."""
DIGEST_BYTES: Final = 20
ENTRY_BYTES: Final = 400
"""What an entry takes beside its bytes, about."""


class Cause(StrEnum):
    """Why an entry went."""

    EXPIRED = "expired"
    ENTRIES = "entries"
    """More of the method than `cache.max_entries_per_method`."""
    BYTES = "bytes"
    """More of all than `cache.max_bytes`."""
    LIST_CHANGED = "list_changed"
    UPDATED = "updated"
    """The server said that the resource is another."""
    DRAIN = "drain"
    LOST = "lost"
    """The connection: what the server said meanwhile is not known."""
    RELOAD = "reload"
    CLEARED = "cleared"
    """By a person."""


class Key(NamedTuple):
    """Equal keys are answered with equal bytes."""

    method: str
    server: str
    params: bytes
    """Canonical JSON of what the answer depends on, or its digest."""
    revision: str
    """That the bytes are written in."""
    owner: str
    """The principal, or `EVERYONE`."""


def packed(params: bytes) -> bytes:
    """Canonical parameters as a key holds them."""
    return params if len(params) <= LONG_BYTES else blake2b(params, digest_size=DIGEST_BYTES).digest()


class Entry(Struct, eq=False):
    body: bytes
    subject: Subject
    stored_at: float
    """Monotonic seconds, as `expires_at`."""
    expires_at: float
    hints: tuple[int, str] | None = None
    """ttlMs and cacheScope as the server gave them, for clients that are told; None: they stand in the body."""
    used: int = 0
    """Grows from entry to entry as they are used."""

    @property
    def size(self) -> int:
        return len(self.body) + ENTRY_BYTES


class CacheCounts(Struct):
    """Of one method at one server, since start."""

    hits: int = 0
    misses: int = 0
    stale_hits: int = 0
    """Answers past their time, given because the server was down."""
    age_s: float = 0.0
    """Of all entries at their hits, added up."""
    max_age_s: float = 0.0
    entries: int = 0
    bytes: int = 0
    evictions: dict[str, int] = field(default_factory=dict)
    """By cause."""

    def hit(self, age_s: float) -> None:
        self.hits += 1
        self.age_s += age_s
        if age_s > self.max_age_s:
            self.max_age_s = age_s

    def evicted(self, cause: str) -> None:
        self.evictions[cause] = self.evictions.get(cause, 0) + 1


class ResponseCache:
    def __init__(self, clock: Clock, settings: Callable[[], CacheConfig]) -> None:
        self._clock = clock
        self._settings = settings
        self._entries: dict[str, OrderedDict[Key, Entry]] = {}
        """By method, least recently used first."""
        self._uses = itertools.count(1)
        self._bytes = 0
        self.counts: dict[tuple[str, str], CacheCounts] = {}
        """By method and server."""

    def __len__(self) -> int:
        return sum(len(entries) for entries in self._entries.values())

    @property
    def size(self) -> int:
        """In bytes, with what it takes to keep them."""
        return self._bytes

    def get(self, shared: Key, own: Key) -> Entry | None:
        """What everyone shares, else what is this principal's alone; counted as a hit or a miss."""
        entries = self._entries.get(shared.method)
        now = self._clock.monotonic()
        if entries:
            for key in (own, shared):
                entry = entries.get(key)
                if entry is not None and now < entry.expires_at:
                    entries.move_to_end(key)
                    entry.used = next(self._uses)
                    self.count(shared.method, shared.server).hit(now - entry.stored_at)
                    return entry
        self.count(shared.method, shared.server).misses += 1
        return None

    def get_stale(self, shared: Key, own: Key) -> Entry | None:
        """What may still be given while the server is down, however it expired."""
        bound_s = self._settings().stale_if_error_seconds
        entries = self._entries.get(shared.method) or OrderedDict[Key, Entry]()
        now = self._clock.monotonic()
        for key in (own, shared):
            entry = entries.get(key)
            if entry is not None and now < entry.expires_at + bound_s:
                self.count(shared.method, shared.server).stale_hits += 1
                return entry
        return None

    def put(self, key: Key, subject: Subject, body: bytes, ttl_s: float, hints: tuple[int, str] | None) -> None:
        """Keep an answer for `ttl_s` seconds; the least recently used make room."""
        settings, now = self._settings(), self._clock.monotonic()
        entry = Entry(body, subject, now, now + ttl_s, hints, next(self._uses))
        if ttl_s <= 0 or entry.size > settings.max_bytes:
            return
        entries = self._entries.setdefault(key.method, OrderedDict())
        if key in entries:
            # Renewed, which is no eviction.
            self._remove(key, None)
        entries[key] = entry
        self._bytes += entry.size
        counts = self.count(key.method, key.server)
        counts.entries += 1
        counts.bytes += entry.size
        self._make_room(key.method, settings)

    def invalidate(self, concerns: Callable[[Subject], bool], cause: Cause) -> int:
        """Drop what is about these subjects, or about all; how many that were."""
        gone = [key for key, entry in self._all() if concerns(entry.subject)]
        for key in gone:
            self._remove(key, cause)
        return len(gone)

    def expire(self, server: str) -> None:
        """What this server answered is past its time from now on; kept for as long as stale answers are."""
        now, keeps = self._clock.monotonic(), self._settings().stale_if_error_seconds > 0
        for key, entry in self._all():
            if key.server == server and entry.expires_at > now:
                if keeps:
                    entry.expires_at = now
                else:
                    self._remove(key, Cause.LOST)

    def sweep(self) -> None:
        """Drop what is past its time. Called from time to time, so that the dead hold no memory."""
        before = self._clock.monotonic() - self._settings().stale_if_error_seconds
        for key, entry in self._all():
            if entry.expires_at <= before:
                self._remove(key, Cause.EXPIRED)

    def use(self, servers: Collection[str]) -> None:
        """The configuration is another: keep within its bounds, forget the counts of servers that are gone."""
        settings = self._settings()
        for method in list(self._entries):
            self._make_room(method, settings)
        for place in [place for place in self.counts if place[1] not in servers]:
            del self.counts[place]

    def count(self, method: str, server: str) -> CacheCounts:
        counts = self.counts.get((method, server))
        if counts is None:
            counts = self.counts[method, server] = CacheCounts()
        return counts

    # --- inside -----------------------------------------------------------------------------------------------

    def _all(self) -> list[tuple[Key, Entry]]:
        return list(itertools.chain.from_iterable(entries.items() for entries in self._entries.values()))

    def _make_room(self, method: str, settings: CacheConfig) -> None:
        entries = self._entries[method]
        while len(entries) > settings.max_entries_per_method:
            self._evict(next(iter(entries)), Cause.ENTRIES)
        while self._bytes > settings.max_bytes:
            heads = (next(iter(each.items())) for each in self._entries.values() if each)
            key, _ = min(heads, key=lambda head: head[1].used)
            self._evict(key, Cause.BYTES)

    def _evict(self, key: Key, cause: Cause) -> None:
        """What is past its time anyway did not go for want of room."""
        has_expired = self._entries[key.method][key].expires_at <= self._clock.monotonic()
        self._remove(key, Cause.EXPIRED if has_expired else cause)

    def _remove(self, key: Key, cause: Cause | None) -> None:
        entry = self._entries[key.method].pop(key)
        self._bytes -= entry.size
        counts = self.count(key.method, key.server)
        counts.entries -= 1
        counts.bytes -= entry.size
        if cause is not None:
            counts.evicted(cause)


def about(server: str, methods: Iterable[str] = (), target: str | None = None) -> Callable[[Subject], bool]:
    """Which subjects an invalidation means: this server's, of these methods if any, of this target if any."""
    named = frozenset(methods)

    def concerns(subject: Subject) -> bool:
        if subject.server != server or (named and subject.method not in named):
            return False
        return target is None or subject.target == target

    return concerns
