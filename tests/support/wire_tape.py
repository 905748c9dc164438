"""What passed a tap, message by message, each with its revision and the request that it answers.

A tap writes an entry per message, as one line of JSON, and knows nothing of MCP; this reads them back. Taps are
tests.support.http_tap and tests.support.stdio_tap.
"""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.support.wire_check import CLIENT, MODERN, SERVER, problems

Json = dict[str, Any]
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
UNTOLD = "2025-03-26"
"""The revision of an HTTP request whose header names none (2025-11-25 basic/transports)."""


class Recorder:
    """Writes entries; from several threads at once if need be."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exit: object) -> None:
        self._file.close()

    def write(
        self,
        sender: str,
        text: bytes,
        exchange: int = 0,
        session: str | None = None,
        version: str | None = None,
    ) -> None:
        """One message. `exchange`: the HTTP exchange or the pipe that it passed; `version`: its header."""
        entry = {
            "sender": sender,
            "text": text.decode(errors="replace"),
            "exchange": exchange,
            "session": session,
            "version": version,
        }
        with self._lock:
            self._file.write(json.dumps(entry).encode() + b"\n")


@dataclass(frozen=True)
class Seen:
    """One message on the wire."""

    sender: str
    text: str
    revision: str
    request: Json | None
    """What it answers, if it is an answer."""

    @property
    def message(self) -> Any:
        """The message itself. Raises: ValueError if it is no JSON."""
        return json.loads(self.text)

    @property
    def problems(self) -> list[str]:
        """What is wrong with it, each with the message that it is about."""
        try:
            message = self.message
        except ValueError:
            return [f"{self.sender}: no JSON: {self.text[:80]!r}"]
        faults = problems(message, self.revision, self.sender, self.request)
        if self.request is None and isinstance(message, dict) and "result" in message:
            faults.append("is for a request that nobody made")
        return [f"{self.sender}, {self.revision}, {self.kind}: {fault}" for fault in faults]

    @property
    def kind(self) -> str:
        """The method, or that it answers one."""
        message = self.message
        if isinstance(message, dict) and "method" in message:
            return str(message["method"])
        return f"answer to {self.request['method']}" if self.request else "answer to nothing known"


def read(path: Path) -> list[Seen]:
    """Everything that a tap has written so far, oldest first."""
    whole = (line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n"))
    reader = _Reader()
    return [reader.seen(json.loads(line)) for line in whole]


class _Reader:
    """Follows what is asked and answered; a legacy answer may come in another exchange of its session."""

    def __init__(self) -> None:
        self._asked: dict[tuple[object, str, Any], tuple[Json, str]] = {}
        self._spoken: dict[object, str] = {}

    def seen(self, entry: Json) -> Seen:
        sender, text = entry["sender"], entry["text"]
        message = _object(text)
        where = [("exchange", entry["exchange"])]
        if entry["session"] is not None:
            where.append(("session", entry["session"]))
        if "method" in message:
            revision = self._revision_of(message, sender, where, entry["version"])
            self._remember(message, sender, where, revision)
            return Seen(sender, text, revision, None)
        request, revision = self._answered(message, sender, where, entry["version"])
        return Seen(sender, text, revision, request)

    def _revision_of(self, message: Json, sender: str, where: list[Any], header: str | None) -> str:
        told = _envelope_version(message) or header
        if message["method"] == "initialize":
            told = message.get("params", {}).get("protocolVersion")
        if told is not None and sender == CLIENT:
            return str(told)
        return next((self._spoken[place] for place in reversed(where) if place in self._spoken), UNTOLD)

    def _remember(self, message: Json, sender: str, where: list[Any], revision: str) -> None:
        for place in where:
            if sender == CLIENT:
                self._spoken[place] = revision
            if "id" in message:
                self._asked[place, sender, message["id"]] = message, revision

    def _answered(
        self, message: Json, sender: str, where: list[Any], header: str | None
    ) -> tuple[Json | None, str]:
        asker = CLIENT if sender == SERVER else SERVER
        keys = ((place, asker, message.get("id")) for place in where)
        request, revision = next((self._asked[key] for key in keys if key in self._asked), (None, None))
        if revision is None:
            return None, header or next(
                (self._spoken[place] for place in where if place in self._spoken), MODERN
            )
        if request is not None and request["method"] == "initialize" and "result" in message:
            revision = str(message["result"].get("protocolVersion", revision))
            self._spoken |= dict.fromkeys(where, revision)
        return request, revision


def _object(text: str) -> Json:
    try:
        message = json.loads(text)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _envelope_version(message: Json) -> str | None:
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    return meta.get(VERSION_KEY) if isinstance(meta, dict) else None


def all_problems(seen: list[Seen]) -> Iterator[str]:
    for each in seen:
        yield from each.problems
