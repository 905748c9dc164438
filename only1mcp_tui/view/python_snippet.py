"""A recorded request as a program on the official Python SDK (mcp 2.x) that makes it again."""

import pprint
from collections.abc import Callable
from typing import Any, Final

from only1mcp_tui.view.curl import TOKEN, CannotCopy, request_of
from only1mcp_tui.view.recorded import DOTS
from only1mcp_tui.view.text import safe
from proxy_core.telemetry.exchanges import ExchangeDetail

_PROGRAM: Final = '''\
"""{what}"""

import asyncio
import os

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

URL = {url}
TOKEN = os.environ.get("{token}", "")
{note}

async def main() -> None:
    headers = {{"Authorization": f"Bearer {{TOKEN}}"}} if TOKEN else {{}}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(URL, http_client=http){mode}) as client,
    ):
        result = await client.{call}
    print(result.model_dump_json(by_alias=True, exclude_none=True, indent=2))


asyncio.run(main())
'''


def _named(method: str) -> Callable[[dict[str, Any]], str]:
    def call(params: dict[str, Any]) -> str:
        arguments = params.get("arguments")
        given = f", {_literal(arguments)}" if isinstance(arguments, dict) and arguments else ""
        return f"{method}({_literal(_text(params, 'name'))}{given})"

    return call


def _listed(method: str) -> Callable[[dict[str, Any]], str]:
    def call(params: dict[str, Any]) -> str:
        cursor = params.get("cursor")
        return f"{method}(cursor={_literal(cursor)})" if isinstance(cursor, str) else f"{method}()"

    return call


_CALLS: Final[dict[str, Callable[[dict[str, Any]], str]]] = {
    "tools/call": _named("call_tool"),
    "prompts/get": _named("get_prompt"),
    "resources/read": lambda params: f"read_resource({_literal(_text(params, 'uri'))})",
    "tools/list": _listed("list_tools"),
    "prompts/list": _listed("list_prompts"),
    "resources/list": _listed("list_resources"),
    "resources/templates/list": _listed("list_resource_templates"),
    "ping": lambda params: "send_ping()",
}


def python_text(detail: ExchangeDetail, url: str) -> str:
    """A whole program. Raises: CannotCopy."""
    row = detail.row
    if row.method not in _CALLS:
        raise CannotCopy(f"The Python SDK has no short way to ask {safe(row.method, 60)}; c copies it as curl.")
    _, params = request_of(detail)
    try:
        call = _CALLS[row.method](params)
    except RecursionError as error:
        raise CannotCopy("Its body is nested too deep.") from error
    hint = f"# Secrets were masked when it was recorded: put them back where it says {DOTS}.\n"
    note = hint if DOTS in call else ""
    what = f"Only1MCP request {row.id}: {safe(row.method, 80)}."
    mode = ', mode="legacy"' if row.era == "legacy" else ""
    return _PROGRAM.format(
        what=what.replace("\\", "/").replace('"', "'"),
        url=_literal(url),
        token=TOKEN,
        note=note,
        mode=mode,
        call=call,
    )


def _text(params: dict[str, Any], name: str) -> str:
    value = params.get(name)
    if not isinstance(value, str):
        raise CannotCopy(f"It names nothing: its {name} is no text.")
    return value


def _literal(value: Any) -> str:
    """As Python writes it, which escapes every character that does not print."""
    lines = pprint.pformat(value, width=90, sort_dicts=False).splitlines()
    return "\n        ".join(lines)
