"""Globs that allow and globs that deny, and which of them decides about a name. Pure.

`deny` goes before `allow`, and what no glob of `allow` fits is denied. Whatever an item says of itself, as its
annotations, decides nothing here (2025-11-25 server/tools: they are untrusted).
"""

import re
from collections.abc import Iterable, Sequence
from fnmatch import translate
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

Names = tuple[str, ...]
"""One thing under each of its names, of which a glob need fit only one."""


NOT_ALLOWED: Final = "allow"
"""No glob of `allow` fits."""


class GlobRules(Protocol):
    """Globs on names."""

    @property
    def allow(self) -> Sequence[str]: ...

    @property
    def deny(self) -> Sequence[str]: ...


class Decision(NamedTuple):
    is_allowed: bool
    by: str
    """`deny[1]`, `allow[0]` or NOT_ALLOWED."""


class Globs:
    """Globs in their order, compiled."""

    __slots__ = ("_fit",)

    def __init__(self, globs: Iterable[str]) -> None:
        self._fit = tuple(re.compile(translate(glob)).match for glob in globs)

    def first(self, names: Names) -> int | None:
        """Which of them fits one of the names, the first of them; None: not one does."""
        for index, fits in enumerate(self._fit):
            if any(fits(name) for name in names):
                return index
        return None


class Matcher:
    """The rules for one kind of name, compiled."""

    __slots__ = ("_allow", "_deny", "is_open")

    def __init__(self, rules: GlobRules) -> None:
        self._allow = Globs(rules.allow)
        self._deny = Globs(rules.deny)
        self.is_open = not rules.deny and "*" in rules.allow
        """Whether everything is allowed, whatever its name."""

    def decide(self, *meanings: Names, also_denied_as: Names = ()) -> Decision:
        """About something that means all of `meanings`: each has to be allowed, and none may be denied.

        `also_denied_as`: further names, for `deny` alone.
        """
        for names in (*meanings, also_denied_as):
            denied = self._deny.first(names)
            if denied is not None:
                return Decision(False, f"deny[{denied}]")
        allowed = [self._allow.first(names) for names in meanings]
        if None in allowed:
            return Decision(False, NOT_ALLOWED)
        return Decision(True, f"allow[{allowed[0]}]")


@lru_cache(maxsize=1024)
def _matcher(allow: tuple[str, ...], deny: tuple[str, ...]) -> Matcher:
    return Matcher(_Rules(allow, deny))


class _Rules(NamedTuple):
    allow: tuple[str, ...]
    deny: tuple[str, ...]


def decided(rules: GlobRules, name: str) -> Decision:
    """What the rules come to for a name that has no other form; they are compiled once."""
    return _matcher(tuple(rules.allow), tuple(rules.deny)).decide((name,))
