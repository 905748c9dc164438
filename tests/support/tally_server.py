"""A server on nothing but the standard library that tells how often it was asked what.

python tests/support/tally_server.py [REVISION]: on stdin and stdout, legacy. Its tool `tally` answers with the
counts by method; lists and reads take a moment, so that what is asked at once is under way at once.
"""

import json
import sys
import threading
from collections import Counter
from typing import Any

REVISION = sys.argv[1] if len(sys.argv) > 1 else "2025-06-18"
TAKES_S = 0.2
asked: Counter[str] = Counter()
SLOW = ("tools/list", "resources/read")
RESULTS: dict[str, Any] = {
    "initialize": {
        "protocolVersion": REVISION,
        "capabilities": {"tools": {"listChanged": True}, "resources": {}},
        "serverInfo": {"name": "tally", "version": "1"},
    },
    "ping": {},
    "tools/list": {"tools": [{"name": "tally", "inputSchema": {"type": "object"}}]},
    "resources/list": {"resources": [{"uri": "tally://now", "name": "now"}]},
    "resources/templates/list": {"resourceTemplates": []},
}


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def answer(request: dict[str, Any]) -> None:
    method, params = request["method"], request.get("params", {})
    result = RESULTS.get(method)
    if method == "tools/call":
        result = {"content": [{"type": "text", "text": json.dumps(asked)}]}
    elif method == "resources/read":
        result = {"contents": [{"uri": params["uri"], "text": str(asked[method])}]}
    if result is None:
        say({"id": request["id"], "error": {"code": -32601, "message": "no such method"}})
    else:
        say({"id": request["id"], "result": result})


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message and "method" in message:
        asked[message["method"]] += 1
        # One thread writes one line, and the timers of one moment run one after the other.
        threading.Timer(TAKES_S if message["method"] in SLOW else 0, answer, (message,)).start()
