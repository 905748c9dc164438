"""Who listens to what: clients' streams register here, changes of the merged lists go out from here.

One notification a kind and listener for everything that happens within `COALESCE_S`, and none to those whose
profile shows nothing of it. However many listen, other work goes on between a few of them and the next.
"""

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from typing import Final, Literal, NamedTuple, TypeAlias

from proxy_core.tasks import Tasks
from proxy_core.turns import in_turns

ListKind: TypeAlias = Literal["tools", "resources", "prompts"]
ALL_KINDS: Final[frozenset[ListKind]] = frozenset({"tools", "resources", "prompts"})
COALESCE_S: Final = 0.1
SLICE: Final = 64
"""Listeners that are told in one turn of the loop: with what their streams write about a millisecond, in which
no call is carried."""
SETTLE_S: Final = 2.0


class _Listener(NamedTuple):
    kinds: frozenset[ListKind]
    deliver: Callable[[ListKind], None]
    profile: str


class SubscriptionHub:
    """Sole owner of the listeners."""

    def __init__(self) -> None:
        self._listeners: dict[object, _Listener] = {}
        self._due: dict[ListKind, asyncio.TimerHandle] = {}
        """Kinds that changed, of which more may follow."""
        self._ripe: dict[ListKind, None] = {}
        """Those whose time is over, in that order: next to be told."""
        self._concerned: dict[ListKind, set[str] | None] = {}
        """The profiles whose lists of a kind that is due or ripe are others; None: all."""
        self._tasks = Tasks("subscriptions")
        self._telling: asyncio.Task[None] | None = None

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
        is_to_be_told = kind in self._ripe and self._is_telling
        if kind not in self._due and not is_to_be_told:
            loop = asyncio.get_running_loop()
            self._due[kind] = loop.call_later(COALESCE_S, self._ripen, kind)

    async def settled(self) -> None:
        """Tell of all that has changed, now, and wait until everyone has heard of it, at most `SETTLE_S`."""
        for kind, timer in list(self._due.items()):
            timer.cancel()
            self._ripen(kind)
        if self._telling is not None:
            await asyncio.wait([self._telling], timeout=SETTLE_S)

    @property
    def _is_telling(self) -> bool:
        return self._telling is not None and not self._telling.done()

    def _ripen(self, kind: ListKind) -> None:
        del self._due[kind]
        self._ripe[kind] = None
        if not self._is_telling:
            self._telling = self._tasks.start(self._tell_ripe(), "telling")

    async def _tell_ripe(self) -> None:
        while self._ripe:
            # Kinds that change together ripen in one turn, and each listener is told of them together.
            await asyncio.sleep(0)
            concerned = {kind: self._concerned.pop(kind) for kind in self._ripe}
            # What changes from here on is told again, to those too who are still to be told of this.
            self._ripe.clear()
            await in_turns(list(self._listeners), SLICE, partial(self._tell, concerned))

    def _tell(self, concerned: dict[ListKind, set[str] | None], key: object) -> None:
        for kind, profiles in concerned.items():
            # It may leave at any time, even by being told.
            listener = self._listeners.get(key)
            if listener is not None and kind in listener.kinds:
                if profiles is None or listener.profile in profiles:
                    listener.deliver(kind)

    async def aclose(self) -> None:
        """Forget what has not been told; listeners end by their own streams."""
        for timer in self._due.values():
            timer.cancel()
        self._due.clear()
        await self._tasks.aclose()
        self._ripe.clear()
        self._concerned.clear()
