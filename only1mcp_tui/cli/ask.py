"""Subcommands that ask what the servers offer and call it: servers, tools, call.

What they print and how they read arguments; where the answers come from is the matter of `source`.
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from only1mcp_tui.cli.common import config_option, gateway_token, gateway_url, json_option, loaded_config
from only1mcp_tui.cli.exits import Exit
from only1mcp_tui.cli.output import note, one_line, say, say_json, table
from only1mcp_tui.cli.source import Answer, Gateway, called, listing
from proxy_core.config.demo import demo_config
from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import Config, ServerConfig
from proxy_core.config.secrets import masked_addresses
from proxy_core.telemetry.snapshot import NamedItem, ServerState

KINDS: Final = ("tool", "resource", "template", "prompt")

url_option = click.option(
    "--url", help="A gateway's URL, instead of the configured one; nothing is started then."
)


def _gateway(ctx: click.Context, config: Path | None, url: str | None) -> Gateway:
    if url is not None:
        return Gateway(LoadedConfig(Config()), url, gateway_token(), may_start=False)
    loaded = loaded_config(ctx, config) or demo_config()
    return Gateway(loaded, gateway_url(loaded.config.proxy), gateway_token(), may_start=True)


@click.command("servers")
@url_option
@config_option
@json_option
@click.pass_context
def servers_command(ctx: click.Context, url: str | None, config: Path | None, as_json: bool) -> None:
    """List the servers and what each offers."""
    gateway = _gateway(ctx, config, url)
    answer = asyncio.run(listing(gateway))
    rows = _server_rows(gateway.loaded.config, answer)
    if as_json:
        say_json(rows)
        return
    cells = [
        (row["id"], row["state"], row["transport"], *(str(row[f"{kind}s"]) for kind in KINDS), row["address"])
        for row in rows
    ]
    say(table(("ID", "STATE", "KIND", "TOOLS", "RESOURCES", "TEMPLATES", "PROMPTS", "ADDRESS"), cells))
    for row in rows:
        if row["reason"]:
            note(f"{row['id']}: {one_line(row['reason'], 200)}")


def _server_rows(config: Config, answer: Answer) -> list[dict[str, Any]]:
    configured = {server.id: server for server in config.servers}
    ids = dict.fromkeys((*configured, *(item.server for item in answer.items if item.server)))
    rows = []
    for server_id in ids:
        server = configured.get(server_id)
        state, reason = answer.states.get(server_id, ("listed", ""))
        counts = {f"{kind}s": _count(answer.items, server_id, kind) for kind in KINDS}
        rows.append(
            {
                "id": server_id,
                "name": server.title if server else server_id,
                "state": state,
                "reason": reason,
                "transport": _kinds(server) if server else "",
                "address": masked_addresses(server) if server else "",
                **counts,
            }
        )
    return rows


def _kinds(server: ServerConfig) -> str:
    """stdio, http or sse; of replicas each kind once."""
    return ", ".join(dict.fromkeys(place.transport.type for place in server.places))


def _count(items: Sequence[NamedItem], server: str, kind: str) -> int:
    return sum(item.server == server and item.kind == kind for item in items)


@click.command("tools")
@url_option
@config_option
@json_option
@click.pass_context
def tools_command(ctx: click.Context, url: str | None, config: Path | None, as_json: bool) -> None:
    """List the tools as clients see them."""
    answer = asyncio.run(listing(_gateway(ctx, config, url)))
    tools = [item for item in answer.items if item.kind == "tool"]
    if as_json:
        say_json([_plain_tool(tool) for tool in tools])
    else:
        rows = [(tool.name, _signature(tool), tool.title or tool.description) for tool in tools]
        say(table(("NAME", "ARGUMENTS", "DESCRIPTION"), rows))
    for server_id, (state, reason) in answer.states.items():
        if state not in {ServerState.HEALTHY, ServerState.DISABLED}:
            note(f"{server_id} is {state}: {one_line(reason, 200)}")


def _plain_tool(tool: NamedItem) -> dict[str, Any]:
    return {
        "name": tool.name,
        "server": tool.server,
        "origin": tool.origin,
        "title": tool.title,
        "description": tool.description,
        "arguments": [{"name": name, "required": required} for name, required in tool.arguments],
    }


def _signature(tool: NamedItem) -> str:
    return one_line(" ".join(name if required else f"[{name}]" for name, required in tool.arguments), 40)


@click.command("call")
@click.argument("name")
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@url_option
@config_option
@json_option
@click.pass_context
def call_command(
    ctx: click.Context, name: str, pairs: tuple[str, ...], url: str | None, config: Path | None, as_json: bool
) -> None:
    """Call the tool NAME, as `only1mcp tools` shows it.

    A value is read as JSON where it is JSON, as text otherwise; KEY:=VALUE insists on JSON.

    \b
    only1mcp call clock__now timezone=Europe/Berlin
    only1mcp call notes__add title=Milk 'tags:=["shop"]'
    """
    arguments = read_arguments(pairs)
    result = asyncio.run(called(_gateway(ctx, config, url), name, arguments))
    if as_json:
        say_json(result)
    else:
        for line in content_lines(result):
            say(line)
    if result.get("isError") is True:
        ctx.exit(Exit.CALL_FAILED)


def read_arguments(pairs: Sequence[str]) -> dict[str, Any]:
    """Raises: click.UsageError for what is not KEY=VALUE."""
    arguments: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        insists = key.endswith(":")
        key = key.removesuffix(":")
        if not (key and equals):
            raise click.UsageError(f"{pair!r} is not KEY=VALUE.")
        if key in arguments:
            raise click.UsageError(f"{key!r} is given twice.")
        arguments[key] = _value(text, key, insists)
    return arguments


def _value(text: str, key: str, insists: bool) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        if insists:
            raise click.UsageError(f"The value of {key!r} is not JSON.") from error
        return text


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def content_lines(result: dict[str, Any]) -> list[str]:
    """A tool's result as text: its text content, and a word for what cannot be printed."""
    content = result.get("content")
    lines = [_content(item) for item in content if isinstance(item, dict)] if isinstance(content, list) else []
    if not lines and "structuredContent" in result:
        return [json.dumps(result["structuredContent"], indent=2, ensure_ascii=False)]
    return lines


def _content(item: dict[str, Any]) -> str:
    kind = item.get("type")
    if kind == "text":
        return str(item.get("text", ""))
    if kind == "resource" and isinstance(resource := item.get("resource"), dict):
        return str(resource["text"]) if "text" in resource else f"[resource {resource.get('uri', '')}]"
    if kind == "resource_link":
        return f"[resource {item.get('uri', '')}]"
    return f"[{kind} {item.get('mimeType', '')}, {len(str(item.get('data', '')))} characters of base64]"
