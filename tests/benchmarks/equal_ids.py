"""Calls at once that have the same JSON-RPC id: each has to get the answer to its own arguments.

Run as `python -m tests.benchmarks.equal_ids`. Clients choose their ids by themselves, and most begin with 1.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

import uvloop

from tests.benchmarks.goals import Part
from tests.benchmarks.intervals import Interval
from tests.benchmarks.lines import Line, opened
from tests.benchmarks.load import META, Ask, modern_headers, modern_list
from tests.benchmarks.processes import BACKEND, ROOT, gateway, http_backend, tools_ready
from tests.benchmarks.sessions import legacy_headers

CALLS: Final = 64
ROUNDS: Final = 5
_ID: Final = 1
SLOW_MS: Final = "50"
"""How long the HTTP backend takes, so that all calls are under way before the first answer."""


def right_answers(asks: Sequence[Ask], lines: Sequence[Line]) -> int:
    """How many of these calls, all sent before any answer is read, were answered with their own arguments."""
    for line, ask in zip(lines, asks, strict=True):
        line.post(*ask(_ID))
    return sum(_is_right(line.reply(), number) for number, line in enumerate(lines))


async def equal_ids() -> Part:
    async with http_backend("--echo", "--slow-ms", SLOW_MS) as (backend_port, _):
        child = {"type": "stdio", "command": BACKEND[0], "args": [*BACKEND[1:], "--stdio", "--echo"]}
        servers: list[dict[str, Any]] = [
            {"id": "web", "transport": {"type": "http", "url": f"http://127.0.0.1:{backend_port}/mcp"}},
            {"id": "child", "transport": {**child, "cwd": str(ROOT)}},
        ]
        async with gateway(servers) as (port, _, _):
            await tools_ready(port, 2)
            shares = {
                f"{clients}, {server}": _share(port, clients, f"{server}__echo")
                for server in ("web", "child")
                for clients in ("modern", "legacy, a session each")
            }
    table = ["| 64 calls at once with one id, clients and server | answered right |", "|---|---|"]
    table += [f"| {name} | {share:.0f} % |" for name, share in shares.items()]
    worst = min(shares.values())
    return Part({"G13": Interval(worst, worst, worst)}, table)


def _share(port: int, clients: str, tool: str) -> float:
    """Percent."""
    right = 0
    with opened(port, CALLS, modern_list()) as lines:
        for _ in range(ROUNDS):
            if clients == "modern":
                asks = [_modern(tool, number) for number in range(CALLS)]
            else:
                asks = [_legacy(legacy_headers(port), tool, number) for number in range(CALLS)]
            right += right_answers(asks, lines)
    return right / (CALLS * ROUNDS) * 100


def _modern(tool: str, number: int) -> Ask:
    return lambda request_id: (modern_headers("tools/call", tool), _body(request_id, tool, number, "," + META))


def _legacy(headers: bytes, tool: str, number: int) -> Ask:
    return lambda request_id: (headers, _body(request_id, tool, number, ""))


def _body(request_id: int, tool: str, number: int, meta: str) -> bytes:
    params = f'{{"name":"{tool}","arguments":{{"n":{number}}}{meta}}}'
    return f'{{"jsonrpc":"2.0","id":{request_id},"method":"tools/call","params":{params}}}'.encode()


def _is_right(answer: tuple[bytes, bytes], number: int) -> bool:
    head, body = answer
    if not head.startswith(b"HTTP/1.1 200"):
        return False
    message: dict[str, Any] = json.loads(body)
    content = message.get("result", {}).get("content")
    return bool(message["id"] == _ID and content == [{"type": "text", "text": f'{{"n":{number}}}'}])


if __name__ == "__main__":
    print("\n".join(uvloop.run(equal_ids()).table))
