"""What profiles name that is not there: allowed, since servers come and go, but told. Pure.

A glob of `deny` that fits nothing denies nothing, and its writer thinks that it does.
"""

import re
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from typing import Final

from proxy_core.config.models import Config, ProfileConfig

_OF_ONE_SERVER: Final = re.compile(r"([^*?\[]+?)__")
"""How a glob of names begins that is for the names of one server alone."""


def idle_globs(config: Config) -> Iterator[str]:
    """A sentence for each glob that fits no server of the configuration, or none of its names."""
    ids = [server.id for server in config.servers]
    # Names without a prefix may begin with anything.
    has_prefixes = all((server.prefix or config.routing.prefix) == "always" for server in config.servers)
    for name, profile in config.profiles.items():
        for glob in profile.servers:
            if not any(fnmatchcase(server, glob) for server in ids):
                yield f"profiles.{name}.servers: {glob!r} fits no server"
        for path, glob in _name_globs(profile) if has_prefixes else ():
            if not _may_fit(glob, ids):
                yield f"profiles.{name}.{path}: {glob!r} fits no server's names"


def _name_globs(profile: ProfileConfig) -> Iterator[tuple[str, str]]:
    for shelf, rules in (("tools", profile.tools), ("prompts", profile.prompts)):
        for key, globs in (("allow", rules.allow), ("deny", rules.deny)):
            for glob in globs:
                yield f"{shelf}.{key}", glob


def _may_fit(glob: str, ids: Collection[str]) -> bool:
    found = _OF_ONE_SERVER.match(glob)
    return found is None or found.group(1) in ids
