"""`only1mcp connect`: point an AI client at this gateway."""

import sys
from datetime import datetime
from pathlib import Path

import click

from only1mcp_tui.cli.common import check_profile, config_option, gateway_url, json_option, loaded_config
from only1mcp_tui.cli.output import note, say, say_json
from proxy_core.config.connect import CLIENTS, connection, our_program, token_note, write_connection
from proxy_core.config.models import Config


@click.command("connect")
@click.argument("client", type=click.Choice(CLIENTS))
@click.option("--write", is_flag=True, help="Put it into the client's file, after a copy was made of it.")
@click.option("--url", help="The gateway's URL, instead of the configured one.")
@click.option("--profile", metavar="NAME", help="Show the client this profile of the configuration alone.")
@config_option
@json_option
@click.pass_context
def connect_command(
    ctx: click.Context,
    client: str,
    write: bool,
    url: str | None,
    profile: str | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Show how to point an AI client at this gateway; the client's file is changed only with --write."""
    loaded = loaded_config(ctx, config) if url is None else None
    settings = loaded.config if loaded is not None else Config()
    place = url or gateway_url(settings.proxy)
    if profile is not None:
        if loaded is None:
            raise click.UsageError("With --url, the profile stands at the end of the URL.")
        check_profile(profile, settings)
        place = f"{place.removesuffix('/')}/{profile}"
    wanted = connection(client, place, Path.home(), sys.platform, our_program())
    notes = [wanted.note, token_note(client) if settings.auth.tokens else ""]
    backup = write_connection(wanted, datetime.now()) if write else None
    if as_json:
        copied = str(backup) if backup else None
        told = {"path": str(wanted.path), "snippet": wanted.snippet, "notes": [each for each in notes if each]}
        say_json({**told, "written": write, "backup": copied})
        return
    if write:
        say(f"Wrote {wanted.path}" + (f"; the copy of before is {backup}" if backup else ""))
    else:
        note(f"In {wanted.path} (--write puts it there):")
        say(wanted.snippet.rstrip())
    for each in filter(None, notes):
        note(each)
