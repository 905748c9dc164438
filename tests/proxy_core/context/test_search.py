import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_core.context.index_build import IndexBuild
from proxy_core.context.search import MAX_QUERIES, SearchIndex
from tests.proxy_core.context.made_up_tools import made_up_index, source, sources, tool


@pytest.fixture(scope="module")
def index() -> SearchIndex:
    return made_up_index()


def first(index: SearchIndex, *queries: str, count: int = 1) -> list[str]:
    return [hit.name for hit in index.search(queries, limit=count)]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("create invoice", "ledger__create_invoice"),
        ("CREATE_INVOICE", "ledger__create_invoice"),
        ("createInvoice", "ledger__create_invoice"),
        ("creating invoices", "ledger__create_invoice"),
        ("get sensor reading", "garden__getSensorReading"),
        ("getsensorreading", "garden__getSensorReading"),
        ("shoppinglist delete", "kitchen__delete_shopping_list"),
        ("garden water bed", "garden__water-bed"),
        # By what only the description or a parameter says.
        ("overdue customer", "ledger__send_reminder"),
        ("tide", "harbour__forecast"),
        ("soil moisture get", "garden__getSensorReading"),
        # In other words.
        ("remove the ferry", "harbour__delete_ferry"),
        ("erase a recipe", "kitchen__delete_recipe"),
        ("arrange an appointment", "desk__schedule_meeting"),
        ("change payment", "ledger__update_payment"),
        # Misspelt.
        ("create invioce", "ledger__create_invoice"),
        ("delete recipie", "kitchen__delete_recipe"),
    ],
)
def test_the_tool_that_was_meant_comes_first(index: SearchIndex, query: str, found: str):
    assert first(index, query) == [found]


def test_every_tool_is_found_by_its_own_words(index: SearchIndex):
    for name in index.names:
        assert name in first(index, name.replace("__", " ").replace("_", " "), count=3)


@pytest.mark.parametrize("query", ["", "   ", "the of and", "?!", "\ud800", "qqqqqqqq zzzzzzzz", "__"])
def test_a_query_that_says_nothing_finds_nothing(index: SearchIndex, query: str):
    assert index.search([query]) == []


def test_no_query_finds_nothing(index: SearchIndex):
    assert index.search([]) == []


def test_several_phrasings_help_each_other(index: SearchIndex):
    assert first(index, "weather", "vessel timetable ferry", "get ferry") == ["harbour__get_ferry"]


def test_phrasings_beyond_the_third_are_not_looked_at(index: SearchIndex):
    queries = ["tide"] * MAX_QUERIES
    assert index.search([*queries, "create invoice"]) == index.search(queries)


def test_what_is_beyond_the_bounds_of_a_query_is_not_looked_at(index: SearchIndex):
    assert index.search(["tide " + " " * 400 + "invoice"]) == index.search(["tide"])
    many = " ".join(f"w{number}" for number in range(90))
    assert index.search([f"{many} tide"[:400]]) == []


def test_one_server_alone_can_be_asked(index: SearchIndex):
    assert {hit.server for hit in index.search(["create"], limit=50)} > {"ledger", "library"}
    assert {hit.server for hit in index.search(["create"], limit=50, server="library")} == {"library"}
    assert index.search(["create"], server="gone") == []


def test_hits_carry_the_server_and_scores_that_fall(index: SearchIndex):
    hits = index.search(["create ledger invoice"], limit=10)
    assert len(hits) == 10
    assert all(hit.name.startswith(f"{hit.server}__") for hit in hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_what_may_not_be_seen_is_not_found_and_takes_no_ones_place(index: SearchIndex):
    asked: list[str] = []

    def is_visible(name: str) -> bool:
        asked.append(name)
        return not name.startswith("ledger__")

    hits = index.search(["create"], limit=3, is_visible=is_visible)
    assert len(hits) == 3
    assert not any(hit.server == "ledger" for hit in hits)
    assert len(asked) < 50, "no more are asked about than are needed"
    assert index.nearest("ledger__create_recipe", 1) == ["kitchen__create_recipe"]
    assert index.nearest("ledger__create_invoic", 1) == ["ledger__create_invoice"]
    assert not any(name.startswith("ledger") for name in index.nearest("ledger__create_invoic", 9, is_visible))


def test_the_order_of_the_sources_changes_nothing():
    forth, back = IndexBuild(sources()).run(), IndexBuild(reversed(list(sources()))).run()
    for query in ("create", "list every book", "customer money"):
        assert first(forth, query, count=20) == first(back, query, count=20)


def test_equals_come_in_the_order_of_their_names():
    twins = [source("b", tool("open_gate", "Open.")), source("a", tool("open_gate", "Open."))]
    assert first(IndexBuild(twins).run(), "open gate", count=2) == ["a__open_gate", "b__open_gate"]


def test_the_name_counts_more_than_the_description():
    described = source("a", tool("other", "Open the gate, then shut it again."))
    named = source("z", tool("open_gate", "Do it."))
    assert first(IndexBuild([described, named]).run(), "open gate") == ["z__open_gate"]


def test_a_tool_that_says_a_thing_twice_in_other_words_loses_nothing():
    twice = source("a", tool("remove_gate", "Never mind.", other="Delete"))
    once = source("b", tool("remove_gate", "Never mind.", other="Else"))
    first_hit, second_hit = IndexBuild([twice, once]).run().search(["delete"], limit=2)
    assert first_hit.score == pytest.approx(second_hit.score)


def test_two_words_together_are_worth_more_than_each_alone(index: SearchIndex):
    (hit,) = index.search(["scale people"], limit=1)
    alone = [
        each.score
        for word in ("scale", "people")
        for each in index.search([word], limit=50)
        if each.name == hit.name
    ]
    assert len(alone) == 2
    assert hit.score > sum(alone)


def test_an_empty_catalog_has_nothing():
    index = IndexBuild([]).run()
    assert index.search(["create"]) == []
    assert index.nearest("create") == []


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("ledger__create_invoic", "ledger__create_invoice"),
        ("ledger__createInvoice", "ledger__create_invoice"),
        ("create_invoice", "ledger__create_invoice"),
        ("ledger.create-invoice", "ledger__create_invoice"),
        ("ledger__crate_invoice", "ledger__create_invoice"),
        ("leger__create_invoice", "ledger__create_invoice"),
        ("garden__get_sensor_reading", "garden__getSensorReading"),
        ("garden__getsensorreadings", "garden__getSensorReading"),
        ("kitchen__remove_recipe", "kitchen__delete_recipe"),
    ],
)
def test_the_nearest_to_a_wrong_name_is_the_one_that_was_meant(index: SearchIndex, wrong: str, near: str):
    assert index.nearest(wrong, 1) == [near]


def test_a_name_like_no_other_has_no_nearest(index: SearchIndex):
    assert index.nearest("xylophone__quux") == []
    assert index.nearest("x" * 100_000) == []


@given(st.lists(st.text(max_size=60), max_size=4), st.integers(0, 10))
def test_whatever_is_asked_gets_an_answer_within_its_limit(queries: list[str], limit: int):
    index = INDEX
    hits = index.search(queries, limit=limit)
    assert len(hits) <= limit
    assert len({hit.name for hit in hits}) == len(hits)
    assert hits == index.search(queries, limit=limit)
    assert len(index.nearest("".join(queries), limit)) <= limit


INDEX = made_up_index()
