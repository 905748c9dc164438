"""What it costs to save a call, without sockets: looking up, keeping, joining.

Run as `python -m tests.benchmarks.caching`. CPU time, the best of a few runs, for the machine may be shared.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import cycle
from random import Random
from typing import Final, Protocol

import uvloop
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
from tests.support.stub_backends import House, Item, StubServer, client, tool

CAPACITY: Final = 1000
KEYS: Final = 2 * CAPACITY
TTL_S: Final = 600.0
METHOD: Final = "resources/read"
SUBJECT: Final = Subject("box", METHOD)
BODY: Final = b'{"contents":[{"uri":"file:///a","text":"%s"}]}' % (b"x" * 1000)
FOLLOWERS: Final = 64
BEST_OF: Final = 7
A_READ: Final = Raw(b'{"uri":"file:///home/user/project/readme.md","_meta":{"progressToken":7}}')
A_CALL: Final = Raw(
    b'{"name":"box__search","arguments":{"query":"%s","limit":20,"paths":["src","tests"],"deep":true}}'
    % (b"q" * 140)
)
LIST_SERVERS: Final = 10
LIST_TOOLS: Final = 4
"""Of each server, some 250 bytes each."""


async def saving_table() -> list[str]:
    """Microseconds of what lies on the way of a request that is saved."""
    ours, other = _measure(_Ours()), _measure(_Cachetools())
    return [
        f"| cache of {CAPACITY:,} entries of 1 KB | ours, µs | `cachetools.TLRUCache`, µs |",
        "|---|---|---|",
        *(f"| {name} | {us:.2f} | {other[name]:.2f} |" for name, us in ours.items()),
        "",
        "| step | µs |",
        "|---|---|",
        f"| key of a resources/read | {best_us(lambda: packed(canonical_params(A_READ) or b'')):.2f} |",
        "| key of a tools/call with 200 bytes of arguments, its digest "
        f"| {best_us(lambda: packed(canonical_params(A_CALL) or b'')):.2f} |",
        f"| a request that joins a call under way, {FOLLOWERS} at a time | {await _join_us():.2f} |",
        *[f"| {name} | {us:.2f} |" for name, us in await _list_us()],
    ]


def best_us(once: Callable[[], object], number: int = 4000) -> float:
    def run() -> float:
        begun = time.thread_time()
        for _ in range(number):
            once()
        return time.thread_time() - begun

    return min(run() for _ in range(BEST_OF)) / number * 1e6


async def best_async_us(once: Callable[[], Awaitable[object]], number: int) -> float:
    async def run() -> float:
        begun = time.thread_time()
        for _ in range(number):
            await once()
        return time.thread_time() - begun

    return min([await run() for _ in range(BEST_OF)]) / number * 1e6


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


def _measure(cache: _Cache) -> dict[str, float]:
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
        "get, a hit": best_us(hit),
        "get, a miss": best_us(miss),
        "put, where another has to go": best_us(lambda: cache.put(next(every))),
        f"get, and put on a miss, 80 % of them for 20 % of {KEYS:,} keys": best_us(mix),
    }


def _some(pairs: list[tuple[Key, Key]]) -> "cycle[tuple[Key, Key]]":
    """80 % of them from the first fifth."""
    rng, fifth = Random(1), len(pairs) // 5
    bounds = [(0, fifth) if rng.random() < 0.8 else (fifth, len(pairs)) for _ in range(10_000)]
    return cycle([pairs[rng.randrange(*each)] for each in bounds])


# --- joined requests ------------------------------------------------------------------------------------------


async def _join_us() -> float:
    settings = BatchingConfig(window_ms=0)
    flights = Flights(SystemClock(), lambda: settings)

    async def make(flight: Flight[bytes]) -> bytes:
        await asyncio.sleep(0)
        return BODY

    async def together() -> None:
        await asyncio.gather(*(flights.join("key", SUBJECT, make) for _ in range(FOLLOWERS)))

    took_us = await best_async_us(together, 50)
    counts = flights.counts[SUBJECT.method, SUBJECT.server]
    assert counts.asked == FOLLOWERS * counts.made, counts
    await flights.aclose()
    return took_us / FOLLOWERS


# --- a list that needs no call --------------------------------------------------------------------------------


async def _list_us() -> list[tuple[str, float]]:
    servers = {f"s{n}": StubServer(MODERN, tools=_tools(), hints=_HINTS) for n in range(LIST_SERVERS)}
    async with House(servers, SystemClock()).open() as place:
        place.gateway._publish = _unheard
        return [await _one_list_us(place, revision) for revision in (MODERN, LATEST_LEGACY)]


async def _one_list_us(place: House, revision: str) -> tuple[str, float]:
    caller = client(revision)
    params = Raw(b'{"_meta":{}}') if caller.era is Era.MODERN else Raw()
    size = len(await place.bytes_of("tools/list", {}, caller))
    calls = [server.count("tools/list") for server in place.servers.values()]
    us = await best_async_us(lambda: place.gateway.handle(_listing(params, caller)), 2000)
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


if __name__ == "__main__":
    print("\n".join(uvloop.run(saving_table())))
