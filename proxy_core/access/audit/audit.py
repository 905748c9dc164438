"""The audit as the gateway knows it: what happens is put into a queue, and nobody waits for what becomes of it.

Off unless `audit.file` is set, and then nothing of it is on the way of a call. What is written and how is the
business of `writer` and `journal`, in a thread of their own. Lives on the loop.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Raw

from proxy_core import __version__
from proxy_core.access.audit.actor import actor
from proxy_core.access.audit.journal import Sizes
from proxy_core.access.audit.lines import Act, Happened, Line
from proxy_core.access.audit.refusals import ADMISSION, Refusal, Refusals
from proxy_core.access.audit.reloads import audit_path, reloaded
from proxy_core.access.audit.words import name, word
from proxy_core.access.audit.writer import Entry, Losses, Target, Writer
from proxy_core.access.audit.writing import (
    LEFT_OUT,
    MAX_ARGUMENT_BYTES,
    WITH_ARGUMENTS,
    Asker,
    RuleOf,
    profile_name,
)
from proxy_core.clock import Clock
from proxy_core.config.load import LoadedConfig
from proxy_core.errors import Overloaded
from proxy_core.facts import AuditTurned, ConfigRejected, Fact, RequestFinished, ToolChanged
from proxy_core.telemetry.snapshot import AuditStatus, Notice

MAX_QUEUED: Final = 16_384
"""Lines that wait to be written; of what comes then, only the number is kept."""
SHUT_AT: Final = MAX_QUEUED // 2
"""Waiting lines at which calls are refused, where none may be lost: the other half is for those under way."""
MAX_HOLDING: Final = 512
"""Waiting lines up to which arguments are held, each of 32 KiB at most; of more the size alone is told."""
MAX_HELD_TEXT: Final = 4096
"""Characters of a name or URI that waits."""
END_S: Final = 5.0
"""How long the end of the gateway waits until everything is written."""
UNAUDITED: Final = frozenset({"ping"})
log = logging.getLogger(__name__)


class AuditShut(Overloaded):
    """No call is taken while none can be recorded."""

    def __init__(self) -> None:
        super().__init__("The gateway takes no calls at the moment; try again later.")


class Audit:
    """Sole owner of the writer. `start`, `use` at each reload, `aclose`; then it may be started again."""

    def __init__(
        self,
        loaded: LoadedConfig,
        clock: Clock,
        publish: Callable[[Fact], None],
        rule_of: RuleOf = profile_name,
        version: str = __version__,
    ) -> None:
        """`rule_of` is called in the writer's thread: it must be pure but for which rules are in force."""
        self._clock = clock
        self.now: Final = clock.monotonic
        self._publish = publish
        self._rule_of = rule_of
        self._version = version
        self._settings = loaded.config.audit
        self._wants_arguments = self._settings.arguments
        self._target = _target(loaded)
        self._losses = Losses()
        self._writer: Writer | None = None
        self._queue: deque[Entry] = deque()
        self._refusals = Refusals(clock, self._add)
        self.is_shut = False
        """Calls may have to be refused: what becomes of them could not be written (`on_full: closed`)."""

    @property
    def is_on(self) -> bool:
        return self._writer is not None and self._target is not None

    # --- lifetime -------------------------------------------------------------------------------------------

    def start(self) -> None:
        if self._target is not None:
            self._begin(self._target)
            self.happened("started")

    def _begin(self, target: Target) -> None:
        loop = asyncio.get_running_loop()

        def turned(failing: str) -> None:
            with contextlib.suppress(RuntimeError):
                # The loop may be gone by then, and with it who would hear of it.
                loop.call_soon_threadsafe(self._turned, failing)

        self._losses = Losses()
        self._writer = Writer(
            target, self._sizes, self._clock, self._version, self._rule_of, self._losses, turned
        )
        self._queue = self._writer.queue
        self._writer.start()

    async def aclose(self) -> None:
        """Write what waits, for so long as the end may take. Safe to call twice."""
        self._refusals.flush()
        self.happened("stopped")
        writer, self._writer, self.is_shut = self._writer, None, False
        if writer is not None and not await asyncio.to_thread(writer.stop, END_S):
            log.error("the audit could not be written within %g s; %d lines are lost", END_S, len(writer.queue))

    def use(self, before: LoadedConfig, loaded: LoadedConfig) -> None:
        """Another configuration may be in force; that is told where lines went until now, and where they go."""
        self._settings, target = loaded.config.audit, _target(loaded)
        self._wants_arguments = self._settings.arguments
        has_moved = target != self._target
        self._tell(reloaded(before, loaded))
        if has_moved and self._target is not None:
            self.happened(_goes_on(self._target, target))
        self._move(target)
        if has_moved:
            # Whose doing it is both places tell.
            self._tell(reloaded(before, loaded))
        self.is_shut = self._is_failing and self._settings.on_full == "closed"

    def _move(self, target: Target | None) -> None:
        self._target = target
        if self._writer is not None:
            self._writer.move(target, self._sizes)
        elif target is not None:
            self._begin(target)

    @property
    def _sizes(self) -> Sizes:
        return Sizes(self._settings.max_bytes, self._settings.keep)

    # --- on the way of a call -------------------------------------------------------------------------------

    def call(self, caller: Asker, peer: str, params: Raw, finished: RequestFinished) -> None:
        """A client's request was answered. Pings are not told."""
        queue, method, target = self._queue, finished.method, finished.target
        if method in UNAUDITED:
            return
        waiting = len(queue)
        if waiting >= SHUT_AT and self._is_too_much(waiting):
            return
        if (target is not None and len(target) > MAX_HELD_TEXT) or len(method) > MAX_HELD_TEXT:
            finished = _shortened(finished)
        size = memoryview(params).nbytes
        held = None
        if self._wants_arguments and method in WITH_ARGUMENTS:
            held = params if size <= MAX_ARGUMENT_BYTES and waiting < MAX_HOLDING else LEFT_OUT
        queue.append((finished, caller, peer, size, held))
        writer = self._writer
        if writer is not None and not writer.is_woken:
            writer.wake()

    def _is_too_much(self, waiting: int) -> bool:
        if self._settings.on_full == "closed":
            self.is_shut = True
        if waiting < MAX_QUEUED:
            return False
        self._drop()
        return True

    def _drop(self) -> None:
        if not self._losses.dropped:
            log.error("lines of the audit are lost: %d wait to be written", MAX_QUEUED)
        self._losses.dropped += 1

    def shuts_out(self, method: str) -> bool:
        """Where `is_shut`: whether a request for this is refused, which then is counted."""
        if method in UNAUDITED:
            return False
        if not self._is_failing and len(self._queue) < SHUT_AT:
            self.is_shut = False
            return False
        self._losses.shut_out += 1
        return True

    # --- what else is told ----------------------------------------------------------------------------------

    def refused(self, refusal: Refusal) -> None:
        """A request was not let in. What was merely not as HTTP wants it is left out."""
        if self.is_on and (refusal.code < 0 or refusal.code in ADMISSION):
            self._refusals.add(refusal)

    def acted(
        self,
        act: str,
        target: str,
        detail: Mapping[str, str],
        begun_at: float,
        code: int | None = None,
        why: str = "",
    ) -> None:
        """An operator's verb has ended. `code`: of a failure."""
        now = self.now()
        line = Act(
            principal=name(actor()),
            act=act,
            target=word(target),
            detail={key: word(value) for key, value in detail.items()},
            outcome="ok" if code is None else "error",
            code=code,
            why=word(why),
            ms=round((now - begun_at) * 1000, 3),
        )
        self._add(line, now)

    def happened(self, what: str, server: str = "", target: str = "", **detail: str) -> None:
        shown = {key: word(value) for key, value in detail.items() if value}
        self._add(Happened(what=what, server=server, target=word(target), detail=shown), self.now())

    def heard(self, fact: Fact) -> None:
        """Of what happens by itself, what those who look back must know."""
        if isinstance(fact, ToolChanged):
            parts = ", ".join(fact.parts)
            withheld = "yes" if fact.is_withheld else ""
            more = str(fact.more) if fact.more else ""
            self.happened(
                f"tool {fact.what}", fact.server, fact.tool, parts=parts, withheld=withheld, more=more
            )
        elif isinstance(fact, ConfigRejected):
            self.happened("configuration rejected", target=fact.path, why=fact.message)

    def _tell(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self._add(line, self.now())

    def _add(self, line: Line, at: float) -> None:
        writer = self._writer
        if writer is None or self._target is None:
            return
        if len(self._queue) >= MAX_QUEUED:
            self._drop()
            return
        self._queue.append((line, at))
        if not writer.is_woken:
            writer.wake()

    # --- how it is ------------------------------------------------------------------------------------------

    @property
    def _is_failing(self) -> bool:
        return self._writer is not None and bool(self._writer.failing)

    def _turned(self, failing: str) -> None:
        """Lines cannot be written any more, or can again."""
        self.is_shut = bool(failing) and self._settings.on_full == "closed"
        self._publish(AuditTurned(self.now(), bool(failing), failing, self._losses.dropped))
        if failing:
            log.error("the audit cannot be written: %s; %s", failing, self._consequence)
        else:
            log.warning("the audit is written again")

    @property
    def _consequence(self) -> str:
        if self._settings.on_full == "closed":
            return "calls are refused until it can"
        return f"calls go on, and after {MAX_QUEUED} of them lines are lost"

    @property
    def status(self) -> AuditStatus | None:
        """None: there is none."""
        writer = self._writer
        if writer is None or self._target is None:
            return None
        return AuditStatus(
            written=writer.written,
            lost=self._losses.dropped + writer.lost,
            shut_out=self._losses.shut_out,
            failing=writer.failing,
            is_shut=self.is_shut,
        )

    @property
    def notices(self) -> tuple[Notice, ...]:
        status = self.status
        if status is None:
            return ()
        if status.failing:
            text = f"The audit cannot be written: {status.failing}; {self._consequence}."
            return (Notice("error", text),)
        if status.lost:
            return (Notice("warning", f"Lines of the audit are lost: {status.lost} since the start."),)
        return ()


def _target(loaded: LoadedConfig) -> Target | None:
    settings = loaded.config.audit
    return None if settings.file is None else Target(audit_path(loaded, settings.file), settings.key)


def _goes_on(before: Target, now: Target | None) -> str:
    if now is None:
        return "switched off"
    return "goes on elsewhere" if before.path != now.path else "goes on with another key"


def _shortened(finished: RequestFinished) -> RequestFinished:
    target = None if finished.target is None else finished.target[:MAX_HELD_TEXT]
    return msgspec.structs.replace(finished, method=finished.method[:MAX_HELD_TEXT], target=target)
