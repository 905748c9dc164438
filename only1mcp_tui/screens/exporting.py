"""Exchanges written to a file of their own, one JSON object a line."""

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from only1mcp_tui.view.exchange_json import exchange_json
from only1mcp_tui.view.numbers import plural
from only1mcp_tui.view.text import safe
from proxy_core.control import Control
from proxy_core.errors import UnknownExchange
from proxy_core.telemetry.exchanges import ExchangeDetail

EXPORTED_MOST: Final = 2000
"""Exchanges of one file, the newest ones."""
CHUNK: Final = 25
"""Exchanges that are held at once: with bodies they may be large."""
NAMES_TRIED: Final = 100


def fresh_file(folder: Path, now: float) -> tuple[Path, int]:
    """A file that was not there before and that only its owner may read: its path and descriptor.

    Raises: OSError.
    """
    stem = time.strftime("only1mcp-exchanges-%Y%m%d-%H%M%S", time.localtime(now))
    for number in range(1, NAMES_TRIED):
        path = folder / (f"{stem}.jsonl" if number == 1 else f"{stem}-{number}.jsonl")
        try:
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
    raise FileExistsError(f"{folder / stem}.jsonl and {NAMES_TRIED - 2} more names like it are taken.")


async def export(control: Control, ids: Sequence[int], folder: Path, now: float) -> str:
    """Write these exchanges; the sentence that says what was written where.

    Raises: OSError, Only1Error.
    """
    chosen = list(ids)[-EXPORTED_MOST:]
    path, descriptor = await asyncio.to_thread(fresh_file, folder, now)
    written = 0
    try:
        for start in range(0, len(chosen), CHUNK):
            details = await _details(control, chosen[start : start + CHUNK])
            await asyncio.to_thread(_write, descriptor, details)
            written += len(details)
    finally:
        os.close(descriptor)
    return f"{plural(written, 'request')} written to {safe(str(path), 300)}.{_missing(len(ids), written)}"


def _missing(asked: int, written: int) -> str:
    if asked > EXPORTED_MOST:
        return f" Those are the newest of {asked}."
    if (gone := asked - written) <= 0:
        return ""
    return f" {plural(gone, 'other')} {'is' if gone == 1 else 'are'} not kept any more."


async def _details(control: Control, ids: Sequence[int]) -> list[ExchangeDetail]:
    details = []
    for id in ids:
        try:
            details.append(await control.exchange(id))
        except UnknownExchange:
            continue
    return details


def _write(descriptor: int, details: Sequence[ExchangeDetail]) -> None:
    lines = "".join(exchange_json(detail) + "\n" for detail in details).encode()
    while lines:
        lines = lines[os.write(descriptor, lines) :]
