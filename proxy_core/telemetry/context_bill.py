"""What the lists of tools cost a model, in tokens: the ledger's bill, as everyone may see it. Frozen.

Everything is counted twice. `wire`: the exact JSON that a client gets. `visible`: its name, description and
inputSchema alone, which is what hosts put before the model as a rule; the honest figure of the two.
"""

from typing import Final

from msgspec import Struct

APPROXIMATE: Final = "approximate for models of other encodings, and for what a host adds"
"""What has to be said beside every figure."""


class Cost(Struct, frozen=True):
    """Tokens."""

    wire: int = 0
    visible: int = 0


class ModeCosts(Struct, frozen=True):
    """One catalog in each mode."""

    full: Cost = Cost()
    """Of the exact list, not the sum of its tools."""
    compact: Cost = Cost()
    search: Cost | None = None
    """The list of that mode, and an estimate of a task's searches in it (`SearchEstimate`). None: not known."""
    search_list: Cost | None = None
    """The list of that mode alone."""


class SearchEstimate(Struct, frozen=True):
    """What searching is reckoned to cost: `searches * results * size_factor` times a compact tool's mean size.

    Searches find tools that are larger than the mean; the factor was measured on 1,216 tools of 45 servers.
    """

    searches: int = 0
    results: int = 0
    """Found by each; no more than there are tools."""
    size_factor: float = 0.0
    tokens: int = 0


class ServerCost(Struct, frozen=True):
    id: str
    tools: int
    full: Cost
    """The sum of its tools."""
    compact: Cost


class ToolCost(Struct, frozen=True):
    server: str
    name: str
    """The exposed name."""
    full: Cost
    compact: Cost


class DescriptionCost(Struct, frozen=True):
    """The description of one tool, as its server wrote it."""

    server: str
    name: str
    tokens: int
    share: float
    """Of its tool's full wire form, 0 to 1."""


class ProfileCost(Struct, frozen=True):
    """What the clients of one profile get."""

    profile: str
    """Empty: those without one."""
    mode: str
    """full, compact or search: the one in force."""
    tools: int
    modes: ModeCosts

    @property
    def in_force(self) -> Cost:
        """Of the mode in force."""
        costs = {"compact": self.modes.compact, "search": self.modes.search}
        return costs.get(self.mode) or self.modes.full


class ContextBill(Struct, frozen=True):
    """Of the catalog that clients without a profile get, and the totals of every profile."""

    encoding: str
    """Of the tokenizer; for a model of another encoding the figures are approximate."""
    is_complete: bool = False
    """False: nothing was counted yet, or the catalog has changed since; the figures are those of before."""
    mode: str = "full"
    """In force."""
    modes: ModeCosts = ModeCosts()
    searches: SearchEstimate = SearchEstimate()
    """Part of `modes.search`."""
    servers: tuple[ServerCost, ...] = ()
    """Those with tools, in list order."""
    tools: tuple[ToolCost, ...] = ()
    """In list order."""
    descriptions: tuple[DescriptionCost, ...] = ()
    """The biggest ones first."""
    profiles: tuple[ProfileCost, ...] = ()


class ContextTotals(Struct, frozen=True):
    """The bill's sums, for the picture."""

    encoding: str
    is_complete: bool
    mode: str
    in_force: Cost
    """What clients without a profile get."""
    full: Cost
    compact: Cost
    search: Cost | None


def search_words(searches: SearchEstimate) -> str:
    """What the figure of the search mode rests on."""
    found = f"{searches.results} tool{'' if searches.results == 1 else 's'}"
    return (
        f"search: approximate; {searches.tokens:,} of it are reckoned for {searches.searches} searches "
        f"that find {found} each"
    )
