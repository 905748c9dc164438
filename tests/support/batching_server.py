"""A small MCP server of 2025-03-26 that does with JSON-RPC batches what its mode says; a child, or over HTTP.

python tests/support/batching_server.py array|apart|missing|error|ignore

`array`: one array of answers, the last first. `apart`: each answer by itself, the last first. `missing`: as
`array`, without the last member's. `error`: the pings are answered, any later batch with one error without an
id. `ignore`: no batch is answered. Its tools: `echo`, `fail`, and `heard`, which tells the method of every
message so far, the methods of a batch as a list.
"""

import json
import sys
from typing import Any

REVISION = "2025-03-26"
NOT_READ = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "Invalid Request"}}


class BatchingServer:
    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.heard: list[Any] = []

    def answers(self, message: Any) -> list[Any]:
        """The messages that answer this one."""
        if isinstance(message, dict):
            self.heard.append(message.get("method"))
            return [] if "id" not in message else [self._answer(message)]
        self.heard.append([each["method"] for each in message])
        is_trial = message[0]["method"] == "ping"
        if self.mode == "ignore":
            return []
        if self.mode == "error" and not is_trial:
            return [NOT_READ]
        found = [self._answer(each) for each in reversed(message)]
        if self.mode == "missing" and not is_trial:
            del found[0]
        return found if self.mode == "apart" else [found]

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        head = {"jsonrpc": "2.0", "id": request["id"]}
        params = request.get("params", {})
        match request["method"], params.get("name"):
            case "initialize", _:
                info = {"name": "batching", "version": "1"}
                result = {"protocolVersion": REVISION, "capabilities": {"tools": {}}, "serverInfo": info}
            case "tools/call", "fail":
                return head | {"error": {"code": -32000, "message": "failed"}}
            case "tools/call", "heard":
                result = {"heard": self.heard}
            case "tools/call", _:
                result = {"echo": params.get("arguments")}
            case "ping", _:
                result = {}
            case method, _:
                return head | {"error": {"code": -32601, "message": f"Method not found: {method}"}}
        return head | {"result": result}


def main() -> None:
    server = BatchingServer(sys.argv[1])
    for line in sys.stdin:
        for answer in server.answers(json.loads(line)):
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
