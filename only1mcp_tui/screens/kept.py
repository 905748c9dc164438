"""What a person chose, kept from one run to the next: theme, last screen, order of tables.

Losing it costs little: what cannot be read is as good as absent, what cannot be written is said in the log.
Small scalars under keys of dots, `logs.level`. Who asks names a default, and gets a value of its type or it.
"""

import asyncio
import json
import logging
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

import platformdirs
from textual.app import App

Scalar: TypeAlias = str | int | float | bool
Value = TypeVar("Value", str, int, float, bool)

MAX_FILE_BYTES: Final = 64 << 10
MAX_KEYS: Final = 200
MAX_TEXT: Final = 500
SAVE_S: Final = 2.0
"""How long a choice may wait to be written: several at once become one write."""
log = logging.getLogger(__name__)


class Kept:
    def __init__(self, path: Path | None = None) -> None:
        """`path` None: nothing outlives the run."""
        self.path = path
        self._values: dict[str, Scalar] = {} if path is None else _read(path)
        self._is_dirty = False
        self._has_failed = False

    def get(self, key: str, default: Value) -> Value:
        """What is kept under `key`, if it is of the type of `default`."""
        value = self._values.get(key, default)
        return value if type(value) is type(default) else default

    def put(self, key: str, value: Scalar) -> None:
        """Keep this; a text that is too long, or one key too many, is not kept."""
        is_small = not isinstance(value, str) or len(value) <= MAX_TEXT
        is_room = key in self._values or len(self._values) < MAX_KEYS
        if is_small and is_room and self._values.get(key) != value:
            self._values[key] = value
            self._is_dirty = True

    async def save(self) -> None:
        """Write what has changed since, off the loop."""
        if self._is_dirty and self.path is not None:
            self._is_dirty = False
            await asyncio.to_thread(self._write, self.path, json.dumps(self._values, indent=1))

    def _write(self, path: Path, text: str) -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Readable by its owner alone, as mkstemp makes it; in its place as one step.
            handle, temporary = tempfile.mkstemp(prefix=".screen-", dir=path.parent)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                os.replace(temporary, path)
            except OSError:
                os.unlink(temporary)
                raise
        except OSError as error:
            if not self._has_failed:
                log.warning("what was chosen on the screen cannot be kept: %s", error)
            self._has_failed = True


def kept_of(app: App[object]) -> Kept:
    """What the app keeps; for an app that keeps nothing, a place that forgets."""
    kept = getattr(app, "kept", None)
    return kept if isinstance(kept, Kept) else Kept()


def kept_path(environ: Mapping[str, str]) -> Path:
    """One file for all configurations: what a person likes does not change with them."""
    xdg = environ.get("XDG_STATE_HOME", "")
    if Path(xdg).is_absolute():
        return Path(xdg) / "only1mcp" / "screen.json"
    if sys.platform == "linux" and environ.get("HOME"):
        return Path(environ["HOME"]) / ".local" / "state" / "only1mcp" / "screen.json"
    return platformdirs.user_state_path("only1mcp", appauthor=False) / "screen.json"


def _read(path: Path) -> dict[str, Scalar]:
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(MAX_FILE_BYTES))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        log.debug("ignored %s: %s", path, error)
        return {}
    if not isinstance(found, dict):
        log.debug("ignored %s: it is not one of ours", path)
        return {}
    return dict(list(_scalars(found).items())[:MAX_KEYS])


def _scalars(found: dict[str, object]) -> dict[str, Scalar]:
    return {
        key: value
        for key, value in found.items()
        if isinstance(value, str | int | float | bool)
        and not (isinstance(value, str) and len(value) > MAX_TEXT)
    }
