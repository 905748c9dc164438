"""A tool as a model needs it to call it: the same name, the same arguments, fewer words. Pure.

Left out is what validates nothing and what hosts take for granted; texts are cut at the end of a sentence. The
result schema goes too: a client that wants it asks for the whole tool. Members that we do not know stay.
Spec: 2025-11-25 schema, `Tool`, `ToolAnnotations` (whose defaults are left out).
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from proxy_core.context import argument_docs
from proxy_core.context.prose import shortened
from proxy_core.context.schema_rules import compact_schema, with_descriptions

_DEFAULT_HINTS: Final = {"destructiveHint": True, "idempotentHint": False, "openWorldHint": True}
_OF_WRITERS: Final = frozenset({"destructiveHint", "idempotentHint"})
"""Hints that mean nothing of a tool that only reads."""


class Budgets(Struct, frozen=True):
    """The longest texts, in characters."""

    tool_chars: int = 240
    property_chars: int = 100


DEFAULT_BUDGETS: Final = Budgets()


def compact_tool(tool: Mapping[str, Any], budgets: Budgets = DEFAULT_BUDGETS) -> dict[str, Any]:
    """A smaller tool that takes exactly the same arguments. `tool` is not changed; parts of it are shared.

    A member of a form that the spec does not have stays as it is. Compacting twice is compacting once.
    """
    compact = {name: value for name, value in tool.items() if name != "outputSchema"}
    schema = compact.get("inputSchema")
    arguments: dict[str, str] = {}
    if isinstance(compact.get("description"), str):
        _shorten_description(compact, _property_names(schema), budgets.tool_chars, arguments)
    if isinstance(schema, dict):
        compact["inputSchema"] = compact_schema(with_descriptions(schema, arguments), budgets.property_chars)
    if isinstance(annotations := compact.get("annotations"), dict):
        compact["annotations"] = _told_hints(annotations, compact.get("title"))
        if not compact["annotations"]:
            del compact["annotations"]
    if _is_name(compact.get("title"), compact) and "title" not in compact.get("annotations", ()):
        del compact["title"]
    return compact


def _shorten_description(
    tool: dict[str, Any], properties: frozenset[str], limit: int, arguments: dict[str, str]
) -> None:
    """Cut the description; what it says of `properties` is put into `arguments`."""

    def without_sections(text: str) -> str:
        prose, said = argument_docs.split(text, properties)
        arguments.update(said)
        return prose

    text = shortened(tool["description"], limit, without_sections)
    if text and not _is_name(text, tool):
        tool["description"] = text
    else:
        del tool["description"]


def _property_names(schema: Any) -> frozenset[str]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return frozenset(properties) if isinstance(properties, dict) else frozenset()


def _is_name(text: Any, tool: Mapping[str, Any]) -> bool:
    """Whether `text` only repeats the tool's name, with or without the server's before it."""
    name = tool.get("name")
    return isinstance(text, str) and isinstance(name, str) and (text == name or name.endswith(f"__{text}"))


def _told_hints(annotations: dict[str, Any], title: Any) -> dict[str, Any]:
    """The annotations that say more than their absence; always `readOnlyHint`, by which hosts approve calls."""
    is_reader = annotations.get("readOnlyHint") is True
    return {
        name: value
        for name, value in annotations.items()
        # By identity: 1 is no boolean, though it equals one.
        if value is not _DEFAULT_HINTS.get(name, annotations)
        and not (is_reader and name in _OF_WRITERS)
        and not (name == "title" and isinstance(value, str) and value == title)
    }
