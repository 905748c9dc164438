"""What `only1mcp doctor` looks at: the configuration, the programs it names, port, socket, orphans.

Each look gives findings, sentences for a person; nothing is changed but by `end_orphans`. Asks no gateway: what
a running one says of itself is the command's to add.
"""

import errno
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from proxy_core.backends.child_env import child_environment, find_program
from proxy_core.backends.orphans import Orphan, end_orphans, find_orphans
from proxy_core.backends.process_table import listener_on
from proxy_core.config.load import LoadedConfig
from proxy_core.config.models import ProxyConfig, StdioTransport
from proxy_core.config.profiles import idle_globs
from proxy_core.errors import BackendUnavailable, ConfigError, TlsUnusable
from proxy_core.frontend.tls import context_for, untimely
from proxy_core.runtime import MAX_PATH_BYTES

__all__ = [
    "Finding",
    "Level",
    "Orphan",
    "end_orphans",
    "faults",
    "find_orphans",
    "https",
    "port",
    "profiles",
    "programs",
    "socket_file",
    "unset",
]


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    """It works, but not all of it, or not as one would think."""
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    level: Level
    subject: str
    """configuration, variables, profiles, https, commands, port, socket, orphans or names"""
    text: str
    """What was found; may hold untrusted text."""
    advice: str = ""
    """What to do about it."""


def faults(error: ConfigError) -> Iterator[Finding]:
    """Every fault of a file that cannot be used."""
    for line in error.message.splitlines():
        yield Finding(Level.BAD, "configuration", line, "Correct it; only1mcp validate checks it again.")


def unset(loaded: LoadedConfig) -> Iterator[Finding]:
    """Servers that stay off because a variable is missing."""
    for server, why in loaded.unset.items():
        text = f"{server} stays off: {why}"
        yield Finding(Level.WARN, "variables", text, "Set it where the gateway is started, and start it again.")


def profiles(loaded: LoadedConfig) -> Iterator[Finding]:
    """What profiles name that is not there."""
    for sentence in idle_globs(loaded.config):
        advice = "Correct it, or leave it for a server that is still to come."
        yield Finding(Level.WARN, "profiles", sentence, advice)


def https(loaded: LoadedConfig, now: datetime) -> Iterator[Finding]:
    """Whether HTTPS could be served with the files that are named."""
    tls = loaded.config.proxy.tls
    if tls is None:
        return
    try:
        context_for(tls)
    except TlsUnusable as error:
        yield Finding(Level.BAD, "https", error.message, "Correct proxy.tls, or the files.")
        return
    if said := untimely(tls, now):
        yield Finding(Level.WARN, "https", said, "Renew it; a gateway that runs takes the new one by itself.")
    else:
        yield Finding(Level.OK, "https", f"{tls.certificate} can be served")


def programs(loaded: LoadedConfig, environ: Mapping[str, str]) -> Iterator[Finding]:
    """The commands of servers that are switched on, as their children would look them up."""
    for server in loaded.config.servers:
        for place in server.places if server.enabled else ():
            if not isinstance(transport := place.transport, StdioTransport):
                continue
            name = server.id if server.transport is not None else f"{server.id}/{place.id}"
            try:
                found = find_program(name, transport, child_environment(transport, "", environ))
            except BackendUnavailable as error:
                advice = "Install it, or correct the command of this server."
                yield Finding(Level.BAD, "commands", f"{name}: {error.detail}", advice)
            else:
                yield Finding(Level.OK, "commands", f"{name}: {found}")


def port(proxy: ProxyConfig, is_ours: bool) -> Finding:
    """Whether the listener could be opened. `is_ours`: a gateway answers there already."""
    where = f"port {proxy.port} on {proxy.host}"
    if is_ours:
        return Finding(Level.OK, "port", f"{where} is served by a running gateway")
    if proxy.port == 0:
        return Finding(Level.OK, "port", "the system chooses one at each start")
    error = _listening_fails(proxy.host, proxy.port)
    if error is None:
        return Finding(Level.OK, "port", f"{where} is free")
    if error.errno == errno.EADDRINUSE:
        holder = listener_on(proxy.port) or "another process"
        advice = "Stop that process, or choose another port: proxy.port, or --port."
        return Finding(Level.BAD, "port", f"{where} is held by {holder}", advice)
    return Finding(
        Level.BAD, "port", f"{where}: {error.strerror or error}", "Correct proxy.host or proxy.port."
    )


def _listening_fails(host: str, number: int) -> OSError | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the listener does it: what lingers from its last life is no hindrance.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return error
    return None


def socket_file(path: Path | None, answers: bool) -> Finding:
    """The admin socket. `path`: None where the configuration wants none; `answers`: a gateway does there."""
    if path is None:
        advice = "only1mcp status and its like need it, or admin.on_port and --url."
        return Finding(Level.OK, "socket", "the configuration wants none (admin.socket)", advice)
    length = len(os.fsencode(path))
    if length > MAX_PATH_BYTES:
        advice = "Name a shorter one in admin.socket; only1mcp status and its like have no other way in."
        text = f"{path} is {length} bytes long; a socket's path may have {MAX_PATH_BYTES}"
        return Finding(Level.BAD, "socket", text, advice)
    if answers:
        return Finding(Level.OK, "socket", f"a running gateway answers at {path}")
    if path.is_socket():
        text = f"{path} was left by a gateway that is gone"
        return Finding(Level.WARN, "socket", text, "Nothing to do: the next start takes its place.")
    if path.exists():
        return Finding(Level.BAD, "socket", f"{path} is no socket", "Move it away, or correct admin.socket.")
    return Finding(Level.OK, "socket", f"no gateway runs (it would answer at {path})")
