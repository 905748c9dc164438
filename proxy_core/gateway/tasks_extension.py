"""Tasks of modern servers for modern clients that know tasks: passed on, under ids that lead back to them.

Keeps nothing: whose a task is stands in its id. Sees through no tasks; that is the connection's.
Spec: the extension io.modelcontextprotocol/tasks (SEP-2663).
"""

from collections.abc import Callable
from typing import Any

from msgspec import Raw

from proxy_core.backends.backend import Backend
from proxy_core.backends.call import Answer, Call
from proxy_core.backends.isolation import declared_with_call
from proxy_core.backends.registry import BackendRegistry
from proxy_core.errors import (
    BackendError,
    BackendProtocolError,
    InvalidParams,
    MethodNotFound,
    MissingCapability,
    ParseError,
)
from proxy_core.gateway import answers
from proxy_core.gateway.exchange import Caller, Exchange
from proxy_core.gateway.owners import ResourceOwners
from proxy_core.gateway.questions import Questions
from proxy_core.gateway.rounds import unusable
from proxy_core.gateway.task_tokens import TaskPlace, TaskTokens, UnknownTask
from proxy_core.protocol import contents, input_requests, jsonrpc, results, tasks
from proxy_core.protocol.capabilities import TASKS
from proxy_core.protocol.input_requests import Unaskable
from proxy_core.protocol.results import UnusableResult
from proxy_core.protocol.revisions import Era
from proxy_core.protocol.sealed import Sealer
from proxy_core.protocol.tasks import Task


class TasksExtension:
    def __init__(
        self,
        registry: Callable[[], BackendRegistry],
        sealer: Callable[[], Sealer],
        questions: Questions,
        owners: ResourceOwners,
    ) -> None:
        self._registry = registry
        self._questions = questions
        self._owners = owners
        self._tokens = TaskTokens(sealer)

    # --- a call becomes one -----------------------------------------------------------------------------------

    def created(self, exchange: Exchange, backend: Backend, tool: str, answer: Answer) -> bytes | None:
        """The task that a server has made of a call, for a client that knows tasks; None if it has answered.

        None too where the server was not told of such a client: its answer is none then. `backend`: it may have
        left since. `tool`: its own name of it. Raises: BackendProtocolError.
        """
        if (
            answer.era is Era.LEGACY
            or answer.plain is not None
            or exchange.method != tasks.CALL
            or not _was_declared(exchange, backend)
        ):
            return None
        try:
            task = tasks.created(answer.result, answer.era)
        except UnusableResult as error:
            raise _unusable(backend.id, error) from error
        if task is None:
            return None
        viewer = exchange.caller.viewer
        token = self._tokens.seal(TaskPlace(backend.id, answer.replica, task.id, tool), viewer)
        return _stamped(tasks.for_client(task.members, token))

    # --- what clients ask of it -------------------------------------------------------------------------------

    async def ask(self, exchange: Exchange) -> bytes:
        """tasks/get, tasks/update and tasks/cancel. Raises: Only1Error."""
        caller = exchange.caller
        if caller.era is Era.LEGACY:
            raise MethodNotFound(f"Method not found: {exchange.method}")
        check_declared(caller)
        members = jsonrpc.members(exchange.params)
        token = jsonrpc.decode(members.get("taskId", jsonrpc.NO_JSON))
        if not isinstance(token, str):
            raise InvalidParams('"taskId" must be a string.')
        backend, replica, task_id = self.find(token, caller)
        exchange.backend = backend.id
        if exchange.trace is not None:
            exchange.trace.server = backend.id
        try:
            answer = await backend.call(_request(exchange, replica, task_id, members))
        except BackendError as error:
            raise answers.error_for(caller, exchange.method, error, None) from error
        if exchange.method == tasks.GET:
            return self._state(caller, backend.id, answer, token)
        return answers.result_for(caller, exchange.method, answer.result, answer.era, backend.id)

    def find(self, token: Any, caller: Caller) -> tuple[Backend, str, str]:
        """Whose task it is, which replica runs it, and what its server calls it. Raises: UnknownTask."""
        place = self._tokens.open(token, caller.viewer)
        backend = self._registry().find(place.server)
        if backend is None or not self._owners.allows_tool(place.server, place.tool, caller.viewer):
            raise UnknownTask
        if backend.peer is not None and backend.peer.extension(TASKS) is None:
            raise UnknownTask
        return backend, place.replica, place.task

    def _state(self, caller: Caller, server: str, answer: Answer, token: str) -> bytes:
        try:
            shown = self.shown(caller, server, tasks.state(answer.result), token)
        except UnusableResult as error:
            raise _unusable(server, error) from error
        return _stamped(shown | {"resultType": "complete"})

    def shown(self, caller: Caller, server: str, task: Task, token: str) -> dict[str, Any]:
        """The task as its client may see it. Raises: UnusableResult, BackendProtocolError."""
        shown = tasks.for_client(task.members, token)
        if "inputRequests" in shown:
            shown["inputRequests"] = self._requests(server, shown["inputRequests"])
        if "result" in shown:
            shown["result"] = self._result(caller, server, shown["result"])
        return shown

    def _requests(self, server: str, raw: Raw) -> dict[str, Raw]:
        """As the server said it, but for the name of who asks."""
        try:
            return {key: self._request(server, entry) for key, entry in jsonrpc.members(raw).items()}
        except Unaskable as refusal:
            raise unusable(server, refusal) from refusal
        except ParseError as error:
            raise UnusableResult("The input that a task needs is no object.") from error

    def _request(self, server: str, entry: Raw) -> Raw:
        question = input_requests.read_entry(entry)
        shown = self._questions.titled(server, question)
        if shown is question:
            return entry
        return Raw(jsonrpc.encode(jsonrpc.members(entry) | {"params": Raw(jsonrpc.encode(shown.params))}))

    def _result(self, caller: Caller, server: str, result: Raw) -> Raw:
        linked = self._owners.with_links(tasks.CALL, results.without_server_info(result), server, caller.viewer)
        return contents.result_for_revision(tasks.CALL, linked, caller.revision)


def check_declared(caller: Caller) -> None:
    """Raises: MissingCapability."""
    if not caller.capabilities.declares(TASKS):
        raise MissingCapability(tasks.NEEDED)


def _was_declared(exchange: Exchange, backend: Backend) -> bool:
    if not exchange.caller.capabilities.extensions:
        return False
    peer = backend.peer
    return peer is not None and declared_with_call(exchange.caller.capabilities, peer).declares(TASKS)


def _request(exchange: Exchange, replica: str, task_id: str, members: dict[str, Raw]) -> Call:
    replace = {"taskId": jsonrpc.encode(task_id)}
    if exchange.method == tasks.UPDATE and "inputResponses" in members:
        replace["inputResponses"] = bytes(members["inputResponses"])
    caller = exchange.caller
    return Call(
        exchange.method,
        exchange.params,
        replace,
        name=task_id,
        principal=caller.principal,
        replica=replica,
        capabilities=caller.capabilities,
        trace=exchange.trace,
    )


def _stamped(members: dict[str, Any]) -> bytes:
    return jsonrpc.encode(members | {"_meta": results.restamped(members, answers.SERVER_INFO)})


def _unusable(server: str, error: UnusableResult) -> BackendProtocolError:
    return BackendProtocolError(server, "The server's answer is not a valid result.", error.message)
