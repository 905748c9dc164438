"""`only1mcp token`: bearer tokens, by which clients say who they are."""

from pathlib import Path

import click

from only1mcp_tui.cli.common import config_option, json_option, writable_config
from only1mcp_tui.cli.output import note, say, say_json
from proxy_core.config.edit import add_token
from proxy_core.config.tokens import fragment, new_token


@click.group("token")
def token_command() -> None:
    """Make the tokens by which clients say who they are."""


@token_command.command("new", short_help="Make a token for the client NAME, and show it this once.")
@click.argument("name")
@click.option("--profile", metavar="NAME", help="The one profile of the configuration that it may use.")
@click.option(
    "--admin",
    type=click.Choice(("none", "read", "steer")),
    default="read",
    show_default=True,
    help="What it may do with the gateway as a whole, where admin.on_port is set.",
)
@click.option("--write", is_flag=True, help="Put its SHA-256 into the configuration, whose comments stay.")
@config_option
@json_option
@click.pass_context
def token_new(
    ctx: click.Context,
    name: str,
    profile: str | None,
    admin: str,
    write: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Make a token for the client NAME and show it, this once: the configuration holds its SHA-256 alone.

    As soon as there is one token, every client has to send its own, as `Authorization: Bearer TOKEN`.
    """
    path = writable_config(ctx, config)
    token, entry = new_token(name, profile, admin)
    if write:
        add_token(path, entry)
    text = fragment(entry, path.suffix.lower())
    if as_json:
        shown = {"name": entry.name, "token": token, "sha256": entry.sha256}
        say_json({**shown, "fragment": text, "path": str(path), "written": write})
        return
    say(token)
    note("This token is shown once and kept nowhere. Its client sends it as Authorization: Bearer TOKEN.")
    if write:
        note(f"Wrote its SHA-256 to {path}; a gateway that runs takes it when it reads the file again.")
    else:
        note(f"In {path} (--write puts it there):\n\n{text}")
