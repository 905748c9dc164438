"""A demo server that misbehaves when asked to: `python -m proxy_core.demo.flaky`.

For seeing what a gateway makes of slow, failing, noisy and dying servers.
"""

import asyncio
import os
import sys
from typing import Final

from proxy_core.demo.offer import Call, Demo, Json, Tool, ToolFailure
from proxy_core.demo.pipes import main
from proxy_core.errors import Only1Error
from proxy_core.protocol import methods

MAX_DELAY_S: Final = 3600
MAX_BIG_BYTES: Final = 64 * 1024 * 1024
DELAY_STEPS: Final = 10


def _tool(name: str, description: str, **properties: Json) -> Json:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"name": name, "description": description, "inputSchema": schema}


_TEXT: Final = {"type": "string"}
ECHO: Final = _tool("echo", "Answers with the text.", text=_TEXT)
DELAY: Final = _tool(
    "delay",
    "Answers after some seconds, and tells its progress on the way.",
    seconds={"type": "number", "minimum": 0, "maximum": MAX_DELAY_S},
)
FAIL: Final = _tool("fail", "Answers with a tool error.", message=_TEXT)
ERROR: Final = _tool("error", "Answers with a JSON-RPC error of this code.", code={"type": "integer"})
CRASH: Final = _tool("crash", "Ends the process with exit code 1.")
GARBAGE: Final = _tool("garbage", "Writes a line that is no JSON, then answers.")
LOG: Final = _tool(
    "log",
    "Sends a log notification, then answers.",
    level={"type": "string", "enum": list(methods.LOG_LEVELS)},
    text=_TEXT,
)
STDERR: Final = _tool("stderr", "Writes a line to stderr, then answers.", text=_TEXT)
BIG: Final = _tool(
    "big",
    "Answers with a text of that many bytes.",
    bytes={"type": "integer", "minimum": 0, "maximum": MAX_BIG_BYTES},
)


class ErrorOnRequest(Only1Error):
    """The JSON-RPC error that the caller asked for."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Error {code}, as asked for.")
        self.code = code


class Flaky(Demo):
    name = "flaky"
    instructions = "Delays, fails, crashes and talks nonsense, each when asked to."

    def __init__(self) -> None:
        super().__init__()
        tools = (
            Tool(ECHO, _echo),
            Tool(DELAY, _delay),
            Tool(FAIL, _fail),
            Tool(ERROR, _error),
            Tool(CRASH, _crash),
            Tool(GARBAGE, _garbage),
            Tool(LOG, _log),
            Tool(STDERR, _stderr),
            Tool(BIG, _big),
        )
        self.tools = {tool.definition["name"]: tool for tool in tools}


async def _echo(call: Call) -> str:
    return call.text("text")


async def _delay(call: Call) -> str:
    seconds = call.number("seconds", 0, MAX_DELAY_S)
    for step in range(DELAY_STEPS):
        call.progress(step, DELAY_STEPS, f"step {step} of {DELAY_STEPS}")
        await asyncio.sleep(seconds / DELAY_STEPS)
    call.progress(DELAY_STEPS, DELAY_STEPS, "done")
    return f"Waited {seconds:g} s."


async def _fail(call: Call) -> str:
    raise ToolFailure(call.text("message"))


async def _error(call: Call) -> str:
    raise ErrorOnRequest(call.integer("code", -(2**31), 2**31))


async def _crash(call: Call) -> str:
    print("crashing, as asked for", file=sys.stderr, flush=True)
    os._exit(1)


async def _garbage(call: Call) -> str:
    call.send_line(b"Hello from a library that prints to stdout")
    return "That line was no JSON."


async def _log(call: Call) -> str:
    level = call.text("level")
    if level not in methods.LOG_LEVELS:
        raise ToolFailure(f"level must be one of {', '.join(methods.LOG_LEVELS)}.")
    call.log(level, call.text("text"))
    return "Logged."


async def _stderr(call: Call) -> str:
    print(call.text("text"), file=sys.stderr, flush=True)
    return "Written to stderr."


async def _big(call: Call) -> str:
    return "x" * call.integer("bytes", 0, MAX_BIG_BYTES)


if __name__ == "__main__":
    main(Flaky())
