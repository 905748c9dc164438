"""Compact forms of tools: made once, right for every revision, without our own remark."""

import json
from typing import Any

import pytest

from proxy_core.catalog.merge import ORIGIN_META, Entry, ServerLists, merge
from proxy_core.config.models import RoutingConfig, ToolRules
from proxy_core.context.compaction import compact_tool
from proxy_core.gateway import meta_tools, tool_forms
from proxy_core.gateway.tool_forms import ToolForms
from proxy_core.protocol.translate import UnusableItem
from tests.support.stub_backends import tool

LONG = "Creates an issue in a repository. " * 40
OUTPUT = {"type": "object", "properties": {"id": {"type": "integer"}}}
REGION = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}


def entry(**more: Any) -> Entry:
    lists = ServerLists(server="box", title="Box", rules=ToolRules(), tools=(tool("make", **more),))
    (found,) = merge([lists], RoutingConfig()).tools
    return found


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every tool that was made compact."""
    tools: list[Any] = []

    def compact(item: Any) -> Any:
        tools.append(item)
        return compact_tool(item)

    monkeypatch.setattr(tool_forms, "compact_tool", compact)
    return tools


def test_a_form_is_shorter_has_the_same_name_and_says_nothing_of_whose_it_is():
    form = json.loads(ToolForms().compact(entry(description=LONG, outputSchema=OUTPUT)))
    assert form["name"] == "box__make"
    assert len(form["description"]) <= 241
    assert "outputSchema" not in form and "_meta" not in form


def test_a_servers_own_remarks_stay():
    form = json.loads(ToolForms().compact(entry(_meta={"ui": {"resourceUri": "ui://x/y"}, "a/b": 1})))
    assert form["_meta"] == {"ui": {"resourceUri": "ui://x/y"}, "a/b": 1}
    assert ORIGIN_META not in form["_meta"]


def test_arguments_that_travel_as_headers_are_still_told():
    form = json.loads(ToolForms().compact(entry(inputSchema=REGION)))
    assert form["inputSchema"]["properties"]["region"]["x-mcp-header"] == "Region"


def test_a_form_is_made_once_also_for_the_same_tool_of_a_later_catalog(made: list[Any]):
    forms = ToolForms()
    first = forms.compact(entry(description=LONG))
    assert forms.compact(entry(description=LONG)) is first
    assert len(made) == 1
    assert forms.compact(entry(description="Another.")) != first
    assert len(made) == 2


def test_the_oldest_forms_go_when_there_are_too_many(made: list[Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tool_forms, "MAX_FORMS", 2)
    forms = ToolForms()
    lists = ServerLists(server="box", title="Box", rules=ToolRules(), tools=tuple(map(tool, "abc")))
    tools = merge([lists], RoutingConfig()).tools
    for each in tools:
        forms.compact(each)
    forms.compact(tools[2])
    assert len(made) == 3
    forms.compact(tools[0])
    assert len(made) == 4


async def test_what_no_client_could_use_is_refused_and_hinders_no_other(made: list[Any]):
    bad, good = entry(inputSchema=5), entry(description=LONG)
    forms = ToolForms()
    with pytest.raises(UnusableItem):
        forms.compact(bad)
    await forms.prepare([bad, good])
    assert len(made) == 1


def test_our_own_tools_stay_word_for_word(made: list[Any]):
    for own in meta_tools.definitions(["a"]):
        assert json.loads(ToolForms().compact(own)) == own.item
    assert made == []
