"""The program that counts tokens: texts in on stdin, the count of each out on stdout, and gone.

It alone loads the vocabulary, so that the gateway never holds it. A text comes as its length in bytes, four
bytes big-endian, then itself in UTF-8; its answer is one decimal line. It ends with its stdin, or when nothing
comes for a while. It imports nothing of ours and is started by its path.
"""

import os
import select
import sys

ENCODING = "o200k_base"
"""That of GPT-4o, the o-series and GPT-5; for models of other encodings a count is an approximation."""
MAX_TEXT_BYTES = 4 << 20
LENGTH_BYTES = 4
IDLE_S = 10.0
NICENESS = 10
_READ_BYTES = 1 << 16


class Input:
    """What comes on a pipe, a given number of bytes at a time."""

    def __init__(self, descriptor: int, idle_s: float = IDLE_S) -> None:
        self._descriptor = descriptor
        self._idle_s = idle_s
        self._ahead = bytearray()

    def take(self, size: int) -> bytes:
        """Raises: EOFError if there is no more, or nothing came for a while."""
        while len(self._ahead) < size:
            if not select.select([self._descriptor], [], [], self._idle_s)[0]:
                raise EOFError
            read = os.read(self._descriptor, _READ_BYTES)
            if not read:
                raise EOFError
            self._ahead += read
        taken = bytes(self._ahead[:size])
        del self._ahead[:size]
        return taken

    def text(self) -> str:
        """Raises: EOFError; ValueError for a text that is longer than we take."""
        size = int.from_bytes(self.take(LENGTH_BYTES), "big")
        if size > MAX_TEXT_BYTES:
            raise ValueError(f"a text of {size} bytes is longer than {MAX_TEXT_BYTES}")
        # A text that was cut in the middle of a character costs no more than that character.
        return self.take(size).decode("utf-8", "replace")


def main() -> None:
    os.nice(NICENESS)
    from toktok import batch_count

    given = Input(sys.stdin.fileno())
    try:
        while True:
            # One thread: the machine is not ours. A special token's name in a list is ordinary text.
            (tokens,) = batch_count([given.text()], ENCODING, threads=1)
            os.write(sys.stdout.fileno(), b"%d\n" % tokens)
    except (EOFError, BrokenPipeError):
        return


if __name__ == "__main__":
    main()
