"""Subcommands that change the list of servers in the configuration: add, remove, import."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from only1mcp_tui.cli.common import config_option, discovered, json_option, required_config, writable_config
from only1mcp_tui.cli.output import counted, note, say, say_json, table
from proxy_core.config.edit import EditRefused, add_servers, remove_server
from proxy_core.config.faults import checked_server
from proxy_core.config.importers import FoundServer, write_import
from proxy_core.config.load import EmptyFile, load
from proxy_core.config.models import ProxyConfig
from proxy_core.config.secrets import masked_addresses
from proxy_core.config.slugs import slug
from proxy_core.errors import UnknownServer


@click.command("add", short_help="Add a server to the configuration.")
@click.argument("name")
@click.argument("target", nargs=-1, required=True, metavar="-- COMMAND [ARGS]... | URL")
@click.option("--env", multiple=True, metavar="K=V", help="A variable for the command; repeatable.")
@click.option("--header", multiple=True, metavar="K=V", help="A header for the URL; repeatable.")
@config_option
@json_option
@click.pass_context
def add_command(
    ctx: click.Context,
    name: str,
    target: tuple[str, ...],
    env: tuple[str, ...],
    header: tuple[str, ...],
    config: Path | None,
    as_json: bool,
) -> None:
    """Add a server to the configuration, whose comments stay.

    \b
    only1mcp add files -- npx -y @modelcontextprotocol/server-filesystem .
    only1mcp add github --header 'Authorization=Bearer ${GITHUB_TOKEN}' https://api.githubcopilot.com/mcp/
    """
    path = writable_config(ctx, config)
    settings: dict[str, Any] = {"id": slug(name), "transport": _transport(target, env, header)}
    if name != settings["id"]:
        settings["name"] = name
    server = checked_server(settings, "only1mcp add")
    add_servers(path, (server,))
    address = masked_addresses(server)
    if as_json:
        say_json({"added": server.id, "address": address, "path": str(path)})
    else:
        say(f"Added {server.id} to {path}: {address}")


def _transport(target: tuple[str, ...], env: tuple[str, ...], header: tuple[str, ...]) -> dict[str, Any]:
    is_url = len(target) == 1 and target[0].startswith(("http://", "https://"))
    if is_url and env:
        raise click.UsageError("--env is for a command; a URL takes --header.")
    if not is_url and header:
        raise click.UsageError("--header is for a URL; a command takes --env.")
    if is_url:
        return {"type": "http", "url": target[0], "headers": _pairs(header, "--header")}
    return {"type": "stdio", "command": target[0], "args": list(target[1:]), "env": _pairs(env, "--env")}


def _pairs(given: tuple[str, ...], option: str) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    for name, equals, _ in pairs:
        if not (name and equals):
            raise click.UsageError(f"{option} wants NAME=VALUE.")
    return {name: value for name, _, value in pairs}


@click.command("remove", short_help="Remove a server from the configuration.")
@click.argument("name")
@config_option
@json_option
@click.pass_context
def remove_command(ctx: click.Context, name: str, config: Path | None, as_json: bool) -> None:
    """Remove the server with the id NAME from the configuration, whose comments stay."""
    path = required_config(ctx, config)
    remove_server(path, name)
    if as_json:
        say_json({"removed": name, "path": str(path)})
    else:
        say(f"Removed {name} from {path}")


@click.command("import", short_help="Take over servers that your AI clients already have.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--all", "take_all", is_flag=True, help="Take every usable server that is not this gateway itself."
)
@click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
@config_option
@json_option
@click.pass_context
def import_command(
    ctx: click.Context,
    names: tuple[str, ...],
    take_all: bool,
    dry_run: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Take over servers that AI clients on this machine already have: those named, by id or name, or all.

    Claude Desktop, Claude Code, Cursor, VS Code and Windsurf are looked at; their files are only read.
    Without a name it shows what there is.
    """
    path = writable_config(ctx, config)
    found = discovered(path, _listener(path))
    chosen = _chosen(found, names, take_all)
    if chosen and not dry_run:
        write_import(path, [one.server for one in chosen if one.server is not None])
    if as_json:
        say_json({"path": str(path), "written": bool(chosen) and not dry_run, "found": _plain(found, chosen)})
    else:
        _report(found, chosen, path, dry_run)


def _listener(path: Path) -> ProxyConfig:
    """What the file to be written says of the listener; it need not be there yet. Raises: ConfigError."""
    try:
        return load(path, os.environ).config.proxy if path.exists() else ProxyConfig()
    except EmptyFile:
        return ProxyConfig()


def _chosen(found: Sequence[FoundServer], names: tuple[str, ...], take_all: bool) -> list[FoundServer]:
    """Those that are named, or all that may be preselected. Raises: UnknownServer, EditRefused."""
    if take_all:
        return [one for one in found if one.is_preselected]
    chosen = []
    for name in names:
        one = next((one for one in found if name == one.name or (one.server and name == one.server.id)), None)
        if one is None:
            raise UnknownServer(name)
        if one.server is None:
            raise EditRefused(f"{name} cannot be taken over: {one.problem}.")
        chosen.append(one)
    return chosen


def _report(found: Sequence[FoundServer], chosen: Sequence[FoundServer], path: Path, dry_run: bool) -> None:
    if not found:
        say("No servers were found in the files of the AI clients on this machine.")
        return
    rows = [(_id(one), one.client, one.address or one.problem, _remark(one, chosen)) for one in found]
    say(table(("ID", "CLIENT", "ADDRESS", ""), rows))
    if not chosen:
        note("Nothing was written. Name the servers to take over, or say --all.")
    elif dry_run:
        note(f"Would write {counted(len(chosen), 'server')} to {path}")
    else:
        note(f"Wrote {counted(len(chosen), 'server')} to {path}")


def _id(one: FoundServer) -> str:
    return one.server.id if one.server is not None else one.name or one.path.name


def _remark(one: FoundServer, chosen: Sequence[FoundServer]) -> str:
    if one in chosen:
        return "taken over"
    if one.server is None:
        return "not usable"
    if one.is_ourselves:
        return "this gateway itself"
    return "already there" if one.is_duplicate else ""


def _plain(found: Sequence[FoundServer], chosen: Sequence[FoundServer]) -> list[dict[str, Any]]:
    return [
        {
            "id": one.server.id if one.server is not None else None,
            "name": one.name,
            "client": one.client,
            "path": str(one.path),
            "address": one.address,
            "problem": one.problem,
            "remark": _remark(one, chosen),
        }
        for one in found
    ]
