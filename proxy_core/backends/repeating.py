"""Whether a call that failed is made once more, and after what pause. Keeps the budget of one server.

Knows no replicas: who is asked next is the matter of `choice`.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Final

from proxy_core.backends.call import Call
from proxy_core.backends.remedies import may_repeat
from proxy_core.backends.retry_budget import RetryBudget
from proxy_core.config.models import RetryConfig, ToolRules
from proxy_core.errors import BackendFault, Kind

FIRST_PAUSE_S: Final = 0.1
MAX_PAUSE_S: Final = 1.0


class Repeating:
    def __init__(self, rules: Callable[[], RetryConfig]) -> None:
        """`rules`: as the configuration in force says."""
        self._rules = rules
        self._budget = RetryBudget(lambda: rules().budget_ratio)
        self.begun = self._budget.called
        """To be called for each call, before it is made for the first time."""
        self.count = 0
        """Repeats so far."""

    def may(self, failure: BackendFault, call: Call, repeats: int, tools: ToolRules) -> bool:
        """Whether this call may be made again, having been repeated `repeats` times; takes from the budget."""
        # What ended a process once may do so again: that is for the operator to find, not for us to repeat.
        most = min(1, self._rules().attempts) if failure.kind is Kind.EXITED else self._rules().attempts
        return repeats < most and may_repeat(failure, call, tools) and self._budget.take()

    async def pause(self, repeats: int) -> None:
        """Before the same replica is asked again. Full jitter, so that many callers do not come back as one."""
        await asyncio.sleep(random.uniform(0, min(MAX_PAUSE_S, FIRST_PAUSE_S * 2**repeats)))
