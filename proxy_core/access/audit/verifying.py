"""Whether an audit is whole: read line by line, in little memory, up to the first thing that is not right.

What each finding can and cannot mean is said in docs/audit.md.
"""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from proxy_core.access.audit.chain import GENESIS, MAX_LINE, Chain, split
from proxy_core.access.audit.lines import Gap, Head, Known, Opened, Torn
from proxy_core.access.audit.places import HEAD, numbers_of
from proxy_core.access.audit.remains import MAX_TORN, head_in, is_torn, read


class NotAnAudit(Exception):
    """There is nothing to verify, or not with what was given; says why."""


@dataclass(frozen=True, slots=True)
class Break:
    """The first thing that is not right."""

    file: str
    line: int
    """Within the file, from 1; 0: the file as a whole."""
    what: str
    """edited, missing, order, file, foreign, cut, head or gap"""
    why: str


@dataclass(slots=True)
class Report:
    files: int = 0
    lines: int = 0
    first_seq: int = 0
    last_seq: int = 0
    last_hash: str = ""
    is_keyed: bool = False
    """Every file is chained with a key."""
    broken: Break | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return self.broken is None


class _Broken(Exception):
    def __init__(self, what: str, why: str, where: Path | None = None) -> None:
        """`where`: the file, if it is not the one that is being read."""
        self.what, self.why, self.where = what, why, where


def verify_all(path: Path, keys: Iterable[str] = ()) -> Report:
    """The audit that a gateway writes at `path`: all its files, and the head. Raises: NotAnAudit, OSError."""
    # Before the files: they may grow meanwhile, and it must not know more than they.
    head = _raw_head(path)
    if not (head or path.exists() or _numbers(path)):
        raise NotAnAudit(f"There is no audit at {path}.")
    return Verifier(keys, is_all=True).run(_every_file(path), path, head)


def verify_files(paths: Sequence[Path], keys: Iterable[str] = ()) -> Report:
    """These files alone, by their numbers; what is missing before and after them is not judged.

    Raises: NotAnAudit, OSError.
    """
    ordered = sorted(paths, key=_number_of)
    return Verifier(keys, is_all=False).run(((path, _open(path)) for path in ordered), ordered[0])


def _every_file(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Those that were put aside, the oldest first, and the present one, which may be put aside meanwhile."""
    last, present = 0, None
    while True:
        for number in _numbers(path):
            aside = path.with_name(f"{path.name}.{number}")
            if number > last and (file := _opened(aside)) is not None:
                last = number
                yield aside, file
        present = _opened(path)
        if not any(number > last for number in _numbers(path)):
            break
        if present is not None:
            present.close()
    if present is not None:
        yield path, present


def _numbers(path: Path) -> list[int]:
    try:
        return numbers_of(path.name, os.listdir(path.parent))
    except FileNotFoundError:
        return []


def _opened(path: Path) -> BinaryIO | None:
    try:
        return _open(path)
    except FileNotFoundError:
        return None


def _open(path: Path) -> BinaryIO:
    """Raises: NotAnAudit, OSError."""
    # A pipe would wait for somebody who writes.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise NotAnAudit(f"{path} is no regular file, as an audit is.")
    return os.fdopen(fd, "rb")


def _raw_head(path: Path) -> bytes:
    """Looked at until it is the same twice, for it may be written at the moment."""
    before, now = b"", b"-"
    while before != now:
        before = now
        try:
            now = path.with_name(path.name + HEAD).read_bytes()
        except FileNotFoundError:
            return b""
    return now


def _number_of(path: Path) -> int:
    with _open(path) as file:
        line = read(file.readline(MAX_LINE).rstrip(b"\n"))
    return line.file if isinstance(line, Opened) else 0


class Verifier:
    """Goes through the files once."""

    def __init__(self, keys: Iterable[str] = (), *, is_all: bool) -> None:
        keyed = [Chain(key) for key in keys]
        self._chains: Mapping[tuple[str, str], Chain] = {
            (chain.name, chain.key_id): chain for chain in (Chain(), *keyed)
        }
        self._wants_key = bool(keyed)
        self._is_all = is_all
        self._report = Report(is_keyed=True)
        self._chain = Chain()
        self._seq = 0
        self._hash = GENESIS
        self._number = 0
        self._oldest = self._first = 0
        self._first_path: Path | None = None
        self._head: Head | None = None
        self._junk = bytearray()
        self._junk_at = 0
        """The line where it begins."""
        self._line = 0
        self._is_begun = False

    def run(self, files: Iterable[tuple[Path, BinaryIO]], base: Path, head: bytes = b"") -> Report:
        """Raises: NotAnAudit, for a key that is not among ours."""
        report, where = self._report, base
        try:
            self._head = self._read_head(head)
            for path, file in files:
                where = path
                with file:
                    self._read_file(file)
                if not report.files:
                    self._first, self._first_path = self._number, path
                report.files += 1
            self._judge_rest()
            self._judge_whole()
            if self._is_all:
                self._judge_head(head)
        except _Broken as broken:
            report.broken = Break(str(broken.where or where), self._line, broken.what, broken.why)
        if self._first > 1 and report.is_whole:
            report.notes.append(f"Begins with file {self._first}: those before it are not here.")
        report.last_seq, report.last_hash = self._seq, self._hash.decode()
        return report

    def _judge_rest(self) -> None:
        """What stands behind the last line of all may be the beginning of another one, and nothing else."""
        if not self._junk:
            return
        if not is_torn(bytes(self._junk)):
            self._line = self._junk_at
            raise _Broken("foreign", "what stands here is no line of an audit")
        self._report.notes.append(
            "The last line is half there: the gateway is writing it, or a crash left it so."
        )

    def _judge_whole(self) -> None:
        if self._wants_key and not self._chain.key_id:
            # Anybody can have made all of them.
            self._line, self._report.lines = 1, 0
            raise _Broken("edited", "it is chained without a key, and one was given")
        if self._is_all and self._first > self._oldest:
            self._line = 0
            why = f"file {self._oldest} and those up to this one, {self._first}, are gone"
            raise _Broken("file", why, self._first_path)

    # --- one file -------------------------------------------------------------------------------------------

    def _read_file(self, file: BinaryIO) -> None:
        self._line = 0
        self._take_first(file.readline(MAX_LINE + 1))
        while raw := file.readline(MAX_LINE + 1):
            self._line += 1
            self._take(raw)
            if len(raw) <= MAX_LINE and not raw.endswith(b"\n"):
                # The end, as it was a moment ago: the rest of this line may be there by now.
                return

    def _take_first(self, raw: bytes) -> None:
        self._line = 1
        line = read(raw.rstrip(b"\n"))
        if not isinstance(line, Opened):
            raise _Broken("foreign", "the file does not begin as an audit does")
        chain = self._chains.get((line.chain, line.key))
        if chain is None and not line.key:
            raise _Broken("edited", "its first line names a chain that there is not")
        if chain is None:
            raise NotAnAudit(f"File {line.file} is chained with the key {line.key}, which was not given.")
        self._judge_torn(line)
        if self._chain.key_id and not chain.key_id:
            # Anybody can make such a file.
            raise _Broken("edited", "it is chained without a key, and the file before with one")
        if self._is_begun and line.file != self._number + 1:
            raise _Broken("file", f"file {self._number + 1} is gone: this one is {line.file}")
        if not self._is_begun:
            self._seq, self._hash = line.seq - 1, line.before.encode()
            self._report.first_seq = line.seq
            if line.file == 1 and (line.seq != 1 or self._hash != GENESIS):
                raise _Broken("edited", "the first line of all is another one")
        elif line.before.encode() != self._hash:
            raise _Broken("missing", "it does not begin where the file before ends")
        self._is_begun = True
        self._chain, self._number, self._oldest = chain, line.file, line.oldest
        self._report.is_keyed &= bool(line.key)
        self._judge(raw.rstrip(b"\n"), line)

    def _take(self, raw: bytes) -> None:
        bare = raw.removesuffix(b"\n")
        line = read(bare) if len(bare) < MAX_LINE else None
        is_ended = raw.endswith(b"\n")
        if line is None or not (is_ended or line.seq == self._seq + 1):
            self._junk_at = self._junk_at or self._line
            self._junk += raw
            if len(self._junk) > MAX_TORN:
                self._line = self._junk_at
                raise _Broken("foreign", "what stands here is no line of an audit")
            return
        if self._junk:
            self._judge_junk(line)
        self._judge(bare, line)

    def _judge_junk(self, line: Known) -> None:
        """What is no line is what a crash left, if the next line says so."""
        junk = bytes(self._junk).removesuffix(b"\n")
        is_told = isinstance(line, Torn) and (line.bytes, line.sha256) == (len(junk), _sha256(junk))
        if not is_told:
            self._line = self._junk_at
            raise _Broken("foreign", "what stands here is no line of an audit")
        self._report.notes.append(f"A crash left half a line before line {line.seq}.")
        self._forget_junk()

    def _judge_torn(self, line: Opened) -> None:
        """The same at the end of a file, by the first line of the next."""
        junk = bytes(self._junk)
        if (len(junk), _sha256(junk) if junk else "") != (line.torn_bytes, line.torn_sha256) and self._is_begun:
            raise _Broken("foreign", f"at the end of file {self._number} stands what is no line of an audit")
        self._forget_junk()

    def _forget_junk(self) -> None:
        self._junk.clear()
        self._junk_at = 0

    def _judge(self, bare: bytes, line: Known) -> None:
        wanted = self._seq + 1
        if isinstance(line, Gap):
            raise _Broken("gap", f"the gateway itself found here: {line.why}")
        if line.seq > wanted:
            gone = f"line {wanted} is" if line.seq == wanted + 1 else f"lines {wanted} to {line.seq - 1} are"
            raise _Broken("missing", f"{gone} missing before line {line.seq}")
        if line.seq < wanted:
            raise _Broken("order", f"line {line.seq} stands where {wanted} belongs")
        parts = split(bare)
        if parts is None or self._chain.hash(self._hash, parts[0]) != parts[1]:
            raise _Broken(
                "edited", f"line {line.seq} does not fit its hash: it was changed, or others before it"
            )
        self._seq, self._hash = line.seq, parts[1]
        self._report.lines += 1
        if self._head is not None and self._head.seq == line.seq and self._head.before.encode() != parts[1]:
            raise _Broken("head", f"line {line.seq} is another one than was on the disk")

    # --- the end --------------------------------------------------------------------------------------------

    def _read_head(self, raw: bytes) -> Head | None:
        """None: it is none, or no key of ours fits it."""
        head, parts = head_in(raw), split(raw.rstrip())
        if head is None or parts is None:
            return None
        return head if any(each.hash(GENESIS, parts[0]) == parts[1] for each in self._chains.values()) else None

    def _judge_head(self, raw: bytes) -> None:
        self._line = 0
        if not raw:
            raise _Broken("head", "the file that names the last line is gone")
        head, parts = self._head, split(raw.rstrip())
        if head is None or parts is None or self._chain.hash(GENESIS, parts[0]) != parts[1]:
            raise _Broken("head", "the file that names the last line was changed")
        if head.seq > self._seq:
            raise _Broken(
                "cut", f"the end is cut off: line {head.seq} was on the disk, the last is {self._seq}"
            )
        if head.seq < self._report.first_seq:
            raise _Broken(
                "head", f"the file that names the last line is an older one: it names line {head.seq}"
            )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
