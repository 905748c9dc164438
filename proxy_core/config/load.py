"""From a file to a checked `Config`: where it is found, what it says, and every fault of it at once.

Reads the file, and secrets of the keyring that it names; the environment is given. Knows no servers, only their
settings.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from proxy_core.config import foreign
from proxy_core.config.document import ENDINGS, parse, read_text
from proxy_core.config.models import Config, ServerConfig, StdioTransport, Transport
from proxy_core.config.reading import Reading
from proxy_core.config.variables import Expander, ReadSecret, SecretUnreadable
from proxy_core.errors import ConfigError, ConfigProblem
from proxy_core.vault.vault import Vault, VaultFailed

ENV_VAR: Final = "ONLY1MCP_CONFIG"
STEM: Final = "only1mcp"


class EmptyFile(ConfigError):
    """The file says nothing at all. Not even that there are no servers: it may just be being written."""


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A usable configuration and what is to be known about it."""

    config: Config = field(repr=False)
    """Left out of the repr, as it holds what `${VAR}` stood for."""
    path: Path | None = None
    """None: no file; the demo servers."""
    unset: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Server id -> why it cannot start, as `environment variable X is not set`. Such a server is disabled."""
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    """Values that came from the environment or a keyring, long enough to be worth hiding in logs."""

    def sharing(self, old: "LoadedConfig") -> "LoadedConfig":
        """The same with the very objects of `old` for the servers that did not change: known at a glance."""
        known = {server.id: server for server in old.config.servers}
        servers = tuple(
            before if (before := known.get(server.id)) == server else server for server in self.config.servers
        )
        return replace(self, config=self.config.model_copy(update={"servers": servers}))


def find_config(explicit: Path | None, environ: Mapping[str, str], cwd: Path) -> Path | None:
    """The file to use, or None if there is none. Raises: ConfigError if one that was named is missing."""
    named = explicit or (Path(environ[ENV_VAR]) if environ.get(ENV_VAR) else None)
    if named is not None:
        path = cwd / _expand_user(str(named), environ)
        if not path.is_file():
            by = "--config" if explicit else f"${ENV_VAR}"
            raise ConfigError(str(path), (ConfigProblem("", f"no such file (named by {by})"),))
        return path
    candidates = (*(cwd / f"{STEM}{ending}" for ending in ENDINGS), user_config_path(environ))
    return next((path for path in candidates if path.is_file()), None)


def user_config_path(environ: Mapping[str, str]) -> Path:
    """Where a person's own configuration stands, whether or not it exists."""
    xdg = environ.get("XDG_CONFIG_HOME", "")
    if Path(xdg).is_absolute():
        folder = Path(xdg) / STEM
    elif sys.platform == "linux" and environ.get("HOME"):
        folder = Path(environ["HOME"]) / ".config" / STEM
    else:
        # Not at the top: where the environment says it, nobody needs it.
        import platformdirs

        folder = platformdirs.user_config_path(STEM, appauthor=False)
    return folder / f"{STEM}.yaml"


def load(path: Path, environ: Mapping[str, str]) -> LoadedConfig:
    """Read and check the file. Raises: ConfigError with every fault that was found."""
    return from_text(read_text(path), path, environ)


def from_text(text: str, path: Path, environ: Mapping[str, str]) -> LoadedConfig:
    """As `load`, for text that is or will be the file at `path`. Raises: ConfigError, EmptyFile among them."""
    document = parse(text, path) if text.strip() else None
    if document is None or document.is_empty:
        raise EmptyFile(str(path), (ConfigProblem("", _EMPTY),))
    outside = foreign.recognise(document.data) if path.suffix.lower() == ".json" else None
    reading = Reading(document, outside, Expander(environ, outside is not None, _secret_reader(environ)))
    config = reading.config()
    if config is None:
        raise ConfigError(str(path), reading.problems())
    unset = reading.unset_servers()
    return LoadedConfig(
        config=_settled(config, unset, path.absolute().parent, environ),
        path=path,
        unset=MappingProxyType(unset),
        secrets=frozenset(reading.expander.found.secrets),
    )


_EMPTY: Final = (
    "the file is empty. `only1mcp add` puts a server into it; `version: 1` alone is a gateway without servers."
)


def _secret_reader(environ: Mapping[str, str]) -> ReadSecret:
    """Reads from the keyring, if a reference asks for it, or from what stands in for one."""
    vault: Vault | None = None

    def read(service: str, name: str) -> str | None:
        nonlocal vault
        vault = vault or Vault(environ)
        try:
            return vault.read(service, name)
        except VaultFailed as error:
            raise SecretUnreadable(error.message[:1].lower() + error.message[1:].rstrip(".")) from error

    return read


def _settled(config: Config, unset: Iterable[str], folder: Path, environ: Mapping[str, str]) -> Config:
    """Paths made absolute where they are relative to the file, unset servers switched off."""
    servers = tuple(_settled_server(server, server.id in unset, folder, environ) for server in config.servers)
    logging = config.logging
    if logging.file is not None:
        file = str(folder / _expand_user(logging.file, environ))
        logging = logging.model_copy(update={"file": file})
    admin = config.admin
    if admin.socket not in {None, "auto"}:
        admin = admin.model_copy(update={"socket": str(folder / _expand_user(str(admin.socket), environ))})
    proxy = config.proxy
    if (tls := proxy.tls) is not None:
        named = {name: path for name, path in tls if path is not None}
        files = {name: str(folder / _expand_user(path, environ)) for name, path in named.items()}
        proxy = proxy.model_copy(update={"tls": tls.model_copy(update=files)})
    return config.model_copy(update={"servers": servers, "logging": logging, "admin": admin, "proxy": proxy})


def _settled_server(
    server: ServerConfig, is_unset: bool, folder: Path, environ: Mapping[str, str]
) -> ServerConfig:
    changes: dict[str, Any] = {"enabled": False} if is_unset else {}
    if server.transport is not None:
        changes["transport"] = _settled_transport(server.transport, folder, environ)
    changes["replicas"] = tuple(
        replica.model_copy(update={"transport": _settled_transport(replica.transport, folder, environ)})
        for replica in server.replicas
    )
    return server.model_copy(update=changes)


def _settled_transport(transport: Transport, folder: Path, environ: Mapping[str, str]) -> Transport:
    if not isinstance(transport, StdioTransport):
        return transport
    paths = {"command": _expand_user(transport.command, environ)}
    if transport.cwd is not None:
        paths["cwd"] = str(folder / _expand_user(transport.cwd, environ))
    return transport.model_copy(update=paths)


def _expand_user(path: str, environ: Mapping[str, str]) -> str:
    """`~` and `~/x` by HOME of the given environment; `~name` is left alone."""
    home = environ.get("HOME")
    return home + path[1:] if home and (path == "~" or path.startswith("~/")) else path
