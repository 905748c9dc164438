"""One MCP server for one peer, both eras at once: what the bundled demos stand on.

Knows the messages; not the pipes they come by, and nothing of what a demo offers.
Spec: basic/lifecycle (legacy); 2026-07-28 server/discover and subscriptions/listen.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from msgspec import Raw

from proxy_core.demo.offer import Call, Demo, Json, ToolFailure
from proxy_core.errors import (
    ErrorCode,
    InvalidParams,
    InvalidRequest,
    MethodNotFound,
    Only1Error,
    UnknownResource,
)
from proxy_core.protocol import jsonrpc, meta, methods, results, revisions
from proxy_core.protocol.classify import LegacyPost, ModernNotification, ModernRequest, Refused, classify_line
from proxy_core.tasks import Tasks

VERSION: Final = "1.0.0"
_STEADY: Final[results.CacheHints] = (60_000, "public")
_CHANGING: Final[results.CacheHints] = (0, "private")
log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Listener:
    raw_id: bytes
    kinds: frozenset[str]


@dataclass(eq=False, slots=True)
class Server:
    """Serves one demo to one peer; lines come in by `receive` and go out by `send_line`."""

    demo: Demo
    send_line: Callable[[bytes], None]
    _tasks: Tasks = field(default_factory=lambda: Tasks("demo"))
    _running: dict[jsonrpc.RequestId, asyncio.Task[None]] = field(default_factory=dict)
    _listeners: list[_Listener] = field(default_factory=list)
    _has_legacy_peer: bool = False
    _legacy_level: str = "info"

    def __post_init__(self) -> None:
        self.demo.changed = self._list_changed

    async def aclose(self, grace_s: float) -> None:
        """Give what is nearly done a moment, then end the rest without an answer."""
        if self._running:
            await asyncio.wait(self._running.values(), timeout=grace_s)
        await self._tasks.aclose()

    def receive(self, line: bytes) -> None:
        """Take one line; requests are served each in its own task."""
        posted = classify_line(line)
        if isinstance(posted, Refused):
            self.send_line(_error_line(posted.raw_id, posted.error, posted.era is revisions.Era.MODERN))
        elif isinstance(posted, ModernRequest):
            self._begin(posted.request, posted)
        elif isinstance(posted, ModernNotification):
            self._notified(posted.notification)
        else:
            self._legacy(posted)

    def _legacy(self, posted: LegacyPost) -> None:
        if isinstance(posted.message, jsonrpc.Request):
            self._begin(posted.message, None)
        elif isinstance(posted.message, jsonrpc.Notification):
            self._notified(posted.message)

    def _notified(self, notification: jsonrpc.Notification) -> None:
        if notification.method != "notifications/cancelled":
            return
        try:
            request_id = _object(jsonrpc.decode(notification.params)).get("requestId")
        except Only1Error as error:
            log.warning("an unreadable notification: %s", error)
            return
        if not isinstance(request_id, str | int) or isinstance(request_id, bool):
            return
        if (task := self._running.pop(request_id, None)) is not None:
            task.cancel()

    def _begin(self, request: jsonrpc.Request, modern: ModernRequest | None) -> None:
        if request.id in self._running:
            fault = InvalidRequest("A request with this id is still being served.")
            self.send_line(_error_line(request.raw_id, fault, modern is not None))
            return
        self._running[request.id] = self._tasks.start(self._serve(request, modern), request.method)

    async def _serve(self, request: jsonrpc.Request, modern: ModernRequest | None) -> None:
        line = await self._answer(request, modern)
        # Before the answer is out: its reader may use the id again at once.
        self._running.pop(request.id, None)
        self.send_line(line)

    async def _answer(self, request: jsonrpc.Request, modern: ModernRequest | None) -> bytes:
        try:
            call = self._call(request, modern)
            if modern is not None:
                result = results.result_for_modern(*await self._modern_result(call))
            else:
                result = jsonrpc.encode(await self._legacy_result(call))
            return jsonrpc.result(request.raw_id, result)
        except Only1Error as error:
            return _error_line(request.raw_id, error, modern is not None)
        except Exception:
            log.exception("serving %s failed", request.method)
            return _error_line(request.raw_id, Only1Error("Internal error"), modern is not None)

    def _call(self, request: jsonrpc.Request, modern: ModernRequest | None) -> Call:
        token = modern.progress_token if modern else meta.progress_token(meta.read_meta(request.params))
        level = modern.log_level if modern else self._legacy_level
        return Call(
            request.raw_id,
            request.method,
            _object(jsonrpc.decode(request.params)),
            self.send_line,
            lambda wanted: level is not None and _rank(wanted) >= _rank(level),
            token,
        )

    # --- the eras ---------------------------------------------------------------------------------------------

    async def _modern_result(self, call: Call) -> tuple[Raw, bytes, results.CacheHints | None]:
        """The arguments of `result_for_modern`."""
        if call.method == "server/discover":
            value = self._about() | {"supportedVersions": revisions.SUPPORTED}
        elif call.method == "subscriptions/listen":
            value = await self._listen(call)
        else:
            value = await self._result(call)
        return Raw(jsonrpc.encode(value)), jsonrpc.encode(self._info()), self._hints(call.method)

    def _hints(self, method: str) -> results.CacheHints | None:
        if method not in methods.CACHEABLE:
            return None
        is_steady = method != "resources/read" and methods.LIST_METHODS.get(method) not in self.demo.changing
        return _STEADY if is_steady else _CHANGING

    async def _legacy_result(self, call: Call) -> Json:
        if call.method == "initialize":
            self._has_legacy_peer = True
            version = revisions.negotiate_legacy(call.params.get("protocolVersion"))
            return self._about() | {"protocolVersion": version, "serverInfo": self._info()}
        if call.method == "ping":
            return {}
        if call.method == "logging/setLevel":
            return self._set_level(call.params.get("level"))
        return await self._result(call)

    def _set_level(self, level: object) -> Json:
        if level not in methods.LOG_LEVELS:
            raise InvalidParams(f"level must be one of {', '.join(methods.LOG_LEVELS)}.")
        self._legacy_level = str(level)
        return {}

    def _info(self) -> Json:
        return {"name": f"only1mcp-demo-{self.demo.name}", "version": VERSION}

    def _about(self) -> Json:
        changing = self.demo.changing
        capabilities: Json = {kind: {"listChanged": kind in changing} for kind in methods.LIST_CHANGED}
        return {
            "capabilities": capabilities | {"completions": {}, "logging": {}},
            "instructions": self.demo.instructions,
        }

    # --- changes ----------------------------------------------------------------------------------------------

    def _list_changed(self, kind: str) -> None:
        method = methods.LIST_CHANGED[kind]
        if self._has_legacy_peer:
            self.send_line(jsonrpc.notification(method))
        for listener in self._listeners:
            if kind in listener.kinds:
                self.send_line(jsonrpc.notification(method, _tagged(listener, {})))

    async def _listen(self, call: Call) -> Json:
        """Acknowledge what can be honoured, then hold until the request is cancelled."""
        wanted = _object(call.params.get("notifications"))
        kinds = frozenset(kind for kind in self.demo.changing if wanted.get(f"{kind}ListChanged") is True)
        listener = _Listener(call.raw_id, kinds)
        honoured = {f"{kind}ListChanged": True for kind in sorted(kinds)}
        ack = _tagged(listener, {"notifications": honoured})
        self.send_line(jsonrpc.notification("notifications/subscriptions/acknowledged", ack))
        self._listeners.append(listener)
        try:
            return await asyncio.Future()
        finally:
            self._listeners.remove(listener)

    # --- what both eras have ----------------------------------------------------------------------------------

    async def _result(self, call: Call) -> Json:
        demo, params = self.demo, call.params
        match call.method:
            case "tools/list":
                return {"tools": [tool.definition for tool in demo.tools.values()]}
            case "tools/call":
                return await self._run(call)
            case "resources/list":
                return {"resources": demo.resources()}
            case "resources/templates/list":
                return {"resourceTemplates": demo.templates}
            case "resources/read":
                return self._read(params.get("uri"))
            case "prompts/list":
                return {"prompts": [prompt.definition for prompt in demo.prompts.values()]}
            case "prompts/get":
                return self._prompt(call)
            case "completion/complete":
                return self._complete(_object(params.get("argument")))
        raise MethodNotFound(f"There is no method {call.method[:80]!r}.")

    async def _run(self, call: Call) -> Json:
        name = call.params.get("name")
        tool = self.demo.tools.get(name) if isinstance(name, str) else None
        if tool is None:
            raise InvalidParams("Unknown tool")
        try:
            answer = await tool.run(call)
        except ToolFailure as failure:
            return {"content": [_text(failure.message)], "isError": True}
        if isinstance(answer, str):
            return {"content": [_text(answer)]}
        return {"content": [_text(jsonrpc.encode(answer).decode())], "structuredContent": answer}

    def _read(self, uri: object) -> Json:
        if not isinstance(uri, str):
            raise InvalidParams("uri must be a string.")
        content = self.demo.read(uri)
        if content is None:
            raise UnknownResource(uri)
        return {"contents": [{"uri": uri, **content}]}

    def _prompt(self, call: Call) -> Json:
        name = call.params.get("name")
        prompt = self.demo.prompts.get(name) if isinstance(name, str) else None
        if prompt is None:
            raise InvalidParams("Unknown prompt")
        message = {"role": "user", "content": _text(prompt.write(call.arguments))}
        return {"description": prompt.definition.get("description", ""), "messages": [message]}

    def _complete(self, argument: Json) -> Json:
        name, value = argument.get("name"), argument.get("value")
        if not isinstance(name, str) or not isinstance(value, str):
            raise InvalidParams("argument must have a name and a value.")
        values = self.demo.complete(name, value)
        return {"completion": {"values": values[:100], "total": len(values), "hasMore": len(values) > 100}}


def _error_line(raw_id: bytes | None, error: Only1Error, is_modern: bool) -> bytes:
    is_legacy_miss = isinstance(error, UnknownResource) and not is_modern
    code = ErrorCode.LEGACY_RESOURCE_NOT_FOUND if is_legacy_miss else error.code
    data = error.data()
    return jsonrpc.error(raw_id, code, error.message, b"" if data is None else jsonrpc.encode(data))


def _tagged(listener: _Listener, params: Json) -> bytes:
    return jsonrpc.encode({"_meta": {methods.SUBSCRIPTION_ID: Raw(listener.raw_id)}, **params})


def _text(text: str) -> Json:
    return {"type": "text", "text": text}


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _rank(level: str) -> int:
    return methods.LOG_LEVELS.index(level)
