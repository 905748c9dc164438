"""Where a file really is: the folders in which a change may put another file in its place.

Follows links, of files and of folders: dotfile managers keep the file elsewhere, Kubernetes swaps the link to a
folder. Looks at the file system and watches nothing.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

_MOST_LINKS: Final = 40
"""As many as Linux follows."""


class Whereabouts(Struct, frozen=True):
    """Two of the same file are equal as long as watching the one's folders shows all that the other's would."""

    folders: tuple[tuple[str, int, int], ...]
    """Real path, device and inode of each folder to watch; a folder that was made anew is another one."""
    names: frozenset[str]
    """Paths in those folders whose change may be one of the file: itself, links to it, folders above it."""


def whereabouts(path: Path) -> Whereabouts:
    """Of a file that need not exist, nor its folder: then the nearest folder that does."""
    folders: dict[str, tuple[str, int, int]] = {}
    names: set[str] = set()
    for step in _steps(Path(os.path.abspath(path))):
        if (folder := _nearest_folder(step.parent)) is not None:
            folders[folder[0]] = folder
        names.update(_as_reported(part) for part in (step, *step.parents))
    return Whereabouts(tuple(folders.values()), frozenset(names))


def _steps(path: Path) -> Iterator[Path]:
    """The path, where it leads if it is a link, and so on; where all links end, those of folders too."""
    for _ in range(_MOST_LINKS):
        yield path
        try:
            path = path.parent / os.readlink(path)
        except OSError:
            break
    yield Path(os.path.realpath(path))


def _nearest_folder(folder: Path) -> tuple[str, int, int] | None:
    for one in (folder, *folder.parents):
        real = os.path.realpath(one)
        try:
            found = os.stat(real)
        except OSError:
            continue
        if os.path.isdir(real):
            return real, found.st_dev, found.st_ino
    return None


def _as_reported(path: Path) -> str:
    """How a watcher of the real folder names it: the folder's links followed, its own not."""
    return os.path.join(os.path.realpath(path.parent), path.name)
