"""The profiles of the configuration in force: which servers and tools are shown under each.

The empty name is no profile: everything. A name that the configuration has no more shows nothing.
"""

from collections.abc import Callable
from typing import Final

from proxy_core.catalog import profiles
from proxy_core.catalog.merge import Catalog
from proxy_core.config.models import Config, ProfileConfig

EVERYTHING: Final = ""
_NOTHING: Final = ProfileConfig(servers=())


class Profiles:
    def __init__(self, config: Callable[[], Config]) -> None:
        self._config = config

    def shows_server(self, profile: str, server: str) -> bool:
        rules = self._rules(profile)
        return rules is None or profiles.shows_server(rules, server)

    def part_of(self, catalog: Catalog, profile: str) -> Catalog | None:
        """What the profile shows of the catalog; None: all of it."""
        rules = self._rules(profile)
        return None if rules is None else profiles.part_of(catalog, rules)

    @property
    def go_by_principal(self) -> bool:
        """Whether what is listed at one URL depends on who asks."""
        auth = self._config().auth
        granted = [grant.profile for issuer in auth.issuers for grant in issuer.grants]
        return any(profile is not None for profile in [*granted, *(token.profile for token in auth.tokens)])

    def _rules(self, profile: str) -> ProfileConfig | None:
        if profile == EVERYTHING:
            return None
        return self._config().profiles.get(profile, _NOTHING)
