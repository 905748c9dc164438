"""One pass over a document: variables filled in, every key checked, every fault collected with its place.

Knows the models and another program's form of them; knows no files and no environment but the one it is given.
"""

from collections.abc import Iterator
from typing import Any, Final

from pydantic import ValidationError

from proxy_core.config import across, faults, foreign
from proxy_core.config.document import Document, KeyPath, shown_path
from proxy_core.config.models import Config
from proxy_core.config.variables import Expander
from proxy_core.errors import ConfigProblem

_DROPPED_IF_UNSET: Final = frozenset(
    {
        "balance",
        "concurrency",
        "elicitation_prefix",
        "enabled",
        "era",
        "health",
        "instructions",
        "isolation",
        "on_change",
        "prefix",
        "roots",
        "timeouts",
    }
)
"""Settings of a server whose type admits no placeholder; the server is off anyway."""


_SERVER: Final = 2
"""Steps of the path of a server: servers, index."""


class Reading:
    """One pass over one document; collects faults instead of stopping at the first."""

    def __init__(self, document: Document, outside: foreign.ForeignFile | None, expander: Expander) -> None:
        self._document = document
        self._outside = outside
        self.expander = expander
        self._faults: list[tuple[KeyPath, str]] = []
        self._misplaced: list[ConfigProblem] = []
        self._obstacles: dict[int, str] = {}
        self._raw: Any = document.data if outside is None else self._translated(outside)
        self._server_ids: list[str] = []

    def config(self) -> Config | None:
        """The checked configuration, or None if there are faults."""
        data = self.expander.expand(self._raw)
        self._faults += self.expander.found.malformed.items()
        data = _without_empty_sections(self._without_unset(data))
        self._check_across(data)
        try:
            config = Config.model_validate(data)
        except ValidationError as error:
            self._faults += [fault for fault in faults.faults(error, self._raw) if not self._is_known(fault[0])]
            return None
        self._server_ids = [server.id for server in config.servers]
        return None if self._faults or self._misplaced else config

    def problems(self) -> tuple[ConfigProblem, ...]:
        """In the order of the file."""
        problems = [*self._misplaced, *(self._problem(path, message) for path, message in self._faults)]
        return tuple(sorted(problems, key=lambda problem: problem.line or 0))

    def unset_servers(self) -> dict[str, str]:
        reasons: dict[int, list[str]] = {index: [reason] for index, reason in self._obstacles.items()}
        for path, reason in self.expander.found.unset.items():
            index = path[1]
            assert isinstance(index, int)  # an unset variable elsewhere is a fault
            reasons.setdefault(index, []).append(reason)
        return {self._server_ids[index]: "; ".join(dict.fromkeys(given)) for index, given in reasons.items()}

    def _problem(self, path: KeyPath, message: str) -> ConfigProblem:
        if self._outside is not None:
            path = foreign.native_path(path, self._outside)
        return self._problem_at(path, message)

    def _problem_at(self, path: KeyPath, message: str) -> ConfigProblem:
        return ConfigProblem(shown_path(path), message, self._document.line_of(path))

    def _is_known(self, path: KeyPath) -> bool:
        """Whether a fault was found there, or in what holds it, before the models looked.

        What the models say of a server as a whole is known too, if a key of it was found at fault.
        """
        is_server = path[:1] == ("servers",) and len(path) == _SERVER
        return any(
            path[: len(known)] == known or (is_server and known[:_SERVER] == path)
            for known, _ in self._faults
            if known
        )

    def _translated(self, outside: foreign.ForeignFile) -> Any:
        self._misplaced = list(self._misplaced_in(outside))
        settings = outside.settings if isinstance(outside.settings, dict) else {}
        servers = foreign.translate_all(outside.entries)
        for index, server in enumerate(servers):
            if server.fault:
                self._faults.append((("servers", index), server.fault + "."))
            if server.obstacle:
                self._obstacles[index] = server.obstacle
        return {**settings, "servers": [server.settings for server in servers]}

    def _misplaced_in(self, outside: foreign.ForeignFile) -> Iterator[ConfigProblem]:
        """Settings of ours that another program's file has in the wrong place."""
        own: KeyPath = (foreign.OWN_SECTION,)
        if not isinstance(outside.settings, dict):
            yield self._problem_at(own, "a mapping of keys is wanted.")
        elif "servers" in outside.settings:
            yield self._problem_at((*own, "servers"), f"servers stand under {outside.list_key!r} in this file.")
        for key in Config.model_fields.keys() - {"servers", "version"}:
            if key in self._document.data:
                yield self._problem_at((key,), f"this stands under {foreign.OWN_SECTION!r} in this file.")

    def _without_unset(self, data: Any) -> Any:
        """Keep values that could not be filled in from failing the checks; outside servers they are faults."""
        for path, reason in list(self.expander.found.unset.items()):
            if not _may_be_unset(path):
                self._faults.append((path, f"{reason}, and this key cannot do without."))
                del self.expander.found.unset[path]
            elif dropped := _dropped(path):
                _at(data, dropped[:-1]).pop(dropped[-1], None)
            elif path[-2:] == ("transport", "url"):
                transport = _at(data, path[:-1])
                transport["url"] = _url_to_show(transport["url"])
        return data

    def _check_across(self, data: Any) -> None:
        """What no single key shows, where nothing else is wrong already."""
        found = across.faults_across(data, self._raw, self._document.line_of)
        self._faults += [fault for fault in found if not self._is_known(fault[0])]


def _without_empty_sections(data: Any) -> Any:
    """`servers:` with every item commented out says nothing, as a key left out does."""
    if not isinstance(data, dict):
        return data
    return {key: value for key, value in data.items() if value is not None or key not in Config.model_fields}


def _may_be_unset(path: KeyPath) -> bool:
    """Only a server can be switched off alone, and it needs its id and its kind to be shown at all."""
    if not (len(path) > _SERVER and path[0] == "servers" and isinstance(path[1], int)):
        return False
    in_place = path[_SERVER + 2 :] if path[_SERVER] == "replicas" else path[_SERVER:]
    return in_place not in {("id",), ("transport", "type")}


def _dropped(path: KeyPath) -> KeyPath:
    """The key to leave out for a value at `path` whose type admits no placeholder; nothing if it may stay."""
    if path[_SERVER] in _DROPPED_IF_UNSET:
        return path[: _SERVER + 1]
    if path[_SERVER : _SERVER + 2] == ("tools", "timeouts"):
        return path[: _SERVER + 2]
    at = _SERVER + 2 if path[_SERVER] == "replicas" else _SERVER
    if path[at : at + 2] == ("transport", "auth"):
        # What it may say is checked in parts that a placeholder would fail.
        return path[: at + 2]
    is_weight = path[_SERVER] == "replicas" and path[_SERVER + 2 :] == ("weight",)
    return path if is_weight else ()


def _at(data: Any, path: KeyPath) -> Any:
    for step in path:
        data = data[step]
    return data


def _url_to_show(url: str) -> str:
    """A URL with a reference left in it, in a form that passes the check and still shows the reference."""
    url = "".join(url.split())
    return url if url.startswith(("http://", "https://")) else f"http://unset.invalid/{url}"
