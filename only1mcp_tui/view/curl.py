"""A recorded request as curl commands against the gateway, in the era of the client that made it.

Spec: 2026-07-28 basic/transports/streamable-http, "Request Metadata" and "Value Encoding";
2025-11-25 basic/lifecycle, "Initialization".
"""

import base64
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any, Final

from only1mcp_tui.view.recorded import DOTS, asked, json_text, params_of
from only1mcp_tui.view.text import safe
from proxy_core.telemetry.exchanges import ExchangeDetail, Message

TOKEN: Final = "ONLY1MCP_TOKEN"
LATEST_LEGACY: Final = "2025-11-25"
MODERN: Final = "2026-07-28"

_META: Final = "io.modelcontextprotocol/"
_NAMED_BY: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_PLAIN: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?\Z")
_JSON: Final = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
_INFO: Final = {"name": "curl", "version": "1"}
_SESSION: Final = "tr -d '\\r' | sed -n 's/^[Mm][Cc][Pp]-[Ss]ession-[Ii][Dd]: *//p'"


class CannotCopy(Exception):
    """The request cannot be written down; says why, in a sentence."""


def request_of(detail: ExchangeDetail) -> tuple[Message, dict[str, Any]]:
    """The client's request and its params. Raises: CannotCopy."""
    message = asked(detail)
    if message is None or not message.body:
        raise CannotCopy("Its body was not kept; inspect.bodies says which are.")
    if message.is_cut:
        raise CannotCopy("Its body was cut when it was recorded, so the request cannot be written down.")
    try:
        return message, params_of(message)
    except ValueError as error:
        raise CannotCopy("Its body is no JSON that can be read.") from error


def curl_text(detail: ExchangeDetail, url: str) -> str:
    """Commands for a shell. Raises: CannotCopy."""
    message, params = request_of(detail)
    row = detail.row
    try:
        commands = [*(_modern if row.era == "modern" else _legacy)(detail, message, params, url)]
    except ValueError as error:
        raise CannotCopy("Its body is nested too deep.") from error
    notes = [f"# Only1MCP request {row.id}: {_one_line(row.method)} {_one_line(row.target)}"]
    if any(DOTS in command for command in commands):
        notes.append(f"# Secrets in it were masked when it was recorded: put them back where it says {DOTS}.")
    notes.append(f"# {TOKEN} holds your token, if the gateway wants one.")
    return "\n".join([*notes, *commands]) + "\n"


def _one_line(text: str) -> str:
    return safe(text, 120)


def _modern(detail: ExchangeDetail, message: Message, params: dict[str, Any], url: str) -> Iterable[str]:
    row = detail.row
    revision = row.revision or MODERN
    given = params.get("_meta")
    least = {_META + "protocolVersion": revision, _META + "clientCapabilities": {}, _META + "clientInfo": _INFO}
    meta = {**least, **given} if isinstance(given, dict) else least
    headers = {**_JSON, "MCP-Protocol-Version": revision, "Mcp-Method": row.method}
    name = params.get(_NAMED_BY.get(row.method, ""))
    if isinstance(name, str):
        headers["Mcp-Name"] = name
    body = {"jsonrpc": "2.0", "id": 1, "method": row.method, "params": {**params, "_meta": meta}}
    extra = {key: value for key, value in message.headers if key.lower().startswith("mcp-param-")}
    yield _command(url, headers | extra, body)


def _legacy(detail: ExchangeDetail, message: Message, params: dict[str, Any], url: str) -> Iterable[str]:
    """The handshake, its confirmation, and the request in the session that they made."""
    row = detail.row
    revision = row.revision or LATEST_LEGACY
    hello = {"protocolVersion": revision, "capabilities": {}, "clientInfo": _INFO}
    opened = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}
    if row.method == "initialize":
        yield _command(url, _JSON, {**opened, "params": {**hello, **params}})
        return
    yield f"SESSION=$({_command(url, _JSON, opened, '-D - -o /dev/null')} |\n  {_SESSION})"
    session = {**_JSON, "Mcp-Session-Id": "$SESSION"}
    if revision >= "2025-06-18":
        session["MCP-Protocol-Version"] = revision
    yield _command(url, session, {"jsonrpc": "2.0", "method": "notifications/initialized"})
    yield _command(url, session, {"jsonrpc": "2.0", "id": 1, "method": row.method, "params": params})


def _command(url: str, headers: Mapping[str, str], body: Mapping[str, Any], options: str = "") -> str:
    lines = [f"curl -sS {options}{' ' if options else ''}{shlex.quote(url)}"]
    lines.append(f'-H "Authorization: Bearer ${TOKEN}"')
    lines += [_header(name, value) for name, value in headers.items()]
    lines.append(f"--data-binary {shlex.quote(json_text(body))}")
    return " \\\n  ".join(lines)


def _header(name: str, value: str) -> str:
    if value == "$SESSION":
        return f'-H "{name}: $SESSION"'
    return f"-H {shlex.quote(f'{name}: {_encoded(value)}')}"


def _encoded(value: str) -> str:
    """A header value that any HTTP library carries unchanged; base64 in a sentinel where it must be."""
    if not value or (_PLAIN.match(value) and not value.startswith("=?base64?")):
        return value
    return f"=?base64?{base64.b64encode(value.encode('utf-8', 'replace')).decode()}?="
