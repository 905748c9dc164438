"""Where a running gateway can be reached by its owner on this machine: the path of its admin socket.

The gateway and who asks it must come to the same path by themselves, so both ask here. Looks at folders and
makes one; knows no sockets.
"""

import os
import stat
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

MAX_PATH_BYTES: Final = 100
"""The systems take 104 to 108, the end of the text included."""
_NAME: Final = "only1mcp"
_IS_LINUX: Final[bool] = sys.platform == "linux"
_USUAL: Final = "/run/user/{user}"
"""What a login would say; there is none where a service or another user's shell starts us."""


def socket_path(port: int, environ: Mapping[str, str]) -> Path:
    """The admin socket of the gateway on `port`. Its folder is made if it is missing.

    That of the temporary folder is the last resort, and returned even where it cannot be used: binding and
    connecting say why.
    """
    path = Path()
    for folder in _folders(environ):
        path = folder / f"{port}.sock"
        if len(os.fsencode(path)) <= MAX_PATH_BYTES and _is_made(folder):
            break
    return path


def folder_fault(folder: Path) -> str | None:
    """Why a socket in `folder` could be another user's doing; None if nobody else can put one there."""
    try:
        status = folder.lstat()
    except OSError as error:
        return f"{folder} cannot be used: {error.strerror}"
    if not stat.S_ISDIR(status.st_mode):
        return f"{folder} is not a folder, or a link to one"
    if status.st_uid != _user():
        return f"{folder} belongs to another user"
    if stat.S_IMODE(status.st_mode) & 0o077:
        return f"{folder} is open to other users; it must have mode 0700"
    return None


def owner_fault(path: Path) -> str | None:
    """Why what answers at a socket is not to be believed; None if this user or the system's made it."""
    try:
        owner = path.stat().st_uid
    except OSError as error:
        return "there is no such socket" if isinstance(error, FileNotFoundError) else str(error.strerror)
    if _user() in {0, owner} or owner == 0:
        return None
    return "the socket belongs to another user"


def _folders(environ: Mapping[str, str]) -> Iterator[Path]:
    """In the order in which they are tried."""
    runtime = Path(environ.get("XDG_RUNTIME_DIR", ""))
    if runtime.is_absolute():
        yield runtime / _NAME
    elif (found := _platform_folder()) is not None:
        yield found / _NAME
    yield Path(tempfile.gettempdir()) / f"{_NAME}-{_user()}"


def _platform_folder() -> Path | None:
    if _IS_LINUX:
        usual = Path(_USUAL.format(user=_user()))
        return usual if usual.is_dir() else None
    # Where the environment says it, nobody needs this, and its import takes some milliseconds.
    import platformdirs

    with warnings.catch_warnings():
        # That XDG_RUNTIME_DIR is not set is no fault of who starts a gateway.
        warnings.simplefilter("ignore")
        try:
            return platformdirs.user_runtime_path(appauthor=False)
        except OSError:
            return None


def _is_made(folder: Path) -> bool:
    try:
        # Its parents are the system's: what it did not make is not ours to make.
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError:
        return False
    return folder_fault(folder) is None


def _user() -> int:
    return os.getuid() if sys.platform != "win32" else 0
