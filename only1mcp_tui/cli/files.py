"""Subcommands about the configuration file as a whole: init, validate, config."""

import os
from datetime import UTC, datetime
from importlib.resources import files
from io import StringIO
from pathlib import Path

import click
from ruamel.yaml import YAML

from only1mcp_tui.cli.common import config_option, json_option, loaded_config, required_config, writable_config
from only1mcp_tui.cli.exits import Exit
from only1mcp_tui.cli.output import counted, note, say, say_json
from proxy_core import doctor
from proxy_core.config.demo import demo_config
from proxy_core.config.edit import EditRefused, write_atomically
from proxy_core.config.load import load
from proxy_core.config.schema import config_schema
from proxy_core.config.secrets import masked_config
from proxy_core.errors import ConfigError

TEMPLATES = ("solo",)


@click.command("init")
@click.option("--template", type=click.Choice(TEMPLATES), default="solo", show_default=True)
@config_option
@click.pass_context
def init_command(ctx: click.Context, template: str, config: Path | None) -> None:
    """Write a commented configuration to start from."""
    path = writable_config(ctx, config)
    if path.exists():
        raise EditRefused(f"{path} exists already and is left as it is.")
    text = (files("proxy_core.config") / "templates" / f"{template}.yaml").read_text(encoding="utf-8")
    write_atomically(path, text)
    say(f"Wrote {path}")
    note("Next: only1mcp import takes over what your AI clients have; only1mcp runs the gateway.")


@click.command("validate")
@config_option
@json_option
@click.pass_context
def validate_command(ctx: click.Context, config: Path | None, as_json: bool) -> None:
    """Check the configuration and list every fault. Exit code 2 if there is one."""
    try:
        path = required_config(ctx, config)
        loaded = load(path, os.environ)
    except ConfigError as error:
        if not as_json:
            raise
        problems = [{"line": one.line, "key": one.key, "message": one.message} for one in error.problems]
        say_json({"ok": False, "path": error.path, "problems": problems})
        ctx.exit(Exit.USAGE)
    if as_json:
        ids = [server.id for server in loaded.config.servers]
        say_json({"ok": True, "path": str(path), "servers": ids, "unset": dict(loaded.unset)})
        return
    say(f"{path}: good, {counted(len(loaded.config.servers), 'server')}.")
    for server_id, reason in loaded.unset.items():
        note(f"  {server_id} stays off: {reason}")
    for found in (*doctor.profiles(loaded), *doctor.https(loaded, datetime.now(UTC))):
        if found.level is not doctor.Level.OK:
            note(f"  {found.text}")


@click.group("config")
def config_command() -> None:
    """Show the configuration in force, or its JSON Schema."""


@config_command.command("show")
@config_option
@json_option
@click.pass_context
def config_show(ctx: click.Context, config: Path | None, as_json: bool) -> None:
    """Print every setting in force, defaults included, secrets masked."""
    loaded = loaded_config(ctx, config) or demo_config()
    note(f"From {loaded.path}" if loaded.path else "There is no configuration; these are the demo servers.")
    data = masked_config(loaded.config)
    if as_json:
        say_json(data)
        return
    out = StringIO()
    writer = YAML()
    writer.width = 4096
    writer.dump(data, out)
    say(out.getvalue().rstrip())


@config_command.command("schema", short_help="Print the JSON Schema of the file, for editors.")
@json_option
def config_schema_command(as_json: bool) -> None:
    """Print the JSON Schema, so that editors check and complete the file."""
    del as_json  # a schema is JSON either way
    say_json(config_schema())
