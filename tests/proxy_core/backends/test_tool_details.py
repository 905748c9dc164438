"""One tool in full."""

import json
from typing import Any

import pytest

from proxy_core.backends.tool_details import MAX_SCHEMA_CHARS, tool_detail
from proxy_core.catalog.merge import Catalog, Entry, ServerLists, merge
from proxy_core.config.models import RoutingConfig, ToolRules
from proxy_core.errors import InvalidParams
from proxy_core.telemetry.context_bill import ContextBill, Cost, ToolCost

BILL = ContextBill("o200k_base", tools=(ToolCost("box", "box__add", Cost(9, 8), Cost(3, 2)),))


def catalog(**tool: Any) -> Catalog:
    lists = ServerLists(server="box", title="Box", rules=ToolRules(), tools=({"name": "add", **tool},))
    return merge([lists], RoutingConfig())


def test_it_holds_the_definition_as_json_and_what_it_costs():
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    hints = {"readOnlyHint": True, "destructiveHint": False}
    found = tool_detail(
        catalog(title="Add", description="Adds.", inputSchema=schema, outputSchema={}, annotations=hints),
        "box__add",
        BILL,
    )
    assert (found.name, found.origin, found.server, found.title) == ("box__add", "add", "box", "Add")
    assert json.loads(found.input_schema) == schema
    assert (json.loads(found.output_schema), json.loads(found.annotations)) == ({}, hints)
    assert (found.read_only, found.destructive) == (True, False)
    assert found.cost == BILL.tools[0]


def test_what_a_server_leaves_out_or_gets_wrong_is_absent():
    found = tool_detail(catalog(title=7, annotations={"readOnlyHint": "yes"}), "box__add", ContextBill("x"))
    assert (found.title, found.input_schema, found.read_only, found.destructive) == ("", "", False, None)
    assert found.cost is None


def test_a_schema_that_is_too_long_is_cut():
    found = tool_detail(catalog(inputSchema={"description": "x" * 2 * MAX_SCHEMA_CHARS}), "box__add", BILL)
    assert len(found.input_schema) == MAX_SCHEMA_CHARS and found.input_schema.endswith("…")


def test_a_schema_that_cannot_be_written_is_absent():
    entry = Entry("box", "add", "box__add", {"name": "add", "inputSchema": {"x": "\ud800"}})
    assert tool_detail(Catalog(tools=(entry,)), "box__add", BILL).input_schema == ""


def test_a_name_that_nobody_has_is_refused():
    with pytest.raises(InvalidParams):
        tool_detail(catalog(), "box__sub", BILL)
