"""JSON for a person's eyes: indented, bounded in length and depth, harmless to the terminal."""

import json
from collections.abc import Iterator
from typing import Any, Final

from only1mcp_tui.view.text import Line, safe, wrap

MAX_CHARS: Final = 256 << 10
MAX_LINES: Final = 2000
TEXT_LIMIT: Final = 2000
"""Of one string in it."""


def pretty(value: Any) -> str:
    """Indented JSON that no terminal takes for commands; empty if it cannot be written."""
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False)
        is_harmless = all(safe(line, len(line) + 1) == line for line in text.split("\n"))
        return text if is_harmless else json.dumps(value, indent=2)
    except (ValueError, TypeError, RecursionError):
        return ""


def parsed(text: str) -> Any:
    """The value of a JSON text; None if it is none, or too deep to be read."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def json_lines(value: Any, width: int, role: str = "text") -> Iterator[Line]:
    text = pretty(value)
    if not text:
        yield ((" It cannot be shown: it is nested too deeply.", "warn"),)
        return
    shown = text[:MAX_CHARS].split("\n")[:MAX_LINES]
    for line in shown:
        yield from _wrapped(line, max(20, width), role)
    if len(shown) < text.count("\n") + 1 or len(text) > MAX_CHARS:
        yield ((f" … cut here, of {len(text)} characters", "muted"),)


def _wrapped(line: str, width: int, role: str) -> Iterator[Line]:
    body = line.lstrip(" ")
    indent = min(len(line) - len(body), width // 2)
    for part in wrap(safe(body, TEXT_LIMIT), width - indent - 2) or [""]:
        yield ((" " * (indent + 1) + part, role),)
