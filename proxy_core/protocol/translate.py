"""List items as a client's revision can read them: one bad item never costs the others.

SDK clients validate whole lists, so what would fail there is mended or left out here, item by item.
Everything else in an item stays as it came: unknown members, their order, whole schemas.
Spec: the schema of each revision; server/tools, server/resources, server/prompts.
"""

import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from proxy_core.errors import Only1Error
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.revisions import Era, era_of
from proxy_core.protocol.subschemas import TooDeep, rewritten
from proxy_core.protocol.text import clean_text

Item: TypeAlias = dict[str, Any]

MAX_NAME_BYTES: Final = 1024
MAX_DESCRIPTION_BYTES: Final = 8 * 1024
MAX_SCHEMA_DEPTH: Final = 64
_SCHEMA_TEXTS: Final = (
    ("title", MAX_NAME_BYTES),
    ("description", MAX_DESCRIPTION_BYTES),
    ("$comment", MAX_DESCRIPTION_BYTES),
)
_ODD: Final = re.compile(rb"[^\x20-\x7e]|\\[bfru]")
"""In JSON without idle white space: what only a text that may have to be cleaned is written with."""
_HINTS: Final = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
_THEMES: Final = ("light", "dark")
_ROLES: Final = ("user", "assistant")


class UnusableItem(Only1Error):
    """An item that no client could use; the message says why, for the operator."""


def normalise_tool(item: object, revision: str) -> Item:
    """The tool as a client of `revision` may see it. Raises: UnusableItem.

    `name` is the one that clients see: expose it before, and keep the backend's own for routing.
    """
    tool = _named(item, "tool")
    schema = tool.get("inputSchema")
    if not isinstance(schema, dict):
        raise UnusableItem(f"The tool {tool['name']!r} has no inputSchema object.")
    if schema.get("type", "object") != "object":
        raise UnusableItem(f"The inputSchema of the tool {tool['name']!r} is not of type object.")
    if "type" not in schema:
        tool["inputSchema"] = {**schema, "type": "object"}
    _mend_output_schema(tool, revision)
    for key in ("inputSchema", "outputSchema"):
        if key in tool:
            tool[key] = _clean_schema(tool[key])
    # Of the 2025-11-25 task experiment; we run such tools to their end ourselves.
    tool.pop("execution", None)
    _mend(tool, "annotations", _tool_annotations)
    return tool


def normalise_resource(item: object, revision: str) -> Item:
    """The same for one resource. Raises: UnusableItem."""
    return _located(item, "resource", "uri")


def normalise_template(item: object, revision: str) -> Item:
    """The same for one resource template. Raises: UnusableItem."""
    return _located(item, "resource template", "uriTemplate")


def normalise_prompt(item: object, revision: str) -> Item:
    """The same for one prompt. Raises: UnusableItem."""
    prompt = _named(item, "prompt")
    _mend(prompt, "arguments", _prompt_arguments)
    return prompt


NORMALISERS: Final[dict[str, Callable[[object, str], Item]]] = {
    "tools/list": normalise_tool,
    "resources/list": normalise_resource,
    "resources/templates/list": normalise_template,
    "prompts/list": normalise_prompt,
}
"""List method -> how one of its items is made readable."""


def _named(item: object, kind: str) -> Item:
    """A copy of `item` with what every kind of item shares made valid."""
    if not isinstance(item, dict):
        raise UnusableItem(f"A {kind} is not an object.")
    known = {key: value for key, value in item.items() if value is not None}
    name = known.get("name")
    if isinstance(name, str):
        known["name"] = name = clean_text(name, MAX_NAME_BYTES)
    if not isinstance(name, str) or not name:
        raise UnusableItem(f"A {kind} has no name.")
    _mend_text(known)
    _mend(known, "icons", _icons)
    _mend(known, "_meta", _object)
    return known


def _located(item: object, kind: str, key: str) -> Item:
    resource = _named(item, kind)
    if not isinstance(resource.get(key), str) or not resource[key]:
        raise UnusableItem(f"The {kind} {resource['name']!r} has no {key}.")
    _mend(resource, "mimeType", _string)
    _mend(resource, "size", _size)
    _mend(resource, "annotations", _content_annotations)
    return resource


def _mend_output_schema(tool: Item, revision: str) -> None:
    schema = tool.get("outputSchema")
    if schema is None:
        return
    is_fine = isinstance(schema, dict) and (era_of(revision) is Era.MODERN or schema.get("type") == "object")
    if not is_fine:
        del tool["outputSchema"]


def _clean_schema(schema: Item) -> Item:
    """With the texts that explain it made safe, as a description is; what validates stays as it came."""
    raw = jsonrpc.encode(schema)
    if len(raw) <= MAX_DESCRIPTION_BYTES and _ODD.search(raw) is None:
        return schema
    try:
        clean: Item = rewritten(schema, _with_clean_texts, MAX_SCHEMA_DEPTH)
    except TooDeep as error:
        raise UnusableItem(f"A schema is nested more than {MAX_SCHEMA_DEPTH} times.") from error
    return clean


def _with_clean_texts(schema: Item) -> Item:
    for key, limit in _SCHEMA_TEXTS:
        if isinstance(text := schema.get(key), str):
            schema[key] = clean_text(text, limit)
    return schema


def _mend_text(item: Item) -> None:
    for key, limit in (("title", MAX_NAME_BYTES), ("description", MAX_DESCRIPTION_BYTES)):
        if key not in item:
            continue
        if isinstance(item[key], str):
            item[key] = clean_text(item[key], limit)
        else:
            del item[key]


def _mend(item: Item, key: str, mended: Callable[[Any], Any]) -> None:
    """Replace the member by its mended form; None of that removes it."""
    if key not in item:
        return
    value = mended(item[key])
    if value is None:
        del item[key]
    else:
        item[key] = value


def _object(value: object) -> Item | None:
    return value if isinstance(value, dict) else None


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _size(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _icons(value: object) -> list[Item] | None:
    icons = [icon for icon in value if _is_icon(icon)] if isinstance(value, list) else []
    return icons or None


def _is_icon(icon: object) -> bool:
    if not isinstance(icon, dict) or not isinstance(icon.get("src"), str):
        return False
    sizes, theme = icon.get("sizes", []), icon.get("theme", "light")
    has_sizes = isinstance(sizes, list) and all(isinstance(size, str) for size in sizes)
    return has_sizes and theme in _THEMES and isinstance(icon.get("mimeType", ""), str)


def _tool_annotations(value: object) -> Item | None:
    if not isinstance(value, dict):
        return None
    annotations = {key: hint for key, hint in value.items() if key not in _HINTS or isinstance(hint, bool)}
    _mend_text(annotations)
    return annotations


def _content_annotations(value: object) -> Item | None:
    if not isinstance(value, dict):
        return None
    checks: dict[str, Callable[[Any], bool]] = {
        "audience": lambda roles: isinstance(roles, list) and all(role in _ROLES for role in roles),
        "priority": lambda weight: type(weight) in (int, float) and 0 <= weight <= 1,
        "lastModified": lambda when: isinstance(when, str),
    }
    return {key: note for key, note in value.items() if key not in checks or checks[key](note)}


def _prompt_arguments(value: object) -> list[Item] | None:
    if not isinstance(value, list):
        return None
    return [_prompt_argument(argument) for argument in value if _has_name(argument)]


def _has_name(argument: object) -> bool:
    return isinstance(argument, dict) and isinstance(argument.get("name"), str)


def _prompt_argument(argument: Item) -> Item:
    known = {key: value for key, value in argument.items() if value is not None}
    if not isinstance(known.get("required", False), bool):
        del known["required"]
    _mend_text(known)
    return known
