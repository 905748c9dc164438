"""Figures in documents: parts between two marks, made anew by whoever measures. Pure, but for `renew`."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

END: Final = "<!-- end of figures -->"
BENCH: Final = "make bench"
_BEGIN: Final = re.compile(r"<!-- figures of `([a-z-]+)`: written by `([^`]+)` -->")


def begin(section: str, command: str = BENCH) -> str:
    """`command`: what writes them."""
    return f"<!-- figures of `{section}`: written by `{command}` -->"


def sections_in(document: str, command: str = BENCH) -> list[str]:
    """Whose figures it has that `command` writes, in order."""
    return [section for section, writer in _BEGIN.findall(document) if writer == command]


def updated(document: str, figures: Mapping[str, Iterable[str]]) -> str:
    """`document` with the parts of these sections made anew; those of others stay as they are.

    Raises: ValueError for a part that does not end before the next begins.
    """
    head, *rest = _BEGIN.split(document)
    pieces = [head]
    for section, command, part in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        _, end, after = part.partition(END)
        if not end:
            raise ValueError(f"The figures of {section} have no end.")
        lines = figures.get(section)
        inside = part[: -len(end + after)] if lines is None else "\n\n" + "\n".join(lines) + "\n\n"
        pieces += [begin(section, command), inside, end, after]
    return "".join(pieces)


def renew(folder: Path, figures: Mapping[str, Iterable[str]]) -> list[Path]:
    """Write the figures into every document of a folder that has a place for them; those that changed."""
    found = []
    for path in sorted(folder.glob("*.md")):
        before = path.read_text(encoding="utf-8")
        after = updated(before, figures)
        if after != before:
            path.write_text(after, encoding="utf-8")
            found.append(path)
    return found
