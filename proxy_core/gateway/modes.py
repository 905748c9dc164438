"""The ways in which tools are listed, and which of them costs a model least. Pure.

Figures: `Costs` are tokens of what hosts show a model (name, description, inputSchema).
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from proxy_core.context.bill import RESULTS, SEARCHES, SIZE_FACTOR


class Mode(StrEnum):
    FULL = "full"
    """Every tool as its server has it."""
    COMPACT = "compact"
    """Every tool, shortened."""
    SEARCH = "search"
    """Tools that find and call all others."""


class Costs(Struct, frozen=True):
    """What one profile's list costs in each mode, in tokens."""

    full: int
    compact: int
    search: int
    """The list of that mode, and what three searches find."""
    is_estimate: bool = False
    """Reckoned from bytes, not counted."""


SMALL: Final = 4_000
"""Up to so many tokens a list is given as it is.

Some 38 tools as servers have them, 2 % of a window of 200,000: shortening would save about 1,500 tokens of it
and cost words that help to choose, searching would cost half of it again with every task.
"""
WORTH_SEARCHING: Final = 0.3
"""Search is chosen where it costs less than this share of compact.

It costs a turn for each search, and now and then one that does not find, so it has to save much. Of 36 sets of
real servers those from 67 tools on passed this bound, those up to 58 did not.
"""
SLACK: Final = 1.2
"""How far a figure must pass its bound before the mode in force is left: a client's list should not flap."""

BYTES_PER_TOKEN: Final = 4
COMPACT_SHARE: Final = 0.64
"""Of what is visible, in bytes and in tokens: measured on 1,216 tools of 45 servers."""


def cheapest(costs: Costs, current: Mode | None = None) -> Mode:
    """The mode to use; `current` is the one in force, which is kept as long as it is nearly right."""
    if costs.full <= SMALL * (SLACK if current is Mode.FULL else 1 / SLACK if current is not None else 1):
        return Mode.FULL
    bound = WORTH_SEARCHING * costs.compact
    if current is Mode.SEARCH:
        bound *= SLACK
    elif current is not None:
        bound /= SLACK
    return Mode.SEARCH if costs.search < bound else Mode.COMPACT


def estimated(full_bytes: int, tools: int, search_list_bytes: int) -> Costs:
    """From the JSON of `tools` tools, as far as it is visible, and of the list of search mode."""
    full = full_bytes / BYTES_PER_TOKEN
    compact = COMPACT_SHARE * full
    found = SEARCHES * min(RESULTS, tools) * SIZE_FACTOR * (compact / tools if tools else 0)
    search = search_list_bytes / BYTES_PER_TOKEN + found
    return Costs(round(full), round(compact), round(search), is_estimate=True)
