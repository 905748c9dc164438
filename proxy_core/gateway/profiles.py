"""The profiles of the configuration in force: what is shown under each, and which rule says so.

The empty name is no profile: everything. A name that the configuration has no more shows nothing.
"""

from collections.abc import Callable, Mapping
from typing import Final

from proxy_core.access.policy import EVERYTHING, Policies, Policy
from proxy_core.config.models import Config, ProfileConfig

_NOTHING: Final = Policy("", ProfileConfig(servers=()))


class Profiles:
    def __init__(self, config: Callable[[], Config]) -> None:
        self._config = config
        self._compiled = Policies(config())

    def policy(self, profile: str) -> Policy | None:
        """None: everything may be had."""
        return None if profile == EVERYTHING else self._policies.of(profile) or _NOTHING

    @property
    def bound(self) -> Mapping[str, str]:
        """Principal -> the one profile that its token is for."""
        return self._policies.bound

    def shows_server(self, profile: str, server: str) -> bool:
        policy = self.policy(profile)
        return policy is None or policy.server(server)

    def rule_for(self, profile: str, method: str, name: str, server: str) -> str:
        """The rule by which the profile allows or denies this, as a short string that stays the same.

        For records, from any thread: it compares globs, which a call need not wait for. `name`: as the client
        said it. `server`: who answered; empty, as for what was denied: as far as the name tells. Knows nothing
        of tools that are withheld.
        """
        return self._policies.verdict(profile, method, name, server).rule

    def allows_tool(self, profile: str, exposed: str, server: str, origin: str) -> bool:
        """Whether the rules of profile and server allow a tool, whether or not it is listed now."""
        return self._policies.verdict(profile, "tools/call", exposed, server, origin).is_allowed

    @property
    def go_by_principal(self) -> bool:
        """Whether what is listed at one URL depends on who asks."""
        auth = self._config().auth
        granted = [grant.profile for issuer in auth.issuers for grant in issuer.grants]
        return any(profile is not None for profile in [*granted, *(token.profile for token in auth.tokens)])

    @property
    def _policies(self) -> Policies:
        config = self._config()
        if self._compiled.config is not config:
            self._compiled = Policies(config)
        return self._compiled
