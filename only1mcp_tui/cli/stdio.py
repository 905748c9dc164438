"""`only1mcp stdio`: the gateway on our own stdin and stdout, or a bridge from them to one that runs already.

Nothing but MCP may reach stdout, so it is taken away first; and the bridge must start fast, so what only the
gateway needs is imported when it is needed.
"""

import os
import re
from pathlib import Path
from typing import Final

import click

from only1mcp_tui.cli.exits import Exit
from proxy_core.stdio import Pipe, bridge, claim_stdio

TOKEN_ENV: Final = "ONLY1MCP_TOKEN"
_URL: Final = re.compile(r"https?://[^/\s]+\S*")
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")


@click.command("stdio")
@click.option("--to", metavar="URL", help="Start nothing; pass everything on to the gateway at this URL.")
@click.option(
    "--token-env",
    metavar="NAME",
    default=TOKEN_ENV,
    show_default=True,
    help="With --to: the environment variable that holds the gateway's token.",
)
@click.option("--config", type=click.Path(path_type=Path), help="Configuration file to use.")
@click.option("--profile", metavar="NAME", help="Serve the client under this profile of the configuration.")
@click.option("--demo", is_flag=True, help="Run the bundled demo servers, whatever the configuration.")
@click.pass_context
def stdio_command(
    ctx: click.Context, to: str | None, token_env: str, config: Path | None, profile: str | None, demo: bool
) -> None:
    """Serve one AI client on stdin and stdout, for clients that only start commands."""
    if to is not None and profile is not None:
        raise click.UsageError("With --to, the profile stands at the end of the URL.")
    pipe = claim_stdio()
    ctx.exit(_serve(ctx, pipe, config, profile or "", demo) if to is None else _bridge(pipe, to, token_env))


def _bridge(pipe: Pipe, url: str, token_env: str) -> int:
    """Raises: why the client was given up."""
    if not _URL.fullmatch(url):
        raise click.UsageError(f"--to wants an http:// or https:// URL, not {url!r}.")
    token = os.environ.get(token_env) or None
    if token is not None and not _TOKEN.fullmatch(token):
        raise click.UsageError(f"What {token_env} holds cannot be a token.")
    bridge(pipe, url, token)
    if pipe.failure is not None:
        raise pipe.failure
    return Exit.OK


def _serve(ctx: click.Context, pipe: Pipe, config: Path | None, profile: str, demo: bool) -> int:
    """The gateway itself. Raises: ConfigError, and why the client was given up."""
    from only1mcp_tui.cli import Options
    from only1mcp_tui.cli.common import check_profile, named_config
    from only1mcp_tui.cli.run import locator, reader, run_headless, start_logging
    from proxy_core.proxy import Proxy

    options = Options(named_config(ctx, config), True, demo, None, None, False)
    reload = reader(options)
    loaded = reload()
    if profile:
        check_profile(profile, loaded.config)
    start_logging(loaded, to_stderr=True)
    # A client that closes our stdin and then sends a signal does not wait any longer.
    proxy = Proxy(loaded, reload, pipe=pipe, profile=profile, config_path=locator(options))
    code = run_headless(proxy, is_urgent=lambda: pipe.has_ended)
    if pipe.failure is not None:
        raise pipe.failure
    return code
