"""Calls that go on as tasks, in the two forms there are: an extension, and an experiment of one revision. Pure.

The forms differ on the wire: the extension's task is the result itself, the experiment's is its member `task`.
Spec: the extension io.modelcontextprotocol/tasks (SEP-2663); 2025-11-25 basic/utilities/tasks.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

from msgspec import Raw

from proxy_core.errors import ParseError
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.capabilities import TASKS
from proxy_core.protocol.methods import META
from proxy_core.protocol.results import UnusableResult, check_is_object
from proxy_core.protocol.revisions import Era

CALL: Final = "tools/call"
"""The one request that may become a task."""
GET, UPDATE, CANCEL = "tasks/get", "tasks/update", "tasks/cancel"
RESULT: Final = "tasks/result"
"""2025-11-25 alone; the extension has the result in what `tasks/get` answers."""
METHODS: Final = frozenset({GET, UPDATE, CANCEL})
"""What a client of the extension may ask."""
NEEDED: Final[dict[str, dict[str, Any]]] = {"extensions": {TASKS: {}}}
"""The capabilities object that -32021 names."""
MAX_ID_CHARS: Final = 1024
MIN_PAUSE_S: Final = 0.25
MAX_PAUSE_S: Final = 3600.0

_RELATED_TASK: Final = META + "related-task"
_PAUSE_S: Final = 1.0
"""Between two looks, if the server says nothing of it."""


class Status(StrEnum):
    WORKING = "working"
    INPUT_REQUIRED = "input_required"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Task(NamedTuple):
    """What a server says of a task of its."""

    id: str
    status: Status
    pause_s: float
    """How long to wait before asking for it again, within our own bounds."""
    members: dict[str, Raw]


def created(result: Raw, era: Era) -> Task | None:
    """The task that a server of `era` has made of a call; None if it has answered. Raises: UnusableResult."""
    check_is_object(result)
    # A first look: most answers hold the word nowhere.
    if b"task" not in bytes(result):
        return None
    members = _members(result)
    if era is Era.MODERN:
        return _task(members) if _decoded(members, "resultType") == "task" else None
    return _task(_members(members["task"])) if "task" in members else None


def state(result: Raw) -> Task:
    """The task in the answer to a `tasks/get`. Raises: UnusableResult."""
    check_is_object(result)
    return _task(_members(result))


def changed(params: Raw) -> Task:
    """The task in a `notifications/tasks`. Raises: UnusableResult."""
    return _task(_members(params))


def final(result: Raw) -> Raw:
    """What a task has come to, if it answers the call. Raises: UnusableResult.

    One that asks for input does not: the call has been run, and is not made again.
    """
    check_is_object(result)
    if _decoded(_members(result), "resultType") not in (None, "complete"):
        raise UnusableResult("A task has come to a result that is none.")
    return result


def _task(members: dict[str, Raw]) -> Task:
    task_id = _decoded(members, "taskId")
    if not isinstance(task_id, str) or not 0 < len(task_id) <= MAX_ID_CHARS:
        raise UnusableResult("A task has no usable id.")
    try:
        status = Status(str(_decoded(members, "status")))
    except ValueError as error:
        raise UnusableResult("A task is in no known state.") from error
    return Task(task_id, status, _pause_s(members), members)


def _pause_s(members: Mapping[str, Raw]) -> float:
    wanted_ms = _decoded(members, "pollIntervalMs") or _decoded(members, "pollInterval")
    if not isinstance(wanted_ms, int | float) or isinstance(wanted_ms, bool):
        return _PAUSE_S
    return min(max(wanted_ms / 1000, MIN_PAUSE_S), MAX_PAUSE_S)


# --- of the extension ----------------------------------------------------------------------------------------


def for_client(members: Mapping[str, Raw], token: str) -> dict[str, Any]:
    """The task under the name that the client has for it. A state to bring back is no part of a task."""
    kept = {name: value for name, value in members.items() if name != "requestState"}
    return kept | {"taskId": token}


def is_insisted_on(raw_data: bytes) -> bool:
    """Whether the data of a -32021 says that the call can only be made as a task."""
    try:
        required = _members(jsonrpc.members(raw_data).get("requiredCapabilities", jsonrpc.NO_JSON))
        return TASKS in jsonrpc.members(required.get("extensions", jsonrpc.NO_JSON))
    except (ParseError, UnusableResult):
        return False


# --- of 2025-11-25 -------------------------------------------------------------------------------------------


def takes_tasks(capabilities: Mapping[str, Any]) -> bool:
    """Whether a server with these capabilities runs tools as tasks when it is asked to."""
    found: Any = capabilities
    for name in ("tasks", "requests", "tools", "call"):
        found = found.get(name)
        if not isinstance(found, dict):
            return False
    return True


def is_required(tool: Mapping[str, Any]) -> bool:
    """Whether a listed tool refuses plain calls."""
    execution = tool.get("execution")
    return isinstance(execution, dict) and execution.get("taskSupport") == "required"


def related_task(params: Raw) -> str | None:
    """The task that a message of a server says it belongs to."""
    if _RELATED_TASK.encode() not in bytes(params):
        return None
    try:
        related = jsonrpc.members(jsonrpc.members(params).get("_meta", jsonrpc.NO_JSON)).get(_RELATED_TASK)
        found = jsonrpc.decode(jsonrpc.members(related or jsonrpc.NO_JSON).get("taskId", jsonrpc.NO_JSON))
    except ParseError:
        return None
    return found if isinstance(found, str) else None


def without_relation(result: Raw) -> Raw:
    """A tool's result without the word that it was a task's, which its client never heard of."""
    if _RELATED_TASK.encode() not in bytes(result):
        return result
    members = _members(result)
    try:
        meta = jsonrpc.members(members.pop("_meta", jsonrpc.NO_JSON))
    except ParseError:
        meta = {}
    meta.pop(_RELATED_TASK, None)
    return Raw(jsonrpc.encode(members | ({"_meta": Raw(jsonrpc.encode(meta))} if meta else {})))


def _members(raw: Raw) -> dict[str, Raw]:
    try:
        return jsonrpc.members(raw)
    except ParseError as error:
        raise UnusableResult("A task is no object.") from error


def _decoded(members: Mapping[str, Raw], name: str) -> Any:
    try:
        return jsonrpc.decode(members.get(name, jsonrpc.NO_JSON))
    except ParseError:
        return None
