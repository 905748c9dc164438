"""Where a running gateway is steered: its admin socket, or its port under a token; and the way there.

Knows paths and options, nothing of what is asked. Starts nothing.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click

from only1mcp_tui.cli.common import config_option, gateway_token, json_option, loaded_config
from only1mcp_tui.cli.output import note
from proxy_core.config.models import AdminConfig, ProxyConfig
from proxy_core.control_client import SSH, RemoteControl, SshRefused, SshTunnel, socket_path, ssh_target
from proxy_core.errors import ConfigError, ConfigProblem, Only1Error

Address = Path | str
"""Of a socket, or a URL: http://, https:// or ssh://."""
AUTO: Final = "auto"
MOST_SOCKETS: Final = 50

socket_option = click.option(
    "--socket",
    "socket_file",
    type=click.Path(path_type=Path),
    help="Admin socket of the gateway, instead of that of the configured port.",
)
url_option = click.option(
    "--url", help="URL of a gateway with admin.on_port; its token is read from ONLY1MCP_TOKEN."
)


def steering(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every command that asks a running gateway: it is given `address` and `as_json`."""
    return json_option(reaching(command))


def reaching(command: Callable[..., None]) -> Callable[..., None]:
    """Those that say where the gateway is: it is given `address`."""

    @wraps(command)
    def reaching_it(locate: Callable[[], Address], **given: Any) -> None:
        command(address=locate(), **given)

    return locating(reaching_it)


def locating(command: Callable[..., None]) -> Callable[..., None]:
    """Likewise, for a gateway that may come up later: it is given `locate`, to be called again and again."""

    @click.pass_context
    @wraps(command)
    def located(
        ctx: click.Context, /, socket_file: Path | None, url: str | None, config: Path | None, **given: Any
    ) -> None:
        command(locate=lambda: address_of(ctx, socket_file, url, config), **given)

    for option in reversed((socket_option, url_option, config_option)):
        located = option(located)
    return located


def socket_of(proxy: ProxyConfig, admin: AdminConfig) -> Path | None:
    """Where the gateway of this configuration puts its socket; None if it makes none."""
    if admin.socket is None:
        return None
    if admin.socket == AUTO:
        return socket_path(proxy.port, os.environ)
    return Path(admin.socket).expanduser().absolute()


def address_of(ctx: click.Context, socket_file: Path | None, url: str | None, config: Path | None) -> Address:
    """What the options and the configuration say. Raises: ConfigError if neither leads to a gateway."""
    if socket_file is not None and url is not None:
        raise click.UsageError("--socket and --url are two ways to the same gateway; give one.")
    if socket_file is not None:
        return Path.cwd() / socket_file.expanduser()
    if url is not None:
        if not url.startswith(("http://", "https://")):
            raise click.UsageError(f"--url wants an http:// or https:// URL, not {url!r}.")
        return _origin(url)
    try:
        loaded = loaded_config(ctx, config)
    except ConfigError as error:
        # The gateway goes on with what was good before, and must be reached all the same.
        running = running_with(Path(error.path))
        if running is None:
            raise
        note(f"{error.path} cannot be used as it is; asking the gateway that runs with an earlier state of it.")
        return running
    proxy, admin = (loaded.config.proxy, loaded.config.admin) if loaded else (ProxyConfig(), AdminConfig())
    found = socket_of(proxy, admin)
    if found is None:
        why = "the configuration wants no socket; set it, or name the gateway by --url"
        raise ConfigError(str(loaded.path if loaded else ""), (ConfigProblem("admin.socket", why),))
    if not found.is_socket() and loaded is not None and loaded.path is not None:
        # It may have been started with another --port.
        return running_with(loaded.path) or found
    return found


def address_at(target: str) -> Address:
    """Where a person says that a gateway is: a URL, or the path of a socket. Raises: UsageError."""
    if target.startswith(("http://", "https://")):
        return _origin(target)
    if target.startswith(SSH):
        try:
            return str(ssh_target(target))
        except SshRefused as error:
            raise click.UsageError(error.message) from error
    if "://" in target:
        raise click.UsageError(
            f"{target!r} is neither an http://, https:// or ssh:// URL nor a path of a socket."
        )
    return Path.cwd() / Path(target).expanduser()


def _origin(url: str) -> str:
    # A client's URL of the same gateway ends in the path of its MCP endpoint.
    return "/".join(url.split("/", 3)[:3])


def running_with(config: Path) -> Path | None:
    """The socket of a gateway that runs with this file, whatever its port."""
    sockets = sorted(socket_path(0, os.environ).parent.glob("*.sock"))[:MOST_SOCKETS]
    return asyncio.run(_first_with(str(config.absolute()), sockets)) if sockets else None


async def _first_with(config: str, sockets: Sequence[Path]) -> Path | None:
    for path in sockets:
        with suppress(Only1Error):
            async with RemoteControl(path) as control:
                if control.snapshot().config_path == config:
                    return path
    return None


def serving_at(proxy: ProxyConfig, admin: AdminConfig) -> Path | None:
    """The socket of a gateway that serves on this very port already."""
    path = socket_of(proxy, admin)
    if path is None or proxy.port == 0 or not path.is_socket():
        return None
    return path if asyncio.run(_port_at(path)) == proxy.port else None


async def _port_at(path: Path) -> int | None:
    try:
        async with RemoteControl(path) as control:
            return urlsplit(control.snapshot().url).port
    except Only1Error:
        return None


@dataclass(frozen=True, slots=True)
class Way:
    """As `RemoteControl` takes it."""

    address: Path | str
    name: str
    fault: Callable[[], str | None]


@asynccontextmanager
async def way_to(address: Address) -> AsyncIterator[Way]:
    """The way there, open as long as one is inside. Raises: GatewayUnreachable, SshRefused."""
    if isinstance(address, str) and address.startswith(SSH):
        async with SshTunnel(ssh_target(address), note) as tunnel:
            yield Way(tunnel.local, address, tunnel.fault)
    else:
        yield Way(address, str(address), lambda: None)


@asynccontextmanager
async def reached(address: Address) -> AsyncIterator[RemoteControl]:
    """The gateway there, with a first picture.

    Raises: GatewayUnreachable, saying what to do; TokenRefused; SshRefused.
    """
    async with way_to(address) as way, reached_by(way) as control:
        yield control


def reached_by(way: Way) -> RemoteControl:
    token = gateway_token() if isinstance(way.address, str) else None
    return RemoteControl(way.address, token, name=way.name, fault=way.fault)
