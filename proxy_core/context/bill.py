"""The bill: which texts of the lists have to be counted, and what their counts come to. Pure.

Knows nothing of how texts are made or counted, and no time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from msgspec import Struct
from msgspec import json as msgspec_json

from proxy_core.context.token_main import ENCODING
from proxy_core.telemetry.context_bill import (
    ContextBill,
    ContextTotals,
    Cost,
    DescriptionCost,
    ModeCosts,
    ProfileCost,
    SearchEstimate,
    ServerCost,
    ToolCost,
)

DESCRIPTIONS: Final = 20
"""How many of the biggest are told."""
_CANDIDATES: Final = 3 * DESCRIPTIONS
"""Of the longest in bytes, among which are those with the most tokens."""
SEARCHES: Final = 3
RESULTS: Final = 5
SIZE_FACTOR: Final = 1.2
"""How much larger the tools are that a search finds than the mean: 1.19 and 1.21 in two measurements."""
VISIBLE: Final = ("name", "description", "inputSchema")

Count = Callable[[bytes], int]
"""The tokens of a text that `texts_of` named."""


class BilledTool(Struct, frozen=True):
    """One tool of a list, each form as the exact JSON of that item."""

    server: str
    name: str
    """The exposed name."""
    full: bytes
    compact: bytes
    visible_full: bytes
    """Of the members `VISIBLE` alone, likewise."""
    visible_compact: bytes
    description: bytes = b""
    """As the full form has it, without quotes."""


@dataclass(frozen=True)
class BilledList:
    """The tools that the clients of one profile get.

    Has no slots: the whole lists are megabytes, and joined once.
    """

    profile: str
    """Empty: no profile."""
    mode: str
    """In force: full, compact or search."""
    tools: tuple[BilledTool, ...] = ()
    search_list: bytes = b""
    """The JSON array of what is listed in search mode; empty: not known."""

    @cached_property
    def full(self) -> bytes:
        """The whole list, as the exact JSON array."""
        return _array(tool.full for tool in self.tools)

    @cached_property
    def compact(self) -> bytes:
        return _array(tool.compact for tool in self.tools)

    @cached_property
    def visible_full(self) -> bytes:
        return _array(tool.visible_full for tool in self.tools)

    @cached_property
    def visible_compact(self) -> bytes:
        return _array(tool.visible_compact for tool in self.tools)

    @cached_property
    def visible_search_list(self) -> bytes:
        return visible_list(self.search_list)


def texts_of(billed: BilledList) -> Iterator[bytes]:
    """Every text whose tokens `bill_of` asks for; some more than once."""
    for tool in billed.tools:
        yield from (tool.full, tool.compact, tool.visible_full, tool.visible_compact)
    yield from (tool.description for tool in _longest(billed.tools))
    # An empty list costs next to nothing, and no program needs to be started to know it.
    if billed.tools:
        yield billed.full
        yield billed.compact
        yield billed.visible_full
        yield billed.visible_compact
    if billed.search_list:
        yield billed.search_list
        yield billed.visible_search_list


def bill_of(lists: Sequence[BilledList], count: Count) -> ContextBill:
    """The first list is that of clients without a profile."""
    if not lists:
        return ContextBill(ENCODING, is_complete=True)
    first = lists[0]
    profiles = tuple(_profile(billed, count) for billed in lists)
    tools = tuple(_tool(tool, count) for tool in first.tools)
    return ContextBill(
        encoding=ENCODING,
        is_complete=True,
        mode=first.mode,
        modes=profiles[0].modes,
        searches=_searches(first.tools, count),
        servers=tuple(_servers(tools)),
        tools=tools,
        descriptions=_descriptions(first.tools, count),
        profiles=profiles,
    )


def totals_of(bill: ContextBill) -> ContextTotals | None:
    """None before anything was counted."""
    if not bill.profiles:
        return None
    modes = bill.modes
    in_force = bill.profiles[0].in_force
    return ContextTotals(
        bill.encoding, bill.is_complete, bill.mode, in_force, modes.full, modes.compact, modes.search
    )


def visible_item(item: dict[str, Any]) -> dict[str, Any]:
    """What a host shows a model of this tool, as a rule."""
    return {name: value for name, value in item.items() if name in VISIBLE}


def visible_list(array: bytes) -> bytes:
    """Likewise of a list that we made."""
    items = msgspec_json.decode(array, type=list[dict[str, Any]])
    return msgspec_json.encode([visible_item(item) for item in items])


def _array(items: Iterator[bytes]) -> bytes:
    return b"[%s]" % b",".join(items)


def _profile(billed: BilledList, count: Count) -> ProfileCost:
    full = compact = Cost()
    if billed.tools:
        full = Cost(count(billed.full), count(billed.visible_full))
        compact = Cost(count(billed.compact), count(billed.visible_compact))
    search = listed = None
    if billed.search_list:
        searches = _searches(billed.tools, count).tokens
        listed = Cost(count(billed.search_list), count(billed.visible_search_list))
        search = Cost(listed.wire + searches, listed.visible + searches)
    modes = ModeCosts(full, compact, search, listed)
    return ProfileCost(billed.profile, billed.mode, len(billed.tools), modes)


def _searches(tools: Sequence[BilledTool], count: Count) -> SearchEstimate:
    if not tools:
        return SearchEstimate()
    mean = sum(count(tool.visible_compact) for tool in tools) / len(tools)
    results = min(RESULTS, len(tools))
    tokens = round(SEARCHES * results * SIZE_FACTOR * mean)
    return SearchEstimate(SEARCHES, results, SIZE_FACTOR, tokens)


def _tool(tool: BilledTool, count: Count) -> ToolCost:
    full = Cost(count(tool.full), count(tool.visible_full))
    return ToolCost(tool.server, tool.name, full, Cost(count(tool.compact), count(tool.visible_compact)))


def _servers(tools: Sequence[ToolCost]) -> Iterator[ServerCost]:
    by_server: dict[str, list[ToolCost]] = {}
    for tool in tools:
        by_server.setdefault(tool.server, []).append(tool)
    for server, of_server in by_server.items():
        full = _sum(tool.full for tool in of_server)
        yield ServerCost(server, len(of_server), full, _sum(tool.compact for tool in of_server))


def _sum(costs: Iterator[Cost]) -> Cost:
    each = tuple(costs)
    return Cost(sum(cost.wire for cost in each), sum(cost.visible for cost in each))


def _longest(tools: Sequence[BilledTool]) -> list[BilledTool]:
    described = [tool for tool in tools if tool.description]
    return sorted(described, key=lambda tool: len(tool.description), reverse=True)[:_CANDIDATES]


def _descriptions(tools: Sequence[BilledTool], count: Count) -> tuple[DescriptionCost, ...]:
    costs = [
        DescriptionCost(tool.server, tool.name, tokens, tokens / count(tool.full))
        for tool in _longest(tools)
        for tokens in (count(tool.description),)
    ]
    return tuple(sorted(costs, key=lambda cost: cost.tokens, reverse=True)[:DESCRIPTIONS])
