"""JSON values as text for a person's eyes and back: indented, and nothing in it that a terminal obeys."""

import json
from typing import Any

from only1mcp_tui.view.text import safe


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
