"""What a server that failed had to say: of its last lines on stderr, the one that tells a person why. Pure."""

import re
from collections.abc import Sequence
from typing import Final

MAX_CHARS: Final = 200
_TELLING: Final = re.compile(
    r"error|exception|fatal|fail|denied|not found|cannot|missing|invalid|required", re.IGNORECASE
)


def last_words(lines: Sequence[str]) -> str:
    """The last line that sounds like a reason, else the last one; empty if nothing was said.

    Node.js ends a stack trace with its own version, npm with the path of a log file.
    """
    said = [line.strip() for line in lines if line.strip()]
    telling = [line for line in said if _TELLING.search(line)]
    return (telling or said or [""])[-1][:MAX_CHARS]


def with_last_words(reason: str, lines: Sequence[str]) -> str:
    words = last_words(lines)
    if not words:
        return reason
    return f"{reason.removesuffix('.')}. Its last words: {words}"
