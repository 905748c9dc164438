"""Other keys for actions, as `tui.keys` names them: what is wrong with them, in a person's words.

The configuration cannot know the actions of screens, so they are checked here, and what is wrong is a notice: a
gateway does not stop for a key.
"""

import difflib
from collections.abc import Iterator, Mapping

from textual.binding import Binding, BindingsMap
from textual.keys import KEY_ALIASES, Keys, _character_to_key

from only1mcp_tui.screens.base import CoreScreen
from only1mcp_tui.view.text import safe
from only1mcp_tui.widgets.live_table import LiveTable
from only1mcp_tui.widgets.log_view import LogView

MODIFIERS = ("ctrl+", "shift+", "alt+", "super+", "meta+", "hyper+")
KNOWN = {key.value for key in Keys} | set(KEY_ALIASES)
TOLD = 4
"""Faults that a notice names."""


def checked(keys: Mapping[str, str], app_bindings: BindingsMap) -> tuple[dict[str, str], list[str]]:
    """Those of `keys` that can be used, and a sentence for each of the others and for each clash."""
    known = {binding.id: binding for binding in _all(app_bindings) if binding.id}
    good: dict[str, str] = {}
    faults: list[str] = []
    for name, wanted in keys.items():
        if name not in known:
            faults.append(f"there is no action {safe(name, 60)}{_nearest(name, known)}")
        elif bad := [key for key in wanted.split(",") if not is_key(key.strip())]:
            faults.append(f"{safe(bad[0].strip(), 40) or 'nothing'} for {name} is no key")
        else:
            good[name] = ",".join(key.strip() for key in wanted.split(","))
    return good, faults + list(_clashes(good, app_bindings))


def notice(faults: list[str]) -> str:
    """One sentence for the banner; empty if nothing is wrong."""
    if not faults:
        return ""
    more = f"; and {len(faults) - TOLD} more" if len(faults) > TOLD else ""
    return f"tui.keys: {'; '.join(faults[:TOLD])}{more}."


def is_key(key: str) -> bool:
    """A character, the name of a key, or either with ctrl+ and the like before it."""
    while key.startswith(MODIFIERS):
        key = key.partition("+")[2]
    if len(key) == 1:
        return key.isprintable()
    return key in KNOWN or key in _NAMES


_NAMES = {_character_to_key(chr(code)) for code in range(0x21, 0x7F)}


def _nearest(name: str, known: Mapping[str, Binding]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f" (nearest: {near[0]})" if near else ""


def _all(app_bindings: BindingsMap) -> Iterator[Binding]:
    for bindings in (app_bindings, *_screens().values()):
        for group in bindings.key_to_bindings.values():
            yield from group


def _screens() -> dict[str, BindingsMap]:
    """Each screen with what it may have the focus on."""
    found: dict[str, BindingsMap] = {}
    waiting: list[type[CoreScreen]] = [CoreScreen]
    while waiting:
        screen = waiting.pop()
        waiting += screen.__subclasses__()
        found[screen.__name__] = BindingsMap.merge(
            each._merged_bindings or BindingsMap() for each in (screen, LiveTable, LogView)
        )
    return found


def _clashes(keys: Mapping[str, str], app_bindings: BindingsMap) -> Iterator[str]:
    """Two actions on one key where both can be meant."""
    told: set[frozenset[str]] = set()
    for screen in _screens().values():
        owners: dict[str, str] = {}
        for binding in (each for each in _of(app_bindings, screen) if each.id):
            name = str(binding.id)
            for key in keys[name].split(",") if name in keys else (binding.key,):
                key = _character_to_key(key) if len(key) == 1 else key
                other = owners.setdefault(key, name)
                pair = frozenset((name, other))
                if other != name and pair not in told and (name in keys or other in keys):
                    told.add(pair)
                    yield f"{other} and {name} are both on {key}"


def _of(*maps: BindingsMap) -> Iterator[Binding]:
    for each in maps:
        for group in each.key_to_bindings.values():
            yield from group
