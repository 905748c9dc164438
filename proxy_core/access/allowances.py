"""What a configuration allows to whom, made ready when it is read: a look-up or two for each new name. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Self, TypeAlias

from proxy_core.access.meters import NO_LIMIT, Allowance, Scope
from proxy_core.access.policy import principal_of
from proxy_core.config.limits import PlaceLimits
from proxy_core.config.models import Config

Place: TypeAlias = tuple[Scope, str]
"""Whose limit it is, and which: a principal, a profile, a server's id, or `server/tool` with its own name."""


@dataclass(frozen=True, slots=True)
class Allowances:
    each_principal: Allowance
    """For those that `principals` does not name. What is in flight of each, `frontend.quota` counts."""
    principals: Mapping[str, Allowance]
    profiles: Mapping[str, Allowance]
    servers: Mapping[str, Allowance]
    tools: Mapping[str, tuple[tuple[str, Allowance], ...]]
    """By server: globs of its own names, of which the first that fits counts."""
    tokens_of_each: int
    """In any 24 hours, for a principal that `tokens` does not have; 0: no limit."""
    tokens: Mapping[Place, int]

    @classmethod
    def of(cls, config: Config) -> Self:
        general, profiles = config.limits, config.profiles.items()
        principals: dict[str, Allowance] = {}
        tokens: dict[Place, int] = {}
        for token in config.auth.tokens:
            own = token.limits
            if own.calls_per_s is not None:
                principals[principal_of(token)] = _allowance(own.calls_per_s, own.burst)
            if own.tokens_per_day is not None:
                tokens[Scope.PRINCIPAL, principal_of(token)] = own.tokens_per_day
        tokens |= {(Scope.PROFILE, name): each.limits.tokens_per_day for name, each in profiles}
        return cls(
            _allowance(general.calls_per_s, general.burst),
            principals,
            {name: _of_place(each.limits) for name, each in profiles},
            {server.id: _of_place(server.limits) for server in config.servers},
            {
                server.id: tuple((glob, _of_place(limits)) for glob, limits in server.tools.limits.items())
                for server in config.servers
            },
            general.tokens_per_day,
            tokens,
        )

    @property
    def is_any(self) -> bool:
        """Whether anything is limited at all."""
        by_tool = (allowance for rules in self.tools.values() for _, allowance in rules)
        named = (self.each_principal, *self.principals.values(), *self.profiles.values())
        allowed = (*named, *self.servers.values(), *by_tool)
        return any(each != NO_LIMIT for each in allowed) or self.limits_tokens

    @property
    def limits_tokens(self) -> bool:
        return bool(self.tokens_of_each) or any(self.tokens.values())

    def at(self, place: Place) -> Allowance:
        scope, name = place
        match scope:
            case Scope.PRINCIPAL:
                return self.principals.get(name, self.each_principal)
            case Scope.PROFILE:
                return self.profiles.get(name, NO_LIMIT)
            case Scope.SERVER:
                return self.servers.get(name, NO_LIMIT)
            case Scope.TOOL:
                # An id of a server has no slash.
                server, _, tool = name.partition("/")
                rules = self.tools.get(server, ())
                return next((allowed for glob, allowed in rules if fnmatchcase(tool, glob)), NO_LIMIT)

    def tokens_at(self, place: Place) -> int:
        """Tokens of lists in any 24 hours; 0: no limit."""
        return self.tokens.get(place, self.tokens_of_each if place[0] is Scope.PRINCIPAL else 0)


def _of_place(limits: PlaceLimits) -> Allowance:
    return _allowance(limits.calls_per_s, limits.burst, limits.concurrent)


def _allowance(calls_per_s: float, burst: int, concurrent: int = 0) -> Allowance:
    return Allowance(calls_per_s, burst or calls_per_s, concurrent)
