"""What the audit tells of another configuration: whose doing it is, and what is different. Never values."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from proxy_core.access.audit.actor import actor
from proxy_core.access.audit.lines import Act, Configured, Line
from proxy_core.access.audit.words import name, word
from proxy_core.config.changes import diff
from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import TokenConfig
from proxy_core.telemetry.snapshot import Action

MAX_NAMED: Final = 100
"""Ids or keys of one kind in a line."""


def audit_path(loaded: LoadedConfig, file: str) -> Path:
    """A relative one is in the folder of the configuration."""
    path = Path(file).expanduser()
    return path if loaded.path is None else loaded.path.absolute().parent / path


def reloaded(before: LoadedConfig, loaded: LoadedConfig) -> Iterator[Line]:
    changes = diff(before, loaded)
    if changes.is_empty:
        return

    def those(*kinds: Action) -> tuple[str, ...]:
        return _some([server.id for server in changes.servers if server.change in kinds])

    yield Configured(
        principal=name(actor()),
        path=word(str(loaded.path or "")),
        settings=_some([*changes.settings, *changes.restart]),
        added=those(Action.ADD, Action.START),
        removed=those(Action.DRAIN),
        replaced=those(Action.REPLACE),
        updated=those(Action.UPDATE),
    )
    yield from _tokens_changed(before, loaded)


def _tokens_changed(before: LoadedConfig, loaded: LoadedConfig) -> Iterator[Line]:
    """Who may come in, by name: new, gone, or with another token or other rights."""
    old, new = ({token.name: token for token in each.config.auth.tokens} for each in (before, loaded))
    for token in dict.fromkeys((*old, *new)):
        if old.get(token) != new.get(token):
            what = _token_change(old.get(token), new.get(token))
            yield Act(principal=name(actor()), act="token", target=token, detail={"what": what}, outcome="ok")


def _token_change(old: TokenConfig | None, new: TokenConfig | None) -> str:
    if old is None or new is None:
        return "added" if old is None else "removed"
    keys = [key for key in TokenConfig.model_fields if getattr(old, key) != getattr(new, key)]
    return f"changed: {', '.join(keys)}"


def _some(names: list[str]) -> tuple[str, ...]:
    more = len(names) - MAX_NAMED
    return (*names[:MAX_NAMED], f"and {more} more") if more > 0 else tuple(names)
