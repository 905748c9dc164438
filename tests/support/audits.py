"""Audits to look at: written by the real journal, read line by line, and spoilt in every way."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from proxy_core.access.audit.chain import Chain
from proxy_core.access.audit.journal import Journal, Sizes
from proxy_core.access.audit.lines import Happened
from proxy_core.access.audit.places import Place

LARGE = 1 << 30
KEY = "a key that is long enough"
NOON = "2026-07-28T12:00:00.000Z"


def journal(path: Path, *, key: str | None = None, max_bytes: int = LARGE, keep: int = 100) -> Journal:
    return Journal(Place(path), Chain(key), Sizes(max_bytes, keep), "1.0", lambda: NOON)


@contextmanager
def writing(path: Path, **settings: Any) -> Iterator[Journal]:
    """A gateway's life, as far as the audit knows it."""
    opened = journal(path, **settings)
    try:
        yield opened
    finally:
        opened.close()


def write(path: Path, words: Iterable[str], **settings: Any) -> None:
    with writing(path, **settings) as opened:
        for word in words:
            opened.seal(Happened(what=word))
            opened.flush()


def write_some(path: Path, number: int, **settings: Any) -> None:
    write(path, (f"event {each}" for each in range(number)), **settings)


def lines_of(*paths: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in paths for line in path.read_bytes().splitlines()]


def raw_lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def kill(opened: Journal) -> None:
    """What a SIGKILL leaves: what was not written is gone, and nobody is told."""
    opened._close_files()
