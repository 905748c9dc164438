"""What it costs to save a call, without sockets: looking up, keeping, joining, counting."""

import asyncio
from itertools import cycle
from random import Random
from typing import Final, Protocol

from cachetools import TLRUCache
from msgspec import Raw

from proxy_core.clock import SystemClock
from proxy_core.config.saving import BatchingConfig, CacheConfig
from proxy_core.facts import Fact
from proxy_core.gateway.cache import EVERYONE, Entry, Key, ResponseCache, packed
from proxy_core.gateway.coalescing import Flight, Flights, Subject
from proxy_core.gateway.exchange import Caller, Exchange, Nobody
from proxy_core.protocol.canonical import canonical_params
from proxy_core.protocol.revisions import LATEST_LEGACY, MODERN, Era
from tests.benchmarks.intervals import Interval
from tests.benchmarks.timing import async_step_us, per, step_us
from tests.support.stub_backends import House, Item, StubServer, client, tool

HIT: Final = "get, a hit"
CAPACITY: Final = 1000
KEYS: Final = 2 * CAPACITY
TTL_S: Final = 600.0
METHOD: Final = "resources/read"
SUBJECT: Final = Subject("box", METHOD)
BODY: Final = b'{"contents":[{"uri":"file:///a","text":"%s"}]}' % (b"x" * 1000)
FOLLOWERS: Final = (1, 8, 64, 512)
A_READ: Final = Raw(b'{"uri":"file:///home/user/project/readme.md","_meta":{"progressToken":7}}')
A_CALL: Final = Raw(
    b'{"name":"box__search","arguments":{"query":"%s","limit":20,"paths":["src","tests"],"deep":true}}'
    % (b"q" * 140)
)
LIST_SERVERS: Final = 10
LIST_TOOLS: Final = 4
"""Of each server, some 250 bytes each."""


def cache_us() -> dict[str, tuple[Interval, Interval]]:
    """Microseconds of each use: of our cache, and of the class made for it."""
    ours, other = _measure(_Ours()), _measure(_Cachetools())
    return {name: (interval, other[name]) for name, interval in ours.items()}


async def saving_us() -> dict[str, Interval]:
    """Microseconds of the steps beside the cache."""
    return {
        "key of a resources/read": step_us(lambda: packed(canonical_params(A_READ) or b"")),
        "key of a tools/call with 200 bytes of arguments, its digest": step_us(
            lambda: packed(canonical_params(A_CALL) or b"")
        ),
        **{_joined(number): await _join_us(number) for number in FOLLOWERS},
        "a call that nobody may join": await _alone_us(),
        **await _house_us(),
    }


def _joined(number: int) -> str:
    if number == 1:
        return "a request that others may join, and none does"
    return f"each of {number} equal requests at once, which become one call"


# --- caches ---------------------------------------------------------------------------------------------------


class _Cache(Protocol):
    def get(self, shared: Key, own: Key) -> Entry | None: ...

    def put(self, key: Key) -> None: ...


class _Ours:
    def __init__(self) -> None:
        settings = CacheConfig(max_entries_per_method=CAPACITY)
        self._cache = ResponseCache(SystemClock(), lambda: settings)
        self.get = self._cache.get

    def put(self, key: Key) -> None:
        self._cache.put(key, SUBJECT, BODY, TTL_S, None)


class _Cachetools:
    """The class made for it, alone: it counts nothing, knows no bound in bytes and nothing to invalidate by."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._cache: TLRUCache[Key, Entry] = TLRUCache(
            CAPACITY, lambda key, entry, now: entry.expires_at, self._clock.monotonic
        )

    def get(self, shared: Key, own: Key) -> Entry | None:
        entry = self._cache.get(own)
        return self._cache.get(shared) if entry is None else entry

    def put(self, key: Key) -> None:
        now = self._clock.monotonic()
        self._cache[key] = Entry(BODY, SUBJECT, now, now + TTL_S)


def _measure(cache: _Cache) -> dict[str, Interval]:
    shared = [Key(METHOD, "box", packed(b'{"uri":"file:///%d"}' % n), MODERN, EVERYONE) for n in range(KEYS)]
    pairs = [(key, key._replace(owner="anon")) for key in shared]
    kept, strange, every, some = cycle(pairs[:CAPACITY]), cycle(pairs[CAPACITY:]), cycle(shared), _some(pairs)

    def miss() -> None:
        assert cache.get(*next(strange)) is None

    def hit() -> None:
        assert cache.get(*next(kept)) is not None

    def mix() -> None:
        key, own = next(some)
        if cache.get(key, own) is None:
            cache.put(key)

    for key in shared[:CAPACITY]:
        cache.put(key)
    return {
        HIT: step_us(hit),
        "get, a miss": step_us(miss),
        "put, where another has to go": step_us(lambda: cache.put(next(every))),
        f"get, and put on a miss, 80 % of them for 20 % of {KEYS:,} keys": step_us(mix),
    }


def _some(pairs: list[tuple[Key, Key]]) -> "cycle[tuple[Key, Key]]":
    """80 % of them from the first fifth."""
    rng, fifth = Random(1), len(pairs) // 5
    bounds = [(0, fifth) if rng.random() < 0.8 else (fifth, len(pairs)) for _ in range(10_000)]
    return cycle([pairs[rng.randrange(*each)] for each in bounds])


# --- joined requests ------------------------------------------------------------------------------------------


async def _join_us(number: int) -> Interval:
    """Of each of so many."""
    flights = _flights()

    async def together() -> None:
        await asyncio.gather(*(flights.join("key", SUBJECT, _make) for _ in range(number)))

    took = await async_step_us(together, max(4, 3000 // number))
    counts = flights.counts[SUBJECT.method, SUBJECT.server]
    assert counts.asked == number * counts.made, counts
    await flights.aclose()
    return per(took, number)


async def _alone_us() -> Interval:
    flights = _flights()
    took = await async_step_us(lambda: flights.alone(SUBJECT, _make), 3000)
    await flights.aclose()
    return took


def _flights() -> Flights:
    settings = BatchingConfig(window_ms=0)
    return Flights(SystemClock(), lambda: settings)


async def _make(flight: Flight[bytes]) -> bytes:
    await asyncio.sleep(0)
    return BODY


# --- a list that needs no call, and what all of it saved ------------------------------------------------------


async def _house_us() -> dict[str, Interval]:
    servers = {f"s{n}": StubServer(MODERN, tools=_tools(), hints=_HINTS) for n in range(LIST_SERVERS)}
    async with House(servers, SystemClock()).open() as place:
        place.gateway._publish = _unheard
        found = dict([await _one_list_us(place, revision) for revision in (MODERN, LATEST_LEGACY)])
        found[f"all counts of what was saved, of {LIST_SERVERS} servers"] = step_us(place.gateway.savings)
        return found


async def _one_list_us(place: House, revision: str) -> tuple[str, Interval]:
    caller = client(revision)
    params = Raw(b'{"_meta":{}}') if caller.era is Era.MODERN else Raw()
    size = len(await place.bytes_of("tools/list", {}, caller))
    calls = [server.count("tools/list") for server in place.servers.values()]
    us = await async_step_us(lambda: place.gateway.handle(_listing(params, caller)), 1000)
    assert calls == [server.count("tools/list") for server in place.servers.values()]
    return f"a {caller.era} tools/list of {LIST_SERVERS} servers, {size:,} bytes, without HTTP", us


_HINTS: Final[Item] = {"ttlMs": 600_000, "cacheScope": "public"}


def _tools() -> list[Item]:
    schema = {"type": "object", "properties": {"path": {"type": "string", "description": "Where"}}}
    return [tool(f"tool_{n}", description="Does things. " * 9, inputSchema=schema) for n in range(LIST_TOOLS)]


def _listing(params: Raw, caller: Caller) -> Exchange:
    return Exchange("tools/list", params, caller, Nobody())


def _unheard(fact: Fact) -> None:
    return
