"""Who listens to what: clients' streams register here, changes of the merged lists go out from here.

One notification a kind and listener for everything that happens within `COALESCE_S`.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Literal, TypeAlias

ListKind: TypeAlias = Literal["tools", "resources", "prompts"]
ALL_KINDS: Final[frozenset[ListKind]] = frozenset({"tools", "resources", "prompts"})
COALESCE_S: Final = 0.1


class SubscriptionHub:
    """Sole owner of the listeners."""

    def __init__(self) -> None:
        self._listeners: dict[object, tuple[frozenset[ListKind], Callable[[ListKind], None]]] = {}
        self._due: dict[ListKind, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._listeners)

    def add(self, kinds: frozenset[ListKind], deliver: Callable[[ListKind], None]) -> Callable[[], None]:
        """Call `deliver` after each change of a list in `kinds`, until the returned function is called.

        `deliver` must not block and must not raise. The returned function is safe to call twice.
        """
        key = object()
        self._listeners[key] = (kinds, deliver)
        return lambda: self._listeners.pop(key, None) and None

    def changed(self, kind: ListKind) -> None:
        """A merged list is different from before."""
        if kind not in self._due:
            loop = asyncio.get_running_loop()
            self._due[kind] = loop.call_later(COALESCE_S, self._deliver, kind)

    def _deliver(self, kind: ListKind) -> None:
        self._due.pop(kind, None)
        for kinds, deliver in list(self._listeners.values()):
            if kind in kinds:
                deliver(kind)

    def close(self) -> None:
        """Forget what is due; listeners end by their own streams."""
        for timer in self._due.values():
            timer.cancel()
        self._due.clear()
