"""A fault that is made on purpose at one replica: where it is felt, and the words for it.

It acts where a real one would: inside the permit of the breaker, before anything is sent, at calls and at
probes. What then becomes of a call is decided by those who know no difference.
"""

import asyncio
from math import ceil
from typing import Final

from proxy_core.errors import BackendTimeout, BackendUnavailable

DETAIL: Final = "a fault drill: made on purpose, nothing was sent"


class Drill:
    """A delay of every request, or the failure of a share of them."""

    __slots__ = ("_due", "delay_s", "share", "until")

    def __init__(self, until: float, *, delay_s: float = 0.0, share: float = 0.0) -> None:
        """`until`: monotonic seconds, for the words alone; whoever began it ends it."""
        self.until = until
        self.delay_s = delay_s
        self.share = share
        self._due = 0.0

    async def felt(self, server: str, patience_s: float) -> None:
        """`patience_s`: how long a server that is as slow as this would be waited for.

        Raises: BackendUnavailable, BackendTimeout.
        """
        if self.delay_s:
            await asyncio.sleep(min(self.delay_s, patience_s))
            if self.delay_s >= patience_s:
                raise BackendTimeout(server, "The server did not answer in time.", DETAIL)
        if self._is_due():
            raise BackendUnavailable(server, "The server is not available.", DETAIL)

    def _is_due(self) -> bool:
        """Every request brings its share, so that of ten as many fail as were asked for, without luck."""
        self._due += self.share
        if self._due < 1 - 1e-9:
            return False
        self._due -= 1
        return True

    @property
    def what(self) -> str:
        if self.delay_s:
            return f"delay {self.delay_s * 1000:g} ms"
        return "error" if self.share >= 1 else f"error {self.share * 100:g} %"

    def words(self, now: float) -> str:
        return f"{self.what}, {max(0, ceil(self.until - now))} s left"


class Drilling:
    """The place of a replica's drill, looked at by each of its connections; nearly always empty."""

    __slots__ = ("drill",)

    def __init__(self) -> None:
        self.drill: Drill | None = None

    def words(self, now: float) -> str:
        """Empty if there is none."""
        return self.drill.words(now) if self.drill is not None else ""

    async def felt(self, server: str, patience_s: float) -> None:
        """As `Drill.felt`, if there is one."""
        if self.drill is not None:
            await self.drill.felt(server, patience_s)
