"""What every instance offers: small tools whose answers name the call that they belong to.

Each call has a `key` of its own; that it was executed is in the journal before it is answered. Stands on the
bundled demos' server, so that it speaks both eras.
"""

import asyncio
import os
from pathlib import Path

from proxy_core.demo.offer import Call, Demo, Json, Tool
from tests.support.faults.journal import RAN, Journal

ADD, SLOW, WHO = "add", "slow", "who"
STEPS = 4
_KEY: Json = {"key": {"type": "string"}}
_NUMBER: Json = {"type": "number"}


def _definition(name: str, **properties: Json) -> Json:
    schema = {"type": "object", "properties": _KEY | properties}
    return {"name": name, "description": f"{name} of the tests", "inputSchema": schema}


class Steady(Demo):
    """Deterministic: an answer depends on its call and, where the tool says so, on the instance's name."""

    name = "steady"

    def __init__(self, folder: Path, server: str, instance: str) -> None:
        """`server`: what its replicas have in common, and the host of its resources' URIs."""
        super().__init__()
        self._server = server
        self._instance = instance
        self._journal = Journal(folder, instance)
        definitions = {
            ADD: _definition(ADD, a=_NUMBER, b=_NUMBER),
            SLOW: _definition(SLOW, seconds=_NUMBER),
            WHO: _definition(WHO),
        }
        runs = {ADD: self._add, SLOW: self._slow, WHO: self._who}
        self.tools = {name: Tool(definition, runs[name]) for name, definition in definitions.items()}
        self.templates = [{"uriTemplate": uri_of(server, "{key}"), "name": f"item of {server}"}]

    async def _add(self, call: Call) -> str:
        """The sum; not safe to repeat."""
        return sum_text(self._ran(call), call.number("a", 0, 1e9), call.number("b", 0, 1e9))

    async def _slow(self, call: Call) -> str:
        """Answers after some seconds and tells its progress; not safe to repeat."""
        key, seconds = self._ran(call), call.number("seconds", 0, 3600)
        for step in range(STEPS):
            call.progress(step, STEPS, key)
            await asyncio.sleep(seconds / STEPS)
        return slow_text(key)

    async def _who(self, call: Call) -> str:
        """Which instance answers."""
        return f"{self._ran(call)} by {self._instance} in {os.getpid()}"

    def _ran(self, call: Call) -> str:
        key = call.text("key")
        self._journal.write(RAN, key=key, tool=call.params["name"])
        return key

    def read(self, uri: str) -> Json | None:
        before, _, key = uri.rpartition("/")
        if before + "/" != uri_of(self._server, ""):
            return None
        return {"mimeType": "text/plain", "text": read_text(key)}


def uri_of(server: str, key: str) -> str:
    return f"steady://{server}/{key}"


def sum_text(key: str, a: float, b: float) -> str:
    return f"{key} is {a + b:g}"


def slow_text(key: str) -> str:
    return f"{key} took its time"


def read_text(key: str) -> str:
    return f"{key} as it was written"
