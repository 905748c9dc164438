"""What several subcommands share: the `--config` and `--json` options, and which file they mean."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from only1mcp_tui.cli.stdio import TOKEN_ENV
from proxy_core.config.importers import FoundServer, discover_servers, known_servers
from proxy_core.config.load import LoadedConfig, find_config, load, user_config_path
from proxy_core.config.models import Config, ProxyConfig
from proxy_core.errors import ConfigError, ConfigProblem

if TYPE_CHECKING:
    from only1mcp_tui.cli import Options

config_option = click.option(
    "--config", type=click.Path(path_type=Path), help="Configuration file, instead of the one that is found."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def named_config(ctx: click.Context, given: Path | None) -> Path | None:
    """The file named on the command line, before or after the subcommand."""
    options: Options = ctx.find_root().obj
    return given or options.config


def found_config(ctx: click.Context, given: Path | None) -> Path | None:
    """The file in use, if there is one. Raises: ConfigError if a named one is missing."""
    return find_config(named_config(ctx, given), os.environ, Path.cwd())


def required_config(ctx: click.Context, given: Path | None) -> Path:
    """Raises: ConfigError if there is none."""
    path = found_config(ctx, given)
    if path is None:
        where = str(user_config_path(os.environ))
        raise ConfigError(where, (ConfigProblem("", "there is no configuration yet; only1mcp init makes one"),))
    return path


def writable_config(ctx: click.Context, given: Path | None) -> Path:
    """Where to write: the file that is named, else the one in use, else a new one of this person's own."""
    named = named_config(ctx, given)
    if named is not None:
        return Path.cwd() / named.expanduser()
    return find_config(None, os.environ, Path.cwd()) or user_config_path(os.environ)


def loaded_config(ctx: click.Context, given: Path | None) -> LoadedConfig | None:
    path = found_config(ctx, given)
    return None if path is None else load(path, os.environ)


def gateway_token() -> str | None:
    """What a gateway is sent, should it want a token. Not an option: `ps` shows those to everyone.

    Raises: click.UsageError if no header can carry it.
    """
    return token_in(TOKEN_ENV)


def token_in(variable: str) -> str | None:
    """The token in an environment variable. Raises: click.UsageError if no header can carry it."""
    token = os.environ.get(variable, "").strip()
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise click.UsageError(f"{variable} is not a token.")
    return token or None


def gateway_url(proxy: ProxyConfig) -> str:
    """Where a client on this machine reaches the gateway of this configuration."""
    every = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
    host = every.get(proxy.host, proxy.host)
    scheme = "http" if proxy.tls is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{proxy.port}{proxy.path}"


def check_profile(name: str, config: Config) -> None:
    """Raises: UsageError for a profile that the configuration has not."""
    if name not in config.profiles:
        known = ", ".join(config.profiles)
        raise click.UsageError(
            f"There is no profile {name!r}; "
            + (f"the profiles are {known}." if known else "the configuration has none.")
        )


def discovered(path: Path, proxy: ProxyConfig) -> tuple[FoundServer, ...]:
    """What the AI clients of this person have; `path` is our file, if it exists. Raises: ConfigError."""
    known = known_servers(path) if path.exists() else ()
    return discover_servers(Path.home(), Path.cwd(), sys.platform, gateway_url(proxy), known)
