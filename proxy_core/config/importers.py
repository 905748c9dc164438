"""Servers that the AI clients on this machine already have, as proposals for our configuration.

Reads the clients' files and never writes them. Values are taken over as they stand, literal secrets included:
they were in a file before. Whoever shows a proposal shows `address`, which is masked.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from proxy_core.config import edit, foreign
from proxy_core.config.clients import ClientFile, client_files
from proxy_core.config.connect import ENTRY
from proxy_core.config.document import DocumentFault, parse, read_json, read_text, shown_path
from proxy_core.config.faults import checked_server
from proxy_core.config.models import HttpTransport, ServerConfig, SseTransport, StdioTransport, Transport
from proxy_core.config.secrets import masked_address
from proxy_core.config.slugs import unique_slug
from proxy_core.config.variables import Expander
from proxy_core.errors import ConfigError

_INPUT = re.compile(r"\$\{input:([^}]*)\}")
_ENV = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")
_OWN_COMMANDS: Final = frozenset({"only1mcp", "only1mcp_tui"})


@dataclass(frozen=True, slots=True)
class FoundServer:
    """One server in a client's file."""

    client: str
    path: Path
    name: str
    """As the client has it."""
    server: ServerConfig | None
    """What we would write, or None if the entry is of no use; `problem` says why."""
    address: str
    """The command line or URL, secrets masked."""
    problem: str = ""
    is_ourselves: bool = False
    """The entry leads to this gateway: taken over, it would call itself."""
    is_duplicate: bool = False
    """Our configuration, or an entry found before, has the same transport."""

    @property
    def is_preselected(self) -> bool:
        return self.server is not None and not self.is_ourselves and not self.is_duplicate


def discover_servers(
    home: Path, cwd: Path, platform: str, own_url: str = "", known: Sequence[ServerConfig] = ()
) -> tuple[FoundServer, ...]:
    """Everything found, in the order of `clients.client_files`. `known` are the servers we have already.

    A file that cannot be read is one entry without a server, with the problem.
    """
    result: list[FoundServer] = []
    ids = {server.id for server in known}
    transports = [place.transport for server in known for place in server.places]
    for file in client_files(home, cwd, platform):
        for found in _in_file(file, own_url):
            if (server := found.server) is not None:
                server = server.model_copy(update={"id": unique_slug(found.name, ids)})
                ids.add(server.id)
                transport = server.places[0].transport
                is_duplicate = transport in transports
                transports.append(transport)
                found = replace(found, server=server, is_duplicate=is_duplicate)
            result.append(found)
    return tuple(result)


def known_servers(path: Path) -> tuple[ServerConfig, ...]:
    """The servers of our file with their references as written, to tell what is there already.

    Raises: ConfigError if the file cannot be read.
    """
    data = parse(read_text(path), path).data
    listed = data.get("servers") if isinstance(data, dict) else None
    result = []
    for settings in listed if isinstance(listed, list) else ():
        with suppress(ConfigError):
            result.append(checked_server(settings, str(path)))
    return tuple(result)


def write_import(path: Path, servers: Sequence[ServerConfig]) -> None:
    """Add `servers` to our file, which is made with mode 0600 if there is none; its comments stay.

    Raises: ConfigError, EditRefused.
    """
    edit.add_servers(path, servers)


def _in_file(file: ClientFile, own_url: str) -> Iterator[FoundServer]:
    if not file.path.is_file():
        return
    try:
        data = read_json(read_text(file.path)).data
    except DocumentFault as fault:
        line = f" on line {fault.problem.line}" if fault.problem.line else ""
        yield FoundServer(file.client, file.path, "", None, "", f"{fault.problem.message}{line}")
    except ConfigError as error:
        yield FoundServer(file.client, file.path, "", None, "", error.problems[0].message)
    else:
        for project, name, entry in _entries(data, file.project):
            yield _found(file, project, name, entry, own_url)


def _entries(data: Any, project: Path | None) -> Iterator[tuple[Path | None, str, Any]]:
    """Project, name and entry: the servers of the whole file, and those that Claude Code keeps by project."""
    if (listed := foreign.recognise(data)) is not None:
        yield from ((project, name, entry) for name, entry in listed.entries.items())
    projects = data.get("projects") if isinstance(data, dict) else None
    for folder, settings in projects.items() if isinstance(projects, dict) else ():
        if (listed := foreign.recognise(settings)) is not None:
            yield from ((Path(folder), name, entry) for name, entry in listed.entries.items())


def _found(file: ClientFile, project: Path | None, name: str, entry: Any, own_url: str) -> FoundServer:
    try:
        server = _proposal(file.client, project, name, entry)
    except _OfNoUse as reason:
        return FoundServer(file.client, file.path, name, None, "", str(reason))
    transport = server.places[0].transport
    address = masked_address(transport)
    # `connect` writes our entry under this name, whatever the port was then.
    is_ourselves = name == ENTRY or _leads_here(transport, own_url)
    return FoundServer(file.client, file.path, name, server, address, is_ourselves=is_ourselves)


class _OfNoUse(Exception):
    """Why an entry cannot be taken over."""


def _proposal(client: str, project: Path | None, name: str, entry: Any) -> ServerConfig:
    translated = foreign.translate(name, entry, unique_slug(name, ()))
    if problem := translated.fault or translated.obstacle:
        raise _OfNoUse(problem)
    settings = _with_our_references(translated.settings)
    expander = Expander({})
    expander.expand(settings)
    if expander.found.malformed:
        path = next(iter(expander.found.malformed))
        raise _OfNoUse(f"{shown_path(path)} has a placeholder that only {client} can fill in")
    transport = settings["transport"]
    if project is not None and transport["type"] == "stdio":
        # A project's servers count on being started in its folder.
        transport["cwd"] = (
            str(project / transport["cwd"]) if isinstance(transport.get("cwd"), str) else str(project)
        )
    try:
        return checked_server(settings, name)
    except ConfigError as error:
        first = error.problems[0]
        raise _OfNoUse(f"{first.key}: {first.message}") from error


def _with_our_references(value: Any) -> Any:
    """`${env:X}` is our `${X}`; what VS Code asks a person for, `${input:api-key}`, becomes `${API_KEY}`."""
    if isinstance(value, dict):
        return {key: _with_our_references(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_our_references(item) for item in value]
    if not isinstance(value, str):
        return value
    return _INPUT.sub(lambda at: f"${{{_variable(at[1])}}}", _ENV.sub(r"${\1}", value))


def _variable(input_id: str) -> str:
    name = re.sub(r"[^A-Za-z0-9]+", "_", input_id).strip("_").upper() or "INPUT"
    return f"_{name}" if name[0].isdigit() else name


def _leads_here(transport: Transport, own_url: str) -> bool:
    match transport:
        case StdioTransport(command=command, args=args):
            words = {Path(word).name for word in (command, *args)}
            return not _OWN_COMMANDS.isdisjoint(words) or (bool(own_url) and own_url in args)
        case HttpTransport(url=url) | SseTransport(url=url):
            return bool(own_url) and _plain(url) == _plain(own_url)


def _plain(url: str) -> str:
    return url.rstrip("/").replace("://localhost:", "://127.0.0.1:")
