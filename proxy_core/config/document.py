"""A configuration file as plain values, with the line of every key, so that a fault can name its place.

Knows YAML, TOML and JSON as syntax, nothing of what the keys mean. JSON may hold comments and trailing commas,
because VS Code's own files do.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from msgspec import Struct

from proxy_core.config import jsonc
from proxy_core.errors import ConfigError, ConfigProblem

KeyPath: TypeAlias = tuple[str | int, ...]

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 64
MAX_NODES: Final = 100_000
"""Values in one file after aliases are followed."""
ENDINGS: Final = (".yaml", ".yml", ".toml", ".json")


class Document(Struct, frozen=True):
    data: Any
    lines: Mapping[KeyPath, int]
    """1-based line of each key and item; empty where the format does not tell."""
    is_empty: bool = False
    """There is nothing in it but comments."""

    def line_of(self, path: KeyPath) -> int | None:
        """The line of `path`, or of the nearest thing around it that has one."""
        for end in range(len(path), -1, -1):
            if (line := self.lines.get(path[:end])) is not None:
                return line
        return None


class DocumentFault(Exception):
    """The text is not what its ending says."""

    def __init__(self, message: str, line: int | None = None, key: str = "") -> None:
        super().__init__(message)
        self.problem = ConfigProblem(key, message, line)


def shown_path(path: KeyPath) -> str:
    """`servers[2].transport.url`, safe to print."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{printable(step)}" for step in path)
    return text.removeprefix(".")


def printable(text: str, limit: int = 60) -> str:
    """`text` without what could steer a terminal, cut to `limit`."""
    safe = "".join(char if char.isprintable() else "�" for char in text[: limit + 1])
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


def read_text(path: Path) -> str:
    """Raises: ConfigError if the file cannot be read, is too large or is not UTF-8."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a NUL inside the path
        raise _unusable(path, f"cannot be read: {error}") from error
    if len(data) > MAX_BYTES:
        raise _unusable(path, f"larger than {MAX_BYTES} bytes, the most a configuration may have")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(str(path), (ConfigProblem("", "not UTF-8 text", line),)) from error


def _unusable(path: Path, message: str) -> ConfigError:
    return ConfigError(str(path), (ConfigProblem("", message),))


def parse(text: str, path: Path) -> Document:
    """Read `text` in the format that the ending of `path` names. Raises: ConfigError."""
    readers = {".yaml": read_yaml, ".yml": read_yaml, ".toml": read_toml, ".json": read_json}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        found = path.suffix or "no ending"
        raise _unusable(path, f"found {found}; a configuration ends in {', '.join(ENDINGS)}")
    try:
        document = reader(text)
        _check_text(document, (), document.data)
    except DocumentFault as fault:
        raise ConfigError(str(path), (fault.problem,)) from fault
    return document


def read_yaml(text: str) -> Document:
    # The parser is 1.5 MB, which a gateway with a file of TOML or JSON, or with none, does without.
    from proxy_core.config import yaml_document

    return yaml_document.read_yaml(text)


def read_json(text: str) -> Document:
    try:
        data, lines = jsonc.read(text, MAX_DEPTH)
    except jsonc.JsonFault as fault:
        what = fault.message if fault.path else f"not valid JSON: {fault.message}"
        raise DocumentFault(what, fault.line, shown_path(fault.path)) from fault
    return Document(data, lines)


def read_toml(text: str) -> Document:
    # As that of YAML.
    import tomllib

    try:
        data = tomllib.loads(text)
    except RecursionError as error:
        raise DocumentFault("nested too deeply") from error
    except tomllib.TOMLDecodeError as error:
        # The line is only in the words before Python 3.14.
        at = re.search(r" \(at line (\d+), column \d+\)$", str(error))
        message = str(error)[: at.start()] if at else str(error)
        raise DocumentFault(f"not valid TOML: {printable(message, 200)}", int(at[1]) if at else None) from error
    except ValueError as error:
        # tomllib lets a number beyond Python's digit limit, or a date that does not exist, through to here.
        raise DocumentFault("not valid TOML: a number or date is out of range") from error
    return Document(data, {}, is_empty=not data)


def _check_text(document: Document, path: KeyPath, value: Any) -> None:
    """Refuse deep nesting, and lone surrogates, which escapes can make and no output can carry."""
    if len(path) > MAX_DEPTH:
        raise DocumentFault("nested too deeply", document.line_of(path))
    if isinstance(value, dict):
        for key, item in value.items():
            _check_text(document, path, key)
            _check_text(document, (*path, key), item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_text(document, (*path, index), item)
    elif isinstance(value, str) and not value.isascii() and re.search(r"[\ud800-\udfff]", value):
        raise DocumentFault("holds half a surrogate pair", document.line_of(path), shown_path(path))
