"""The token ledger: the bill of the catalog in force, made anew a moment after the catalog has changed.

Nothing of it is on the way of a call. Where counting fails the bill stays what it was, marked as not complete,
and it is tried again, ever later.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from msgspec.structs import replace

from proxy_core.clock import Clock
from proxy_core.context.bill import BilledList, bill_of, texts_of, totals_of
from proxy_core.context.slices import in_slices
from proxy_core.context.token_main import ENCODING
from proxy_core.context.tokens import HelperFailed, TokenCounter, content_key
from proxy_core.tasks import Tasks
from proxy_core.telemetry.context_bill import ContextBill, ContextTotals, Cost

PAUSE_S: Final = 1.0
"""After a change: servers that start together change the catalog many times."""
SHARE: Final = 0.1
"""Of the time, spent on counting as a rule, however often a server changes its list."""
LONGEST_REST_S: Final = 10.0
"""Between two counts, even if they take long."""
FIRST_RETRY_S: Final = 5.0
LONGEST_RETRY_S: Final = 600.0
"""Between two tries where counting fails; each twice as long as the one before."""
LONG_BYTES: Final = 1 << 18
"""A text that is longer is hashed in a thread, which does not hold the loop meanwhile."""
log = logging.getLogger(__name__)


class BillSource(Protocol):
    """Whoever knows the lists; it calls `TokenLedger.changed` when they are others."""

    async def billed_lists(self) -> tuple[BilledList, ...]:
        """As they are now: that of clients without a profile first, then those of the profiles.

        Asynchronous, so that a long list does not hold the loop.
        """
        ...


class TokenLedger:
    """Sole owner of the bill in force."""

    def __init__(
        self,
        source: BillSource,
        counter: TokenCounter,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_count: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_count` is told when the bill is that of the lists in force."""
        self._on_count = on_count
        self._source = source
        self._counter = counter
        self._clock = clock
        self._sleep = sleep
        self._changes = 0
        self._has_changed = asyncio.Event()
        self._has_failed = False
        self._tasks = Tasks("token ledger")
        self._put_in_force(ContextBill(ENCODING))

    @property
    def bill(self) -> ContextBill:
        """As of the last count; cheap."""
        return self._bill

    @property
    def totals(self) -> ContextTotals | None:
        """Its sums, the same object until they change; None before anything was counted."""
        return self._totals

    @property
    def server_costs(self) -> Mapping[str, Cost]:
        """By server id, in the mode in force; those alone that have tools."""
        return self._server_costs

    def list_cost(self, profile: str, mode: str) -> int | None:
        """What a client of this profile is shown by a list in this mode, in tokens, as of the last count."""
        return self._list_costs.get((profile, mode))

    def start(self) -> None:
        """Count from now on."""
        self._has_changed.set()
        self._tasks.start(self._keep_counting(), "count")

    def changed(self) -> None:
        """The lists are not what they were, or how they are given to clients is not."""
        self._changes += 1
        self._has_changed.set()
        if self._bill.is_complete:
            self._put_in_force(replace(self._bill, is_complete=False))

    async def aclose(self) -> None:
        await self._tasks.aclose()

    async def _keep_counting(self) -> None:
        retry_s = FIRST_RETRY_S
        not_before = 0.0
        while True:
            await self._has_changed.wait()
            # Not renewed by what changes meanwhile: a list that never rests is counted too.
            await self._sleep(max(PAUSE_S, not_before - self._clock.monotonic()))
            started_at = self._clock.monotonic()
            self._has_changed.clear()
            try:
                await self._count()
            except HelperFailed as error:
                self._failed(error)
                self._has_changed.set()
                rest_s, retry_s = retry_s, min(retry_s * 2, LONGEST_RETRY_S)
            else:
                self._has_failed = False
                retry_s = FIRST_RETRY_S
                rest_s = min((self._clock.monotonic() - started_at) / SHARE, LONGEST_REST_S)
            not_before = self._clock.monotonic() + rest_s

    async def _count(self) -> None:
        """Raises: HelperFailed."""
        changes = self._changes
        lists = await self._source.billed_lists()
        texts: dict[str, bytes] = {}
        keys: dict[bytes, str] = {}
        for billed in lists:
            async for text in in_slices(texts_of(billed)):
                if text not in keys:
                    is_long = len(text) > LONG_BYTES
                    key = await asyncio.to_thread(content_key, text) if is_long else content_key(text)
                    keys[text] = key
                    texts[key] = text
        counts = await self._counter.count(texts)
        # In a thread, which gives the loop its turns: it grows with the list.
        bill = await asyncio.to_thread(bill_of, lists, lambda text: counts[keys[text]])
        self._put_in_force(replace(bill, is_complete=changes == self._changes))
        if self._bill.is_complete:
            self._on_count()

    def _failed(self, error: HelperFailed) -> None:
        # Once: it is tried again and again.
        level = logging.DEBUG if self._has_failed else logging.WARNING
        log.log(level, "the tokens of the lists could not be counted: %s", error)
        self._has_failed = True

    def _put_in_force(self, bill: ContextBill) -> None:
        self._bill = bill
        self._totals = totals_of(bill)
        is_compact = bill.mode == "compact"
        self._server_costs = {row.id: row.compact if is_compact else row.full for row in bill.servers}
        self._list_costs = {
            (row.profile, mode): cost.visible
            for row in bill.profiles
            for mode, cost in (
                ("full", row.modes.full),
                ("compact", row.modes.compact),
                ("search", row.modes.search_list),
            )
            if cost is not None
        }
