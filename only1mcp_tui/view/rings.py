"""Numbers by the second in one block of bytes: a record a turn, the oldest overwritten by the newest. Pure."""

import math
import struct
from collections.abc import Sequence
from typing import Final

MISSING: Final = math.nan
"""It was not seen. Never the same as zero."""
LARGEST: Final = {"e": 65_504.0, "d": math.inf}
"""By the code of `struct`: half precision, three digits in two bytes, is enough for a plot."""


class Ring:
    """Records of `fields` numbers, one for each whole turn. Takes room only for the turns that there were."""

    __slots__ = ("_buffer", "_code", "_fields", "_first", "_last", "_missing", "_size", "_slots")

    def __init__(self, fields: int, slots: int, code: str) -> None:
        self._fields = fields
        self._slots = slots
        self._code = code
        self._missing = struct.pack(f"<{fields}{code}", *(MISSING,) * fields)
        self._size = len(self._missing)
        self._buffer = bytearray()
        self._first = 0
        self._last: int | None = None

    def __sizeof__(self) -> int:
        return len(self._buffer) + 2 * self._size + 200

    @property
    def is_empty(self) -> bool:
        return self._last is None

    def put(self, turn: int, values: Sequence[float]) -> None:
        """Keep `values`; turns since the last one are missing. A turn that is over is not written again."""
        if self._last is None:
            self._first, self._last = turn, turn - 1
        if turn <= self._last:
            return
        for skipped in range(max(self._last + 1, turn - self._slots + 1), turn):
            self._write(skipped, self._missing)
        top = LARGEST[self._code]
        record = [value if value <= top or value != value else top for value in values]
        self._write(turn, struct.pack(f"<{self._fields}{self._code}", *record))
        self._last = turn

    def _write(self, turn: int, record: bytes) -> None:
        at = (turn - self._first) % self._slots * self._size
        if at > len(self._buffer):
            # More turns were skipped than there is room for: what would lie before has never been written.
            self._buffer += self._missing * ((at - len(self._buffer)) // self._size)
        self._buffer[at : at + self._size] = record

    def read(self, until: int, count: int) -> Sequence[float]:
        """The records of the `count` turns up to `until`, one after the other; missing where there is none."""
        if self._last is None:
            return (MISSING,) * (count * self._fields)
        oldest = max(self._first, self._last - self._slots + 1)
        begin, end = max(until - count + 1, oldest), min(until, self._last)
        if begin > end:
            return (MISSING,) * (count * self._fields)
        raw = self._bytes(begin, end)
        before, after = begin - (until - count + 1), until - end
        raw = self._missing * before + raw + self._missing * after
        return struct.unpack(f"<{count * self._fields}{self._code}", raw)

    def _bytes(self, begin: int, end: int) -> bytes:
        start = (begin - self._first) % self._slots * self._size
        stop = ((end - self._first) % self._slots + 1) * self._size
        if start < stop:
            return bytes(self._buffer[start:stop])
        return bytes(self._buffer[start:] + self._buffer[:stop])
