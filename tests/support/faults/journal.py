"""What an instance did, on disk: one line for each thing, written before anything else can go wrong.

A test reads it to prove that no call was executed twice and that no session was left open.
"""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

GOT, RAN, OPENED, CLOSED, PROBED = "got", "ran", "opened", "closed", "probed"


class Journal:
    """Of one instance; a process that comes after a killed one goes on in the same file."""

    def __init__(self, folder: Path, instance: str) -> None:
        self._path = path_of(folder, instance)

    def write(self, what: str, **more: Any) -> None:
        """One `write` of a whole line: neither a kill nor another process can cut it."""
        line = json.dumps({"what": what, **more}).encode() + b"\n"
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            os.write(file, line)
        finally:
            os.close(file)


def path_of(folder: Path, instance: str) -> Path:
    return folder / f"{instance}.jsonl"


def lines(folder: Path, instance: str) -> list[dict[str, Any]]:
    """Everything so far, oldest first."""
    path = path_of(folder, instance)
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def executed(folder: Path, instance: str) -> Counter[str]:
    """Key of a call -> how often it was executed here."""
    return Counter(line["key"] for line in lines(folder, instance) if line["what"] == RAN)


def received(folder: Path, instance: str) -> frozenset[str]:
    """Keys of the calls that reached it, executed or not."""
    return frozenset(line["key"] for line in lines(folder, instance) if line["what"] in (GOT, RAN))


def open_sessions(folder: Path, instance: str) -> set[str]:
    """Those that were opened and not closed."""
    found = lines(folder, instance)
    closed = {line["session"] for line in found if line["what"] == CLOSED}
    return {line["session"] for line in found if line["what"] == OPENED} - closed


def probes(folder: Path, instance: str) -> int:
    """How often it was asked how it is, by a ping or by its health endpoint."""
    return sum(line["what"] == PROBED for line in lines(folder, instance))


def sessions_opened(folder: Path, instance: str) -> int:
    return sum(line["what"] == OPENED for line in lines(folder, instance))
