"""What is different between two JSON values, path by path.

Walks with a stack of its own and lists a bounded number of differences, so that neither depth nor size can
hurt; it counts them all. Objects are compared by key; lists of things with names (tools, prompts, resources) by
name, so that one more in the middle is one difference; other lists by position.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any, Final

LISTED: Final = 500
"""Differences that are shown; all of them are counted."""
NAMES: Final = ("name", "uri", "uriTemplate", "id")
PREVIEW: Final = 300

_ABSENT: Final = object()


class Change(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Difference:
    path: str
    """As `content[0].text`; empty: the whole value."""
    change: Change
    old: str = ""
    new: str = ""
    """The values as JSON, cut."""


@dataclass(slots=True)
class Diff:
    added: int = 0
    removed: int = 0
    changed: int = 0
    listed: list[Difference] = field(default_factory=list)
    """The first ones."""

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.removed or self.changed)

    @property
    def unlisted(self) -> int:
        return self.added + self.removed + self.changed - len(self.listed)


_Path = tuple[Any, ...]
"""The path of what holds it and the last step, from the inside out; empty: the root."""


def json_diff(old: Any, new: Any, most: int = LISTED) -> Diff:
    """Of two values as `json.loads` makes them. Empty if and only if they are equal."""
    diff = Diff()
    stack: list[tuple[_Path, Any, Any]] = [((), old, new)]
    while stack:
        path, before, after = stack.pop()
        if before is _ABSENT:
            diff.added += 1
            _list(diff, most, path, Change.ADDED, "", after)
        elif after is _ABSENT:
            diff.removed += 1
            _list(diff, most, path, Change.REMOVED, before, "")
        elif isinstance(before, dict) and isinstance(after, dict):
            stack += reversed(list(_members(path, before, after)))
        elif isinstance(before, list) and isinstance(after, list):
            stack += reversed(list(_items(path, before, after)))
        elif not _is_same(before, after):
            diff.changed += 1
            _list(diff, most, path, Change.CHANGED, before, after)
    return diff


def _members(path: _Path, old: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[_Path, Any, Any]]:
    for key, value in old.items():
        yield (path, f".{key}"), value, new.get(key, _ABSENT)
    for key, value in new.items():
        if key not in old:
            yield (path, f".{key}"), _ABSENT, value


def _items(path: _Path, old: list[Any], new: list[Any]) -> Iterator[tuple[_Path, Any, Any]]:
    before, after = _by_name(old), _by_name(new)
    if before is None or after is None:
        for index in range(max(len(old), len(new))):
            left = old[index] if index < len(old) else _ABSENT
            right = new[index] if index < len(new) else _ABSENT
            yield (path, f"[{index}]"), left, right
        return
    for name, value in before.items():
        yield (path, f"[{name}]"), value, after.get(name, _ABSENT)
    for name, value in after.items():
        if name not in before:
            yield (path, f"[{name}]"), _ABSENT, value
    left_order = [name for name in before if name in after]
    right_order = [name for name in after if name in before]
    if left_order != right_order:
        # By name they are the same; that they come in another order is a difference too.
        yield (path, " (order)"), " ".join(left_order), " ".join(right_order)


def _by_name(items: list[Any]) -> dict[str, Any] | None:
    """The items by what names each; None if they are not all named, and differently."""
    if not items:
        return {}
    for key in NAMES:
        names = [item.get(key) if isinstance(item, dict) else None for item in items]
        if all(isinstance(name, str) for name in names) and len(set(names)) == len(names):
            return {f"{key}={name}": item for name, item in zip(names, items, strict=True)}
    return None


def _is_same(old: Any, new: Any) -> bool:
    # In Python True == 1, and NaN differs from itself; in JSON text it is the other way round.
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    return bool(old == new) or (old != old and new != new)


def _list(diff: Diff, most: int, path: _Path, change: Change, old: Any, new: Any) -> None:
    if len(diff.listed) < most:
        shown_old = "" if change is Change.ADDED else preview(old)
        shown_new = "" if change is Change.REMOVED else preview(new)
        diff.listed.append(Difference(_path_text(path), change, shown_old, shown_new))


def _path_text(path: _Path) -> str:
    steps: list[str] = []
    while path:
        path, step = path
        steps.append(step[:PREVIEW])
        if len(steps) > 1000:
            steps.append("…")
            break
    return "".join(reversed(steps)).removeprefix(".").strip()


def preview(value: Any, limit: int = PREVIEW) -> str:
    """The beginning of a value as JSON, made without looking at the rest of it."""
    out: list[str] = []
    room = limit
    stack: list[Any] = [value]
    while stack and room > 0:
        piece = _opened(stack.pop(), stack, room)
        out.append(piece)
        room -= len(piece)
    text = "".join(out)
    return text[: limit - 1] + "…" if len(text) > limit or stack else text


class _Raw(str):
    """Text that is JSON already."""


def _opened(value: Any, stack: list[Any], room: int) -> str:
    """The first piece of a value; what follows it goes onto the stack, as far as there is room for it."""
    match value:
        case _Raw():
            return value
        case dict():
            pairs = islice(value.items(), room)
            members = [[_Raw(f"{_scalar(key, room)}: "), item] for key, item in pairs]
            return _push("{", members, "}", stack)
        case list():
            return _push("[", [[item] for item in value[:room]], "]", stack)
        case _:
            return _scalar(value, room)


def _push(opening: str, parts: list[list[Any]], closing: str, stack: list[Any]) -> str:
    pieces: list[Any] = []
    for number, part in enumerate(parts):
        pieces += [_Raw(", "), *part] if number else part
    stack += reversed([*pieces, _Raw(closing)])
    return opening


def _scalar(value: Any, room: int) -> str:
    if isinstance(value, str):
        # One more than there is room for, so that one can tell that it was cut.
        return json.dumps(value[: room + 1], ensure_ascii=False)
    return json.dumps(value)
