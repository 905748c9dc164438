"""What survives a restart: small JSON files, one folder for each configuration. Losing them costs only warmth.

So nothing here fails: what cannot be read is as good as absent, what cannot be written is said in the log.
Knows no one's entries; they are text to text. Does file IO: call `write` from a thread.
"""

import contextlib
import fcntl
import hashlib
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

MAX_FILE_BYTES: Final = 32 << 20
LOCK_S: Final = 2.0
"""How long another gateway of the same configuration is waited for, before a file is written all the same."""
_LOCK_LOOK_S: Final = 0.02
_VERSION: Final = 1
log = logging.getLogger(__name__)


class _File(msgspec.Struct):
    version: int
    entries: dict[str, str]


_decode = msgspec.json.Decoder(_File).decode


class StateFolder:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._has_failed = False

    def read(self, name: str) -> dict[str, str]:
        """The entries that were written under that name; none if there is no such file, or not one of ours."""
        return self._load(name) or {}

    def stamp(self, name: str) -> int:
        """Another one whenever the file is; 0 if there is none."""
        try:
            return self._file(name).stat().st_mtime_ns
        except OSError:
            return 0

    def update(self, name: str, change: Callable[[dict[str, str]], Mapping[str, str]]) -> None:
        """As `write`, of what `change` makes of the entries that are there now.

        One gateway at a time, so that several with the same configuration lose nothing of each other's. A file
        that is not one of ours is kept beside it.
        """
        with self._held(name):
            before = self._load(name)
            if before is None:
                self._set_aside(name)
            self.write(name, change(before or {}))

    def _load(self, name: str) -> dict[str, str] | None:
        """None: there is something that is no file of ours, which is said."""
        path = self._file(name)
        try:
            with path.open("rb") as file:
                content = _decode(file.read(MAX_FILE_BYTES))
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("ignored %s: %s", path, error)
            return None
        if content.version != _VERSION:
            log.warning("ignored %s: it is of version %d", path, content.version)
            return None
        return content.entries

    def write(self, name: str, entries: Mapping[str, str]) -> None:
        """Put these in the place of what was there, as one step: no reader ever sees a half."""
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Readable by its owner alone, as mkstemp makes it.
            handle, temporary = tempfile.mkstemp(prefix=f".{name}-", dir=self._path)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(msgspec.json.encode(_File(_VERSION, dict(entries))))
                os.replace(temporary, self._file(name))
            except OSError:
                os.unlink(temporary)
                raise
        except OSError as error:
            # Once: it is written again and again.
            log.log(
                logging.DEBUG if self._has_failed else logging.WARNING, "could not keep %s: %s", name, error
            )
            self._has_failed = True

    def _set_aside(self, name: str) -> None:
        path = self._file(name)
        with contextlib.suppress(OSError):
            os.replace(path, path.with_suffix(".json.bad"))
            log.warning("kept what was there as %s", path.with_suffix(".json.bad"))

    @contextlib.contextmanager
    def _held(self, name: str) -> Iterator[None]:
        """Nobody else updates it meanwhile. The system lets go of what a process held that is gone."""
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._path / f".{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            # Then it cannot be written either, which `write` says.
            yield
            return
        try:
            if not _locked(lock):
                log.warning("did not wait any longer for another gateway that writes %s", name)
            yield
        finally:
            os.close(lock)

    def _file(self, name: str) -> Path:
        return self._path / f"{name}.json"


def _locked(lock: int) -> bool:
    deadline_at = time.monotonic() + LOCK_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            if time.monotonic() >= deadline_at:
                return False
            time.sleep(_LOCK_LOOK_S)


def state_folder(config_path: Path, environ: Mapping[str, str]) -> StateFolder:
    """The folder that belongs to this configuration file."""
    name = hashlib.sha256(os.fsencode(config_path.absolute())).hexdigest()[:16]
    return StateFolder(state_home(environ) / name)


def state_home(environ: Mapping[str, str]) -> Path:
    """Where the folders of all configurations stand, and what belongs to none of them."""
    xdg = environ.get("XDG_STATE_HOME", "")
    if Path(xdg).is_absolute():
        return Path(xdg) / "only1mcp"
    if sys.platform == "linux" and environ.get("HOME"):
        return Path(environ["HOME"]) / ".local" / "state" / "only1mcp"
    # Most starts come to an answer without it, and its import takes some milliseconds.
    import platformdirs

    return platformdirs.user_state_path("only1mcp", appauthor=False)
