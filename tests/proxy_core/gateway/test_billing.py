"""The texts that are billed are the ones that clients get."""

from typing import Any

import msgspec

from proxy_core.catalog.merge import Catalog, ServerLists, merge
from proxy_core.config.models import RoutingConfig, ToolRules
from proxy_core.context.bill import BilledList
from proxy_core.context.compaction import compact_tool
from proxy_core.gateway.billing import Billing
from proxy_core.gateway.views import ListViews
from proxy_core.protocol.revisions import MODERN
from proxy_core.protocol.sealed import Sealer

ADD = {
    "name": "add",
    "title": "add",
    "description": 'Adds "numbers".\n\nReturns: a sum of 日本.',
    "inputSchema": {"type": "object", "properties": {"a": {"type": "number", "title": "A"}}},
    "outputSchema": {"type": "object"},
    "annotations": {"readOnlyHint": True},
}
LOOK = {"name": "look", "inputSchema": {}, "x-unknown": [1]}
BAD = {"name": "bad", "inputSchema": "none"}


def catalog(**servers: tuple[dict[str, Any], ...]) -> Catalog:
    lists = [
        ServerLists(server=server, title=server, rules=ToolRules(), tools=tools)
        for server, tools in servers.items()
    ]
    return merge(lists, RoutingConfig())


async def billed(of: Catalog, **options: Any) -> BilledList:
    (only,) = await Billing(lambda: of, **options).billed_lists()
    return only


def members(item: bytes) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(item)
    return decoded


async def test_full_is_byte_for_byte_what_the_list_says():
    of = catalog(b=(ADD, BAD), a=(LOOK,))
    page = ListViews(of, lambda: Sealer([b"key"])).page("tools/list", MODERN, "", None)
    full = await billed(of)
    assert b'"tools":' + full.full == page
    assert [(tool.server, tool.name) for tool in full.tools] == [("b", "b__add"), ("a", "a__look")]
    assert (full.profile, full.mode) == ("", "full")


async def test_compact_is_the_full_tool_made_smaller():
    (tool,) = (await billed(catalog(b=(ADD,)))).tools
    assert members(tool.compact) == compact_tool(members(tool.full))
    assert len(tool.compact) < len(tool.full)
    assert "outputSchema" in members(tool.full) and "outputSchema" not in members(tool.compact)


async def test_visible_is_the_same_item_without_what_hosts_leave_out():
    add, look = (await billed(catalog(b=(ADD, LOOK)))).tools
    for whole, visible in ((add.full, add.visible_full), (add.compact, add.visible_compact)):
        shown = ("name", "description", "inputSchema")
        assert members(visible) == {name: value for name, value in members(whole).items() if name in shown}
    assert list(members(look.visible_full)) == ["name", "inputSchema"]


async def test_a_description_is_billed_as_the_json_that_it_is():
    add, look = (await billed(catalog(b=(ADD, LOOK)))).tools
    assert add.description.decode() == 'Adds \\"numbers\\".\\n\\nReturns: a sum of 日本.'
    assert add.description in add.full
    assert look.description == b""


async def test_how_a_mode_writes_its_list_can_be_said():
    of = await billed(catalog(b=(ADD,)), compact=lambda tool: {"n": tool["name"]}, search_list=lambda: b"[{}]")
    assert (of.tools[0].compact, of.tools[0].visible_compact) == (b'{"n":"b__add"}', b"{}")
    assert of.search_list == b"[{}]"


async def test_it_is_the_catalog_of_now():
    now = catalog(b=(ADD,))
    billing = Billing(lambda: now)
    assert len((await billing.billed_lists())[0].tools) == 1
    now = catalog(b=(ADD, LOOK))
    assert len((await billing.billed_lists())[0].tools) == 2
