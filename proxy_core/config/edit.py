"""Add and remove servers in a configuration file, leaving every other byte of it as it was.

YAML is edited by lines, at the places where the parser saw the items, so that comments, blank lines and quoting
stay; the result must read back as exactly what was meant, or nothing is written. JSON is written anew. TOML is
not edited: no writer for it keeps comments.
"""

import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from proxy_core.config import foreign
from proxy_core.config.document import parse, read_text
from proxy_core.config.load import from_text
from proxy_core.config.models import ServerConfig
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
    text = read_text(path) if path.exists() else (NEW_FILE if _is_yaml(path) else "{}")
    taken = _ids(path, text, environ)
    for server in servers:
        if server.id in taken:
            raise EditRefused(f"{path} already has a server with the id {server.id!r}.")
    data = [plain_settings(server) for server in servers]
    edited = _added_yaml(path, text, data) if _is_yaml(path) else _added_json(path, text, data)
    from_text(edited, path, environ)
    write_atomically(path, edited)


def remove_server(path: Path, server_id: str, environ: Mapping[str, str] = os.environ) -> None:
    """Raises: UnknownServer, and what `add_servers` raises."""
    text = read_text(path)
    ids = _ids(path, text, environ)
    if server_id not in ids:
        raise UnknownServer(server_id)
    at = ids.index(server_id)
    edited = _removed_yaml(path, text, at) if _is_yaml(path) else _removed_json(path, text, at)
    from_text(edited, path, environ)
    write_atomically(path, edited)


def plain_settings(server: ServerConfig) -> dict[str, Any]:
    """What the file has to say about a server: no defaults, but for the transport's type."""
    settings = server.model_dump(mode="json", exclude_defaults=True, exclude={"transport"})
    transport = server.transport.model_dump(mode="json", exclude_defaults=True)
    head: dict[str, Any] = {key: settings.pop(key) for key in ("id", "name") if key in settings}
    return {**head, "transport": {"type": server.transport.type, **transport}, **settings}


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


def _ids(path: Path, text: str, environ: Mapping[str, str]) -> list[str]:
    """Ids in the order of the file. Raises: ConfigError, EditRefused for another program's file."""
    if foreign.recognise(parse(text, path).data) is not None:
        raise EditRefused(
            f"{path} is in another program's form. Change it there, or make a file of our own: only1mcp init"
        )
    return [server.id for server in from_text(text, path, environ).config.servers]


# --- JSON ---------------------------------------------------------------------------------------------------


def _added_json(path: Path, text: str, servers: list[dict[str, Any]]) -> str:
    data = _strict_json(path, text)
    data["servers"] = [*data.get("servers", []), *servers]
    return _json(data)


def _removed_json(path: Path, text: str, at: int) -> str:
    data = _strict_json(path, text)
    del data["servers"][at]
    return _json(data)


def _strict_json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise EditRefused(f"{path} has comments, which writing it would lose. Change it by hand.") from error


def _json(data: Any) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


# --- YAML ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Item:
    """Where one server stands: 0-based lines, the end exclusive."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _ServerList:
    """The `servers` key of a YAML file."""

    key_line: int
    column: int
    """Of the dashes."""
    items: tuple[_Item, ...]
    value: tuple[int, int] | None
    """Character range of an empty value that stands on the key's line, as `[]` or `null`."""


def _added_yaml(path: Path, text: str, servers: list[dict[str, Any]]) -> str:
    place = _server_list(path, text)
    newline = "\r\n" if "\r\n" in text else "\n"
    if place is None:
        body = text + (newline if text and not text.endswith("\n") else "")
        edited = body + newline.join(["servers:", *_items_text(servers, 2), ""])
    else:
        if place.value is not None:
            text = text[: place.value[0]].rstrip(" ") + text[place.value[1] :]
        lines = text.splitlines(keepends=True)
        at = place.items[-1].end if place.items else place.key_line + 1
        if at == len(lines) and lines and not lines[-1].endswith("\n"):
            lines[-1] += newline
        lines[at:at] = [line + newline for line in _items_text(servers, place.column)]
        edited = "".join(lines)
    before = parse(text, path).data
    return _checked(path, edited, {**before, "servers": [*(before.get("servers") or []), *servers]})


def _removed_yaml(path: Path, text: str, at: int) -> str:
    place = _server_list(path, text)
    if place is None or not place.items:
        raise EditRefused(_by_hand(path))
    lines = text.splitlines(keepends=True)
    item = place.items[at]
    start = item.start
    # A comment right above an item speaks of it; one above the first may speak of the whole list.
    while at > 0 and start - 1 >= place.items[at - 1].end and _is_comment(lines[start - 1], place.column):
        start -= 1
    if len(place.items) == 1:
        key_line = lines[place.key_line]
        lines[place.key_line] = key_line.replace("servers:", "servers: []", 1)
    del lines[start : item.end]
    before = parse(text, path).data
    kept = [server for index, server in enumerate(before["servers"]) if index != at]
    return _checked(path, "".join(lines), {**before, "servers": kept})


def _checked(path: Path, edited: str, meant: Any) -> str:
    """`edited` if it says what was meant; a style of YAML that the line edits do not know ends here."""
    try:
        is_meant = parse(edited, path).data == meant
    except ConfigError:
        is_meant = False
    if not is_meant:
        raise EditRefused(_by_hand(path))
    return edited


def _by_hand(path: Path) -> str:
    return (
        f"{path} is written in a way that cannot be edited safely. Write `servers:` as a list of `- id:` items."
    )


def _is_comment(line: str, column: int) -> bool:
    return line[:column].strip() == "" and line[column : column + 1] == "#"


def _server_list(path: Path, text: str) -> _ServerList | None:
    root = YAML(typ="safe", pure=True).compose(text)
    pairs = root.value if isinstance(root, MappingNode) else ()
    key, value = next((pair for pair in pairs if pair[0].value == "servers"), (None, None))
    if key is None or value is None:
        return None
    key_line = key.start_mark.line
    if isinstance(value, SequenceNode) and value.value and not value.flow_style:
        column = value.start_mark.column
        return _ServerList(key_line, column, tuple(_items(value, column, text.splitlines())), None)
    is_empty = isinstance(value, ScalarNode) or (isinstance(value, SequenceNode) and not value.value)
    if not is_empty:
        raise EditRefused(_by_hand(path))
    return _ServerList(key_line, key.start_mark.column + 2, (), (value.start_mark.index, value.end_mark.index))


def _items(sequence: SequenceNode, column: int, lines: list[str]) -> Iterable[_Item]:
    for node in sequence.value:
        start = node.start_mark.line
        # The dash may stand alone above its item.
        while start > 0 and lines[start][column : column + 1] != "-":
            start -= 1
        yield _Item(start, _last_line(node) + 1)


def _last_line(node: Node) -> int:
    """The last line with a token of `node`; the end mark of a block lies where the next token begins."""
    if isinstance(node, MappingNode) and node.value and not node.flow_style:
        return _last_line(node.value[-1][1])
    if isinstance(node, SequenceNode) and node.value and not node.flow_style:
        return _last_line(node.value[-1])
    end = node.end_mark
    return int(end.line - 1 if end.column == 0 and end.line > node.start_mark.line else end.line)


def _items_text(servers: list[dict[str, Any]], column: int) -> list[str]:
    writer = YAML()
    writer.width = 4096
    writer.indent(mapping=2, sequence=4, offset=2)
    lines: list[str] = []
    for server in servers:
        out = StringIO()
        writer.dump(server, out)
        body = out.getvalue().splitlines()
        lines += [f"{' ' * column}- {body[0]}", *(f"{' ' * column}  {line}" for line in body[1:])]
    return lines
