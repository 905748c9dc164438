"""Under which profile a request is served: chosen by its URL, and by its token where that is bound to one.

Pure: decided by a request's head, before its body is read. What a profile shows is the gateway's matter.
"""

from collections.abc import Collection, Mapping
from typing import Self

from msgspec import Struct

from proxy_core.access.policy import EVERYTHING, bound_by
from proxy_core.config.models import Config
from proxy_core.errors import HttpRefusal
from proxy_core.frontend.wire import Credential


class ProfileGate(Struct, frozen=True):
    known: frozenset[str]
    bound: Mapping[str, str]
    """Principal -> the one profile that its token is for. A JWT says for itself what it is for."""

    @classmethod
    def of(cls, config: Config) -> Self:
        return cls(frozenset(config.profiles), bound_by(config))

    def profile_for(self, principal: str, named: str, credential: Credential | None = None) -> str:
        """`named`: what the URL says, empty for the plain one. Raises: HttpRefusal 403 or 404."""
        if credential is not None:
            named = credential.profile_for(named)
        bound = self.bound.get(principal, EVERYTHING)
        if bound and named not in (EVERYTHING, bound):
            # Before it is looked up: what other profiles there are is not for this token to find out.
            raise HttpRefusal(403, f"This token is for the profile {bound} alone; the URL names another.")
        if named and named not in self.known:
            raise no_such_profile(named)
        return bound or named

    def lost(self, now: Self) -> tuple[Collection[str], Collection[str]]:
        """Principals bound otherwise by `now`, and profiles that are gone: what was open has to end."""
        principals = {*self.bound, *now.bound}
        moved = {each for each in principals if self.bound.get(each) != now.bound.get(each)}
        return moved, self.known - now.known


def no_such_profile(name: str) -> HttpRefusal:
    return HttpRefusal(404, f"This gateway has no profile {name}.")
