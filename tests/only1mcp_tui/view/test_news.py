"""News: edges, together, seldom, and not what one did oneself."""

from only1mcp_tui.view.news import NAMED, News, Toast
from proxy_core.facts import BreakerTurned, ConfigRejected, StateChanged, ToolChanged


def fell(server: str, at: float = 0.0, why: str = "no answer") -> StateChanged:
    return StateChanged(at, server, "healthy", "unhealthy", why)


def rose(server: str, at: float = 0.0) -> StateChanged:
    return StateChanged(at, server, "unhealthy", "healthy", "")


def test_what_comes_within_a_moment_is_one_sentence() -> None:
    news = News()
    assert news.take([fell("a")], 0.0) is None
    assert news.take([fell("b", 0.2), fell("c", 0.2)], 0.2) is None
    assert news.take([], 0.5) == Toast("3 servers are not well: a, b, c.", is_bad=True)
    assert news.take([], 9.0) is None


def test_one_server_is_told_with_its_reason_and_many_by_number() -> None:
    news = News()
    news.take([fell("a")], 0.0)
    assert news.take([], 1.0) == Toast("a is unhealthy: no answer.", is_bad=True)
    news.take([fell(f"s{number}", 3.0) for number in range(300)], 3.0)
    toast = news.take([], 4.0)
    assert toast is not None
    assert toast.words == f"300 servers are not well: s0, s1, s2 and {300 - NAMED} more."


def test_toasts_keep_their_distance() -> None:
    news = News()
    news.take([fell("a")], 0.0)
    assert news.take([], 0.6) is not None
    news.take([fell("b", 0.7)], 0.7)
    assert news.take([], 2.0) is None
    assert news.take([], 2.6) is not None


def test_only_one_that_was_told_to_be_down_is_told_to_be_well() -> None:
    news = News()
    news.take([fell("a"), rose("b")], 0.0)
    news.take([], 1.0)
    news.take([rose("a", 5.0), rose("b", 5.0)], 5.0)
    assert news.take([], 6.0) == Toast("a is healthy again.", is_bad=False)


def test_one_that_fell_and_rose_in_between_is_no_news() -> None:
    news = News()
    news.take([fell("a"), rose("a")], 0.0)
    assert news.take([], 1.0) is None


def test_what_one_did_oneself_is_not_told() -> None:
    news = News()
    news.wished("a", 0.0)
    news.take([fell("a", 3.0), fell("b", 3.0)], 3.0)
    assert news.take([], 4.0) == Toast("b is unhealthy: no answer.", is_bad=True)


def test_what_is_old_is_no_news() -> None:
    news = News()
    news.take([fell("a", 0.0)], 60.0)
    assert news.take([], 62.0) is None


def test_a_breaker_and_a_rejected_file_are_told_safely() -> None:
    news = News()
    news.take(
        [BreakerTurned(0.0, "a", "main", "open", "5 \x1b[31mfailures"), ConfigRejected(0.0, "/f", "line 3\nx")],
        0.0,
    )
    toast = news.take([], 1.0)
    assert toast is not None
    assert "a is not asked, its breaker is open: 5 \N{SYMBOL FOR ESCAPE}[31mfailures." in toast.words
    assert "The changed configuration is not in force: line 3" in toast.words


def test_each_state_has_its_words() -> None:
    for state, words in (
        ("restarting", "a is starting again: it was killed."),
        ("auth_required", "a wants a login: it was killed."),
    ):
        news = News()
        news.take([StateChanged(0.0, "a", "healthy", state, "it was killed")], 0.0)
        assert news.take([], 1.0) == Toast(words, is_bad=True)


def test_tools_that_changed_are_news_and_new_ones_only_where_they_are_withheld():
    news = News()
    facts = (
        ToolChanged(10.0, "files", "read", "changed", ("description",), True),
        ToolChanged(10.0, "files", "", "changed", (), True, 4),
        ToolChanged(10.0, "git", "log", "new", (), True),
        ToolChanged(10.0, "git", "old", "gone"),
        ToolChanged(10.0, "web", "get", "new"),
        ToolChanged(10.0, "web", "put", "restored"),
    )
    assert news.take(facts, 10.0) is None
    toast = news.take((), 11.0)
    assert toast is not None
    assert toast.words == "5 tools of files, 1 tool of git changed: see Servers."
    assert not toast.is_bad
    assert news.take((), 20.0) is None
    assert news.take(facts, 40.0) is None, "too old to be news"
