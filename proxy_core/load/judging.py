"""Whether a reply is the answer to what was asked, and if not, what it is instead. Pure.

The usual good answer is known by its first bytes; whatever looks otherwise is parsed whole.
"""

from typing import Final, NamedTuple

from proxy_core.errors import Only1Error
from proxy_core.protocol import jsonrpc

MAX_DETAIL: Final = 200
"""Characters of what a server said that are kept with a fault."""
_DOUBTFUL: Final = (b'"isError"', b'"input_required"')
"""A result in which one of these stands may be no success."""


class Fault(NamedTuple):
    """What went wrong with one request."""

    kind: str
    """What faults are counted by: one of few."""
    detail: str = ""
    """Of this one; may hold untrusted text."""


def fault_in(status: int, body: bytes, request_id: int, is_list: bool = False) -> Fault | None:
    """None: the answer is there, with this id, and is a success. `body`: one JSON-RPC message.

    `is_list`: it answers a list or a ping, whose results are always successes; long ones are then not searched.
    """
    if status == 200:
        is_usual = body.startswith(b'{"jsonrpc":"2.0","id":%d,"result":' % request_id)
        if is_usual and body.endswith(b"}") and (is_list or not any(word in body for word in _DOUBTFUL)):
            return None
    try:
        message = jsonrpc.parse(body)
    except Only1Error:
        message = None
    if not isinstance(message, jsonrpc.Response):
        kind = "no JSON-RPC answer" if status == 200 else f"HTTP {status}"
        return Fault(kind, _text(body))
    if not jsonrpc.is_empty(message.error):
        error = jsonrpc.rpc_error(message.error)
        return Fault(f"JSON-RPC error {error.code}", error.message[:MAX_DETAIL])
    if status != 200:
        return Fault(f"HTTP {status}", _text(body))
    if message.id != request_id:
        return Fault("the answer to another request", f"asked with id {request_id}, answered {message.id!r}")
    return _fault_in_result(jsonrpc.decode(message.result))


def _fault_in_result(result: object) -> Fault | None:
    if not isinstance(result, dict):
        return Fault("no JSON-RPC answer", "its result is no object")
    if result.get("isError") is True:
        return Fault("the tool failed", _said(result.get("content")))
    if result.get("resultType") == "input_required":
        asked = requests if isinstance(requests := result.get("inputRequests"), dict) else {}
        return Fault("the server asks for input", ", ".join(map(str, asked))[:MAX_DETAIL])
    return None


def is_answer(data: bytes, request_id: int) -> bool:
    """Whether this event of a stream is what the stream was opened for; others precede it."""
    if data.startswith(b'{"jsonrpc":"2.0","id":%d,"result":' % request_id):
        return True
    try:
        return isinstance(jsonrpc.parse(data), jsonrpc.Response)
    except Only1Error:
        return False


def _said(content: object) -> str:
    """The first text of a tool's result."""
    items = content if isinstance(content, list) else []
    texts = (item["text"] for item in items if isinstance(item, dict) and "text" in item)
    return str(next(texts, ""))[:MAX_DETAIL]


def _text(body: bytes) -> str:
    return body[: 4 * MAX_DETAIL].decode(errors="replace")[:MAX_DETAIL]
