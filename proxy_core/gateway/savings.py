"""The accounts of cache, lists and joined requests as one picture."""

from proxy_core.backends.registry import BackendRegistry
from proxy_core.gateway.cache import CacheCounts, ResponseCache
from proxy_core.gateway.coalescing import Flights
from proxy_core.gateway.listing import Listing
from proxy_core.telemetry.savings import CacheRow, JoinRow, Savings, WireRow


def savings_of(registry: BackendRegistry, cache: ResponseCache, listing: Listing, flights: Flights) -> Savings:
    """As of now; servers in configuration order."""
    listing.count_hits()
    place = {backend.id: number for number, backend in enumerate(registry)}
    kept = listing.kept()
    rows = [
        _cache_row(*key, cache.counts.get(key) or CacheCounts(), *kept.get(key, (0, 0)))
        for key in cache.counts.keys() | kept.keys()
        if key[1] in place
    ]
    joins = [
        JoinRow(
            method,
            server,
            counts.asked,
            counts.made,
            counts.saved,
            counts.windows,
            counts.windows_full,
            round(counts.window_wait_s, 3),
        )
        for (method, server), counts in flights.counts.items()
        if server in place
    ]
    return Savings(
        tuple(sorted(rows, key=lambda row: (place[row.server], row.method))),
        tuple(sorted(joins, key=lambda row: (place[row.server], row.method))),
        tuple(
            WireRow(backend.id, backend.batches_sent, backend.requests_in_batches)
            for backend in registry
            if backend.batches_sent
        ),
    )


def _cache_row(method: str, server: str, counts: CacheCounts, entries: int, size: int) -> CacheRow:
    """`entries` and `size`: of lists, which are kept by their servers."""
    return CacheRow(
        method,
        server,
        counts.hits,
        counts.misses,
        counts.stale_hits,
        counts.entries + entries,
        counts.bytes + size,
        round(counts.age_s / counts.hits, 3) if counts.hits else 0.0,
        round(counts.max_age_s, 3),
        tuple(sorted(counts.evictions.items())),
    )
