"""What happened to servers, as a sentence for a toast: edges alone, together, and not what one did oneself.

Pure: facts and instants in, words out.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from only1mcp_tui.view.numbers import plural
from only1mcp_tui.view.text import first_line, safe
from proxy_core.facts import BreakerTurned, ConfigRejected, Fact, StateChanged, ToolChanged
from proxy_core.telemetry.snapshot import ServerState

DOWN = {
    ServerState.UNHEALTHY: "is unhealthy",
    ServerState.RESTARTING: "is starting again",
    ServerState.FAILED: "has failed",
    ServerState.AUTH_REQUIRED: "wants a login",
}
"""States that a server falls into, as a sentence about one."""
BREAKER = "is not asked, its breaker is open"
SETTLE_S = 0.5
"""What fails with a server often fails a moment later than it: both are one piece of news."""
PAUSE_S = 2.0
"""Between two toasts."""
OWN_S = 30.0
"""How long what happens to a server may come from a wish about it."""
OLD_S = 10.0
"""What happened before that is no news: a screen that has just begun hears of it from the start."""
NAMED = 3
MOST_PENDING = 1000


@dataclass(frozen=True, slots=True)
class Toast:
    words: str
    is_bad: bool


class News:
    def __init__(self) -> None:
        self._down: set[str] = set()
        """Those that a toast called down, and so may be told to be well again."""
        self._own: dict[str, float] = {}
        self._fell: dict[str, tuple[str, str]] = {}
        """Each with its sentence and the reason."""
        self._rose: dict[str, None] = {}
        self._opened: dict[str, tuple[str, str]] = {}
        self._changed: dict[str, int] = {}
        """How many tools of a server are not what they were."""
        self._rejected = ""
        self._since: float | None = None
        self._told_at = float("-inf")

    def wished(self, server: str, now: float) -> None:
        """The operator asked for something to happen to it."""
        self._own[server] = now
        for name in [name for name, at in self._own.items() if now - at > OWN_S]:
            del self._own[name]

    def take(self, facts: Iterable[Fact], now: float) -> Toast | None:
        """Take these in; the toast that is due, if one is."""
        for fact in facts:
            if now - fact.at > OLD_S:
                continue
            if isinstance(fact, StateChanged | BreakerTurned | ConfigRejected):
                self._note(fact, now)
            elif isinstance(fact, ToolChanged) and (fact.what == "changed" or fact.is_withheld):
                self._note_tools(fact, now)
        if self._since is None or now - self._since < SETTLE_S or now - self._told_at < PAUSE_S:
            return None
        return self._toast(now)

    def _note(self, fact: StateChanged | BreakerTurned | ConfigRejected, now: float) -> None:
        if isinstance(fact, ConfigRejected):
            self._rejected = first_line(fact.message, 120)
        elif now - self._own.get(fact.server, float("-inf")) <= OWN_S:
            self._forget(fact.server)
            return
        elif len(self._fell) + len(self._opened) >= MOST_PENDING:
            return
        elif isinstance(fact, BreakerTurned):
            if fact.state == "open":
                self._opened[fact.server] = BREAKER, fact.reason
        elif (word := next((word for state, word in DOWN.items() if state == fact.after), "")) != "":
            self._rose.pop(fact.server, None)
            self._fell[fact.server] = word, fact.reason
        elif fact.after == ServerState.HEALTHY:
            self._recovered(fact.server)
        if self._since is None and (self._fell or self._rose or self._opened or self._rejected):
            self._since = now

    def _note_tools(self, fact: ToolChanged, now: float) -> None:
        if len(self._changed) < MOST_PENDING:
            self._changed[fact.server] = self._changed.get(fact.server, 0) + max(1, fact.more)
            self._since = now if self._since is None else self._since

    def _recovered(self, server: str) -> None:
        # One that fell and rose between two toasts is no news any more.
        if self._fell.pop(server, None) is None and server in self._down:
            self._rose[server] = None

    def _forget(self, server: str) -> None:
        self._down.discard(server)
        self._fell.pop(server, None)
        self._rose.pop(server, None)
        self._opened.pop(server, None)

    def _toast(self, now: float) -> Toast | None:
        # A server that is down has said why; that its breaker opened says no more.
        opened = {server: why for server, why in self._opened.items() if server not in self._fell}
        parts = [
            _sentence(self._fell, "are not well"),
            _sentence(opened, "are not asked, their breakers are open"),
            _sentence(dict.fromkeys(self._rose, ("is healthy again", "")), "are healthy again"),
            _tools_sentence(self._changed),
            f"The changed configuration is not in force: {self._rejected}" if self._rejected else "",
        ]
        self._changed = {}
        is_bad = bool(self._fell or opened or self._rejected)
        self._down = (self._down | set(self._fell)) - set(self._rose)
        self._fell, self._rose, self._opened, self._rejected, self._since = {}, {}, {}, "", None
        words = " ".join(part for part in parts if part)
        if not words:
            return None
        self._told_at = now
        return Toast(words, is_bad)


def _tools_sentence(changed: dict[str, int]) -> str:
    """`2 tools of files changed: see Servers.`"""
    if not changed:
        return ""
    named = [
        f"{plural(number, 'tool')} of {safe(server, 40)}" for server, number in list(changed.items())[:NAMED]
    ]
    more = f" and {len(changed) - NAMED} more servers" if len(changed) > NAMED else ""
    return f"{', '.join(named)}{more} changed: see Servers."


def _sentence(servers: dict[str, tuple[str, str]], many: str) -> str:
    """`github is unhealthy: no answer.` or `3 servers are not well: a, b, c.`"""
    if not servers:
        return ""
    if len(servers) == 1:
        ((server, (one, why)),) = servers.items()
        return f"{safe(server, 60)} {one}{f': {first_line(why, 120)}' if why else ''}."
    named = [safe(server, 40) for server in list(servers)[:NAMED]]
    more = f" and {len(servers) - NAMED} more" if len(servers) > NAMED else ""
    return f"{len(servers)} servers {many}: {', '.join(named)}{more}."
