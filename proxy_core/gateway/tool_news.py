"""What is told of tools that are not what they were, as facts and in the log: no more than a person reads.

Servers decide how often that happens, so what is beyond a bound is only counted.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Final

from proxy_core.catalog.merge import MAX_SHOWN_NAME
from proxy_core.catalog.rules import GlobRules, decided
from proxy_core.clock import Clock
from proxy_core.facts import Fact, OtherToolNamed, ToolChanged
from proxy_core.protocol.text import clean_text

MAX_TOLD: Final = 20
"""Facts of one server within PERIOD_S; the rest are counted."""
PERIOD_S: Final = 60.0
_LEVELS: Final = {"changed": "warning", "new": "info", "gone": "info", "restored": "info"}


class ToolNews:
    def __init__(
        self, clock: Clock, publish: Callable[[Fact], None], says: Callable[[str, str, str], None]
    ) -> None:
        """`says`: (server, level, text) for the log."""
        self._clock = clock
        self._publish = publish
        self._says = says
        self._told: dict[str, list[float]] = {}
        """By server, when each of the last ones was told."""
        self._untold: defaultdict[str, Counter[tuple[str, bool]]] = defaultdict(Counter)
        """By server, what was only counted."""
        self._flushed_at: dict[str, float] = {}

    def tell(
        self,
        server: str,
        tool: str,
        what: str,
        rules: GlobRules,
        parts: Sequence[str] = (),
        is_withheld: bool = False,
    ) -> None:
        """`rules`: of what the configuration denies nothing is told."""
        if not decided(rules, tool).is_allowed:
            return
        if not self._may_tell(server):
            self._untold[server][what, is_withheld] += 1
            return
        now = self._clock.monotonic()
        self._publish(ToolChanged(now, server, tool[:MAX_SHOWN_NAME], what, tuple(parts), is_withheld))
        self._says(server, _LEVELS[what], f"tool {_name(tool)} {_words(what, parts, is_withheld)}")

    def flush(self, server: str) -> None:
        """Say how many there were that were not told one by one; as seldom as that may be said too."""
        now = self._clock.monotonic()
        if server not in self._untold or now - self._flushed_at.get(server, float("-inf")) < PERIOD_S:
            return
        self._flushed_at[server] = now
        for (what, is_withheld), more in self._untold.pop(server, Counter()).items():
            self._publish(ToolChanged(now, server, "", what, (), is_withheld, more))
            tools = "tool" if more == 1 else "tools"
            self._says(server, _LEVELS[what], f"{more} more {tools}: each {_words(what, (), is_withheld)}")

    def names_others(self, server: str, tool: str, named: tuple[str, ...]) -> None:
        if self._may_tell(server):
            self._publish(OtherToolNamed(self._clock.monotonic(), server, tool[:MAX_SHOWN_NAME], named))
            others = ", ".join(_name(name) for name in named)
            self._says(server, "warning", f"tool {_name(tool)} names tools of other servers: {others}")

    def _may_tell(self, server: str) -> bool:
        now = self._clock.monotonic()
        told = self._told[server] = [at for at in self._told.get(server, ()) if now - at < PERIOD_S]
        if len(told) >= MAX_TOLD:
            return False
        told.append(now)
        return True


def _name(tool: str) -> str:
    return " ".join(clean_text(tool, MAX_SHOWN_NAME).split())


def _words(what: str, parts: Sequence[str], is_withheld: bool) -> str:
    match what:
        case "changed":
            said = f"is not what it was: its {', '.join(parts) or 'definition'} changed"
        case "new":
            said = "is new"
        case "gone":
            return "is gone"
        case _:
            return "is again what it was"
    return f"{said}; withheld until it is approved (only1mcp approve)" if is_withheld else said
