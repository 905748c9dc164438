"""Where the files of an audit are, and opening them so that nobody gives us another file in their place.

All in one folder: FILE, the files before it (FILE.1, FILE.2, ... by age) and FILE.head. The folder is opened
once, so that a link put in its way later leads nowhere. POSIX only, as the gateway is.
"""

import os
import re
import stat
from pathlib import Path
from typing import Final

HEAD: Final = ".head"
_FLAGS: Final = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Unusable(Exception):
    """This file is none that an audit can be written to; says why, for people."""


class Place:
    """One folder, and the name of the file in it."""

    def __init__(self, path: Path) -> None:
        """Makes the folder if need be. Raises: OSError, Unusable."""
        path = path.expanduser().absolute()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path
        self.name = path.name
        self._fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        mode = os.fstat(self._fd).st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            self.close()
            raise Unusable(f"everybody may write in {path.parent}")

    def close(self) -> None:
        os.close(self._fd)

    def open(self, name: str, flags: int) -> int:
        """A descriptor of a regular file of our own, 0600. Raises: OSError, Unusable."""
        try:
            fd = os.open(name, flags | _FLAGS, 0o600, dir_fd=self._fd)
        except OSError as error:
            if stat.S_ISLNK(self._mode(name)):
                raise Unusable(f"{name} is a symbolic link") from error
            raise
        try:
            self._check(fd, name)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _mode(self, name: str) -> int:
        try:
            return os.stat(name, dir_fd=self._fd, follow_symlinks=False).st_mode
        except OSError:
            return 0

    def _check(self, fd: int, name: str) -> None:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise Unusable(f"{name} is no regular file")
        if found.st_uid != os.geteuid():
            raise Unusable(f"{name} belongs to somebody else")
        if found.st_nlink != 1:
            raise Unusable(f"{name} has another name as well (a hard link)")
        if stat.S_IMODE(found.st_mode) & 0o077:
            os.fchmod(fd, 0o600)

    def rename(self, old: str, new: str) -> None:
        os.rename(old, new, src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def remove(self, name: str) -> None:
        os.unlink(name, dir_fd=self._fd)

    def sync(self) -> None:
        """So that names outlive a power cut as well."""
        os.fsync(self._fd)

    def numbers(self) -> list[int]:
        """Of the files before the present one, the oldest first."""
        return numbers_of(self.name, os.listdir(self._fd))


def numbers_of(name: str, found: list[str]) -> list[int]:
    numbered = re.compile(re.escape(name) + r"\.([1-9][0-9]{0,8})")
    return sorted(int(match[1]) for each in found if (match := numbered.fullmatch(each)))
