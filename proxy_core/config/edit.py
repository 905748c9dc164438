"""Add servers and tokens to a configuration file, and remove servers, leaving the rest of it as it was.

YAML keeps every other byte, comments included; the result must read back as exactly what was meant, or nothing
is written. JSON is written anew. TOML is not edited: no writer for it keeps comments.
"""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from proxy_core.config import foreign, yaml_lists
from proxy_core.config.document import parse, read_text
from proxy_core.config.load import EmptyFile, from_text
from proxy_core.config.models import Config, ServerConfig, TokenConfig, Transport
from proxy_core.errors import ConfigError, Only1Error, UnknownServer

NEW_FILE: Final = "# only1mcp configuration; `only1mcp config schema` describes every key.\nversion: 1\n"
_NEW_MODE: Final = 0o600
"""A configuration may hold secrets of the servers it names."""


class EditRefused(Only1Error):
    """The file is left as it was; the message says why and what to do."""


def add_servers(path: Path, servers: Sequence[ServerConfig], environ: Mapping[str, str] = os.environ) -> None:
    """Append to the list of servers; the file is made if there is none.

    Raises: ConfigError if the file is bad or would be, EditRefused if it cannot be edited.
    """
    text = _text_of(path)
    taken = _ids(path, text, environ)
    for server in servers:
        if server.id in taken:
            raise EditRefused(f"{path} already has a server with the id {server.id!r}.")
    data = [plain_settings(server) for server in servers]
    _write(path, _with_items(path, text, ("servers",), data), environ)


def add_token(path: Path, token: TokenConfig, environ: Mapping[str, str] = os.environ) -> None:
    """Append to `auth.tokens`; the file is made if there is none. Raises: what `add_servers` raises."""
    text = _text_of(path)
    if token.name in {known.name for known in _own(path, text, environ).auth.tokens}:
        raise EditRefused(f"{path} already has a token called {token.name!r}; remove it there first.")
    _write(
        path, _with_items(path, text, ("auth", "tokens"), [token.model_dump(exclude_defaults=True)]), environ
    )


def remove_server(path: Path, server_id: str, environ: Mapping[str, str] = os.environ) -> None:
    """Raises: UnknownServer, and what `add_servers` raises."""
    text = read_text(path)
    ids = _ids(path, text, environ)
    if server_id not in ids:
        raise UnknownServer(server_id)
    _write(path, _without_server(path, text, ids.index(server_id)), environ)


def plain_settings(server: ServerConfig) -> dict[str, Any]:
    """What the file has to say about a server: no defaults, but for the transport's type."""
    settings = server.model_dump(mode="json", exclude_defaults=True, exclude={"transport", "replicas"})
    head: dict[str, Any] = {key: settings.pop(key) for key in ("id", "name") if key in settings}
    if server.transport is not None:
        return {**head, "transport": _plain_transport(server.transport), **settings}
    replicas = [
        {
            **replica.model_dump(exclude_defaults=True, exclude={"transport"}),
            "transport": _plain_transport(replica.transport),
        }
        for replica in server.replicas
    ]
    return {**head, "replicas": replicas, **settings}


def _plain_transport(transport: Transport) -> dict[str, Any]:
    return {"type": transport.type, **transport.model_dump(mode="json", exclude_defaults=True)}


def write_atomically(path: Path, text: str) -> None:
    """Replace the file in one step; its mode is kept, a new one is for its owner only. Raises: EditRefused."""
    try:
        _replace(path.resolve(), text)
    except OSError as error:
        raise EditRefused(f"{path} cannot be written: {error.strerror or error}") from error


def _replace(target: Path, text: str) -> None:
    """`target` is no link: many people keep such files elsewhere, and their links must survive."""
    target.parent.mkdir(parents=True, exist_ok=True)
    mode = target.stat().st_mode & 0o777 if target.exists() else _NEW_MODE
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, target)
    except OSError:
        os.unlink(temporary)
        raise


def _is_yaml(path: Path) -> bool:
    if path.suffix.lower() == ".toml":
        raise EditRefused(f"{path} is TOML, which is not edited here. Change it by hand, or use a YAML file.")
    return path.suffix.lower() in {".yaml", ".yml"}


def _text_of(path: Path) -> str:
    text = read_text(path) if path.exists() else ""
    return text if text.strip() else (NEW_FILE if _is_yaml(path) else "{}")


def _own(path: Path, text: str, environ: Mapping[str, str]) -> Config:
    """What the file says now. Raises: ConfigError, EditRefused for another program's file."""
    if foreign.recognise(parse(text, path).data) is not None:
        raise EditRefused(
            f"{path} is in another program's form. Change it there, or make a file of our own: only1mcp init"
        )
    try:
        return from_text(text, path, environ).config
    except EmptyFile:
        return Config()


def _ids(path: Path, text: str, environ: Mapping[str, str]) -> list[str]:
    """In the order of the file."""
    return [server.id for server in _own(path, text, environ).servers]


def _write(path: Path, edited: str, environ: Mapping[str, str]) -> None:
    """Raises: ConfigError if the file would be bad."""
    from_text(edited, path, environ)
    write_atomically(path, edited)


# --- the text as it is to be --------------------------------------------------------------------------------


def _with_items(path: Path, text: str, keys: yaml_lists.Keys, items: list[dict[str, Any]]) -> str:
    if not _is_yaml(path):
        return _json(_extended(_strict_json(path, text), keys, items))
    meant = _extended(parse(text, path).data, keys, items)
    try:
        edited = yaml_lists.with_items(text, keys, items)
    except yaml_lists.NotPlain as error:
        raise EditRefused(_by_hand(path, keys)) from error
    return _checked(path, edited, meant, keys)


def _without_server(path: Path, text: str, at: int) -> str:
    data = parse(text, path).data if _is_yaml(path) else _strict_json(path, text)
    meant = {**data, "servers": [server for index, server in enumerate(data["servers"]) if index != at]}
    if not _is_yaml(path):
        return _json(meant)
    try:
        edited = yaml_lists.without_item(text, ("servers",), at)
    except yaml_lists.NotPlain as error:
        raise EditRefused(_by_hand(path, ("servers",))) from error
    return _checked(path, edited, meant, ("servers",))


def _extended(data: Any, keys: yaml_lists.Keys, items: list[dict[str, Any]]) -> Any:
    """`data` with `items` at the end of the list at `keys`."""
    if not keys:
        return [*(data or []), *items]
    data = data or {}
    return {**data, keys[0]: _extended(data.get(keys[0]), keys[1:], items)}


def _strict_json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise EditRefused(f"{path} has comments, which writing it would lose. Change it by hand.") from error


def _json(data: Any) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _checked(path: Path, edited: str, meant: Any, keys: yaml_lists.Keys) -> str:
    """`edited` if it says what was meant; a style of YAML that the line edits do not know ends here."""
    try:
        is_meant = parse(edited, path).data == meant
    except ConfigError:
        is_meant = False
    if not is_meant:
        raise EditRefused(_by_hand(path, keys))
    return edited


def _by_hand(path: Path, keys: yaml_lists.Keys) -> str:
    first = "id" if keys == ("servers",) else "name"
    return (
        f"{path} is written in a way that cannot be edited safely. "
        f"Write `{'.'.join(keys)}` as a list of `- {first}:` items."
    )
