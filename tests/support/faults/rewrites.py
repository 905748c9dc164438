"""A configuration file that is rewritten all the time: well, badly, half, not at all, by every way of writing.

Deterministic for a seed. Knows files and what they say; nothing of the gateway that reads them.
"""

import json
import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.faults.plain import on_stdio
from tests.support.wire import Json

TORN_S: Final = 0.03
"""Between the two halves of a file that is written slowly; shorter than any debounce."""
LEAST_BYTES: Final = 40
TOOLS: Final = ("add", "slow", "who")


@dataclass(frozen=True)
class Version:
    """What the file says now."""

    text: str | None
    """None: there is no file."""
    is_good: bool
    tools: frozenset[str]
    """What a gateway lists, of the server that comes and goes, once this is in force."""


class Rewrites:
    """Writes one version after another."""

    def __init__(self, folder: Path, path: Path, servers: Sequence[Json], sections: Json, seed: int) -> None:
        """`servers` and `sections` are in every good version; one more server comes, changes and goes."""
        self._folder = folder
        self._path = path
        self._servers = list(servers)
        self._sections = sections
        self._random = random.Random(seed)
        self._number = 0
        self._extra: Json | None = None
        self._kinds: list[Callable[[], Version]] = []
        self._ways: list[Callable[[str], None]] = []
        self.good = self._version()
        """The last good version: what has to be in force."""

    def next(self) -> Version:
        """Write another one, each kind and each way in its turn but in no order."""
        self._number += 1
        kinds = (self._added, self._settings, self._added, self._replaced, self._removed, *self._bad_kinds)
        version = self._drawn(self._kinds, kinds)()
        if version.text is None:
            self._path.unlink(missing_ok=True)
        else:
            ways = (self._in_place, self._torn, self._renamed, self._swapped)
            self._drawn(self._ways, ways)(version.text)
        if version.is_good:
            self.good = version
        return version

    def restore(self) -> Version:
        """The last good version, written again."""
        assert self.good.text is not None
        self._renamed(self.good.text)
        return self.good

    def _drawn(self, deck: list[Any], cards: Sequence[Any]) -> Any:
        if not deck:
            deck.extend(self._random.sample(cards, len(cards)))
        return deck.pop()

    # --- what is written --------------------------------------------------------------------------------------

    def _added(self) -> Version:
        """Another server in the place of the one that comes and goes."""
        name = f"extra-{self._number}"
        self._extra = on_stdio(self._folder, name)
        return self._version()

    def _settings(self) -> Version:
        """Its settings alone, and some that are nobody's."""
        if self._extra is None:
            return self._added()
        self._extra = self._extra | {"tools": {"deny": [self._random.choice(TOOLS)]}}
        limits = self._sections.get("limits", {}) | {"server_queue": 100 + self._number}
        self._sections = self._sections | {"limits": limits}
        return self._version()

    def _replaced(self) -> Version:
        """The same server, at another place."""
        if self._extra is None:
            return self._added()
        env = self._extra["transport"]["env"] | {"VERSION": str(self._number)}
        self._extra = self._extra | {"transport": self._extra["transport"] | {"env": env}}
        return self._version()

    def _removed(self) -> Version:
        self._extra = None
        return self._version()

    def _version(self) -> Version:
        extra = self._extra
        servers = self._servers + ([extra] if extra else [])
        denied = extra["tools"].get("deny", []) if extra else []
        tools = {f"{extra['id']}__{tool}" for tool in TOOLS if tool not in denied} if extra else set()
        text = json.dumps({"version": 1, **self._sections, "servers": servers}, indent=1)
        return Version(text, True, frozenset(tools))

    @property
    def _bad_kinds(self) -> tuple[Callable[[], Version], ...]:
        text = self.good.text or ""
        return (
            lambda: self._bad(text.replace('"version"', '"verson"', 1)),
            lambda: self._bad(text + "\n]"),
            lambda: self._bad(text[: self._random.randint(LEAST_BYTES, len(text) - LEAST_BYTES)]),
            lambda: self._bad(None),
        )

    def _bad(self, text: str | None) -> Version:
        return Version(text, False, self.good.tools)

    # --- how it is written ------------------------------------------------------------------------------------

    def _in_place(self, text: str) -> None:
        self._path.write_text(text)

    def _torn(self, text: str) -> None:
        half = len(text) // 2
        with self._path.open("w") as file:
            file.write(text[:half])
            file.flush()
            time.sleep(TORN_S)
            file.write(text[half:])

    def _renamed(self, text: str) -> None:
        """As editors do."""
        new = self._path.with_name(f".{self._path.name}.new")
        new.write_text(text)
        new.replace(self._path)

    def _swapped(self, text: str) -> None:
        """As Kubernetes does: the file is a link into a folder that is a link, and that one is swapped."""
        parent = self._path.parent
        data, old = parent / "..data", (parent / "..data").resolve()
        folder = parent / f"..version-{self._number}"
        folder.mkdir()
        (folder / self._path.name).write_text(text)
        _link(data, folder.name)
        if not self._path.is_symlink():
            _link(self._path, f"{data.name}/{self._path.name}")
        if old.name.startswith("..version-"):
            shutil.rmtree(old)


def _link(path: Path, target: str) -> None:
    new = path.with_name(f"{path.name}.link")
    new.symlink_to(target)
    new.replace(path)
