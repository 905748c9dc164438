"""`only1mcp secret`: what the configuration reads as `${keyring:service/name}`, kept, listed and deleted."""

import sys
from typing import Final

import click

from only1mcp_tui.cli.common import json_option
from only1mcp_tui.cli.output import note, say, say_json
from proxy_core.vault.vault import ADDRESS, MAX_BYTES, Vault

_SHAPE: Final = "a secret is called SERVICE/NAME, each of letters, digits, . _ -, as github/token."
NAMED: Final = 10
"""Of the secrets that cannot be opened."""


@click.group("secret")
def secret_command() -> None:
    """Keep secrets for servers, which the configuration then names as ${keyring:SERVICE/NAME}."""


@secret_command.command("set")
@click.argument("address", metavar="SERVICE/NAME")
@json_option
def secret_set(address: str, as_json: bool) -> None:
    """Keep a secret, in place of the one before. It is asked for, or read from stdin; never an argument."""
    service, name = _parts(address)
    vault = Vault()
    where = vault.write(service, name, _value())
    if as_json:
        say_json({"ok": True, "secret": address, "where": where})
        return
    say(f"{address}: kept in {where}")
    note(
        f"The configuration has it as ${{keyring:{address}}}; a gateway that runs reads it at its next reload."
    )
    if others := vault.unopened():
        # A slip of the variable would otherwise show when a server stays off, which may be weeks from now.
        note(f"Sealed with another key than this one, and not opened by it: {', '.join(others[:NAMED])}.")
        note("If ONLY1MCP_SECRET_KEY is another than before by mistake, set it right and keep this one again.")


@secret_command.command("list")
@json_option
def secret_list(as_json: bool) -> None:
    """List the names of what is kept; nothing shows a value."""
    addresses = Vault().addresses()
    if as_json:
        say_json(list(addresses))
        return
    for address in addresses:
        say(address)
    if not addresses:
        note("No secret was kept by `only1mcp secret set`.")


@secret_command.command("delete")
@click.argument("address", metavar="SERVICE/NAME")
@json_option
@click.pass_context
def secret_delete(ctx: click.Context, address: str, as_json: bool) -> None:
    """Delete a secret."""
    service, name = _parts(address)
    was_there = Vault().delete(service, name)
    if as_json:
        say_json({"ok": was_there, "secret": address})
    else:
        say(f"{address}: {'deleted' if was_there else 'there is no such secret'}")
    if not was_there:
        ctx.exit(1)


def _parts(address: str) -> tuple[str, str]:
    found = ADDRESS.fullmatch(address)
    if found is None:
        raise click.UsageError(f"{address!r} is no name of a secret: {_SHAPE}")
    return found[1], found[2]


def _value() -> str:
    """Raises: UsageError."""
    if sys.stdin.isatty():
        value: str = click.prompt("Secret", hide_input=True, confirmation_prompt=True, err=True)
    else:
        raw = sys.stdin.buffer.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise click.UsageError(f"The secret is too large: {MAX_BYTES} bytes are the most.")
        try:
            value = raw.decode()
        except UnicodeDecodeError as error:
            raise click.UsageError("The secret on stdin is no UTF-8 text.") from error
        # What `echo` and editors add.
        value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise click.UsageError("The secret is empty; nothing was kept.")
    return value
