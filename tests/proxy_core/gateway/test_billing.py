"""What the ledger is given to count is what clients get, byte for byte, for each profile and in each mode."""

import json
from typing import Any

import pytest

from proxy_core.config.models import NameRules, ProfileConfig
from proxy_core.context.bill import BilledList
from proxy_core.gateway.billing import Billing, Measured
from proxy_core.gateway.modes import Costs
from proxy_core.protocol.revisions import MODERN
from proxy_core.telemetry.context_bill import ContextBill, Cost, ModeCosts, ProfileCost
from tests.support.stub_backends import House, StubServer, client, tool

PROFILES = {
    "review": ProfileConfig(servers=("github",), tools=NameRules(deny=("*delete*",)), context="search"),
    "small": ProfileConfig(context="compact"),
}
OUTPUT = {"type": "object", "properties": {"id": {"type": "integer"}}}


def house(**config: Any) -> House:
    github = [
        tool("create_issue", description='Creates an "issue". ' * 40, outputSchema=OUTPUT),
        tool("delete_issue"),
        tool("broken", inputSchema=5),
    ]
    files = [tool("read", description="Reads.")]
    servers = {"github": StubServer(MODERN, tools=github), "files": StubServer(MODERN, tools=files)}
    return House(servers, profiles=PROFILES, **config)


async def billed(home: House) -> dict[str, BilledList]:
    found = await Billing(lambda: home.gateway.listing, lambda: home.config).billed_lists()
    return {each.profile: each for each in found}


async def listed(home: House, profile: str) -> list[bytes]:
    page = json.loads(await home.bytes_of("tools/list", {}, client(profile=profile)))
    return [json.dumps(item, separators=(",", ":"), ensure_ascii=False).encode() for item in page["tools"]]


async def test_there_is_a_list_for_each_profile_and_one_without():
    async with house().open() as home:
        lists = await billed(home)
        assert list(lists) == ["", "review", "small"]
        assert [each.mode for each in lists.values()] == ["full", "search", "compact"]
        assert [len(each.tools) for each in lists.values()] == [3, 1, 3]


async def test_each_text_is_what_a_client_gets():
    async with house().open() as home:
        lists = await billed(home)
        assert [each.full for each in lists[""].tools] == await listed(home, "")
        assert [each.compact for each in lists["small"].tools] == await listed(home, "small")
        search = await listed(home, "review")
        assert lists["review"].search_list == b"[%s]" % b",".join(search)
        assert len(lists[""].tools) == 3


async def test_the_visible_parts_are_name_description_and_schema():
    async with house().open() as home:
        first = (await billed(home))[""].tools[0]
        assert first.server == "github" and first.name == "github__create_issue"
        full, compact = json.loads(first.visible_full), json.loads(first.visible_compact)
        assert set(full) == set(compact) == {"name", "description", "inputSchema"}
        assert len(compact["description"]) < len(full["description"])
        assert json.loads(b'"%s"' % first.description) == full["description"]


async def test_a_tool_is_made_a_text_once_for_all_profiles():
    async with house().open() as home:
        lists = await billed(home)
        assert lists["review"].tools[0] is lists[""].tools[0]


@pytest.mark.parametrize(
    ("profile", "is_complete", "search", "costs"),
    [
        ("", True, Cost(9, 3), Costs(10, 5, 3)),
        ("", False, Cost(9, 3), None),
        ("", True, None, None),
        ("unheard-of", True, Cost(9, 3), None),
    ],
)
def test_what_was_counted_is_known_while_it_is_of_the_lists_in_force(
    profile: str, is_complete: bool, search: Cost | None, costs: Costs | None
):
    modes = ModeCosts(Cost(20, 10), Cost(12, 5), search)
    bill = ContextBill("x", is_complete=is_complete, profiles=(ProfileCost("", "full", 2, modes),))
    assert Measured(lambda: bill)(profile) == costs
