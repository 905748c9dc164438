"""Log lines: to stderr (pretty or JSON), to a file, and to the ring that the screens read.

Everything goes through the standard library's logging under `proxy_core`. A record's `source` extra is the
server it is about. What servers and clients wrote is escaped here before it can reach a terminal or a file.
"""

import json
import logging
import sys
import time
from pathlib import Path
from typing import Final, Literal

from proxy_core.feed import Feed
from proxy_core.telemetry.snapshot import LogLine

ROOT: Final = "proxy_core"
SERVER_LOG: Final = "proxy_core.server"
"""Where what servers say is logged."""
RING_LINES: Final = 50_000
RING_BYTES: Final = 16 * 1024 * 1024
"""Of the lines' texts, as they lie in memory; the oldest lines make room."""
MAX_TEXT: Final = 4096
FILE_BYTES: Final = 10 * 1024 * 1024
FILES_KEPT: Final = 3
_COLOURS: Final = {"debug": "2", "info": "36", "warning": "33", "error": "31"}
log = logging.getLogger(__name__)
_CONTROLS: Final = {
    **{code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 0x09},
    **{code: f"\\u{code:04x}" for code in (0x061C, 0x180E, 0xFEFF)},
    **{code: f"\\u{code:04x}" for code in (*range(0x200B, 0x2010), *range(0x2028, 0x202F))},
    **{code: f"\\u{code:04x}" for code in range(0x2060, 0x2070)},
    **{code: f"\\U{code:08x}" for code in range(0xE0000, 0xE0080)},
}
"""Control, bidi, zero-width and tag characters, which could rewrite or hide what a reader sees."""


def setup_logging(
    level: str,
    format: Literal["pretty", "json"] | None = None,
    file: str | None = None,
    *,
    to_stderr: bool = True,
) -> None:
    """Send our log to stderr and to `file`, replacing what an earlier call set up.

    Raises: OSError if the file cannot be opened; what was set up before then stays.
    """
    handlers: list[logging.Handler] = []
    if to_stderr:
        handlers.append(_stderr_handler(format))
    if file is not None:
        handlers.append(_file_handler(Path(file).expanduser()))
    root = logging.getLogger(ROOT)
    for handler in list(root.handlers):
        if getattr(handler, "is_ours", False):
            root.removeHandler(handler)
            handler.close()
    for handler in handlers or [logging.NullHandler()]:
        handler.is_ours = True  # type: ignore[attr-defined]
        root.addHandler(handler)
    root.setLevel(level.upper())
    root.propagate = False


def _stderr_handler(format: Literal["pretty", "json"] | None) -> logging.Handler:
    is_tty = sys.stderr.isatty()
    handler = logging.StreamHandler(sys.stderr)
    is_pretty = format == "pretty" or (format is None and is_tty)
    handler.setFormatter(PrettyFormatter(is_tty) if is_pretty else JsonFormatter())
    return handler


def _file_handler(path: Path) -> logging.Handler:
    # Here, as most gateways have none: its base class is 0.2 MB.
    from proxy_core.telemetry.log_file import LogFile

    path.parent.mkdir(parents=True, exist_ok=True)
    handler = LogFile(path, maxBytes=FILE_BYTES, backupCount=FILES_KEPT)
    handler.setFormatter(JsonFormatter())
    return handler


def escaped(text: str) -> str:
    """One line without anything that a terminal would act on."""
    return text[:MAX_TEXT].translate(_CONTROLS)


def level_name(record: logging.LogRecord) -> str:
    return "error" if record.levelno >= logging.ERROR else record.levelname.lower()


def source_of(record: logging.LogRecord) -> str:
    source = getattr(record, "source", None)
    return str(source) if source else record.name.removeprefix(ROOT).lstrip(".").partition(".")[0] or "gateway"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, source, message, error."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{record.msecs:03.0f}Z",
            "level": level_name(record),
            "source": source_of(record),
            "message": record.getMessage()[:MAX_TEXT],
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


class PrettyFormatter(logging.Formatter):
    """For people: time, level, source, message; colours on a terminal."""

    def __init__(self, has_colour: bool) -> None:
        super().__init__()
        self._has_colour = has_colour

    def format(self, record: logging.LogRecord) -> str:
        level = level_name(record)
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        shown = f"{level:<7}"
        if self._has_colour:
            shown = f"\x1b[{_COLOURS.get(level, '0')}m{shown}\x1b[0m"
        line = f"{clock} {shown} {escaped(source_of(record)):<14} {escaped(record.getMessage())}"
        if not record.exc_info:
            return line
        # What an exception says may be a server's words too.
        trace = self.formatException(record.exc_info).split("\n")
        return "\n".join((line, *map(escaped, trace)))


class RingHandler(logging.Handler):
    """Keeps the newest lines for the screens."""

    def __init__(self, ring: Feed[LogLine]) -> None:
        super().__init__()
        self._ring = ring

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()[:MAX_TEXT]
        if record.exc_info and record.exc_info[1] is not None:
            text = f"{text}: {record.exc_info[1]!r}"[:MAX_TEXT]
        self._ring.publish(LogLine(record.created, level_name(record), source_of(record), text))


class LogRing(Feed[LogLine]):
    """The newest lines, bounded in number and in what their texts weigh."""

    def __init__(self, lines: int = RING_LINES, most_bytes: int = RING_BYTES) -> None:
        super().__init__(lines)
        self._lines = lines
        self._most_bytes = most_bytes
        self._bytes = 0

    def publish(self, item: LogLine) -> None:
        self._bytes += weight(item)
        while self._ring and (len(self._ring) >= self._lines or self._bytes > self._most_bytes):
            self._bytes -= weight(self._ring.popleft())
        super().publish(item)


def weight(line: LogLine) -> int:
    """Bytes of what a line says; the rest of it is small and the same for all."""
    said = sys.getsizeof(line.text)
    return said if not line.fields else said + sum(sys.getsizeof(value) for _, value in line.fields)


def new_ring() -> LogRing:
    return LogRing()
