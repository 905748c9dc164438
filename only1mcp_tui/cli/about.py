"""`only1mcp version`."""

import platform

import click

from only1mcp_tui.cli.output import say, say_json
from proxy_core import __version__


@click.command("version")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def version_command(as_json: bool) -> None:
    """Show the version."""
    if as_json:
        say_json({"only1mcp": __version__, "python": platform.python_version()})
    else:
        say(f"only1mcp {__version__} (Python {platform.python_version()})")
