"""What each server's tools were when they were first seen or last approved, kept on disk.

In memory are digests alone; the texts, which only a person who compares asks for, stay in the file. Several
gateways may have the same file: each adds what it knows, and takes over what others have approved.
"""

import asyncio
import logging
import threading
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from proxy_core.backends.late_writer import LateWriter
from proxy_core.catalog.fingerprints import Fingerprint, text_of
from proxy_core.clock import Clock
from proxy_core.state import MAX_FILE_BYTES, StateFolder
from proxy_core.telemetry.tool_changes import ToolText

MAX_TOOLS: Final = 10_000
"""Of one server. Those that it lists no more make room for others."""
MAX_APPROVED: Final = 4
"""Definitions of one tool that count as known: who goes back to one of them changes nothing that is new."""
MAX_RECORD_BYTES: Final = MAX_FILE_BYTES // 2
"""Of one server's file; beyond it the longest texts are left out."""
_PREFIX: Final = "tools-"

Item: TypeAlias = dict[str, Any]
log = logging.getLogger(__name__)


class Known(msgspec.Struct, frozen=True, gc=False):
    """One tool."""

    approved: tuple[tuple[str, int], ...]
    """Digests, and when each was approved in seconds of the epoch, the latest last."""
    parts: str
    """Of the latest, as `Fingerprint.parts`."""
    is_listed: bool = True
    """Whether its server had it when it was last asked."""

    def has(self, digest: str) -> bool:
        return any(known == digest for known, _ in self.approved)


class _Kept(msgspec.Struct, frozen=True):
    """One tool in the file."""

    known: Known
    text: ToolText | None = None
    """Of the latest."""


class _Due(Struct, frozen=True):
    """What is to be written of one tool."""

    known: Known
    item: Item | None = None
    """The tool as it is, if `known` begins with it."""


_decode: Final = msgspec.json.Decoder(_Kept).decode
_encode: Final = msgspec.json.Encoder().encode


class ToolRecords:
    """Sole writer of its files, one for each server."""

    def __init__(self, folder: StateFolder | None, clock: Clock) -> None:
        """Without a folder all is forgotten with the process."""
        self._folder = folder
        self._clock = clock
        self._writer = LateWriter("tool records", self._write)
        self._servers: dict[str, dict[str, Known]] = {}
        self._due: dict[str, dict[str, _Due | None]] = {}
        """Server -> tool -> what is to be written; None: it is forgotten."""
        self._stamps: dict[str, int] = {}
        """Of each server's file, as it was last read or written."""
        self._lock = threading.Lock()
        """Over `_due`, which the writer's thread takes from."""

    def of(self, server: str) -> Mapping[str, Known]:
        """By the server's own names. Empty: the server is not known yet."""
        return self._of(server)

    def _of(self, server: str) -> dict[str, Known]:
        if (known := self._servers.get(server)) is None:
            self._servers[server] = known = self._read(server)
        return known

    def approve(self, server: str, tool: str, now: Fingerprint, item: Item) -> None:
        """It is as it should be: first seen, or approved by a person."""
        known = self._of(server)
        before = known.get(tool)
        if before is None and len(known) >= MAX_TOOLS and not self._made_room(server, known):
            return
        earlier = tuple(each for each in before.approved if each[0] != now.digest) if before else ()
        approved = (*earlier[-MAX_APPROVED + 1 :], (now.digest, int(self._clock.wall())))
        self._put(server, tool, Known(approved, now.parts), item)

    def listed(self, server: str, tool: str, is_listed: bool) -> None:
        """Its server has it, or has it no more. Of one that is known."""
        before = self._of(server)[tool]
        self._put(server, tool, Known(before.approved, before.parts, is_listed), None)

    def _made_room(self, server: str, known: dict[str, Known]) -> bool:
        gone = next((name for name, each in known.items() if not each.is_listed), None)
        if gone is None:
            return False
        del known[gone]
        with self._lock:
            self._due.setdefault(server, {})[gone] = None
        return True

    def _put(self, server: str, tool: str, known: Known, item: Item | None) -> None:
        self._of(server)[tool] = known
        with self._lock:
            due = self._due.setdefault(server, {})
            before = due.get(tool)
            if item is None and before is not None:
                item = before.item
            due[tool] = _Due(known, item)
        if self._folder is not None:
            self._writer.changed()

    async def text(self, server: str, tool: str) -> ToolText | None:
        """What it said when it was approved last; None if that was not kept."""
        if self._folder is None:
            due = self._due.get(server, {}).get(tool)
            return text_of(due.item) if due is not None and due.item is not None else None
        await self.save()
        entry = (await asyncio.to_thread(self._folder.read, _PREFIX + server)).get(tool)
        kept = _kept(entry)
        return kept.text if kept is not None else None

    async def save(self) -> None:
        """Write what is not written yet."""
        await self._writer.aclose()

    aclose = save

    async def take_over(self, servers: list[str]) -> list[str]:
        """Those of whose tools another gateway has approved something since, which counts here as well."""
        if self._folder is None:
            return []
        found = []
        for server in servers:
            if self._folder.stamp(_PREFIX + server) == self._stamps.get(server, 0):
                continue
            await self.save()
            theirs = await asyncio.to_thread(self._read, server)
            if theirs != self._servers.get(server) and server not in self._due:
                self._servers[server] = theirs
                found.append(server)
        return found

    # --- the files ------------------------------------------------------------------------------------------

    def _read(self, server: str) -> dict[str, Known]:
        if self._folder is None:
            return {}
        self._stamps[server] = self._folder.stamp(_PREFIX + server)
        entries = self._folder.read(_PREFIX + server)
        known = {tool: kept.known for tool, text in entries.items() if (kept := _kept(text)) is not None}
        if self._stamps[server] and not known:
            words = "what is kept of its tools cannot be used: what it lists now counts as first seen"
            log.warning(words, extra={"source": server})
        return known

    def _write(self) -> None:
        assert self._folder is not None
        while self._due:
            with self._lock:
                server, due = self._due.popitem()
            self._folder.update(_PREFIX + server, lambda there, due=due: _with(there, due))  # type: ignore[misc]
            self._stamps[server] = self._folder.stamp(_PREFIX + server)


def _kept(text: str | None) -> _Kept | None:
    if text is None:
        return None
    try:
        kept = _decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return kept if kept.known.approved else None


def _with(there: dict[str, str], due: Mapping[str, _Due | None]) -> dict[str, str]:
    """The entries that are there, with ours put in or joined to what another gateway wrote."""
    for tool, ours in due.items():
        if ours is None:
            there.pop(tool, None)
        else:
            there[tool] = _encode(_joined(_kept(there.get(tool)), ours)).decode()
    return _bounded(there)


def _joined(theirs: _Kept | None, ours: _Due) -> _Kept:
    text = text_of(ours.item) if ours.item is not None else None
    if theirs is None:
        return _Kept(ours.known, text)
    at = dict(theirs.known.approved)
    for digest, when in ours.known.approved:
        at[digest] = max(when, at.get(digest, 0))
    approved = tuple(sorted(at.items(), key=lambda each: each[1])[-MAX_APPROVED:])
    latest = approved[-1][0]
    if latest == ours.known.approved[-1][0]:
        known = Known(approved, ours.known.parts, ours.known.is_listed)
        is_theirs_too = theirs.known.approved[-1][0] == latest
        return _Kept(known, text or (theirs.text if is_theirs_too else None))
    return _Kept(Known(approved, theirs.known.parts, ours.known.is_listed), theirs.text)


def _bounded(entries: dict[str, str]) -> dict[str, str]:
    """With the longest texts left out, where they are too much together: digests count, texts only explain."""
    size = sum(map(len, entries.values()))
    for tool in sorted(entries, key=lambda tool: -len(entries[tool])) if size > MAX_RECORD_BYTES else ():
        if size <= MAX_RECORD_BYTES:
            break
        kept = _kept(entries[tool])
        if kept is not None:
            size -= len(entries[tool])
            entries[tool] = _encode(_Kept(kept.known)).decode()
            size += len(entries[tool])
    return entries
