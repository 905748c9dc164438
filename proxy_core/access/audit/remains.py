"""What is found of an audit where a gateway left it: how a file ends, what the head says, what is wrong."""

import os
from typing import Final, NamedTuple

import msgspec

from proxy_core.access.audit.chain import GENESIS, MAX_LINE, split
from proxy_core.access.audit.lines import Gap, Head, Known, decoded, decoded_head

MAX_TORN: Final = 4 * MAX_LINE
"""More than this no crash leaves behind."""


_BEGINNING: Final = b'{"kind":"'
"""Of every line."""


class Tail(NamedTuple):
    """How a file ends."""

    seq: int
    hash: bytes
    """Both of the last line; of none, 0 and that before the first of all."""
    junk: bytes
    """What stands behind it."""
    lacks_end: bool = False
    """It is whole but for its line end."""


def read(line: bytes) -> Known | None:
    """A line without its end; None: it is none. Whether its hash is right is not looked at."""
    parts = split(line)
    if parts is None:
        return None
    try:
        return decoded(parts[0] + b"}")
    except (msgspec.MsgspecError, UnicodeError):
        return None


def is_torn(junk: bytes) -> bool:
    """Whether it may be what a crash left of a line, or of more than one crash after the other."""
    pieces = junk.split(b"\n")
    return bool(pieces[-1]) and all(_BEGINNING.startswith(piece[: len(_BEGINNING)]) for piece in pieces)


def head_in(raw: bytes) -> Head | None:
    """What the file beside says; None: nothing that could be understood."""
    parts = split(raw.rstrip())
    try:
        return None if parts is None else decoded_head(parts[0] + b"}")
    except (msgspec.MsgspecError, UnicodeError):
        return None


def tail_of(fd: int) -> Tail:
    size = os.fstat(fd).st_size
    window = MAX_TORN + MAX_LINE
    *pieces, rest = os.pread(fd, window, max(0, size - window)).split(b"\n")
    for place in range(len(pieces) - 1, -1, -1):
        line, parts = read(pieces[place]), split(pieces[place])
        if line is not None and parts is not None:
            break
    else:
        return Tail(0, GENESIS, b"\n".join((*pieces, rest)))
    behind = pieces[place + 1 :]
    last, last_parts = read(rest), split(rest)
    if not behind and last is not None and last_parts is not None and last.seq == line.seq + 1:
        return Tail(last.seq, last_parts[1], b"", lacks_end=True)
    return Tail(line.seq, parts[1], b"\n".join((*behind, rest)))


def gap_of(head: Head | None, is_new: bool, tail: Tail | None) -> Gap | None:
    """What is wrong with what is there, if anything is."""
    if head is None:
        if tail is None and is_new:
            return None
        return Gap(
            why="the file that names the last line is gone"
            if is_new
            else "the file that names the last line was changed"
        )
    found = Gap(why="", head_seq=head.seq, head_hash=head.before)
    if tail is None:
        found.why = "the files are gone"
    elif tail.seq < head.seq:
        found.why = "lines at the end are gone"
    elif tail.seq == head.seq and tail.hash != head.before.encode():
        found.why = "the last line is another one"
    elif tail.junk and (len(tail.junk) > MAX_TORN or not is_torn(tail.junk)):
        found.why = "something else follows the last line than a crash leaves there"
    return found if found.why else None
