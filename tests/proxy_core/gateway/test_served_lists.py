"""Tokens of lists that were served: as each list costs, those of before the first count when it is over."""

from proxy_core.gateway.served_lists import ServedLists, uncounted
from tests.support.clock import FakeClock
from tests.support.stub_backends import House, StubServer, tool

COSTS = {("", "full"): 900, ("", "search"): 90, ("lean", "full"): 40}


def test_each_list_adds_what_its_profile_costs_in_its_mode() -> None:
    served = ServedLists(lambda profile, mode: COSTS.get((profile, mode)))
    served.add("", "full")
    served.add("", "search")
    served.add("lean", "full")
    served.add("", "full")
    assert served.tokens == 1930


def test_lists_of_before_the_first_count_are_added_when_it_is_over() -> None:
    costs: dict[tuple[str, str], int] = {}
    served = ServedLists(lambda profile, mode: costs.get((profile, mode)))
    served.add("", "full")
    served.add("", "full")
    assert served.tokens == 0
    costs["", "full"] = 900
    assert served.tokens == 1800
    assert served.tokens == 1800


def test_where_nothing_is_counted_nothing_was_served() -> None:
    served = ServedLists(uncounted)
    served.add("", "full")
    assert served.tokens == 0


async def test_only_a_list_of_tools_counts_and_only_its_first_page(clock: FakeClock) -> None:
    house = House({"box": StubServer(tools=[tool("add")])}, clock)
    house.gateway.served_lists = ServedLists(lambda profile, mode: COSTS.get((profile, mode)))
    async with house.open():
        await house.ask("prompts/list")
        assert house.gateway.served_lists.tokens == 0
        await house.ask("tools/list")
        await house.ask("tools/list")
        assert house.gateway.served_lists.tokens == 1800
        await house.refused("tools/list", {"cursor": "not one of ours"})
        assert house.gateway.served_lists.tokens == 1800
