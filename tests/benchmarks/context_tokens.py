"""What a catalogue costs a model in each context mode, in tokens: as a gateway in memory lists and finds it.

Only the servers are played; names, lists, modes, searches, bill and tokenizer are the gateway's own. Everything
is counted twice: `wire` is the exact JSON, `visible` what hosts put before the model (of a tool its name,
description and inputSchema; of a search what the model writes and the text that it reads).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Raw

from proxy_core.backends.call import ANYONE
from proxy_core.catalog.merge import ORIGIN_META
from proxy_core.config.models import Config, ProfileConfig
from proxy_core.context.bill import BilledList, Count, bill_of, texts_of
from proxy_core.context.token_main import ENCODING
from proxy_core.context.tokens import TokenCounter, content_key
from proxy_core.gateway.billing import Billing, Measured
from proxy_core.gateway.exchange import Viewer
from proxy_core.gateway.modes import Mode, cheapest
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.revisions import MODERN
from proxy_core.telemetry.context_bill import ContextBill, Cost
from tests.benchmarks.captured import Server, count_tools, some_of
from tests.support.stub_backends import House, StubServer, client

Figures: TypeAlias = dict[str, Any]
Task: TypeAlias = dict[str, Any]

SEARCHES: Final = 3
"""Of one task; what a session that needs more tools costs grows with them."""
SIZES: Final = (15, 25, 38, 58, 80, 120, 254)
"""Tools of the smaller sets."""
COUNT_S: Final = 600.0
_AUTO: Final = "auto"


@dataclass(frozen=True, slots=True)
class Searched:
    """One call of `search_tools` with the keywords of a task."""

    question: bytes
    """What the model writes: the arguments, as JSON."""
    params: bytes
    text: bytes
    """What the model reads."""
    result: bytes
    has_found: bool
    """Whether a right tool is in it."""

    def cost(self, count: Count) -> Cost:
        return Cost(count(self.params) + count(self.result), count(self.question) + count(self.text))

    def texts(self) -> Iterator[bytes]:
        yield from (self.question, self.params, self.text, self.result)


@dataclass(frozen=True)
class Weighed:
    """One set of servers as clients get it; what it costs is for `count` to say."""

    servers: tuple[str, ...]
    billed: BilledList
    estimated_mode: Mode
    """What `auto` goes by before anything was counted."""
    searches: tuple[Searched, ...]

    @cached_property
    def without_origin(self) -> bytes:
        """The full list without what we add to it."""
        return b"[%s]" % b",".join(_without_origin(tool.full) for tool in self.billed.tools)

    def texts(self) -> Iterator[bytes]:
        yield from texts_of(self.billed)
        yield self.without_origin
        for each in self.searches:
            yield from each.texts()

    def bill(self, count: Count) -> ContextBill:
        return bill_of([self.billed], count)

    def mode(self, count: Count) -> Mode:
        """What `auto` settles on."""
        costs = Measured(lambda: self.bill(count))("")
        assert costs is not None
        return cheapest(costs, self.estimated_mode)

    def search_list(self, count: Count) -> Cost:
        return Cost(count(self.billed.search_list), count(self.billed.visible_search_list))

    def search(self, count: Count) -> Cost:
        """The list of search mode and three searches: measured, or as the bill reckons if there were none."""
        listed, costs = self.search_list(count), [each.cost(count) for each in self.searches]
        if not costs:
            search = self.bill(count).modes.search
            assert search is not None
            return search
        return Cost(
            listed.wire + round(SEARCHES * sum(cost.wire for cost in costs) / len(costs)),
            listed.visible + round(SEARCHES * sum(cost.visible for cost in costs) / len(costs)),
        )


# --- weighing -------------------------------------------------------------------------------------------------


async def weigh(servers: Sequence[Server], tasks: Sequence[Task] = ()) -> Weighed:
    """Have these servers listed in every mode, and `search_tools` asked for each task that they can do."""
    modes = {mode: ProfileConfig(context=mode) for mode in (*Mode, _AUTO)}
    stubs = {server.id: StubServer(MODERN, tools=server.tools) for server in servers}
    async with House(stubs, profiles=modes).open() as home:
        (billed,) = await Billing(lambda: home.gateway.listing, Config).billed_lists()
        assert await _list(home, Mode.FULL) == billed.full
        assert await _list(home, Mode.COMPACT) == billed.compact
        assert await _list(home, Mode.SEARCH) == billed.search_list
        view = home.gateway.listing.view(Viewer(ANYONE, _AUTO))
        names = {
            server.name_of(entry.origin): entry.exposed
            for server in servers
            for entry in view.catalog.tools
            if entry.server == server.id
        }
        searches = [
            await _search(home, task["keywords"], right)
            for task in tasks
            if (right := {names[name] for name in task["tools"] if name in names})
        ]
        return Weighed(tuple(server.id for server in servers), billed, view.mode, tuple(searches))


async def _list(home: House, mode: Mode) -> bytes:
    """The JSON array of what a client lists, page after page."""
    tools: list[bytes] = []
    params: dict[str, Any] = {}
    while True:
        page = await home.bytes_of("tools/list", params, client(profile=mode))
        members = msgspec.json.decode(page, type=dict[str, Raw])
        tools += map(bytes, msgspec.json.decode(members["tools"], type=list[Raw]))
        if "nextCursor" not in members:
            return b"[%s]" % b",".join(tools)
        params = {"cursor": jsonrpc.decode(members["nextCursor"])}


async def _search(home: House, keywords: str, right: set[str]) -> Searched:
    arguments = {"queries": [keywords]}
    params = {"name": "search_tools", "arguments": arguments}
    result = await home.bytes_of("tools/call", params, client(profile=Mode.SEARCH))
    text: str = jsonrpc.decode(Raw(result))["content"][0]["text"]
    found = {jsonrpc.decode(Raw(line.encode()))["name"] for line in text.split("\n") if line.startswith("{")}
    return Searched(
        jsonrpc.encode(arguments), jsonrpc.encode(params), text.encode(), result, not right.isdisjoint(found)
    )


def _without_origin(tool: bytes) -> bytes:
    item: dict[str, Any] = jsonrpc.decode(Raw(tool))
    own = {key: value for key, value in item.get("_meta", {}).items() if key != ORIGIN_META}
    del item["_meta"]
    return jsonrpc.encode(item | ({"_meta": own} if own else {}))


async def counted(weighed: Iterable[Weighed]) -> Count:
    """Tokens of every text of theirs, by the program that the gateway counts with."""
    texts = {content_key(text): text for each in weighed for text in each.texts()}
    tokens = await TokenCounter(None, deadline_s=COUNT_S, max_kept=len(texts)).count(texts)
    return lambda text: tokens[content_key(text)]


# --- figures --------------------------------------------------------------------------------------------------


async def measure_tokens(servers: Sequence[Server], tasks: Sequence[Task]) -> Figures:
    """Of all servers: each mode, each server, the searches; and of smaller sets of them."""
    sizes = [size for size in SIZES if size < count_tools(servers)]
    whole = await weigh(servers, tasks)
    sets = {size: [await weigh(some, tasks) for some in _sets(servers, size)] for size in sizes}
    count = await counted([whole, *(each for some in sets.values() for each in some)])
    searched = {"one search": _one_search(whole, count)} if whole.searches else {}
    return {
        "catalogue": {
            "servers": len(servers),
            "tools": len(whole.billed.tools),
            "encoding": ENCODING,
            "auto": str(whole.mode(count)),
        },
        "modes": _modes(whole, count),
        **searched,
        "servers": _servers(whole, count),
        "sets": {str(size): _sets_figures(some, count) for size, some in sets.items()},
    }


def _sets(servers: Sequence[Server], size: int) -> list[list[Server]]:
    """One set from every server on, but none twice."""
    found = [some_of(servers, size, start) for start in range(len(servers))]
    distinct = {frozenset(server.id for server in some): some for some in reversed(found) if some}
    return list(distinct.values())[::-1]


def _modes(whole: Weighed, count: Count) -> Figures:
    """Shares are of the full list: as a client gets it, and, the harsher one, without what we add to it."""
    modes = whole.bill(count).modes
    assert modes.search is not None
    bare = Cost(count(whole.without_origin), modes.full.visible)
    rows = {
        "full": modes.full,
        "full without our _meta": bare,
        "compact": modes.compact,
        "search, its list": whole.search_list(count),
        f"search, its list and {SEARCHES} searches": whole.search(count),
        "search, as the bill reckons": modes.search,
    }
    return {
        name: {
            "wire": cost.wire,
            "of full": _share(cost.wire, modes.full.wire),
            "of full without our _meta": _share(cost.wire, bare.wire),
            "visible": cost.visible,
            "of visible full": _share(cost.visible, modes.full.visible),
        }
        for name, cost in rows.items()
    }


def _one_search(whole: Weighed, count: Count) -> Figures:
    """Question and answer together."""
    costs = [each.cost(count) for each in whole.searches]
    return {
        "searches": len(costs),
        "a right tool in the answer": _share(sum(each.has_found for each in whole.searches), len(costs)),
        **{f"wire {name}": value for name, value in _spread([cost.wire for cost in costs]).items()},
        **{f"visible {name}": value for name, value in _spread([cost.visible for cost in costs]).items()},
    }


def _spread(values: Sequence[int]) -> Figures:
    rising = sorted(values)
    return {
        "mean": round(sum(rising) / len(rising)),
        "p50": rising[len(rising) // 2],
        "p95": rising[int(len(rising) * 0.95)],
    }


def _servers(whole: Weighed, count: Count) -> Figures:
    return {
        row.id: {
            "tools": row.tools,
            "wire": row.full.wire,
            "compact wire": row.compact.wire,
            "left of wire": _share(row.compact.wire, row.full.wire),
            "visible": row.full.visible,
            "compact visible": row.compact.visible,
            "left of visible": _share(row.compact.visible, row.full.visible),
        }
        for row in whole.bill(count).servers
    }


def _sets_figures(sets: Sequence[Weighed], count: Count) -> Figures:
    """Shares are what search mode costs of full, three searches included; of the first set, and of all."""
    shares = sorted(_of_full(each, count) for each in sets)
    chosen = [each.mode(count) for each in sets]
    first = sets[0]
    return {
        "first": ", ".join(first.servers),
        "tools": len(first.billed.tools),
        "visible full": first.bill(count).modes.full.visible,
        "visible search": first.search(count).visible,
        "of full": _of_full(first, count),
        "sets": len(sets),
        "least": shares[0],
        "median": shares[len(shares) // 2],
        "most": shares[-1],
        **{f"auto {mode}": chosen.count(mode) for mode in Mode},
        "otherwise before the count": sum(
            mode is not each.estimated_mode for mode, each in zip(chosen, sets, strict=True)
        ),
    }


def _of_full(weighed: Weighed, count: Count) -> float:
    """The larger share of the two: visible, or wire without what we add to it."""
    full, search = weighed.bill(count).modes.full, weighed.search(count)
    return max(_share(search.visible, full.visible), _share(search.wire, count(weighed.without_origin)))


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
