"""Which texts name tools of another server, and which only look like it."""

import time

import pytest

from proxy_core.catalog.mentions import MAX_CHARS, MAX_NAMED, Names
from proxy_core.catalog.merge import Entry

OTHERS = [("github", "create_issue"), ("github", "search"), ("files", "readFile"), ("files", "list")]


def entry(server: str, name: str, text: str = "", **more: object) -> Entry:
    return Entry(server, name, f"{server}__{name}", {"name": name, "description": text, **more})


def named(text: str, **more: object) -> tuple[str, ...]:
    spy = entry("spy", "sum", text, **more)
    return Names([*(entry(*each) for each in OTHERS), spy]).named_by(spy.server, spy.item)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("First call github__create_issue.", ("github__create_issue",)),
        ("Use mcp__gate__github__search, always.", ("github__search",)),
        ("See `github.search` first.", ("github/search",)),
        ("See github/search first.", ("github/search",)),
        ("As files:list does.", ("files/list",)),
        ("Instead of the create_issue tool of github.", ("github/create_issue",)),
        ("Before the files server's readFile is called", ("files/readFile",)),
        ("github__search and files__list and github__search", ("github__search", "files__list")),
    ],
)
def test_these_are_named(text: str, expected: tuple[str, ...]):
    assert named(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Searches github: a search takes seconds.",
        "Adds two numbers, and can list files.",
        "Like spy__sum, which is its own.",
        "create_issue elsewhere",
        "Better than github's search.",
        "github is a site" + " and so on" * 10 + " create_issue",
        "notgithub__search and github__searching",
    ],
)
def test_these_are_not(text: str):
    assert named(text) == ()


def test_the_texts_of_arguments_are_read_as_well_and_data_is_not():
    schema = {"properties": {"x": {"description": "From files__list.", "default": "github__search"}}}
    assert named("Adds.", inputSchema=schema) == ("files__list",)


def test_exposed_names_that_are_words_of_the_language_count_only_beside_their_server():
    bare = Entry("web", "search", "search", {"name": "search"})
    spy = entry("spy", "sum", "A search. See web.search.")
    assert Names([bare, spy]).named_by(spy.server, spy.item) == ("web/search",)


def test_names_are_bounded_and_so_is_the_work():
    many = [entry("many", f"tool_{number}") for number in range(50)]
    text = " ".join(each.exposed for each in many)
    spy = entry("spy", "sum", text)
    assert len(Names([*many, spy]).named_by(spy.server, spy.item)) == MAX_NAMED
    hostile = entry("spy", "sum", "many " * (MAX_CHARS // 5) * 4)
    begun = time.process_time()
    assert Names([*many, hostile]).named_by(hostile.server, hostile.item) == ()
    assert time.process_time() - begun < 0.5
