"""A legacy server on stdin and stdout, on nothing but the standard library, that asks and tells amid its calls.

Its tool `box` does what its argument `do` says: `ask` the client something first, `log` a line first, answer
`late`, or else at once. `answered` tells what it was answered, `cancelled` which requests were taken back.
"""

import json
import sys
import threading
from typing import Any

LATE_S = 0.3
QUESTION = {"message": "?", "requestedSchema": {"type": "object", "properties": {}}}
asked: dict[Any, Any] = {}
answered: list[Any] = []
cancelled: list[Any] = []
RESULTS: dict[str, Any] = {
    "initialize": {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {}, "logging": {}},
        "serverInfo": {"name": "box", "version": "1"},
    },
    "tools/list": {"tools": [{"name": "run", "inputSchema": {"type": "object"}}]},
    "ping": {},
}


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def tell(request_id: Any, text: str) -> None:
    say({"id": request_id, "result": {"content": [{"type": "text", "text": text}]}})


def call(request_id: Any, do: str) -> None:
    if do == "ask":
        asked[f"q{request_id}"] = request_id
        say({"id": f"q{request_id}", "method": "elicitation/create", "params": QUESTION})
    elif do == "log":
        say({"method": "notifications/message", "params": {"level": "info", "data": "working"}})
        tell(request_id, "done")
    elif do == "late":
        threading.Timer(LATE_S, tell, (request_id, "done")).start()
    elif do != "hold":
        tell(request_id, json.dumps({"answered": answered, "cancelled": len(cancelled)}))


for line in sys.stdin:
    message = json.loads(line)
    method = message.get("method")
    if method == "tools/call":
        call(message["id"], message["params"].get("arguments", {}).get("do", ""))
    elif method == "notifications/cancelled":
        cancelled.append(message["params"]["requestId"])
    elif method is None:
        outcome = message.get("result") or {"code": message["error"]["code"]}
        answered.append(outcome)
        tell(asked.pop(message["id"]), json.dumps(outcome))
    elif "id" in message:
        say({"id": message["id"], "result": RESULTS.get(method, {})})
