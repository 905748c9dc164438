import copy
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from proxy_core.context.compaction import Budgets, compact_tool
from proxy_core.protocol import header_params
from proxy_core.protocol.header_params import HeaderParam
from tests.proxy_core.context.schemas import TEXTS, input_schemas, json_values, odd_schemas
from tests.support.schema_instances import instances, verdict

OBJECT = {"type": "object"}


def test_a_terse_tool_stays_as_it_is():
    tool = {"name": "a__open", "description": "Open the gate.", "inputSchema": OBJECT}
    assert compact_tool(tool) == tool


def test_the_result_schema_goes():
    assert "outputSchema" not in compact_tool({"name": "a", "inputSchema": OBJECT, "outputSchema": OBJECT})


@pytest.mark.parametrize(
    ("annotations", "left"),
    [
        ({"destructiveHint": True, "idempotentHint": False, "openWorldHint": True}, None),
        ({"destructiveHint": False, "idempotentHint": True, "openWorldHint": False}, "all"),
        ({"readOnlyHint": False}, {"readOnlyHint": False}),
        ({"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True}, {"readOnlyHint": True}),
        ({"readOnlyHint": True, "openWorldHint": False}, "all"),
        ({"title": "Open the gate"}, None),
        ({"title": "Other"}, {"title": "Other"}),
        ({"destructiveHint": 1, "x-vendor": None}, "all"),
        ({}, None),
    ],
)
def test_annotations_say_what_is_no_default(annotations: dict[str, Any], left: Any):
    tool = {"name": "a__open", "title": "Open the gate", "annotations": annotations, "inputSchema": OBJECT}
    assert compact_tool(tool).get("annotations") == (annotations if left == "all" else left)


@pytest.mark.parametrize(
    ("members", "left"),
    [
        ({"title": "open"}, {}),
        ({"title": "gate__open"}, {}),
        ({"title": "pen"}, {"title": "pen"}),
        # Without the title of the tool, that of its annotations would be shown.
        (
            {"title": "open", "annotations": {"title": "Other"}},
            {"title": "open", "annotations": {"title": "Other"}},
        ),
        ({"description": "open"}, {}),
        ({"description": "  \n "}, {}),
        ({"description": ""}, {}),
        ({"description": "Opens."}, {"description": "Opens."}),
    ],
)
def test_what_only_repeats_the_name_goes(members: dict[str, Any], left: dict[str, Any]):
    assert compact_tool({"name": "gate__open", **members}) == {"name": "gate__open", **left}


def test_members_that_are_not_ours_to_judge_stay():
    tool = {
        "name": "a",
        "_meta": {"x": [1]},
        "icons": [{"src": "https://a.example/i.png"}],
        "execution": {},
        "new": 1,
    }
    assert compact_tool(tool) == tool


def test_texts_are_cut_within_their_budgets():
    text = "It opens the gate. " * 20
    schema = {"type": "object", "properties": {"gate": {"type": "string", "description": text}}}
    tool = {"name": "a", "description": text, "inputSchema": schema}
    compact = compact_tool(tool)
    assert compact["description"] == ("It opens the gate. " * 12).strip()
    assert compact["inputSchema"]["properties"]["gate"]["description"] == ("It opens the gate. " * 5).strip()
    small = compact_tool(tool, Budgets(40, 20))
    assert small["description"] == "It opens the gate. It opens the gate."
    assert small["inputSchema"]["properties"]["gate"]["description"] == "It opens the gate."


def test_what_the_description_says_of_an_argument_moves_to_the_argument():
    description = (
        "Open a gate.\n\nArgs:\n  gate: Which one.\n  wait (int): Seconds\n    to wait.\n  gone: Not there."
    )
    properties = {"gate": {"type": "string"}, "wait": {"type": "integer", "description": "Its own."}}
    compact = compact_tool(
        {"name": "a", "description": description, "inputSchema": {"type": "object", "properties": properties}}
    )
    assert compact["description"] == "Open a gate."
    assert compact["inputSchema"]["properties"] == {
        "gate": {"type": "string", "description": "Which one."},
        "wait": {"type": "integer", "description": "Its own."},
    }


def test_an_argument_that_has_no_schema_is_still_described():
    description = "Open a gate.\nArgs:\n    gate: Which one."
    assert (
        compact_tool({"name": "a", "description": description, "inputSchema": OBJECT})["description"]
        == description
    )


def test_arguments_that_travel_as_headers_still_do():
    """Spec: 2026-07-28 basic/transports/streamable-http, "Custom Headers from Tool Parameters"."""
    annotated = {"title": "Region", "type": "string", "x-mcp-header": "Region", "default": ""}
    schema = {"type": "object", "properties": {"region": annotated}, "$defs": {"unused": annotated}}
    compact = compact_tool({"name": "a", "inputSchema": schema})["inputSchema"]
    assert header_params.annotations(compact) == (HeaderParam("Region", ("region",), "string"),)


@pytest.mark.parametrize("member", ["description", "inputSchema", "annotations", "title"])
@pytest.mark.parametrize("odd", [None, 3, True, [], ["x"]])
def test_a_member_of_an_odd_type_stays_as_it_is(member: str, odd: object):
    assert compact_tool({"name": "a", member: odd}) == {"name": "a", member: odd}


tools = st.fixed_dictionaries(
    {"name": st.sampled_from(["a__open", "open"])},
    optional={
        "title": TEXTS | json_values,
        "description": TEXTS | st.text(max_size=400) | json_values,
        "annotations": json_values | st.just({"readOnlyHint": True, "idempotentHint": True}),
        "inputSchema": input_schemas | odd_schemas,
        "outputSchema": json_values,
        "_meta": json_values,
    },
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(tools)
@example(
    {
        "name": "a",
        "description": "Args:\n a: x\nReturns:\nb: y\n" * 9,
        "inputSchema": {"properties": {"a": {}, "b": {}}},
    }
)
def test_whatever_comes_compacting_twice_is_compacting_once_and_changes_nothing_in_place(tool: dict[str, Any]):
    before = copy.deepcopy(tool)
    compact = compact_tool(tool)
    assert compact_tool(compact) == compact
    assert tool == before


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(input_schemas, st.integers(0, 2**32))
def test_a_compact_schema_takes_exactly_what_the_whole_one_takes(schema: dict[str, Any], seed: int):
    compact = compact_tool({"name": "a", "inputSchema": schema})["inputSchema"]
    for value in instances(schema, Random(seed), 12):
        assert verdict(compact, value) == verdict(schema, value)
