"""`only1mcp policy`: which rule of the configuration lets a client have a name, or does not."""

import asyncio
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from only1mcp_tui.cli.common import config_option, json_option, required_config
from only1mcp_tui.cli.exits import Exit
from only1mcp_tui.cli.output import say, say_json
from only1mcp_tui.cli.reach import reached, running_with, socket_of
from only1mcp_tui.view.text import safe
from proxy_core.access.policy import COMPLETION, EVERYTHING, SHELF_OF, UNKNOWN, Policies, Verdict
from proxy_core.config.load import LoadedConfig, load
from proxy_core.config.models import Config, ServerConfig
from proxy_core.errors import Only1Error, UnknownName, UnknownReference, UnknownResource

METHODS: Final = (*SHELF_OF, COMPLETION)
TOKEN, PROFILE = "token:", "profile:"
QUARANTINE: Final = "quarantine"
MAX_NAME_CHARS: Final = 8192
_CUT: Final = re.compile(r"-[0-9a-f]{6}\Z")
"""The end of a name that was shortened."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who is meant by `--as`."""

    words: str
    profile: str


@click.group("policy")
def policy_command() -> None:
    """Show who may have what, by the configuration."""


@policy_command.command("explain", short_help="Say which rule decides whether a client may have NAME.")
@click.argument("method")
@click.argument("name")
@click.option(
    "--as",
    "whom",
    metavar="TOKEN|PROFILE",
    help="A token or profile by name; `token:NAME` or `profile:NAME` where both have it. Without: no profile.",
)
@click.option("--server", "server_id", metavar="ID", help="Whose a URI is: it does not say so itself.")
@config_option
@json_option
@click.pass_context
def policy_explain(
    ctx: click.Context,
    method: str,
    name: str,
    whom: str | None,
    server_id: str | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Say which rule decides whether a client may have NAME, and what it would see.

    METHOD and NAME are what a client would ask: `tools/call files__read`, `resources/read file:///x`,
    `prompts/get files__sum`. Works from the configuration alone, whether or not there is anything of that name.
    Exit code 0: allowed, 1: denied.
    """
    if method not in METHODS:
        raise click.UsageError(f"{method!r} asks for no name; the methods are {', '.join(METHODS)}.")
    if not 0 < len(name) <= MAX_NAME_CHARS:
        raise click.UsageError(f"A name has 1 to {MAX_NAME_CHARS} characters.")
    loaded = load(required_config(ctx, config), os.environ)
    if server_id is not None:
        _check_server(server_id, loaded.config)
    asker = _asker(whom, loaded.config)
    verdict = Policies(loaded.config).verdict(asker.profile, method, name, server_id or "")
    server = next((each for each in loaded.config.servers if each.id == verdict.server), None)
    told = ""
    if verdict.is_allowed and method == "tools/call" and server is not None and server.on_change == QUARANTINE:
        is_withheld = asyncio.run(_is_withheld(loaded, server.id, name))
        if is_withheld:
            verdict = Verdict(False, f"servers.{server.id}.on_change", QUARANTINE, server.id)
        told = _QUARANTINED[is_withheld].format(server=server.id)
    notes = [*_notes(loaded.config, asker, method, name, verdict, server), *([told] if told else ())]
    if as_json:
        say_json(_plain(asker, method, name, verdict, notes))
    else:
        for line in _lines(asker, method, name, verdict, notes):
            say(line)
    ctx.exit(Exit.OK if verdict.is_allowed else Exit.FAILURE)


# --- who and what is meant ----------------------------------------------------------------------------------


def _asker(whom: str | None, config: Config) -> Asker:
    """Raises: UsageError for who is neither a token nor a profile, or both."""
    if whom is None:
        return Asker("whoever has no profile", EVERYTHING)
    tokens = {token.name: token.profile or EVERYTHING for token in config.auth.tokens}
    kind = next((each for each in (TOKEN, PROFILE) if whom.startswith(each)), "")
    name = whom.removeprefix(kind)
    as_token = tokens.get(name) if kind != PROFILE else None
    as_profile = name if kind != TOKEN and name in config.profiles else None
    if as_token is not None and as_profile is not None and as_token != as_profile:
        raise click.UsageError(f"{name!r} is a token and a profile: say {TOKEN}{name} or {PROFILE}{name}.")
    if as_token is not None:
        words = f"under its profile {as_token}" if as_token else "which has no profile"
        return Asker(f"the token {name}, {words}", as_token)
    if as_profile is not None:
        return Asker(f"whoever is under the profile {name}", as_profile)
    known = [f"tokens: {', '.join(tokens)}" if tokens else "no tokens"]
    known.append(f"profiles: {', '.join(config.profiles)}" if config.profiles else "no profiles")
    raise click.UsageError(f"{whom!r} is no token and no profile; the configuration has {'; '.join(known)}.")


def _check_server(server: str, config: Config) -> None:
    """Raises: UsageError."""
    known = [each.id for each in config.servers]
    if server not in known:
        raise click.UsageError(f"There is no server {server!r}; the servers are {', '.join(known) or 'none'}.")


# --- what only a running gateway knows ----------------------------------------------------------------------

_QUARANTINED: Final = {
    True: "It is withheld until it is approved, as a tool that is new or not what it was: only1mcp approve.",
    False: "{server} has on_change: quarantine, and the running gateway does not withhold it.",
    None: "{server} has on_change: quarantine, and no gateway answers that knows whether it is withheld.",
}


async def _is_withheld(loaded: LoadedConfig, server: str, name: str) -> bool | None:
    """Whether the gateway that runs with this configuration withholds the tool; None: none answers."""
    path = socket_of(loaded.config.proxy, loaded.config.admin)
    if (path is None or not path.is_socket()) and loaded.path is not None:
        path = await asyncio.to_thread(running_with, loaded.path)
    if path is None:
        return None
    try:
        async with reached(path) as control:
            changes = await control.tool_changes(server)
    except Only1Error:
        # Whatever keeps it from saying so: the configuration alone says the rest.
        return None
    return any(each.is_withheld and name in (each.tool, f"{server}__{each.tool}") for each in changes)


# --- in words -----------------------------------------------------------------------------------------------


def _notes(
    config: Config, asker: Asker, method: str, name: str, verdict: Verdict, server: ServerConfig | None
) -> Iterator[str]:
    """What the rules do not say."""
    if verdict.rule == UNKNOWN:
        yield "A name begins with the id of a server and `__`, and no server of the configuration has this id."
        return
    profile = config.profiles.get(asker.profile)
    if verdict.is_allowed and server is None and profile is not None and profile.servers != ("*",):
        yield "Its server has to be one that the profile shows; --server says which it is."
    if server is not None and not server.enabled:
        yield f"{server.id} is switched off: nobody has anything of it now."
    is_cut = method == "tools/call" and _CUT.search(name) is not None
    if is_cut and server is not None and (server.tools.deny or "*" not in server.tools.allow):
        yield f"The name looks shortened; servers.{server.id}.tools is about the one that its server has."
    if verdict.is_allowed:
        yield "Whether there is anything of this name only a running gateway knows."


def _refusal(method: str, name: str) -> Only1Error:
    """What a client is told that asks for what it may not have, or for what is not there."""
    shelf = SHELF_OF.get(method)
    if shelf == "resources":
        return UnknownResource(name)
    return UnknownReference() if shelf is None else UnknownName(shelf.removesuffix("s"), name)


def _plain(asker: Asker, method: str, name: str, verdict: Verdict, notes: list[str]) -> dict[str, Any]:
    refusal = _refusal(method, name)
    error = {"code": int(refusal.code), "message": refusal.message, "data": refusal.data()}
    return {
        "allowed": verdict.is_allowed,
        "rule": verdict.rule,
        "glob": verdict.glob or None,
        "profile": asker.profile or None,
        "server": verdict.server or None,
        "method": method,
        "name": name,
        "error": None if verdict.is_allowed else error,
        "notes": notes,
    }


def _decision(verdict: Verdict) -> str:
    if verdict.rule == UNKNOWN:
        return "denied: nobody has such a name"
    rule = safe(verdict.rule, 400)
    if verdict.glob:
        why = f" ({safe(verdict.glob, 200)})"
    elif verdict.rule.endswith((".allow", ".servers")):
        why = ": none of its globs fits"
    elif verdict.rule.endswith(".resources"):
        why = ": what this URI means to its server cannot be known"
    else:
        why = ""
    return f"{'allowed' if verdict.is_allowed else 'denied'} by {rule}{why}"


def _lines(asker: Asker, method: str, name: str, verdict: Verdict, notes: list[str]) -> Iterator[str]:
    yield _decision(verdict)
    yield f"{method} {safe(name, 400)}, for {safe(asker.words, 200)}"
    if not verdict.is_allowed:
        refusal = _refusal(method, name)
        yield f"It is in no list, and who asks is told: {safe(refusal.message, 400)} ({int(refusal.code)})."
    yield from notes
