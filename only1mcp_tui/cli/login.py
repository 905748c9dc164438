"""`only1mcp login` and `logout`: a person logs in at a server, so that the gateway may use it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import click

from only1mcp_tui.cli.common import json_option, loaded_config
from only1mcp_tui.cli.output import note, say, say_json
from only1mcp_tui.cli.reach import Address, locating, reached
from only1mcp_tui.cli.rows import row_of
from only1mcp_tui.cli.source import own_proxy
from proxy_core.control import Control, LoggedOut
from proxy_core.control_client import GatewayUnreachable, RemoteControl
from proxy_core.errors import ConfigError, ConfigProblem, UnknownServer
from proxy_core.logging_in import LOGIN_S, log_in, open_browser


@click.command("login")
@click.argument("target", metavar="SERVER[/REPLICA]")
@click.option("--no-browser", is_flag=True, help="Only say where to log in; open it on this machine yourself.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(1, 600),
    default=LOGIN_S,
    show_default=True,
    help="How long to wait for it, in seconds.",
)
@locating
@json_option
@click.pass_context
def login_command(
    ctx: click.Context,
    locate: Callable[[], Address],
    target: str,
    no_browser: bool,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Log in at a server that wants it, with a browser, so that the gateway may use it (OAuth 2.1).

    The browser comes back to a port of this machine. Without a running gateway the login is kept for the next
    one.
    """

    def show(url: str) -> None:
        is_open = not no_browser and open_browser(url)
        note(f"Log in {'with the browser that was opened, or ' if is_open else ''}here: {url}")

    state = asyncio.run(_logged_in(ctx, locate(), target, show, timeout_s))
    if as_json:
        say_json({"ok": True, "target": target, "state": state})
        return
    say(f"{target}: logged in; {state}")


@click.command("logout")
@click.argument("target", metavar="SERVER[/REPLICA]")
@locating
@json_option
@click.pass_context
def logout_command(ctx: click.Context, locate: Callable[[], Address], target: str, as_json: bool) -> None:
    """Forget the login at a server, and have its tokens revoked where the authorization server can do that."""
    ended = asyncio.run(_logged_out(ctx, locate(), target))
    if as_json:
        say_json({"ok": True, "target": target, "was_logged_in": ended.was_in, "note": ended.note})
        return
    if ended.note:
        note(f"{target}: {ended.note}")
    say(f"{target}: {'logged out' if ended.was_in else 'there was no login'}")


async def _logged_in(
    ctx: click.Context, address: Address, target: str, show: Callable[[str], None], timeout_s: float
) -> str:
    async with _control(ctx, address, target) as control:
        await log_in(control, target, show, timeout_s)
        snapshot = await control.refresh() if isinstance(control, RemoteControl) else control.snapshot()
        return row_of(snapshot, target.partition("/")[0]).state.value


async def _logged_out(ctx: click.Context, address: Address, target: str) -> LoggedOut:
    async with _control(ctx, address, target) as control:
        return await control.logout(target)


@asynccontextmanager
async def _control(ctx: click.Context, address: Address, target: str) -> AsyncIterator[Control]:
    """The running gateway; where none runs and none was named, one of our own, with this server alone."""
    async with AsyncExitStack() as stack:
        control: Control
        try:
            control = await stack.enter_async_context(reached(address))
        except GatewayUnreachable:
            given, server = ctx.params, target.partition("/")[0]
            if given["socket_file"] is not None or given["url"] is not None:
                raise
            loaded = loaded_config(ctx, given["config"])
            if loaded is None:
                raise ConfigError("", (ConfigProblem("", "there is no configuration yet"),)) from None
            if server not in {each.id for each in loaded.config.servers}:
                raise UnknownServer(server) from None
            control = await stack.enter_async_context(own_proxy(loaded, frozenset({server})))
        yield control
