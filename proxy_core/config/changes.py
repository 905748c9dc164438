"""What is different between two configurations, as a plan: what happens to each server, which keys apply when.

Pure: two values in, a value out. Knows no running server: what a person switched on or off by hand, and how
many calls are in flight, is for whoever carries the plan out. Values of keys are never part of it.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from proxy_core.config.base import Model
from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config, ReplicaConfig, ServerConfig
from proxy_core.telemetry.snapshot import Action


class ReplicaChange(Struct, frozen=True):
    id: str
    change: Action


class ServerChange(Struct, frozen=True):
    id: str
    change: Action
    """REPLACE if no replica of it goes on; DRAIN also if it stays configured, but switched off."""
    changed: tuple[str, ...] = ()
    """Keys that are different, as `tools.deny` or `replicas[a].transport`; of one that comes or goes, none."""
    replicas: tuple[ReplicaChange, ...] = ()
    """Those of the new configuration in its order, then those that leave."""


class ConfigChanges(Struct, frozen=True):
    servers: tuple[ServerChange, ...] = ()
    """Every server of either configuration once: in the order of the new one, then those that leave."""
    settings: tuple[str, ...] = ()
    """Keys beside those of servers that are different and apply at once; `servers` if their order is."""
    restart: tuple[str, ...] = ()
    """Keys that are different and wait for the next start of the gateway."""

    @property
    def is_empty(self) -> bool:
        return not (self.settings or self.restart or any(s.change is not Action.KEEP for s in self.servers))


RESTART: Final = frozenset({"proxy.host", "proxy.port", "proxy.path", "proxy.tls", "admin.socket"})
"""Keys of what is opened once, at the start. That of HTTPS is whether there is any: its files apply at once."""
_GOES_ON: Final = frozenset({Action.KEEP, Action.UPDATE})


def diff(old: LoadedConfig, new: LoadedConfig) -> ConfigChanges:
    """What putting `new` in force changes, while `old` is."""
    before = {server.id: server for server in old.config.servers}
    after = {server.id for server in new.config.servers}
    servers = [_server_change(before.get(server.id), server, old, new) for server in new.config.servers]
    servers += [_whole(server, Action.DRAIN) for server in old.config.servers if server.id not in after]
    different = tuple(_settings(old.config, new.config))
    return ConfigChanges(
        servers=tuple(servers),
        settings=tuple(key for key in different if key not in RESTART),
        restart=tuple(key for key in different if key in RESTART),
    )


def restart_keys(old: LoadedConfig, new: LoadedConfig) -> tuple[str, ...]:
    """As `ConfigChanges.restart`, without a look at the servers."""
    return tuple(key for key in _settings(old.config, new.config) if key in RESTART)


def _server_change(
    before: ServerConfig | None, server: ServerConfig, old: LoadedConfig, new: LoadedConfig
) -> ServerChange:
    if before is None:
        return _whole(server, Action.ADD)
    is_unset_alike = old.unset.get(server.id) == new.unset.get(server.id)
    if before is server and is_unset_alike:
        return _whole(server, Action.KEEP)
    changed = tuple(_changed_keys(before, server))
    if before.enabled != server.enabled:
        if server.enabled:
            return _whole(server, Action.START, changed)
        return _whole(before, Action.DRAIN, changed)
    if not is_unset_alike:
        # It stays off, but for another reason, which its row shows.
        changed = ("enabled", *changed)
    replicas = tuple(_replica_changes(before, server))
    if not changed:
        change = Action.KEEP
    elif any(replica.change in _GOES_ON for replica in replicas):
        change = Action.UPDATE
    else:
        change = Action.REPLACE
    return ServerChange(server.id, change, changed, replicas)


def _whole(server: ServerConfig, change: Action, changed: tuple[str, ...] = ()) -> ServerChange:
    """The same for the server and for every replica of it."""
    replicas = tuple(ReplicaChange(place.id, change) for place in server.places)
    return ServerChange(server.id, change, changed, replicas)


def _replica_changes(before: ServerConfig, server: ServerConfig) -> Iterator[ReplicaChange]:
    old, new = _places(before), _places(server)
    for place_id, place in new.items():
        yield ReplicaChange(place_id, _replica_change(old.get(place_id), place, before.era != server.era))
    yield from (ReplicaChange(place_id, Action.DRAIN) for place_id in old if place_id not in new)


def _replica_change(before: ReplicaConfig | None, place: ReplicaConfig, is_era_new: bool) -> Action:
    if before is None:
        return Action.ADD
    if is_era_new or before.transport != place.transport:
        return Action.REPLACE
    return Action.KEEP if before.weight == place.weight else Action.UPDATE


def _places(server: ServerConfig) -> dict[str, ReplicaConfig]:
    return {place.id: place for place in server.places}


# --- the keys that are different ------------------------------------------------------------------------------


def _changed_keys(before: ServerConfig, server: ServerConfig) -> Iterator[str]:
    """In the order of the models; what concerns places comes where `transport` stands."""
    for name in ServerConfig.model_fields:
        if name == "transport":
            yield from _changed_places(before, server)
        elif name != "replicas":
            yield from _different(name, getattr(before, name), getattr(server, name))


def _changed_places(before: ServerConfig, server: ServerConfig) -> Iterator[str]:
    old, new = _places(before), _places(server)
    for place_id, place in new.items():
        known = old.get(place_id)
        if known is None:
            yield _place_key(server, place_id)
        elif known.transport != place.transport:
            yield _place_key(server, place_id, ".transport")
        elif known.weight != place.weight:
            yield _place_key(server, place_id, ".weight")
    yield from (_place_key(before, place_id) for place_id in old if place_id not in new)
    if _is_reordered(old, new):
        yield "replicas"


def _place_key(server: ServerConfig, place_id: str, part: str = "") -> str:
    return "transport" if server.transport is not None else f"replicas[{place_id}]{part}"


def _settings(old: Config, new: Config) -> Iterator[str]:
    for name in Config.model_fields:
        if name == "servers":
            before, after = ([server.id for server in config.servers] for config in (old, new))
            if _is_reordered(before, after):
                yield name
        elif name == "profiles":
            # Named, so that their order says nothing, and one that comes or goes is told by its name.
            for profile in dict.fromkeys((*old.profiles, *new.profiles)):
                yield from _different(f"{name}.{profile}", old.profiles.get(profile), new.profiles.get(profile))
        else:
            yield from _different(name, getattr(old, name), getattr(new, name))


def _is_reordered(old: Iterable[str], new: Iterable[str]) -> bool:
    """Whether those that are in both stand in another order."""
    before, after = tuple(old), tuple(new)
    return [one for one in before if one in after] != [one for one in after if one in before]


def _different(path: str, old: object, new: object) -> Iterator[str]:
    """`path`, or the keys below it where it is a section."""
    if isinstance(old, Model) and type(old) is type(new):
        for name in type(old).model_fields:
            yield from _different(f"{path}.{name}", getattr(old, name), getattr(new, name))
    elif old != new or (isinstance(old, dict) and isinstance(new, dict) and list(old) != list(new)):
        # Of the globs of `tools.timeouts` the first that fits counts, so their order says something.
        yield path
