"""What may be done about a call that failed, before its client hears of it. Pure.

A server's own annotations (`readOnlyHint`, `idempotentHint`) are its word alone and never make a call safe to
repeat: only the configuration does.
Spec: 2026-07-28 basic/transports/streamable-http, "Client Behavior" and "Streams"; server/tools, "Annotations".
"""

from enum import Enum, auto
from typing import Final

from proxy_core.backends.call import Call
from proxy_core.config.models import EndpointConfig, ToolRules
from proxy_core.errors import BackendError, BackendFault, BackendHttpError, ErrorCode, Kind, Only1Error
from proxy_core.protocol import tasks
from proxy_core.protocol.revisions import Era

_REPEATABLE: Final = frozenset({"resources/read", "prompts/get", "completion/complete"})
_PASSING: Final = frozenset({Kind.UNAVAILABLE, Kind.TIMEOUT, Kind.EXITED, Kind.STREAM_LOST, Kind.PROTOCOL})
"""Kinds of failure that another try, or another replica, may not have."""


class Remedy(Enum):
    """What to do before the call is asked once more."""

    READ_TOOLS = auto()
    """The server wants other arguments repeated in headers than its list said."""
    RECONNECT = auto()
    """The server speaks another revision by now."""
    RUN_AS_TASK = auto()
    """The server makes tasks of such calls, and we see it through."""


def remedy_for(failure: Only1Error, call: Call, era: Era | None, settings: EndpointConfig) -> Remedy | None:
    """None: the failure stands. `era`: the server's; None if it has gone meanwhile."""
    is_http = settings.transport.type != "stdio"
    if call.is_task:
        # The failure may be that of the task, which has been run.
        return None
    if isinstance(failure, BackendError):
        if _insists_on_task(failure, call, era):
            return Remedy.RUN_AS_TASK
        if failure.code == ErrorCode.HEADER_MISMATCH and call.method == "tools/call" and era is Era.MODERN:
            return Remedy.READ_TOOLS
        # A child that runs cannot have changed.
        if failure.code == ErrorCode.UNSUPPORTED_VERSION and is_http:
            return Remedy.RECONNECT
    return None


def may_repeat(failure: BackendFault, call: Call, tools: ToolRules) -> bool:
    """Whether a call that may have reached its server can be made once more, there or elsewhere."""
    if isinstance(failure, BackendHttpError) or failure.kind not in _PASSING:
        return False
    if call.is_task or call.has_asked:
        return False
    if call.method == "tools/call":
        return call.name is not None and tools.is_repeatable(call.name)
    return call.method in _REPEATABLE


def _insists_on_task(failure: BackendError, call: Call, era: Era | None) -> bool:
    is_offered = call.may_be_task and call.method == tasks.CALL and era is Era.MODERN
    is_asked = failure.code == ErrorCode.MISSING_CLIENT_CAPABILITY and tasks.is_insisted_on(failure.raw_data)
    return is_offered and is_asked
