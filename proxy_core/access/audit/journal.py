"""The files of an audit: lines are sealed, appended, made durable; full files are put aside, the oldest go.

Sole owner of the chain, for one thread. What could not be written is kept and written later: a line that is
sealed is never left out, for then the chain would break.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable
from typing import Final, NamedTuple

from proxy_core.access.audit.chain import GENESIS, MAX_LINE, Chain
from proxy_core.access.audit.lines import (
    Head,
    Line,
    Opened,
    Torn,
    encoded,
)
from proxy_core.access.audit.places import HEAD, Place, Unusable
from proxy_core.access.audit.remains import Tail, gap_of, head_in, read, tail_of

HEAD_BYTES: Final = 512
"""Within one sector, so that it is there as a whole or not at all."""
_FRESH: Final = ".new"


class Sizes(NamedTuple):
    max_bytes: int
    """Of one file, about: it is put aside at the first look at which it is longer."""
    keep: int
    """Files that were put aside."""


class Journal:
    def __init__(self, place: Place, chain: Chain, sizes: Sizes, version: str, time: Callable[[], str]) -> None:
        """Takes up what is there. `time`: now, as lines have it. Raises: OSError, Unusable, place closed."""
        self.sizes = sizes
        self._place = place
        self._chain = chain
        self._version = version
        self._time = time
        self._buffer = bytearray()
        self._fd = self._head_fd = -1
        self._size = 0
        self._number = 0
        self._seq = 0
        self._hash = GENESIS
        self._torn = b""
        """Half a line at the end of the file before."""
        self._is_synced = True
        self.unwritten = 0
        """Lines that are sealed and not written, or not all of them."""
        try:
            self._head_fd = place.open(place.name + HEAD, os.O_RDWR | os.O_CREAT)
            self._lock()
            self._take_up()
        except BaseException:
            self._close_files()
            raise

    def __repr__(self) -> str:
        return f"Journal({self._place.name}, file {self._number}, seq {self._seq}, {self.unwritten} to write)"

    @property
    def has_unsynced(self) -> bool:
        """Whether a power cut could still take something that was sealed."""
        return not self._is_synced or bool(self._buffer)

    # --- writing --------------------------------------------------------------------------------------------

    def seal(self, line: Line) -> None:
        """Make it the next one. It is written by `flush`, which must have been well the last time.

        Raises: ValueError, for one that is too long or cannot be written as JSON; nothing has changed then.
        """
        line.seq, line.time = self._seq + 1, line.time or self._time()
        self._seal(encoded(line)[:-1])

    def seal_call(self, members: bytes) -> None:
        """The same of a call, as `Writing.call` has made it."""
        self._seal(b'{"kind":"call","seq":%d,%b' % (self._seq + 1, members))

    def _seal(self, body: bytes) -> None:
        sealed, digest = self._chain.sealed(self._hash, body)
        if len(sealed) > MAX_LINE:
            raise ValueError(f"a line of {len(sealed)} bytes")
        self._seq += 1
        self._hash = digest
        self._buffer += sealed
        self.unwritten += 1

    def flush(self) -> None:
        """Write what is sealed. Raises: OSError, Unusable; the rest is kept, and goes first the next time."""
        if self._fd < 0:
            self._begin()
        while self._buffer:
            written = os.write(self._fd, self._buffer)
            del self._buffer[:written]
            self._size += written
            self._is_synced = False
        self.unwritten = 0
        if self._size >= self.sizes.max_bytes:
            self._put_aside()
            self._begin()

    def sync(self) -> None:
        """Make durable what was written. Raises: OSError."""
        if self._is_synced or self._fd < 0:
            return
        os.fsync(self._fd)
        if not self._buffer:
            # Else the head would name a line that is not whole yet.
            self._write_head()
        self._is_synced = True

    def close(self) -> None:
        """Write what can be written, and let go. Raises: OSError, Unusable, and has let go all the same."""
        try:
            self.flush()
            self.sync()
        finally:
            self._close_files()

    def _close_files(self) -> None:
        for fd in (self._fd, self._head_fd):
            if fd >= 0:
                os.close(fd)
        self._fd = self._head_fd = -1
        self._place.close()

    def _write_head(self) -> None:
        head = Head(file=self._number, seq=self._seq, before=self._hash.decode())
        line, _ = self._chain.sealed(GENESIS, encoded(head)[:-1])
        os.pwrite(self._head_fd, line.rstrip(b"\n").ljust(HEAD_BYTES - 1) + b"\n", 0)

    # --- from one file to the next --------------------------------------------------------------------------

    def _put_aside(self) -> None:
        os.fsync(self._fd)
        self._place.rename(self._place.name, f"{self._place.name}.{self._number}")
        os.close(self._fd)
        self._fd = -1

    def _begin(self) -> None:
        """Another file, which is there with its first line or not at all."""
        older = self._place.numbers()
        kept = older[-self.sizes.keep :] if self.sizes.keep else []
        number = max([self._number, *older]) + 1
        line = Opened(
            seq=self._seq + 1,
            time=self._time(),
            file=number,
            oldest=kept[0] if kept else number,
            chain=self._chain.name,
            key=self._chain.key_id,
            before=self._hash.decode(),
            version=self._version,
            torn_bytes=len(self._torn),
            torn_sha256=hashlib.sha256(self._torn).hexdigest() if self._torn else "",
        )
        sealed, digest = self._chain.sealed(self._hash, encoded(line)[:-1])
        self._fd = self._fresh(sealed)
        self._size, self._number, self._torn = len(sealed), number, b""
        self._seq, self._hash = line.seq, digest
        self._is_synced = True
        self._write_head()
        # Not before it is on the disk that they are gone by our own will.
        for each in older[: len(older) - len(kept)]:
            with contextlib.suppress(FileNotFoundError):
                self._place.remove(f"{self._place.name}.{each}")

    def _fresh(self, content: bytes) -> int:
        name = self._place.name + _FRESH
        with contextlib.suppress(FileNotFoundError):
            self._place.remove(name)
        fd = self._place.open(name, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL)
        try:
            while content:
                content = content[os.write(fd, content) :]
            os.fsync(fd)
            self._place.rename(name, self._place.name)
            self._place.sync()
        except BaseException:
            os.close(fd)
            with contextlib.suppress(OSError):
                self._place.remove(name)
            raise
        return fd

    # --- taking up what is there ----------------------------------------------------------------------------

    def _lock(self) -> None:
        try:
            fcntl.flock(self._head_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Unusable(f"another gateway writes {self._place.name}") from error

    def _take_up(self) -> None:
        head, is_new = self._head()
        older = self._place.numbers()
        opened, tail = self._reopen(), None
        if opened is not None:
            self._number, tail = opened.file, tail_of(self._fd)
        elif older:
            self._number, tail = older[-1], self._tail_of_older(older[-1])
        gap = gap_of(head, is_new, tail)
        if tail is not None:
            self._seq, self._hash = tail.seq, tail.hash
        if gap is not None and head is not None:
            self._number = max(self._number, head.file)
            self._seq = max(self._seq, head.seq)
            self._hash = head.before.encode() if tail is None else self._hash
        self._go_on(opened, tail or Tail(0, GENESIS, b""))
        if gap is not None:
            self.seal(gap)

    def _go_on(self, opened: Opened | None, tail: Tail) -> None:
        if opened is not None and (opened.chain, opened.key) == (self._chain.name, self._chain.key_id):
            self._close_torn(tail)
            return
        # Under another key another file begins, whose first line says what is at the end of the one before.
        self._torn = tail.junk
        if opened is not None:
            self._put_aside()
        elif self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._begin()

    def _head(self) -> tuple[Head | None, bool]:
        """And whether there never was one."""
        raw = os.pread(self._head_fd, HEAD_BYTES, 0)
        return head_in(raw), not raw

    def _reopen(self) -> Opened | None:
        """The first line of the file that is there; None: there is no file, or nothing in it."""
        try:
            self._fd = self._place.open(self._place.name, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            return None
        self._size = os.fstat(self._fd).st_size
        if not self._size:
            return None
        line = read(os.pread(self._fd, MAX_LINE, 0).partition(b"\n")[0])
        if not isinstance(line, Opened):
            raise Unusable(f"{self._place.name} holds something else than an audit")
        return line

    def _tail_of_older(self, number: int) -> Tail:
        fd = self._place.open(f"{self._place.name}.{number}", os.O_RDONLY)
        try:
            return tail_of(fd)
        finally:
            os.close(fd)

    def _close_torn(self, tail: Tail) -> None:
        if tail.junk or tail.lacks_end:
            self._buffer += b"\n"
        if tail.junk:
            self.seal(Torn(bytes=len(tail.junk), sha256=hashlib.sha256(tail.junk).hexdigest()))
