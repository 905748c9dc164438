import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_core.protocol.revisions import SUPPORTED
from proxy_core.protocol.translate import (
    NORMALISERS,
    UnusableItem,
    normalise_prompt,
    normalise_resource,
    normalise_template,
    normalise_tool,
)

MODERN, LEGACY = "2026-07-28", "2025-11-25"
TOOL = {"name": "a__echo", "inputSchema": {"type": "object"}}
RESOURCE = {"uri": "x:/1", "name": "one"}


@pytest.mark.requirement("N22")
@pytest.mark.parametrize("revision", SUPPORTED)
def test_a_valid_tool_stays_as_it_came_with_its_unknown_members_and_order(revision: str):
    tool = {
        "x-vendor": {"a": None},
        "inputSchema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$defs": {"n": {"$anchor": "n", "type": ["integer", "null"], "default": None}},
            "type": "object",
            "properties": {"n": {"$ref": "#/$defs/n"}, "m": {"$ref": "https://example.org/schema"}},
            "anyOf": [{"required": ["n"]}, True],
            "unevaluatedProperties": False,
        },
        "name": "a__echo",
        "description": "Says it again.\n\tTwice.",
        "annotations": {"readOnlyHint": True, "title": "Echo", "x": 1},
        "icons": [{"src": "data:,", "sizes": ["any"], "mimeType": "image/png"}],
        "_meta": {"ui": {"resourceUri": "ui://a"}},
        "outputSchema": {"type": "object"},
    }
    before = copy.deepcopy(tool)
    normalised = normalise_tool(tool, revision)
    assert (normalised, list(normalised)) == (before, list(before))
    assert tool == before


@pytest.mark.requirement("N18")
@pytest.mark.parametrize(
    "item",
    [
        None,
        "tool",
        [],
        {},
        {"name": "x"},
        {"name": "x", "inputSchema": None},
        {"name": "x", "inputSchema": []},
        {"name": "x", "inputSchema": {"type": "string"}},
        {"name": 5, "inputSchema": {"type": "object"}},
        {"name": "", "inputSchema": {"type": "object"}},
        {"name": "\u200b", "inputSchema": {"type": "object"}},
    ],
)
def test_a_tool_that_no_client_could_use_is_refused_with_a_reason(item: Any):
    with pytest.raises(UnusableItem) as caught:
        normalise_tool(item, MODERN)
    assert "tool" in caught.value.message


@pytest.mark.requirement("N18")
def test_a_tool_with_faults_beside_the_point_is_mended():
    tool = TOOL | {
        "inputSchema": {"properties": {}},
        "title": 5,
        "description": None,
        "icons": [{"src": 1}, "x", {"src": "ok"}, {"src": "s", "sizes": "any"}, {"src": "s", "theme": "red"}],
        "annotations": {"readOnlyHint": "yes", "title": ["x"], "destructiveHint": False},
        "_meta": [],
        "outputSchema": True,
        "vendor": None,
    }
    assert normalise_tool(tool, MODERN) == {
        "name": "a__echo",
        "inputSchema": {"type": "object", "properties": {}},
        "icons": [{"src": "ok"}],
        "annotations": {"destructiveHint": False},
    }


@pytest.mark.requirement("N18")
@pytest.mark.parametrize("icons", [5, "x", {}, [], [None], [{"src": None}]])
def test_icons_without_a_good_one_are_left_out(icons: Any):
    assert normalise_tool(TOOL | {"icons": icons}, MODERN) == TOOL


@pytest.mark.requirement("N19")
@pytest.mark.parametrize("schema", [{"type": "array"}, {"anyOf": []}, {"type": ["object", "null"]}])
def test_an_output_schema_of_no_object_is_for_modern_clients_only(schema: dict[str, Any]):
    tool = TOOL | {"outputSchema": schema}
    assert normalise_tool(tool, MODERN) == tool
    assert normalise_tool(tool, LEGACY) == TOOL


@pytest.mark.requirement("T05")
@pytest.mark.parametrize("revision", [MODERN, LEGACY])
def test_execution_is_never_listed(revision: str):
    assert normalise_tool(TOOL | {"execution": {"taskSupport": "required"}}, revision) == TOOL


@pytest.mark.requirement("A08")
def test_names_titles_and_descriptions_are_cleaned_and_descriptions_are_capped():
    tool = normalise_tool(
        TOOL
        | {
            "name": "a__\u200becho",
            "title": "E\x1b[31mcho",
            "description": "\u202e" + "x" * 9000,
            "annotations": {"title": "E\U000e0041cho"},
        },
        MODERN,
    )
    assert (tool["name"], tool["title"], tool["annotations"]["title"]) == ("a__echo", "Echo", "Echo")
    assert tool["description"] == "x" * 8192


@pytest.mark.requirement("A08")
@pytest.mark.parametrize("key", ["inputSchema", "outputSchema"])
def test_the_texts_of_schemas_are_cleaned_and_what_validates_stays(key: str):
    bad, data = "S\u202eend\U000e0041 it.\x1b[2J", "\u200b"
    inner = {"title": bad, "description": bad, "$comment": bad, "const": data, "enum": [data], "default": data}
    schema = {
        "type": "object",
        "description": "x" * 9000,
        "properties": {"description": {"type": "string", "description": bad}, data: {"anyOf": [inner]}},
        "required": [data],
        "$defs": {"a": inner},
        "examples": [{"description": bad}],
    }
    clean = dict.fromkeys(("title", "description", "$comment"), "Send it.")
    expected = schema | {
        "description": "x" * 8192,
        "properties": {
            "description": {"type": "string", "description": "Send it."},
            data: {"anyOf": [inner | clean]},
        },
        "$defs": {"a": inner | clean},
    }
    tool = TOOL | {key: schema}
    assert normalise_tool(tool, MODERN)[key] == expected
    assert tool[key]["$defs"]["a"]["title"] == bad, "what the server said is what it said"


def test_a_schema_with_nothing_to_clean_is_handed_on_as_it_is():
    tool = TOOL | {"inputSchema": {"type": "object", "properties": {"x": {"description": "Plain."}}}}
    assert normalise_tool(tool, MODERN)["inputSchema"] is tool["inputSchema"]


@pytest.mark.parametrize(
    ("normalise", "key"), [(normalise_resource, "uri"), (normalise_template, "uriTemplate")]
)
def test_resources_and_templates_need_a_name_and_a_place(normalise: Any, key: str):
    good = {key: "x:/{a}", "name": "n", "mimeType": "text/plain", "x": 1}
    assert normalise(good, LEGACY) == good
    for bad in ({key: "x:/"}, {"name": "n"}, {key: 5, "name": "n"}, {key: "", "name": "n"}, None):
        with pytest.raises(UnusableItem):
            normalise(bad, LEGACY)


def test_a_resource_with_faults_beside_the_point_is_mended():
    notes = {"audience": ["user", 5], "priority": 3, "lastModified": "2026-01-01", "x": 1}
    resource = RESOURCE | {"mimeType": 1, "size": "big", "annotations": notes, "title": {}}
    assert normalise_resource(resource, LEGACY) == RESOURCE | {
        "annotations": {"lastModified": "2026-01-01", "x": 1}
    }
    assert normalise_resource(RESOURCE | {"annotations": [], "size": 4}, LEGACY) == RESOURCE | {"size": 4}


def test_a_prompt_keeps_the_arguments_that_have_a_name():
    arguments = [
        {"name": "a", "required": "yes", "description": 5},
        {"required": True},
        None,
        {"name": "b", "x": 1},
    ]
    prompt = normalise_prompt({"name": "p", "arguments": arguments}, MODERN)
    assert prompt == {"name": "p", "arguments": [{"name": "a"}, {"name": "b", "x": 1}]}
    assert normalise_prompt({"name": "p", "arguments": {}}, MODERN) == {"name": "p"}
    with pytest.raises(UnusableItem):
        normalise_prompt({"title": "p"}, MODERN)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = ["title", "description", "icons", "_meta", "annotations", "outputSchema", "execution"]
KEYS += ["uri", "uriTemplate", "mimeType", "size", "arguments"]
ITEMS = JSON | st.fixed_dictionaries(
    {"name": st.text(max_size=5) | JSON, "inputSchema": st.just({}) | JSON},
    optional=dict.fromkeys(KEYS, JSON | st.lists(st.fixed_dictionaries({"name": JSON, "src": JSON}))),
)


@settings(max_examples=200)
@given(item=ITEMS, method=st.sampled_from(sorted(NORMALISERS)), revision=st.sampled_from(SUPPORTED))
def test_any_item_is_mended_once_or_refused(item: Any, method: str, revision: str):
    try:
        mended = NORMALISERS[method](item, revision)
    except UnusableItem:
        return
    assert NORMALISERS[method](mended, revision) == mended
