"""`${VAR}`, `${VAR:-default}` and `${keyring:service/name}` in the string values of a configuration.

Variables are read from a given environment, secrets from a given keyring; knows neither. What one of them held
is never part of a message. `$${` stands for a literal `${`.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from msgspec import Struct, field

from proxy_core.config.document import KeyPath, printable

_REFERENCE = re.compile(r"(\$?)\$\{([^}]*)\}")
_VARIABLE = re.compile(r"(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_KEYRING: Final = "keyring:"
_KEPT = re.compile(r"keyring:([A-Za-z0-9][A-Za-z0-9._-]{0,63})/([A-Za-z0-9][A-Za-z0-9._@+-]{0,127})")
_SHORTEST_SECRET: Final = 8
"""Characters; hiding shorter values wherever they occur would make logs unreadable and hide nothing."""


ReadSecret: TypeAlias = Callable[[str, str], str | None]
"""Of a service and a name; None: there is none. Raises: SecretUnreadable."""


class SecretUnreadable(Exception):
    """Its words are for a person."""


class Expansion(Struct):
    """What expanding found. Paths are those of the string values."""

    unset: dict[KeyPath, str] = field(default_factory=dict)
    """Why a value could not be filled in, as `environment variable X is not set`; it stays as written."""
    secrets: set[str] = field(default_factory=set)
    """Values that came from the environment or a keyring, for hiding them in logs."""
    malformed: dict[KeyPath, str] = field(default_factory=dict)
    """Values with a `${...}` that is no reference."""


class Expander:
    """Expands values against one environment.

    `lenient` is for the files of other programs: they have references of their own, as VS Code's
    `${input:token}`, which only they can fill in. Such a value is unset, not malformed.
    """

    def __init__(
        self, environ: Mapping[str, str], lenient: bool = False, read_secret: ReadSecret = lambda *_: None
    ) -> None:
        self._environ = environ
        self._lenient = lenient
        self._read_secret = read_secret
        self.found = Expansion()

    def expand(self, value: Any, path: KeyPath = ()) -> Any:
        """`value` with every reference in its strings replaced, as far as they can be."""
        if isinstance(value, dict):
            return {key: self.expand(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.expand(item, (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, str) and "${" in value:
            return _REFERENCE.sub(lambda at: self._replacement(at, path), value)
        return value

    def _replacement(self, at: re.Match[str], path: KeyPath) -> str:
        escape, inner = at[1], at[2]
        if escape:
            return at[0][1:]
        if inner.startswith(_KEYRING):
            return self._kept(at[0], inner, path)
        variable = _VARIABLE.fullmatch(inner)
        if variable is None or inner in _EDITOR_VARIABLES or (inner.startswith("env:") and not self._lenient):
            self._not_ours(at[0], path)
            return at[0]
        name, default = variable[1], variable[2]
        held = self._environ.get(name)
        if held or (held is not None and default is None):
            return self._held(held)
        if default is None:
            self.found.unset[path] = f"environment variable {name} is not set"
            return at[0]
        return default

    def _kept(self, reference: str, inner: str, path: KeyPath) -> str:
        address = _KEPT.fullmatch(inner)
        if address is None:
            self.found.malformed[path] = (
                f"{printable(reference)} names no secret: write ${{keyring:service/name}}, "
                "of letters, digits, . _ -"
            )
            return reference
        name = f"{address[1]}/{address[2]}"
        try:
            held = self._read_secret(address[1], address[2])
        except SecretUnreadable as error:
            self.found.unset[path] = str(error)
            return reference
        if held is None:
            self.found.unset[path] = f"the secret {name} is not kept here: only1mcp secret set {name}"
            return reference
        return self._held(held)

    def _held(self, value: str) -> str:
        if len(value) >= _SHORTEST_SECRET:
            self.found.secrets.add(value)
        return value

    def _not_ours(self, reference: str, path: KeyPath) -> None:
        shown = printable(reference)
        if self._lenient:
            self.found.unset[path] = f"{shown} can be filled in only by the program this file belongs to"
        else:
            self.found.malformed[path] = (
                f"{shown} is not a variable: write ${{NAME}} or ${{NAME:-default}}, or $${{ for a literal ${{"
            )


_EDITOR_VARIABLES = frozenset(
    {"workspaceFolder", "workspaceFolderBasename", "userHome", "pathSeparator", "cwd"}
)
"""What VS Code and Cursor fill in; a person who meets them in our file is told so, not that they are unset."""
