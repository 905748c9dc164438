"""Who listens to what: clients' streams register here, changes of the merged lists go out from here.

One notification a kind and listener for everything that happens within `COALESCE_S`, and none to those whose
profile shows nothing of it.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Final, Literal, NamedTuple, TypeAlias

ListKind: TypeAlias = Literal["tools", "resources", "prompts"]
ALL_KINDS: Final[frozenset[ListKind]] = frozenset({"tools", "resources", "prompts"})
COALESCE_S: Final = 0.1


class _Listener(NamedTuple):
    kinds: frozenset[ListKind]
    deliver: Callable[[ListKind], None]
    profile: str


class SubscriptionHub:
    """Sole owner of the listeners."""

    def __init__(self) -> None:
        self._listeners: dict[object, _Listener] = {}
        self._due: dict[ListKind, asyncio.TimerHandle] = {}
        self._concerned: dict[ListKind, set[str] | None] = {}
        """The profiles whose lists of a kind that is due are others; None: all."""

    def __len__(self) -> int:
        return len(self._listeners)

    @property
    def profiles(self) -> frozenset[str]:
        """Those that somebody listens under."""
        return frozenset(each.profile for each in self._listeners.values())

    def add(
        self, kinds: frozenset[ListKind], deliver: Callable[[ListKind], None], profile: str = ""
    ) -> Callable[[], None]:
        """Call `deliver` after each change of a list in `kinds`, until the returned function is called.

        `deliver` must not block and must not raise. The returned function is safe to call twice.
        """
        key = object()
        self._listeners[key] = _Listener(kinds, deliver, profile)
        return lambda: self._listeners.pop(key, None) and None

    def changed(self, kind: ListKind, profiles: Collection[str] | None = None) -> None:
        """A merged list is different from before, for those under `profiles`; None: for everyone."""
        concerned = self._concerned.setdefault(kind, set())
        if profiles is None or concerned is None:
            self._concerned[kind] = None
        else:
            concerned.update(profiles)
        if kind not in self._due:
            loop = asyncio.get_running_loop()
            self._due[kind] = loop.call_later(COALESCE_S, self._deliver, kind)

    def _deliver(self, kind: ListKind) -> None:
        self._due.pop(kind, None)
        concerned = self._concerned.pop(kind, None)
        for each in list(self._listeners.values()):
            if kind in each.kinds and (concerned is None or each.profile in concerned):
                each.deliver(kind)

    def close(self) -> None:
        """Forget what is due; listeners end by their own streams."""
        for timer in self._due.values():
            timer.cancel()
        self._due.clear()
        self._concerned.clear()
