"""`only1mcp connect`: point an AI client at this gateway."""

import sys
from datetime import datetime
from pathlib import Path

import click

from only1mcp_tui.cli.common import config_option, gateway_url, json_option, loaded_config
from only1mcp_tui.cli.output import note, say, say_json
from proxy_core.config.connect import CLIENTS, connection, write_connection
from proxy_core.config.models import Config


@click.command("connect")
@click.argument("client", type=click.Choice(CLIENTS))
@click.option("--write", is_flag=True, help="Put it into the client's file, after a copy was made of it.")
@click.option("--url", help="The gateway's URL, instead of the configured one.")
@config_option
@json_option
@click.pass_context
def connect_command(
    ctx: click.Context, client: str, write: bool, url: str | None, config: Path | None, as_json: bool
) -> None:
    """Show how to point an AI client at this gateway; the client's file is changed only with --write."""
    if url is None:
        loaded = loaded_config(ctx, config)
        url = gateway_url(loaded.config.proxy if loaded is not None else Config().proxy)
    wanted = connection(client, url, Path.home(), sys.platform)
    backup = write_connection(wanted, datetime.now()) if write else None
    if as_json:
        copied = str(backup) if backup else None
        say_json({"path": str(wanted.path), "snippet": wanted.snippet, "written": write, "backup": copied})
        return
    if write:
        say(f"Wrote {wanted.path}" + (f"; the copy of before is {backup}" if backup else ""))
    else:
        note(f"In {wanted.path} (--write puts it there):")
        say(wanted.snippet.rstrip())
    if wanted.note:
        note(wanted.note)
