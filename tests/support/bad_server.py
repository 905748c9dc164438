"""MCP servers with one fault each: `python tests/support/bad_server.py FAULT`. Standard library only."""

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

FLOOD_BYTES = 20 * 1024 * 1024
SECRET_PATH = "/very/secret/place"
"""Stands in what they write to stderr; no client may ever see it."""


TOOL = {"name": "pid", "inputSchema": {"type": "object"}}
ESCAPES = "\x1b]0;pwned\x07\x1b[31m\x1b[2J\x9b5m"


def hang() -> None:
    """Reads and never answers."""
    for _ in sys.stdin:
        pass


def crash() -> None:
    """Dies before it has said a word."""
    print(f"Traceback: cannot open {SECRET_PATH}", file=sys.stderr)
    sys.exit(3)


def garbage() -> None:
    """Greets on stdout as some libraries do, and answers nothing."""
    for line in sys.stdin:
        print(f"\x1b[31mWelcome!\x1b[0m got {len(line)} characters", flush=True)


def flood() -> None:
    """One line that no reader should keep."""
    for _ in sys.stdin:
        sys.stdout.write("x" * FLOOD_BYTES + "\n")
        sys.stdout.flush()


def nonsense() -> None:
    """Answers every request with a result that means nothing."""
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message:
            _send({"jsonrpc": "2.0", "id": message["id"], "result": {"supportedVersions": 7, "tools": "many"}})


def detach() -> None:
    """A good server that leaves a process of its own behind, out of its group and of its session."""
    subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True, close_fds=True
    )
    _serve()


def hostile() -> None:
    """A server whose every word tries to steer the terminal that shows it."""
    print(f"{ESCAPES} on stderr [bold red]markup[/]", file=sys.stderr, flush=True)
    print(f"{ESCAPES} on stdout", flush=True)
    _serve(description=f"{ESCAPES} [reverse]described[/]")


def stubborn() -> None:
    """A good server that ignores SIGTERM and the end of its stdin."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _serve()
    time.sleep(600)


def _serve(description: str = "") -> None:
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        answer = _answers(description).get(message["method"])
        if answer is None:
            _send(
                {
                    "jsonrpc": "2.0",
                    "id": message["id"],
                    "error": {"code": -32601, "message": "Method not found"},
                }
            )
        else:
            _send({"jsonrpc": "2.0", "id": message["id"], "result": answer})


def _answers(description: str) -> dict[str, Any]:
    version = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}}
    return {
        "initialize": version | {"serverInfo": {"name": "bad", "version": "1"}},
        "ping": {},
        "tools/list": {"tools": [TOOL | {"description": description}]},
        "tools/call": {"content": [{"type": "text", "text": str(os.getpid())}]},
    }


def _send(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


FAULTS = {fault.__name__: fault for fault in (hang, crash, garbage, flood, nonsense, detach, hostile, stubborn)}

if __name__ == "__main__":
    FAULTS[sys.argv[1]]()
