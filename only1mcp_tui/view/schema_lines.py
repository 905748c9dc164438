"""A JSON Schema a person can read: one argument a line, with type, default and what it is for. Pure.

Bounded in depth and number, whatever a server sends; what is left out stands in the raw JSON.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from only1mcp_tui.view.text import Line, Span, safe, safe_lines, wrap

MAX_DEPTH: Final = 6
MAX_LINES: Final = 400
NAMED_VALUES: Final = 12
HINT_LINES: Final = 4
HINT_LIMIT: Final = 400


def schema_lines(schema: object, width: int) -> list[Line]:
    """The properties of an object schema, nested ones indented below theirs."""
    lines: list[Line] = []
    for line in _properties(schema, width, 0):
        if len(lines) >= MAX_LINES:
            return [*lines, (("   … and more, see the JSON below", "muted"),)]
        lines.append(line)
    return lines or [(("   none", "muted"),)]


def _properties(schema: object, width: int, depth: int) -> Iterator[Line]:
    if not isinstance(schema, dict) or not isinstance(properties := schema.get("properties"), dict):
        return
    listed = schema.get("required")
    required = listed if isinstance(listed, list) else []
    for name, inner in properties.items():
        yield from _property(str(name), inner, name in required, width, depth)


def _property(name: str, schema: object, is_required: bool, width: int, depth: int) -> Iterator[Line]:
    indent = "   " + "  " * depth
    spans: list[Span] = [(f"{indent}{safe(name, 60)}", "accent"), (f"  {type_words(schema)}", "info")]
    spans.append(("  required", "warn") if is_required else ("", "text"))
    if not isinstance(schema, dict):
        yield tuple(spans)
        return
    if "default" in schema:
        spans.append((f"  = {_short(schema['default'])}", "muted"))
    yield tuple(spans)
    yield from _told(schema, indent + "  ", width)
    if depth < MAX_DEPTH:
        for nested in (schema, schema.get("items")):
            yield from _properties(nested, width, depth + 1)


def _told(schema: Mapping[str, Any], indent: str, width: int) -> Iterator[Line]:
    room = max(20, width - len(indent) - 1)
    if limits := _limits(schema):
        yield ((f"{indent}{limits}", "muted"),)
    if isinstance(values := schema.get("enum"), list) and values:
        named = ", ".join(_short(value) for value in values[:NAMED_VALUES])
        more = f" and {len(values) - NAMED_VALUES} more" if len(values) > NAMED_VALUES else ""
        for part in wrap(f"one of {named}{more}", room)[:HINT_LINES]:
            yield ((f"{indent}{part}", "text"),)
    description = schema.get("description")
    if isinstance(description, str):
        for line in safe_lines(description, HINT_LIMIT, most=HINT_LINES):
            for part in wrap(line, room)[:HINT_LINES]:
                yield ((f"{indent}{part}", "muted"),)


def type_words(schema: object) -> str:
    """`string`, `list of integer`, `string or null`; `anything` where the schema does not say."""
    return _type_words(schema, 0)


def _type_words(schema: object, depth: int) -> str:
    if not isinstance(schema, dict) or depth > 2:
        return "anything"
    if isinstance(reference := schema.get("$ref"), str):
        return f"see {safe(reference, 40)}"
    for key in ("anyOf", "oneOf"):
        if isinstance(options := schema.get(key), list) and options:
            words = dict.fromkeys(_type_words(option, depth + 1) for option in options[:4])
            return " or ".join(words) + (" or …" if len(options) > 4 else "")
    if "const" in schema:
        return f"always {_short(schema['const'])}"
    kind = schema.get("type")
    if kind == "array":
        return f"list of {_type_words(schema.get('items'), depth + 1)}" if "items" in schema else "list"
    if isinstance(kind, str):
        return safe(kind, 20)
    if isinstance(kind, list):
        return " or ".join(safe(str(each), 20) for each in kind[:4])
    return "one of a set" if "enum" in schema else "anything"


def _limits(schema: Mapping[str, Any]) -> str:
    words = {
        "minimum": "from {}",
        "maximum": "up to {}",
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
        "minItems": "at least {} items",
        "maxItems": "at most {} items",
        "format": "as {}",
        "pattern": "like {}",
    }
    return ", ".join(form.format(_short(schema[key])) for key, form in words.items() if key in schema)


def _short(value: object) -> str:
    if isinstance(value, str):
        return safe(value, 40)
    try:
        return safe(json.dumps(value)[:200], 40)
    except (ValueError, TypeError, RecursionError):
        return "…"
