"""Which listen of a modern client hears of which task, and under which of its names.

Spec: the extension io.modelcontextprotocol/tasks (SEP-2663); 2026-07-28 basic/patterns/subscriptions.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Any, Final

from msgspec import Struct

from proxy_core.backends.backend import Backend
from proxy_core.backends.wanted import TaskTopic
from proxy_core.errors import BackendFault, BackendProtocolError
from proxy_core.gateway.exchange import Caller
from proxy_core.gateway.task_tokens import UnknownTask
from proxy_core.gateway.tasks_extension import TasksExtension
from proxy_core.gateway.telling import Telling
from proxy_core.gateway.updates import ACK_S
from proxy_core.protocol.results import UnusableResult
from proxy_core.protocol.tasks import Task

MAX_TASKS: Final = 256
"""Of one listen."""
log = logging.getLogger(__name__)

Deliver = Callable[[dict[str, Any]], None]


class _Watch(Struct, frozen=True, eq=False):
    """One task on one listen."""

    caller: Caller
    token: str
    """What the client calls it."""
    backend: Backend
    replica: str
    topic: TaskTopic
    deliver: Deliver

    @property
    def key(self) -> tuple[str, str, TaskTopic]:
        return self.backend.id, self.replica, self.topic


class TaskUpdates:
    """Sole owner of the watches."""

    def __init__(self, extension: TasksExtension) -> None:
        self._extension = extension
        self._watches: dict[tuple[str, str, TaskTopic], set[_Watch]] = {}
        """By server, replica and its task."""
        self._telling = Telling[_Watch]("task updates")

    def __len__(self) -> int:
        return sum(map(len, self._watches.values()))

    async def listen(
        self, caller: Caller, tokens: Collection[str], deliver: Deliver
    ) -> tuple[list[str], Callable[[], None]]:
        """Have a listen hear of these tasks: those accepted within `ACK_S`, and what ends it.

        `deliver` gets the params, without `_meta`; it must not block and must not raise.
        """
        watches: list[_Watch] = []
        wanted = list(dict.fromkeys(tokens))[:MAX_TASKS]
        try:
            await asyncio.gather(*(self._watch(caller, token, deliver, watches) for token in wanted))
        except asyncio.CancelledError:
            self._end(watches)
            raise
        heard = {watch.token for watch in watches}
        return [token for token in wanted if token in heard], lambda: self._end(watches)

    async def _watch(self, caller: Caller, token: str, deliver: Deliver, watches: list[_Watch]) -> None:
        try:
            backend, replica, task_id = self._extension.find(token, caller)
        except UnknownTask:
            return
        watch = _Watch(caller, token, backend, replica, TaskTopic(task_id), deliver)
        is_accepted = False
        # Before the server agrees: it may tell of the task in the same breath.
        self._watches.setdefault(watch.key, set()).add(watch)
        try:
            async with asyncio.timeout(ACK_S):
                is_accepted = await backend.subscribe(watch.topic, replica)
        except (TimeoutError, BackendFault):
            return
        finally:
            if is_accepted:
                watches.append(watch)
            else:
                self._forget(watch)

    def _end(self, watches: list[_Watch]) -> None:
        while watches:
            watch = watches.pop()
            self._forget(watch)
            watch.backend.unsubscribe(watch.topic, watch.replica)

    def _forget(self, watch: _Watch) -> None:
        same = self._watches[watch.key]
        same.discard(watch)
        if not same:
            del self._watches[watch.key]

    def changed(self, server: str, replica: str, task: Task) -> None:
        """`task` as the server says it."""
        key = server, replica, TaskTopic(task.id)

        def say(watch: _Watch) -> None:
            if watch not in self._watches.get(key, ()):
                return
            try:
                shown = self._extension.shown(watch.caller, server, task, watch.token)
            except (UnusableResult, BackendProtocolError) as error:
                log.warning("dropped what it told of a task: %s", error.message, extra={"source": server})
                return
            watch.deliver({name: value for name, value in shown.items() if name not in ("_meta", "resultType")})

        self._telling.tell(key, lambda: tuple(self._watches.get(key, ())), say)

    async def aclose(self) -> None:
        await self._telling.aclose()
