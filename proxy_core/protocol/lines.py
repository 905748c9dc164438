"""Cut a byte stream into lines, one JSON-RPC message each.

Knows bytes only: not where they come from, nor what a line says.
Spec: basic/transports, "stdio".
"""

from typing import Final

from proxy_core.errors import Only1Error

LF: Final = ord("\n")
CR: Final = ord("\r")
"""As numbers, since to look for a byte as bytes takes ten times as long."""


class FrameTooLarge(Only1Error):
    """The peer sent more bytes than one frame may have; its stream cannot be read any further."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"A message is larger than {max_bytes} bytes.")
        self.max_bytes = max_bytes


class LineFramer:
    """Bytes in, whole lines out, whatever the chunks. Of no use after it has raised."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._unfinished = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their ends; blank ones are dropped.

        Raises: FrameTooLarge for a line above the limit, finished or not.
        """
        head, *rest = data.split(b"\n")
        self._grow(head)
        if not rest:
            return []
        lines = [bytes(self._unfinished), *rest[:-1]]
        self._unfinished.clear()
        self._grow(rest[-1])
        if max(map(len, lines)) > self._max_bytes:
            raise FrameTooLarge(self._max_bytes)
        return [line.removesuffix(b"\r") for line in lines if line and not line.isspace()]

    def _grow(self, data: bytes) -> None:
        # Searching `data` alone, never what is kept, keeps the work linear for a peer that drips bytes.
        if len(self._unfinished) + len(data) > self._max_bytes:
            raise FrameTooLarge(self._max_bytes)
        self._unfinished += data

    @property
    def pending(self) -> int:
        """Bytes of the line that has not ended yet."""
        return len(self._unfinished)
