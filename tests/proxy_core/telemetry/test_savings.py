from proxy_core.telemetry.savings import CacheRow, JoinRow, Savings


def test_shares_are_of_what_there_was():
    caches = (
        CacheRow("tools/list", "a", hits=3, misses=1, entries=1, bytes=10),
        CacheRow("resources/read", "b", hits=1, misses=3, entries=2, bytes=20),
    )
    savings = Savings(caches, (JoinRow("tools/list", "a", asked=10, made=2, saved=7),))
    assert (savings.hits, savings.misses, savings.entries, savings.bytes) == (4, 4, 3, 30)
    assert (savings.hit_share, savings.saved_share, savings.served_share) == (0.5, 0.7, 11 / 14)


def test_of_nothing_there_is_no_share():
    assert (Savings().hit_share, Savings().saved_share, Savings().served_share) == (None, None, None)
