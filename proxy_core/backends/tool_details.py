"""One tool of the catalog in full: its definition as text that cannot be too long, and what it costs."""

from typing import Any, Final

import msgspec

from proxy_core.backends.pictures import destructive, is_read_only
from proxy_core.catalog.merge import Catalog, Entry
from proxy_core.errors import InvalidParams
from proxy_core.telemetry.context_bill import ContextBill, ToolCost
from proxy_core.telemetry.tool_detail import ToolDetail

MAX_SCHEMA_CHARS: Final = 256 << 10
MAX_TEXT_CHARS: Final = 64 << 10


def tool_detail(catalog: Catalog, name: str, bill: ContextBill) -> ToolDetail:
    """Of the tool that clients know as `name`. Raises: InvalidParams, if there is none."""
    entry = next((tool for tool in catalog.tools if tool.exposed == name), None)
    if entry is None:
        raise InvalidParams("There is no tool with this name now.")
    return _detail(entry, next((cost for cost in bill.tools if cost.name == name), None))


def _detail(entry: Entry, cost: ToolCost | None) -> ToolDetail:
    item = entry.item
    return ToolDetail(
        name=entry.exposed,
        origin=entry.origin,
        server=entry.server,
        title=_text(item.get("title"))[:MAX_TEXT_CHARS],
        description=_text(item.get("description"))[:MAX_TEXT_CHARS],
        input_schema=_json(item.get("inputSchema")),
        output_schema=_json(item.get("outputSchema")),
        annotations=_json(item.get("annotations")),
        read_only=is_read_only(entry),
        destructive=destructive(entry),
        cost=cost,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _json(value: Any) -> str:
    """Cut where it is too long, and then no JSON any more."""
    if value is None:
        return ""
    try:
        text = msgspec.json.encode(value).decode()
    except (RecursionError, UnicodeEncodeError, OverflowError, TypeError):
        return ""
    return text if len(text) <= MAX_SCHEMA_CHARS else text[: MAX_SCHEMA_CHARS - 1] + "…"
