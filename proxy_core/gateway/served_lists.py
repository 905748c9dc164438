"""How many tokens of tool lists clients were served: what each list costs, added up as lists are answered.

Counts one whole list for each `tools/list` that asks for the first page, whether or not its client had the same
list before; later pages are part of it. Visible tokens: names, descriptions and input schemas. Only what is
listed: not what searches find. A tool that a server lists for one principal alone is not billed, so it is not
counted here either.
"""

from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

ListCost: TypeAlias = Callable[[str, str], int | None]
"""What the list of a profile costs in a mode, in visible tokens, as last counted; None: not counted yet."""


def uncounted(profile: str, mode: str) -> int | None:
    """For whoever counts no tokens."""
    return None


class ServedLists:
    def __init__(self, cost: ListCost) -> None:
        self._cost = cost
        self._tokens = 0
        self._waiting: Counter[tuple[str, str]] = Counter()
        """Lists answered before their cost was known. Profiles are those of the configuration: they are few."""

    def add(self, profile: str, mode: str) -> int | None:
        """One list that is answered; what it costs, None if that is not counted yet."""
        cost = self._cost(profile, mode)
        if cost is None:
            self._waiting[profile, mode] += 1
        else:
            self._tokens += cost
        return cost

    @property
    def tokens(self) -> int:
        """Since start, without the lists whose cost is not known yet."""
        for place, times in list(self._waiting.items()):
            if (cost := self._cost(*place)) is not None:
                self._tokens += cost * times
                del self._waiting[place]
        return self._tokens
