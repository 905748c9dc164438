"""What the replicas of one server have together, and in what they differ."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy_core.backends.lists import EMPTY, FEATURE_OF, MAX_ITEMS, Listing
from proxy_core.backends.merged_lists import KINDS, MAX_DIFFERENCES, Merged, merged
from proxy_core.protocol.methods import LIST_METHODS

TOOLS = "tools/list"


class Has:
    """What one replica has read."""

    def __init__(self, by_method: dict[str, Listing]) -> None:
        self.by_method = by_method

    def get(self, method: str) -> Listing:
        return self.by_method.get(method, EMPTY)


def tools(*names: str, **members: Any) -> Has:
    return Has({TOOLS: Listing(tuple({"name": name} for name in names), **members)})


def names(result: Merged, method: str = TOOLS) -> list[str]:
    return [item[KINDS[method].member] for item in result.by_method[method].items]


def test_every_list_is_known():
    assert set(KINDS) == set(FEATURE_OF) == set(LIST_METHODS)


def test_one_replica_has_its_own_lists():
    only = tools("a", "b")
    result = merged([("main", only)])
    assert result.by_method[TOOLS] is only.get(TOOLS)
    assert (set(result.by_method), result.holders, result.differences) == ({TOOLS}, {}, ())


def test_replicas_that_are_alike_have_the_list_of_the_first():
    first, second = tools("a", "b"), tools("a", "b")
    result = merged([("x", first), ("y", second)])
    assert result.by_method[TOOLS] is first.get(TOOLS)
    assert (result.holders, result.differences) == ({}, ())


def test_what_only_some_have_is_listed_and_goes_to_those():
    result = merged([("x", tools("a", "b")), ("y", tools("c", "b")), ("z", tools("b", "a"))])
    assert names(result) == ["a", "b", "c"]
    assert result.holders == {(TOOLS, "a"): frozenset("xz"), (TOOLS, "c"): frozenset("y")}
    assert result.differences == ("tool `a` only at x, z", "tool `c` only at y")


def test_the_first_definition_counts_and_the_others_are_told():
    old = Has({TOOLS: Listing(({"name": "a", "description": "old"},))})
    result = merged([("x", tools("a")), ("y", old), ("z", tools("a"))])
    assert result.by_method[TOOLS].items == ({"name": "a"},)
    assert result.holders == {}
    assert result.differences == ("tool `a` not defined at y as at x",)


def test_every_kind_goes_by_its_own_member():
    items = {
        "tools/list": {"name": "t"},
        "resources/list": {"uri": "file:///r", "name": "same"},
        "resources/templates/list": {"uriTemplate": "file:///{r}", "name": "same"},
        "prompts/list": {"name": "p"},
    }
    has = Has({method: Listing((item,)) for method, item in items.items()})
    result = merged([("x", has), ("y", Has({method: Listing(read_at=1) for method in items}))])
    assert set(result.holders) == {
        ("tools/list", "t"),
        ("resources/list", "file:///r"),
        ("resources/templates/list", "file:///{r}"),
        ("prompts/list", "p"),
    }
    assert [sentence.split()[0] for sentence in result.differences] == [
        "tool",
        "resource",
        "template",
        "prompt",
    ]


def test_the_union_is_as_careful_as_the_most_careful_of_them():
    one = tools("a", ttl_ms=5000, read_at=20.0, is_private=True)
    other = tools("a", ttl_ms=9000, read_at=10.0, is_from_modern_http=True)
    union = merged([("x", one), ("y", other)]).by_method[TOOLS]
    assert union == Listing(({"name": "a"},), 5000, True, 10.0, is_from_modern_http=True)
    assert union.items is one.get(TOOLS).items


def test_a_list_that_was_not_read_yet_differs_in_nothing_and_holds_nothing():
    result = merged([("x", tools("a")), ("y", Has({}))])
    assert names(result) == ["a"]
    assert result.holders == {(TOOLS, "a"): frozenset("x")}
    assert result.differences == ()
    assert merged([("x", Has({})), ("y", Has({}))]) == Merged({}, {}, ())


def test_an_item_without_a_name_and_one_listed_twice_harm_nothing():
    odd = Has({TOOLS: Listing(({"name": "a"}, {"name": 3}, {}, {"name": ""}, {"name": "a", "title": "again"}))})
    result = merged([("x", odd), ("y", tools("a", "b"))])
    assert result.by_method[TOOLS].items == ({"name": "a"}, {"name": "b"})
    assert result.differences == ("tool `b` only at y",)


def test_the_sentences_are_few_and_short_and_on_one_line():
    many = merged([("x", tools(*(f"t{n}" for n in range(30)))), ("y", tools("t0"))])
    assert len(many.differences) == MAX_DIFFERENCES + 1
    assert many.differences[-1] == "and 9 more"
    hostile = merged([("x", tools("\x1b[2J\u202eevil\n" + "x" * 1000)), ("y", tools())])
    (sentence,) = hostile.differences
    assert sentence.isprintable() and len(sentence) < 100
    wide = merged([(f"r{n}", tools(*["a"][: n < 40])) for n in range(64)])
    assert wide.differences == ("tool `a` only at r0, r1, r2, r3, r4 and 35 more",)


def test_the_union_has_an_end():
    parts = [(f"r{n}", tools(*(f"{n}-{m}" for m in range(MAX_ITEMS // 2)))) for n in range(3)]
    result = merged(parts)
    assert len(names(result)) == len(result.holders) == MAX_ITEMS


@given(st.lists(st.lists(st.sampled_from("abcdef")), min_size=1, max_size=4))
def test_a_name_goes_to_exactly_those_that_have_it(lists: list[list[str]]):
    parts = [(str(n), tools(*has, read_at=1.0)) for n, has in enumerate(lists)]
    result = merged(parts)
    everyone = frozenset(replica for replica, _ in parts)
    assert set(names(result)) == set().union(*lists)
    for name in names(result):
        having = frozenset(str(n) for n, has in enumerate(lists) if name in has)
        assert result.holders.get((TOOLS, name), everyone) == having
    assert bool(result.differences) == bool(result.holders)
