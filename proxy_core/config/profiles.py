"""What profiles name that is not there: allowed, since servers come and go, but told. Pure."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from proxy_core.config.models import Config


def idle_globs(config: Config) -> Iterator[str]:
    """A sentence for each glob of servers that fits none of the configuration's."""
    ids = [server.id for server in config.servers]
    for name, profile in config.profiles.items():
        for glob in profile.servers:
            if not any(fnmatchcase(server, glob) for server in ids):
                yield f"profiles.{name}.servers: {glob!r} fits no server"
