"""The bill, with a length in bytes for each count: sums and shares can be checked by hand."""

import json
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from proxy_core.context.bill import (
    DESCRIPTIONS,
    RESULTS,
    SEARCHES,
    SIZE_FACTOR,
    BilledList,
    BilledTool,
    bill_of,
    texts_of,
    totals_of,
    visible_item,
    visible_list,
)
from proxy_core.telemetry.context_bill import ContextBill, Cost, DescriptionCost, SearchEstimate, ServerCost

META_TOOLS = b'[{"name":"search_tools","description":"d","inputSchema":{},"title":"t"}]'


def tool(server: str, name: str, description: bytes = b"", size: int = 100) -> BilledTool:
    """100, 50, 80 and 40 bytes, unless told."""
    filled = (name[:1].encode() * (size * share // 100) for share in (100, 50, 80, 40))
    return BilledTool(server, name, *filled, description)


def counting(billed: BilledList) -> Callable[[bytes], int]:
    """A length for what was named, a KeyError for anything else."""
    known = {text: len(text) for text in texts_of(billed)}
    return known.__getitem__


def billed(*tools: BilledTool, mode: str = "full", profile: str = "", search_list: bytes = b"") -> ContextBill:
    one = BilledList(profile, mode, tools, search_list)
    return bill_of((one,), counting(one))


def test_a_whole_list_is_counted_as_the_text_it_is_and_not_as_a_sum():
    bill = billed(tool("a", "a__x"), tool("b", "b__y"))
    brackets_and_comma = 3
    assert bill.modes.full == Cost(200 + brackets_and_comma, 160 + brackets_and_comma)
    assert bill.modes.compact == Cost(100 + brackets_and_comma, 80 + brackets_and_comma)
    assert (bill.encoding, bill.is_complete) == ("o200k_base", True)


def test_servers_are_the_sums_of_their_tools_in_list_order():
    bill = billed(tool("b", "x"), tool("a", "y", size=200), tool("b", "z"))
    assert bill.servers == (
        ServerCost("b", 2, Cost(200, 160), Cost(100, 80)),
        ServerCost("a", 1, Cost(200, 160), Cost(100, 80)),
    )
    assert [(row.server, row.name, row.full.wire) for row in bill.tools] == [
        ("b", "x", 100),
        ("a", "y", 200),
        ("b", "z", 100),
    ]


def test_search_costs_its_list_and_some_searches_reckoned_from_this_catalog():
    tools = [tool("a", f"t{number}", size=100 + 20 * number) for number in range(7)]
    bill = billed(*tools, search_list=META_TOOLS)
    mean_visible_compact = 40 + 8 * 3
    searches = round(SEARCHES * RESULTS * SIZE_FACTOR * mean_visible_compact)
    assert bill.searches == SearchEstimate(SEARCHES, RESULTS, SIZE_FACTOR, searches)
    assert bill.modes.search == Cost(len(META_TOOLS) + searches, len(visible_list(META_TOOLS)) + searches)
    assert bill.modes.search_list == Cost(len(META_TOOLS), len(visible_list(META_TOOLS)))


def test_a_search_finds_no_more_tools_than_there_are():
    bill = billed(tool("a", "x"), search_list=META_TOOLS)
    assert bill.searches == SearchEstimate(SEARCHES, 1, SIZE_FACTOR, round(SEARCHES * SIZE_FACTOR * 40))


def test_without_a_search_list_its_cost_is_not_known():
    assert billed(tool("a", "x")).modes.search is None


def test_nothing_costs_nothing_and_needs_no_count():
    empty = BilledList("", "full")
    assert list(texts_of(empty)) == []
    bill = bill_of((empty,), {}.__getitem__)
    assert (bill.modes.full, bill.modes.compact, bill.tools, bill.is_complete) == (Cost(), Cost(), (), True)
    assert bill_of((), {}.__getitem__) == ContextBill("o200k_base", is_complete=True)


def test_the_biggest_descriptions_come_first_with_their_share_of_the_tool():
    tools = [tool("a", f"t{number}", b"d" * number) for number in range(2 * DESCRIPTIONS)]
    told = billed(*tools).descriptions
    assert len(told) == DESCRIPTIONS
    assert told[0] == DescriptionCost("a", "t39", 39, 0.39)
    assert [row.tokens for row in told] == sorted((row.tokens for row in told), reverse=True)


def test_the_biggest_descriptions_are_those_with_the_most_tokens():
    """Which are not those with the most bytes."""
    one = BilledList("", "full", (tool("a", "long", b"l" * 90), tool("a", "dense", b"d" * 80)))
    known = counting(one)
    bill = bill_of((one,), lambda text: 85 if text.startswith(b"d" * 80) else known(text) // 2)
    assert [row.name for row in bill.descriptions] == ["dense", "long"]


def test_each_profile_has_totals_and_the_first_list_is_told_in_full():
    everyone = BilledList("", "full", (tool("a", "x"), tool("b", "y")))
    lean = BilledList("lean", "compact", (tool("a", "x"),))
    known = {text: len(text) for one in (everyone, lean) for text in texts_of(one)}
    bill = bill_of((everyone, lean), known.__getitem__)
    assert [(row.profile, row.mode, row.tools, row.in_force) for row in bill.profiles] == [
        ("", "full", 2, Cost(203, 163)),
        ("lean", "compact", 1, Cost(52, 42)),
    ]
    assert [row.id for row in bill.servers] == ["a", "b"]


@pytest.mark.parametrize("mode", ["full", "compact", "search"])
def test_the_totals_are_the_bills_and_say_what_is_in_force(mode: str):
    bill = billed(tool("a", "x"), mode=mode, search_list=META_TOOLS)
    totals = totals_of(bill)
    assert totals is not None
    assert totals.in_force == getattr(bill.modes, mode)
    assert (totals.full, totals.compact, totals.search) == (
        bill.modes.full,
        bill.modes.compact,
        bill.modes.search,
    )
    assert (totals.encoding, totals.mode, totals.is_complete) == ("o200k_base", mode, True)
    changed = totals_of(replace(bill, is_complete=False))
    assert changed == replace(totals, is_complete=False)


def test_before_anything_was_counted_there_are_no_totals():
    assert totals_of(ContextBill("o200k_base")) is None


def test_visible_is_what_hosts_show_a_model():
    item = {"title": "T", "name": "n", "outputSchema": {}, "inputSchema": {"type": "object"}, "annotations": {}}
    assert visible_item(item) == {"name": "n", "inputSchema": {"type": "object"}}
    assert json.loads(visible_list(json.dumps([item, {"name": "m", "description": "d"}]).encode())) == [
        {"name": "n", "inputSchema": {"type": "object"}},
        {"name": "m", "description": "d"},
    ]
