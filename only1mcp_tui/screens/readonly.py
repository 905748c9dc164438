"""Read-only: which actions change something, and a front door that refuses them whoever asks.

What is hidden from footer and palette is refused here once more, so that no message sneaks past. A verb that is
not known to look only is refused: a new one has to be named here first.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NoReturn, cast

from proxy_core.control import Control
from proxy_core.errors import Only1Error

READS: Final = frozenset(
    {
        *("exchange", "tool", "orphans", "context_bill", "probe", "reload_plan", "tool_changes", "tool_diff"),
        *("refresh", "fetch_logs", "fetch_exchanges", "fetch_detail", "fetch_names", "fetch_session"),
    }
)
"""Verbs that wait and change nothing. A probe asks what the gateway asks by itself."""
CHANGES: Final = frozenset(
    {
        *("drain", "drain_all", "restart", "enable", "clear_cache", "import", "roll_back", "set_level"),
        *("replay", "call_tool", "answer", "drill", "log_in", "approve"),
    }
)
"""Actions of screens that end in a verb which changes something."""
REFUSAL: Final = "Read-only: this screen may look and change nothing."


def guarded(control: Control, is_readonly: Callable[[], bool]) -> Control:
    """The same front door, asked at each verb whether it may be opened."""
    return cast(Control, _Guarded(control, is_readonly))


class _Guarded:
    def __init__(self, control: Control, is_readonly: Callable[[], bool]) -> None:
        self._control = control
        self._is_readonly = is_readonly

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._control, name)
        if name in READS or not inspect.iscoroutinefunction(found) or not self._is_readonly():
            return found
        return partial(_refuse, name)


async def _refuse(verb: str, *given: object, **named: object) -> NoReturn:
    raise Only1Error(REFUSAL)
