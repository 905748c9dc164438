"""An exchange as JSON, for the clipboard and for files of one exchange a line."""

from typing import Any

from msgspec import to_builtins

from only1mcp_tui.view.recorded import json_text, value_of
from proxy_core.telemetry.exchanges import ExchangeDetail


def exchange_json(detail: ExchangeDetail, indent: int | None = None) -> str:
    """All that was recorded; a body that is JSON stands as JSON, one that was cut as the text that is left."""
    whole = to_builtins(detail)
    for message in whole["messages"]:
        message["body"] = _body(message)
    try:
        return json_text(whole, indent)
    except ValueError:
        return json_text(to_builtins(detail), indent)


def _body(message: dict[str, Any]) -> Any:
    if message["is_cut"] or not message["body"]:
        return message["body"]
    try:
        return value_of(message["body"])
    except ValueError:
        return message["body"]
