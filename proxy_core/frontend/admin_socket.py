"""A Unix socket that nobody but its owner can reach, in the place of what an earlier gateway left there.

Never takes a socket that somebody answers on, never follows a link, never removes what it did not make, but for
a socket of our own user that nobody listens on any more.
"""

import contextlib
import os
import socket
import stat
from pathlib import Path

from proxy_core.errors import Only1Error
from proxy_core.runtime import MAX_PATH_BYTES, folder_fault


class SocketRefused(Only1Error):
    """The socket cannot be made there, or must not."""


class AdminSocket:
    """The socket at `path`, from `bind` until `remove`."""

    def __init__(self, path: Path, *, is_private: bool) -> None:
        """`is_private`: its folder must be closed to others; not so where a person chose the path."""
        self.path = path
        self._is_private = is_private
        self._identity: tuple[int, int, int] | None = None

    def bind(self) -> socket.socket:
        """A socket with mode 0600 that does not listen yet. Raises: SocketRefused."""
        if len(os.fsencode(self.path)) > MAX_PATH_BYTES:
            raise SocketRefused(f"The path {self.path} is longer than {MAX_PATH_BYTES} bytes.")
        if self._is_private and (fault := folder_fault(self.path.parent)) is not None:
            raise SocketRefused(f"{fault}.")
        try:
            self._clear()
            return self._bound()
        except OSError as error:
            raise SocketRefused(f"{self.path} cannot be made: {error.strerror or error}.") from error

    def remove(self) -> None:
        """Take the file away, if it still is the one that was made here. Safe to call twice."""
        identity, self._identity = self._identity, None
        with contextlib.suppress(OSError):
            if identity is not None and _identity(self.path.lstat()) == identity:
                self.path.unlink()

    def _clear(self) -> None:
        try:
            status = self.path.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(status.st_mode):
            raise SocketRefused(f"{self.path} is no socket; it is left as it is.")
        if status.st_uid != os.getuid():
            raise SocketRefused(f"{self.path} belongs to another user.")
        if _is_answered(self.path):
            raise SocketRefused(f"Another gateway is reached at {self.path}.")
        self.path.unlink()

    def _bound(self) -> socket.socket:
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            bound.setblocking(False)
            bound.bind(os.fspath(self.path))
            # Nobody can connect before it listens, so it was never open to others, whatever the umask.
            self.path.chmod(0o600)
            self._identity = _identity(self.path.lstat())
        except BaseException:
            bound.close()
            raise
        return bound


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except BlockingIOError:
            # Its queue is full: somebody is there, and busy.
            return True
    return True


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    # With the time: the number of a file that is gone is soon given to another.
    return status.st_dev, status.st_ino, status.st_ctime_ns
