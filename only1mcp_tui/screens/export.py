"""A text into a new file that its owner alone can read; in a thread, for a disk may be slow."""

import asyncio
import os
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path


async def export(
    stem: str, ending: str, lines: Callable[[], Iterable[str]], folder: Path | None = None
) -> Path:
    """Write `lines()`, asked for in the thread, into a file of that name and the time. Raises: OSError."""
    named = f"{stem}-{datetime.now():%Y%m%d-%H%M%S}"
    return await asyncio.to_thread(_write, folder or Path.cwd(), named, ending, lines)


def _write(folder: Path, stem: str, ending: str, lines: Callable[[], Iterable[str]]) -> Path:
    path = folder / f"{stem}{ending}"
    number = 1
    while True:
        try:
            # Never over what is there, and never through a link that somebody else laid.
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            break
        except FileExistsError:
            number += 1
            path = folder / f"{stem}-{number}{ending}"
    with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
        file.writelines(f"{line}\n" for line in lines())
    return path
