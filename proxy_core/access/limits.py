"""How much may be asked: of what is configured, one look and one step on each request's way.

A request takes from at most four meters, of all of them or of none: its principal's, its profile's, its
server's and its tool's. What it takes of rates is gone; its place among those in flight it gives back when it
ends, by its `Permit`. Meters are made when they are needed and forgotten when nothing is lost by it.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from msgspec import Struct

from proxy_core.access.allowances import Allowances, Place
from proxy_core.access.meters import NO_LIMIT, DayMeter, Meter, Scope
from proxy_core.access.refusals import Refusals
from proxy_core.clock import Clock
from proxy_core.config.models import Config
from proxy_core.errors import Overloaded
from proxy_core.facts import Fact

MAX_LANES: Final = 10_000
"""Callers and places whose meters are remembered together; more than that are found again."""
_WORDS: Final = {
    Scope.PRINCIPAL: "of this client",
    Scope.PROFILE: "under the profile {}",
    Scope.SERVER: "for the server {}",
    Scope.TOOL: "for the tool {}",
}
Viewer: TypeAlias = tuple[str, str]
"""Principal, and profile or nothing."""
Lane: TypeAlias = tuple[Meter, ...]


class Limits:
    """Sole owner of all meters."""

    def __init__(self, config: Config, clock: Clock, publish: Callable[[Fact], None]) -> None:
        self._clock = clock
        self._refusals = Refusals(clock, publish)
        self._allowed = Allowances.of(config)
        self._meters: dict[Place, Meter] = {}
        self._days: dict[Place, DayMeter] = {}
        self._callers: dict[Viewer, Lane] = {}
        self._places: dict[tuple[str, str], Lane] = {}
        self.is_any = self._allowed.is_any
        """Whether anything is limited at all."""
        self.version = 0
        """Which meters there are: those that somebody was given are good as long as it stays."""

    @property
    def held(self) -> dict[Place, int]:
        """Requests in flight, of the meters that count any."""
        return {place: meter.held for place, meter in self._meters.items() if meter.held}

    @property
    def remembered(self) -> int:
        """Meters that there are."""
        return len(self._meters) + len(self._days)

    def use(self, config: Config) -> None:
        """What is allowed from now on. A rate that stays keeps its bucket as it is; what is in flight stays."""
        allowed = Allowances.of(config)
        if allowed == self._allowed:
            return
        self._allowed, self.is_any = allowed, allowed.is_any
        for place, meter in self._meters.items():
            meter.use(allowed.at(place))
        self._forget_lanes()

    def sweep(self) -> None:
        """Forget the meters by which nothing would be lost."""
        now = self._clock.monotonic()
        idle = [place for place, meter in self._meters.items() if meter.is_idle(now)]
        for place in idle:
            del self._meters[place]
        if idle:
            self._forget_lanes()
        for place in [place for place, day in self._days.items() if not day.used(now)]:
            del self._days[place]

    # --- a request --------------------------------------------------------------------------------------------

    def enter(self, viewer: Viewer, now: float) -> "Permit":
        """Let a request in whose server is not known yet, or that has none. Raises: Overloaded."""
        caller = self._caller(viewer)
        self.take(caller, now)
        return Permit(self, caller, False)

    def meters(self, viewer: Viewer, server: str, tool: str) -> Lane:
        """All that a call of a tool of this own name takes from, as long as `version` stays."""
        return self._caller(viewer) + self.at(server, tool)

    def at(self, server: str, tool: str) -> Lane:
        """The meters of a server and, if one is named, of a tool of it."""
        lane = self._places.get((server, tool))
        if lane is None:
            places = [(Scope.SERVER, server)]
            if tool:
                places.append((Scope.TOOL, f"{server}/{tool}"))
            if len(self._places) >= MAX_LANES:
                self._places.clear()
            lane = self._places[server, tool] = self._lane(places)
        return lane

    def take(self, meters: Lane, now: float) -> None:
        """One of each, or nothing of any. Raises: Overloaded."""
        for meter in meters:
            if meter.full_at - now > meter.slack_s or meter.held >= meter.most:
                raise self._refusal(meters, now)
        for meter in meters:
            meter.held += 1
            full_at = meter.full_at
            meter.full_at = (full_at if full_at > now else now) + meter.interval_s

    def _refusal(self, meters: Lane, now: float) -> Overloaded:
        """Of the limit that has to be waited for longest; when one in flight will end, nobody knows."""
        meter = max(meters, key=lambda each: each.wait_s(now))
        wait_s: float | None = meter.wait_s(now)
        if wait_s:
            kind, limit = "rate", f"Too many requests {_words(meter)}; the limit is {_a_second(meter)}."
        else:
            meter = next(each for each in meters if each.held >= each.most)
            wait_s, kind = None, "concurrent"
            limit = f"Too many requests at once {_words(meter)}; the limit is {meter.most}."
        self._refusals.tell(meter.scope, kind, meter.name)
        return Overloaded(limit, wait_s)

    def _caller(self, viewer: Viewer) -> Lane:
        lane = self._callers.get(viewer)
        if lane is None:
            principal, profile = viewer
            if len(self._callers) >= MAX_LANES:
                self._callers.clear()
            lane = self._lane([(Scope.PRINCIPAL, principal), (Scope.PROFILE, profile)])
            self._callers[viewer] = lane
        return lane

    def _lane(self, places: list[Place]) -> Lane:
        return tuple(meter for place in places if (meter := self._meter(place)) is not None)

    def _meter(self, place: Place) -> Meter | None:
        allowance = self._allowed.at(place)
        if allowance == NO_LIMIT:
            return None
        meter = self._meters.get(place)
        if meter is None:
            meter = self._meters[place] = Meter(*place, allowance)
        return meter

    def _forget_lanes(self) -> None:
        self.version += 1
        self._callers.clear()
        self._places.clear()

    # --- tokens of lists --------------------------------------------------------------------------------------

    def check_tokens(self, viewer: Viewer) -> None:
        """Whether one more list of tools may be served. Raises: Overloaded.

        The one that reaches the limit still is: a list that is longer than all that is left of the day would
        otherwise never be.
        """
        if not self._allowed.limits_tokens:
            return
        now = self._clock.monotonic()
        for place in _token_places(viewer):
            limit, day = self._allowed.tokens_at(place), self._days.get(place)
            if limit and day is not None and (wait_s := day.wait_s(limit, now)):
                scope, name = place
                self._refusals.tell(scope, "tokens", name)
                whose = _WORDS[scope].format(name)
                raise Overloaded(
                    f"Too many tokens of lists {whose}; the limit is {limit:,} in 24 hours.", wait_s
                )

    def served(self, viewer: Viewer, tokens: int) -> None:
        """A list of tools was answered."""
        if not self._allowed.limits_tokens:
            return
        now = self._clock.monotonic()
        for place in _token_places(viewer):
            if self._allowed.tokens_at(place):
                self._days.setdefault(place, DayMeter()).add(tokens, now)


# Nothing that it holds knows it, so the collector need not know of one a call.
class Permit(Struct, eq=False, gc=False):
    """What one request holds. Given back by `leave`, once or more often."""

    _limits: Limits
    _meters: Lane
    """Taken from already."""
    _is_routed: bool
    _is_held: bool = True

    def to_server(self, server: str, tool: str, now: float) -> None:
        """It is about to be asked of a server, which counts once. Raises: Overloaded; it then holds nothing."""
        if self._is_routed:
            return
        more = self._limits.at(server, tool)
        try:
            self._limits.take(more, now)
        except Overloaded:
            self.undo()
            raise
        self._is_routed = True
        self._meters += more

    def leave(self) -> None:
        """It has ended."""
        if self._is_held:
            self._is_held = False
            for meter in self._meters:
                meter.held -= 1

    def undo(self) -> None:
        """It has not been: what it took goes back."""
        self.leave()
        for meter in self._meters:
            meter.full_at -= meter.interval_s
        self._meters = ()

    def renew(self) -> None:
        """It goes on elsewhere after it was left, whatever else has come meanwhile."""
        if not self._is_held:
            self._is_held = True
            for meter in self._meters:
                meter.held += 1


def _token_places(viewer: Viewer) -> tuple[Place, Place]:
    principal, profile = viewer
    return (Scope.PRINCIPAL, principal), (Scope.PROFILE, profile)


def _words(meter: Meter) -> str:
    return _WORDS[meter.scope].format(meter.name)


def _a_second(meter: Meter) -> str:
    return f"{meter.allowance.calls_per_s:g} a second"
