"""The figures, on servers that nobody has: what each is of, and that it is the own word of the gateway."""

from typing import Any

import pytest
from msgspec import Raw

from proxy_core.context.token_main import ENCODING
from proxy_core.gateway.modes import Mode
from proxy_core.protocol import jsonrpc
from proxy_core.telemetry.context_bill import Cost
from tests.benchmarks import context_tokens
from tests.benchmarks.captured import Server
from tests.benchmarks.context_tokens import counted, measure_tokens, weigh
from tests.proxy_core.context.made_up_tools import tool

TASKS = [
    {"query": "-", "keywords": "create invoice", "tools": ["ledger__create_invoice"]},
    {"query": "-", "keywords": "zzzz", "tools": ["ledger__create_invoice"]},
    {"query": "-", "keywords": "create invoice", "tools": ["elsewhere__create_invoice"]},
]
OUTPUT = {"type": "object", "properties": {"number": {"type": "integer"}}}


def ledger(count: int = 2) -> Server:
    invoice = tool("create_invoice", "Create an invoice. " * 30, customer="Who owes.")
    more = [tool(f"list_{number:03d}", "Lists what was booked in that year.") for number in range(count - 1)]
    return Server("ledger", [{**invoice, "outputSchema": OUTPUT, "_meta": {"own": 1}}, *more])


def harbour() -> Server:
    return Server("harbour", [tool("list_ferries", "List all ferries.")])


def length(text: bytes) -> int:
    """In place of a count."""
    return len(text)


async def test_what_is_weighed_is_every_page_that_clients_get():
    """More tools than one page has: `weigh` itself compares."""
    weighed = await weigh([ledger(1_001), harbour()])
    assert len(weighed.billed.tools) == 1_002
    assert weighed.servers == ("ledger", "harbour")


async def test_our_own_addition_alone_is_left_out():
    weighed = await weigh([ledger(), harbour()])
    full, bare = (jsonrpc.decode(Raw(text)) for text in (weighed.billed.full, weighed.without_origin))
    assert all("dev.only1mcp/origin" in item["_meta"] for item in full)
    assert bare[0] == full[0] | {"_meta": {"own": 1}}
    assert bare[1] == {key: value for key, value in full[1].items() if key != "_meta"}


async def test_searches_are_those_of_tasks_that_can_be_done_and_what_was_answered():
    weighed = await weigh([ledger(), harbour()], TASKS)
    found, missed = weighed.searches
    assert (found.has_found, missed.has_found) == (True, False)
    assert found.question == b'{"queries":["create invoice"]}'
    assert b"ledger__create_invoice" in found.text and b"outputSchema" not in found.text
    assert found.text.replace(b'"', b'\\"') in found.result
    # What is written and what is read, in both ways of counting.
    assert found.cost(length) == Cost(len(found.params + found.result), len(found.question + found.text))


async def test_a_name_that_was_cut_for_clients_is_found_by_its_own():
    long = tool("create_a_" + "very_" * 10 + "long_invoice", "Create an invoice.")
    task = {"keywords": "create invoice", "tools": [f"ledger__{long['name']}"]}
    weighed = await weigh([Server("ledger", [long])], [task])
    assert [each.has_found for each in weighed.searches] == [True]


async def test_search_costs_its_list_and_three_searches():
    weighed = await weigh([ledger(), harbour()], TASKS)
    listed = weighed.search_list(length)
    mean = sum(each.cost(length).visible for each in weighed.searches) / 2
    assert weighed.search(length).visible == listed.visible + round(3 * mean)
    untold = await weigh([ledger(), harbour()])
    assert untold.search(length) == untold.bill(length).modes.search


async def test_the_figures_are_those_of_the_bill_by_the_shipped_tokenizer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(context_tokens, "SIZES", (1, 3, 50))
    servers = [ledger(), harbour()]
    figures = await measure_tokens(servers, TASKS)
    assert figures["catalogue"] == {"servers": 2, "tools": 3, "encoding": ENCODING, "auto": "full"}
    weighed = await weigh(servers, TASKS)
    modes = weighed.bill(await counted([weighed])).modes
    rows: dict[str, Any] = figures["modes"]
    assert (rows["compact"]["wire"], rows["compact"]["visible"]) == (modes.compact.wire, modes.compact.visible)
    bare, full = rows["full without our _meta"], rows["full"]
    assert bare["wire"] < full["wire"] and bare["visible"] == full["visible"]
    assert rows["compact"]["of full"] < rows["compact"]["of full without our _meta"] < 1
    assert figures["servers"]["harbour"]["tools"] == 1
    assert figures["one search"]["searches"] == 2
    assert figures["one search"]["a right tool in the answer"] == 0.5
    # One set of a single tool, for there is no other server so small; 3 and 50 are not fewer than all.
    assert list(figures["sets"]) == ["1"]
    one = figures["sets"]["1"]
    assert (one["first"], one["sets"], one["auto full"], one["auto search"]) == ("harbour", 1, 1, 0)
    assert one["least"] == one["median"] == one["most"] == one["of full"] > 1


async def test_auto_is_what_a_gateway_would_settle_on():
    few, many = await weigh([ledger(2)]), await weigh([ledger(400)])
    count = await counted([few, many])
    assert (few.mode(count), many.mode(count)) == (Mode.FULL, Mode.SEARCH)
    assert (few.estimated_mode, many.estimated_mode) == (Mode.FULL, Mode.SEARCH)


async def test_without_tasks_nothing_is_said_of_searches(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(context_tokens, "SIZES", ())
    figures = await measure_tokens([harbour()], [])
    assert "one search" not in figures and figures["sets"] == {}
