"""A recorded day of AI clients, played to the gateway again: every answer as it was, and what that cost."""

from tests.recording.__main__ import DAY, forbidding, savings_line, servers_table, table
from tests.recording.replay import FORWARDED, LISTS, replay
from tests.recording.session import load


async def test_a_recorded_day_is_answered_as_it_was():
    session = load(DAY)
    result = await replay(session)
    print(table(result), servers_table(session, result), sep="\n\n")
    assert [(each.request, each.got) for each in result.differences] == []
    assert result.unknown == ()
    # What acts or costs is asked once for each time that a client asks; nothing is kept of it unasked.
    for method in ("tools/call", "prompts/get"):
        assert result.counts[method].made == result.counts[method].asked > 0
    assert all(result.counts[method].requests > 0 for method in FORWARDED)
    savings = result.snapshot.savings
    print(savings_line(result))
    assert savings.served_share > 0.5
    assert result.count(*LISTS, "resources/read").saved_share > 0.25
    # Some servers say of every list that it must not be kept (ttlMs 0); of the others everything is a hit.
    for row in savings.caches:
        if row.method in LISTS and row.server not in forbidding(session) and row.hits + row.misses:
            assert row.hits / (row.hits + row.misses) > 0.9, row
    # Each server was started once: the day's sessions share its connection.
    assert {made["server/discover"] for made in result.made_by_server.values()} == {1}
