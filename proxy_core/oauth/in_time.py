"""Renewing a token before its end, so that no call meets one that is over.

Knows when, and not how: that is asked of its login.
Spec: RFC 6749, section 6; 2026-07-28 basic/authorization, "Token Refresh".
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from proxy_core.backends.credentials import LoginNeeded
from proxy_core.clock import Clock
from proxy_core.errors import BackendFault
from proxy_core.oauth.tokens import Tokens
from proxy_core.tasks import Tasks

AHEAD_S: Final = 60.0
"""How long before its end a token is renewed, at the most a fifth of its life."""
RETRY_S: Final = 15.0
log = logging.getLogger(__name__)


class InTime:
    def __init__(
        self, server: str, tasks: Tasks, clock: Clock, renew: Callable[[], Awaitable[BackendFault | None]]
    ) -> None:
        """`renew` gets another token, which starts the next wait, or says why there is none."""
        self._server = server
        self._tasks = tasks
        self._clock = clock
        self._renew = renew
        self._timer: asyncio.Task[None] | None = None

    def wait_for(self, tokens: Tokens) -> None:
        """In place of those that were waited for; not at all for some that do not say when they end."""
        self.cancel()
        if tokens.expires_at is not None:
            self._timer = self._tasks.start(self._renewed(tokens.granted_at, tokens.expires_at), "in-time")

    def cancel(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    async def _renewed(self, granted_at: float, expires_at: float) -> None:
        life_s = expires_at - granted_at
        wait_s = expires_at - self._clock.wall() - min(AHEAD_S, max(life_s, 0.0) / 5)
        while True:
            await asyncio.sleep(max(wait_s, 0.0))
            # What it gets starts the next timer, and ends this one.
            fault = await self._renew()
            if fault is None or isinstance(fault, LoginNeeded):
                return
            log.warning("%s: the login could not be renewed: %s", self._server, fault.detail)
            wait_s = RETRY_S
