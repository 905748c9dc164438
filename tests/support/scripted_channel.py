"""A backend whose answers are a table, behind as many channels as are opened to it.

What is said is kept as a transcript: `>` from us, `<` from the backend, `start`, `close`, `abort` and `stream`
for what is done to the channel. A method that is not in the table waits: `await server.next(method)` hands it
to the test.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec

from proxy_core.backends.channel import Channel, Outgoing, Receiver
from proxy_core.backends.connection import TransportKind
from proxy_core.errors import BackendExited, BackendFault
from proxy_core.protocol.jsonrpc import Request, RpcError
from proxy_core.protocol.revisions import MODERN
from proxy_core.protocol.tasks import Task
from proxy_core.telemetry.snapshot import ServerState

SOON_S = 30.0
CRASHED = BackendExited("box", "The server's process exited with code 3.")

Reply = Callable[["Asked"], None]
"""What the backend does with one request; it may raise a BackendFault as a channel does."""


class Asked:
    """One message that reached the backend."""

    def __init__(self, channel: "ScriptedChannel", sent: Outgoing) -> None:
        self.channel = channel
        self.sent = sent
        self.message: Any = json.loads(sent.data)

    @property
    def method(self) -> str:
        """`batch` for a JSON-RPC batch; empty for an answer to the backend's request."""
        return "batch" if isinstance(self.message, list) else str(self.message.get("method", ""))

    @property
    def members(self) -> list["Asked"]:
        """The messages of a batch."""
        return [
            Asked(self.channel, msgspec.structs.replace(self.sent, data=json.dumps(message).encode()))
            for message in self.message
        ]

    @property
    def id(self) -> Any:
        return self.message.get("id")

    @property
    def params(self) -> dict[str, Any]:
        return dict(self.message.get("params", {}))

    @property
    def token(self) -> Any:
        return self.params["_meta"]["progressToken"]

    def answer(self, result: Any, **instead: Any) -> None:
        """`instead` overrides members of the envelope, to answer as no server should."""
        self.channel.answered(self.id)
        self.channel.says({"jsonrpc": "2.0", "id": self.id, "result": result} | instead)

    def refuse(self, code: int, message: str = "no", data: Any = None) -> None:
        self.channel.answered(self.id)
        error = {"code": code, "message": message} | ({} if data is None else {"data": data})
        self.channel.says({"jsonrpc": "2.0", "id": self.id, "error": error})

    def fail(self, fault: BackendFault) -> None:
        """As a channel does whose stream for this request has ended without an answer."""
        self.channel.answered(self.id)
        self.channel.receiver.request_failed(self.id, fault)

    def progress(self, value: Any, token: Any = None) -> None:
        params = {"progressToken": token or self.token, "progress": value}
        self.channel.says({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})


def result(value: dict[str, Any]) -> Reply:
    return lambda asked: asked.channel.later(lambda: asked.answer(value))


def refuses(code: int, data: Any = None) -> Reply:
    return lambda asked: asked.channel.later(lambda: asked.refuse(code, data=data))


def discovered(*versions: str, **more: Any) -> Reply:
    capabilities = {"tools": {"listChanged": False}}
    return result({"supportedVersions": versions or [MODERN], "capabilities": capabilities} | more)


def initialized(revision: str = "2025-06-18", **more: Any) -> Reply:
    info = {"name": "box", "version": "1.2"}
    return result({"protocolVersion": revision, "capabilities": {"tools": {}}, "serverInfo": info} | more)


def tools(*names: str, **more: Any) -> Reply:
    listed = [{"name": name, "inputSchema": {"type": "object"}} for name in names]
    return result({"tools": listed} | more)


def acknowledges(asked: Asked) -> None:
    """Opens a listen with all that it asks for."""
    acknowledge(asked, **asked.params["notifications"])


def acknowledge(asked: Asked, **honoured: Any) -> None:
    news(asked, "notifications/subscriptions/acknowledged", notifications=honoured)


def news(listen: Asked, method: str, **params: Any) -> None:
    """A notification that belongs to this listen."""
    tag = {"io.modelcontextprotocol/subscriptionId": listen.id}
    listen.channel.notifies(method, _meta=tag, **params)


def answers_each(value: Any) -> Reply:
    """Answers every member of a batch with a message of its own, the last one first."""

    def reply(asked: Asked) -> None:
        for member in reversed(asked.members):
            asked.channel.later(lambda member=member: member.answer(value))

    return reply


def garbage(asked: Asked) -> None:
    asked.channel.later(lambda: asked.channel.says_bytes(b'{"what": is this'))


def silence(asked: Asked) -> None:
    """The server reads and says nothing."""


def exits(asked: Asked) -> None:
    asked.channel.later(lambda: asked.channel.ends(CRASHED))


def raises(fault: BackendFault) -> Reply:
    def reply(asked: Asked) -> None:
        raise fault

    return reply


class ScriptedChannel(Channel):
    pid = None

    def __init__(self, server: "ScriptedServer", kind: TransportKind, receiver: Receiver) -> None:
        self.server = server
        self.kind = kind
        self.receiver = receiver
        self.is_open = False
        self._answered: set[Any] = set()

    async def open(self) -> None:
        self.server.transcript.append(f"start {self.kind}")
        if self.server.start_fault is not None:
            raise self.server.start_fault
        self.is_open = True

    async def send(self, message: Outgoing) -> None:
        asked = Asked(self, message)
        self.server.hears(asked)

    def abort(self, request_id: int) -> None:
        if request_id not in self._answered:
            self.server.transcript.append(f"abort {request_id}")

    def start_stream(self, revision: str) -> None:
        self.server.transcript.append(f"stream {revision}")

    async def aclose(self) -> None:
        if self.is_open:
            self.is_open = False
            self.server.transcript.append("close")

    # --- the backend's side ---------------------------------------------------------------------------------

    def answered(self, request_id: Any) -> None:
        """From now on there is nothing of this request that could be aborted."""
        self._answered.add(request_id)

    def says(self, message: Any, origin: int | None = None) -> None:
        self.says_bytes(json.dumps(message).encode(), origin)

    def says_bytes(self, data: bytes, origin: int | None = None) -> None:
        if self.is_open:
            self.server.transcript.append(f"< {_words(data)}")
            self.receiver.message(data, origin)

    def notifies(self, method: str, **params: Any) -> None:
        self.says({"jsonrpc": "2.0", "method": method, "params": params})

    def ends(self, fault: BackendFault = CRASHED) -> None:
        if self.is_open:
            self.is_open = False
            self.server.transcript.append("exit")
            self.receiver.closed(fault)

    def later(self, act: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(act)


class ScriptedServer:
    """`script`: method -> what it does, or several replies in order, the last of which is kept."""

    def __init__(self, script: dict[str, Reply | list[Reply]] | None = None) -> None:
        self.script = {method: _in_order(reply) for method, reply in (script or {}).items()}
        self.transcript: list[str] = []
        self.asked: list[Asked] = []
        self.start_fault: BackendFault | None = None
        self.channels: list[ScriptedChannel] = []
        self._waiting: list[Asked] = []
        self._heard = asyncio.Event()

    def channel(self, kind: TransportKind, receiver: Receiver) -> ScriptedChannel:
        """What `Connection` takes as `make_channel`."""
        self.channels.append(ScriptedChannel(self, kind, receiver))
        return self.channels[-1]

    @property
    def line(self) -> ScriptedChannel:
        """The channel opened last."""
        return self.channels[-1]

    @property
    def starts(self) -> int:
        return sum(line.startswith("start") for line in self.transcript)

    def hears(self, asked: Asked) -> None:
        self.transcript.append(f"> {asked.method or 'answer'}")
        self.asked.append(asked)
        replies = self.script.get(asked.method)
        if replies is None:
            self._waiting.append(asked)
            self._heard.set()
            return
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        reply(asked)

    async def next(self, method: str) -> Asked:
        """The next message of that method that no script answers; "" for an answer to the backend's request."""
        async with asyncio.timeout(SOON_S):
            while True:
                for asked in self._waiting:
                    if asked.method == method:
                        self._waiting.remove(asked)
                        return asked
                self._heard.clear()
                await self._heard.wait()

    def count(self, method: str) -> int:
        return sum(asked.method == method for asked in self.asked)


class Owner:
    """What a connection told the replica above it."""

    def __init__(self) -> None:
        self.lost: list[BackendFault] = []
        self.changes: list[str] = []
        self.sayings: list[tuple[str, str]] = []
        self.requests: list[Request] = []
        self.renewals = 0
        self.elicitations: list[str] = []

    def connection_lost(self, fault: BackendFault) -> None:
        self.lost.append(fault)

    def list_changed(self, kind: str) -> None:
        self.changes.append(kind)

    def session_renewed(self) -> None:
        self.renewals += 1

    def said(self, level: str, text: str) -> None:
        self.sayings.append((level, text))

    def elicitation_complete(self, elicitation_id: str) -> None:
        self.elicitations.append(elicitation_id)

    async def server_request(self, request: Request) -> bytes | RpcError:
        self.requests.append(request)
        return RpcError(-32601, f"Method not found: {request.method}")

    async def session_request(self, session: str, request: Request) -> bytes | RpcError:
        return await self.server_request(request)


class Heard:
    """What a channel told the connection above it, whose requests in flight are `waiting`."""

    def __init__(self, *waiting: int) -> None:
        self.waiting = set(waiting)
        self.messages: list[tuple[Any, int | None]] = []
        self.failures: list[tuple[int, BackendFault]] = []
        self.closes: list[BackendFault] = []
        self.polled: list[int] = []
        self.skips: list[str] = []
        self.gaps = 0

    def message(self, data: bytes, origin: int | None) -> bool:
        message = json.loads(data)
        self.messages.append((message, origin))
        if "method" not in message:
            self.waiting.discard(message.get("id") or origin)
        return origin is not None and self.waits_for(origin)

    def request_failed(self, request_id: int, fault: BackendFault) -> None:
        if request_id in self.waiting:
            self.waiting.discard(request_id)
            self.failures.append((request_id, fault))

    def waits_for(self, request_id: int) -> bool:
        return request_id in self.waiting

    def closed(self, fault: BackendFault) -> None:
        self.closes.append(fault)

    def will_be_polled(self, request_id: int) -> None:
        self.polled.append(request_id)

    def missed(self) -> None:
        self.gaps += 1

    def skipped(self, reason: str, sample: bytes) -> None:
        self.skips.append(reason)


class Gateway:
    """What a backend told those above it."""

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.invalid: list[tuple[str, tuple[str, ...]]] = []
        self.states: list[tuple[str, ServerState]] = []
        self.updates: list[tuple[str, str]] = []
        self.tasks: list[tuple[str, str, str]] = []
        self.elicitations: list[tuple[str, str]] = []
        self.requests: list[tuple[str, str, str]] = []

    def lists_changed(self, backend: str) -> None:
        self.changes.append(backend)

    def lists_invalid(self, backend: str, methods: tuple[str, ...]) -> None:
        self.invalid.append((backend, methods))

    def state_changed(self, backend: str, before: ServerState, now: ServerState) -> None:
        self.states.append((backend, now))

    def resource_updated(self, backend: str, uri: str) -> None:
        self.updates.append((backend, uri))

    def task_changed(self, backend: str, replica: str, task: Task) -> None:
        self.tasks.append((backend, replica, task.status))

    def elicitation_complete(self, backend: str, elicitation_id: str) -> None:
        self.elicitations.append((backend, elicitation_id))

    async def session_request(self, backend: str, session: str, request: Request) -> bytes | RpcError:
        self.requests.append((backend, session, request.method))
        return b'{"roots": []}'


class Sink:
    """What a call's client was told on the way, and what it was asked.

    `answers`: by method, what it says; a method that is not there waits until the test answers the question.
    """

    def __init__(
        self,
        wants_progress: bool = True,
        *,
        client: object = None,
        may_be_asked: bool = True,
        answers: dict[str, bytes | RpcError] | None = None,
    ) -> None:
        self.wants_progress = wants_progress
        self.client = client or object()
        self.may_be_asked = may_be_asked
        self.answers = answers or {}
        self.values: list[Any] = []
        self.logs: list[Any] = []
        self.times_let_go = 0
        self.questions: list[Question] = []

    def let_go(self) -> None:
        self.times_let_go += 1

    def may_ask(self, method: str, params: Any) -> bool:
        return self.may_be_asked

    async def server_request(self, request: Request) -> bytes | RpcError:
        if (answer := self.answers.get(request.method)) is not None:
            return answer
        question = Question(request)
        self.questions.append(question)
        try:
            return await question.answer
        except asyncio.CancelledError:
            question.is_withdrawn = True
            raise

    async def asked(self) -> "Question":
        """The question put to it last, once there is one that has no answer."""
        await until(lambda: self.questions and not self.questions[-1].answer.done())
        return self.questions[-1]

    def progress(self, params: dict[str, Any]) -> None:
        self.values.append(json.loads(bytes(params["progress"])))

    def log(self, params: Any) -> None:
        self.logs.append(json.loads(bytes(params) or b"{}").get("data"))


class Question:
    """One request of a server that reached a call's client."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.answer: asyncio.Future[bytes | RpcError] = asyncio.get_running_loop().create_future()
        self.is_withdrawn = False


async def until(condition: Callable[[], Any], within_s: float = SOON_S) -> Any:
    """Let the loop run until the condition holds; its value."""
    async with asyncio.timeout(within_s):
        while not (value := condition()):
            await asyncio.sleep(0.0005)
    return value


def _in_order(reply: Reply | list[Reply]) -> list[Reply]:
    return list(reply) if isinstance(reply, list) else [reply]


def _words(data: bytes) -> str:
    try:
        message = json.loads(data)
    except ValueError:
        return "garbage"
    if not isinstance(message, dict):
        return "batch"
    if "method" in message:
        return str(message["method"])
    error = message.get("error")
    return f"error {error.get('code')}" if isinstance(error, dict) else "result"
