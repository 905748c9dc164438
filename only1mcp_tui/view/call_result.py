"""What a tool answered: its texts, what cannot be drawn by name and size, and the whole of it as JSON."""

from collections.abc import Iterator
from typing import Any, Final

from only1mcp_tui.view.json_lines import json_lines
from only1mcp_tui.view.json_text import pretty
from only1mcp_tui.view.numbers import latency, size
from only1mcp_tui.view.text import Line, safe, safe_lines, wrap

MAX_BLOCKS: Final = 100
TEXT_LINES: Final = 1000
TEXT_LIMIT: Final = 4000
DATA_SHOWN: Final = 24
"""Characters of a blob in the JSON: the rest says nothing to anybody."""


def result_lines(result: dict[str, Any], took_ms: float, width: int) -> list[Line]:
    """A result, and whether it says that the tool has failed."""
    is_error = result.get("isError") is True
    head: Line = (
        (" ✖ The tool failed" if is_error else " ● It answered", "bad" if is_error else "good"),
        (f"  in {latency(took_ms)}", "muted"),
    )
    lines: list[Line] = [head, ()]
    lines += _contents(result.get("content"), width, "bad" if is_error else "text")
    structured = result.get("structuredContent")
    if structured is not None:
        lines += [(), ((" STRUCTURED", "head"),), *_json(structured, width)]
    return [*lines, (), ((" THE WHOLE ANSWER", "head"),), *_json(_shortened(result), width)]


def _json(value: Any, width: int) -> Iterator[Line]:
    text = pretty(value)
    if not text:
        yield ((" It cannot be shown: it is nested too deeply.", "warn"),)
    for line in json_lines(text, width - 2):
        yield (" ", "text"), *line


def fault_lines(words: str, took_ms: float, width: int) -> list[Line]:
    """The call did not come to a result."""
    lines: list[Line] = [((" ✖ No result", "bad"), (f"  after {latency(took_ms)}", "muted")), ()]
    return lines + [((f" {part}", "bad"),) for part in wrap(safe(words, 1000), max(20, width - 2))]


def _contents(content: object, width: int, role: str) -> Iterator[Line]:
    blocks = content if isinstance(content, list) else []
    if not blocks:
        yield ((" It holds no content.", "muted"),)
    for number, block in enumerate(blocks[:MAX_BLOCKS]):
        if number:
            yield ()
        yield from _block(block if isinstance(block, dict) else {}, width, role)
    if (more := len(blocks) - MAX_BLOCKS) > 0:
        yield ((f" and {more} more", "muted"),)


def _block(block: dict[str, Any], width: int, role: str) -> Iterator[Line]:
    match block.get("type"):
        case "text":
            yield from _text(block.get("text"), width, role)
        case "image" | "audio" as kind:
            yield ((f" {kind}", "accent"), (f"  {_blob(block, 'data')}, not drawn here", "muted"))
        case "resource":
            yield from _resource(block.get("resource"), width, role)
        case "resource_link":
            name, uri = safe(_str(block.get("name")), 100), safe(_str(block.get("uri")), 200)
            yield ((" link", "accent"), (f"  {name}", "text"), (f"  {uri}", "info"))
        case other:
            kind = safe(_str(other), 40) or "a block without a type"
            yield ((f" {kind}", "accent"), ("  see the JSON", "muted"))


def _resource(resource: object, width: int, role: str) -> Iterator[Line]:
    held = resource if isinstance(resource, dict) else {}
    yield ((" resource", "accent"), (f"  {safe(_str(held.get('uri')), 200)}", "info"))
    if isinstance(held.get("text"), str):
        yield from _text(held["text"], width, role)
    else:
        yield ((f"   {_blob(held, 'blob')}, not drawn here", "muted"),)


def _text(text: object, width: int, role: str) -> Iterator[Line]:
    lines = safe_lines(_str(text), TEXT_LIMIT, most=TEXT_LINES)
    for line in lines:
        for part in wrap(line, max(20, width - 2)) if len(line) > width - 2 else [line]:
            yield ((f" {part}", role),)
    if not lines:
        yield ((" an empty text", "muted"),)


def _blob(block: dict[str, Any], member: str) -> str:
    """Its type and the size of what base64 stands for."""
    data = _str(block.get(member))
    kind = safe(_str(block.get("mimeType")), 60) or "of no stated type"
    return f"{kind}, {size(len(data) * 3 // 4)}" if len(data) >= 1400 else f"{kind}, {len(data) * 3 // 4} bytes"


def _str(value: object) -> str:
    return value if isinstance(value, str) else ""


def _shortened(value: Any, depth: int = 0) -> Any:
    """The same without the length of its blobs."""
    if depth > 40:
        return "…"
    if isinstance(value, dict):
        return {
            key: f"{inner[:DATA_SHOWN]}… ({len(inner)} characters)"
            if key in ("data", "blob") and isinstance(inner, str) and len(inner) > 2 * DATA_SHOWN
            else _shortened(inner, depth + 1)
            for key, inner in value.items()
        }
    return [_shortened(inner, depth + 1) for inner in value] if isinstance(value, list) else value
