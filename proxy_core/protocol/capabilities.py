"""What a client said it can do for a server: read from either era, intersected, said again in either era. Pure.

Features are flat words, so that asking "may this be asked of this client" is a look into a set.
Spec: 2026-07-28 basic, "Per-request protocol fields"; client/elicitation; client/sampling.
"""

from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from msgspec import Raw, Struct
from msgspec.structs import replace

from proxy_core.errors import ParseError
from proxy_core.protocol import jsonrpc
from proxy_core.protocol.methods import META
from proxy_core.protocol.revisions import LATEST_LEGACY, MODERN

Feature: TypeAlias = Literal[
    "sampling", "sampling.tools", "sampling.context", "elicitation.form", "elicitation.url", "roots"
]
FEATURES: Final[frozenset[Feature]] = frozenset(
    {"sampling", "sampling.tools", "sampling.context", "elicitation.form", "elicitation.url", "roots"}
)
TASKS: Final = META + "tasks"
UI: Final = META + "ui"
EXTENSIONS: Final = frozenset({TASKS, UI})
"""The extensions that we know how to carry; no other is passed on."""

_NO_ELICITATION: Final = frozenset({"2024-11-05", "2025-03-26"})
_SPLIT: Final = frozenset({LATEST_LEGACY, MODERN})
"""Revisions in which elicitation has modes and sampling has parts."""
_CONTEXTS: Final = frozenset({"thisServer", "allServers"})
_MAX_CACHED_BYTES: Final = 4096


class ClientCapabilities(Struct, frozen=True):
    features: frozenset[Feature] = frozenset()
    announces_roots: bool = False
    """Whether a legacy client says when its roots change."""
    extensions: tuple[tuple[str, bytes], ...] = ()
    """Ids of `EXTENSIONS` and the JSON of their settings, sorted."""

    def declares(self, extension: str) -> bool:
        return bool(self.extensions) and any(name == extension for name, _ in self.extensions)

    def with_tasks(self) -> "ClientCapabilities":
        """The same of a client for which somebody else sees to its tasks."""
        others = tuple(each for each in self.extensions if each[0] != TASKS)
        return replace(self, extensions=tuple(sorted((*others, (TASKS, b"{}")))))


NONE: Final = ClientCapabilities()


def read(raw: Raw | bytes, revision: str) -> ClientCapabilities:
    """What a client of `revision` declared; members that are not what they should be declare nothing."""
    body = bytes(raw)
    if body in (b"", b"{}"):
        return NONE
    return _read_cached(body, revision) if len(body) <= _MAX_CACHED_BYTES else _read(body, revision)


def _read(body: bytes, revision: str) -> ClientCapabilities:
    try:
        declared = jsonrpc.decode(body)
    except ParseError:
        return NONE
    if not isinstance(declared, dict):
        return NONE
    features = _sampling(declared, revision) | _elicitation(declared, revision)
    roots = declared.get("roots")
    if isinstance(roots, dict):
        features |= {"roots"}
    announces = isinstance(roots, dict) and roots.get("listChanged") is True and revision != MODERN
    return ClientCapabilities(features, announces, _extensions(declared, revision))


_read_cached = lru_cache(maxsize=256)(_read)


def _sampling(declared: dict[str, Any], revision: str) -> frozenset[Feature]:
    sampling = declared.get("sampling")
    if not isinstance(sampling, dict):
        return frozenset()
    features: set[Feature] = {"sampling"}
    if revision in _SPLIT and isinstance(sampling.get("tools"), dict):
        features.add("sampling.tools")
    if revision not in _SPLIT or isinstance(sampling.get("context"), dict):
        # Before there was a word for it, every client that sampled could be asked for context.
        features.add("sampling.context")
    return frozenset(features)


def _elicitation(declared: dict[str, Any], revision: str) -> frozenset[Feature]:
    elicitation = declared.get("elicitation")
    if not isinstance(elicitation, dict) or revision in _NO_ELICITATION:
        return frozenset()
    has_url = revision in _SPLIT and isinstance(elicitation.get("url"), dict)
    # An object that names no mode means forms.
    has_form = not has_url or isinstance(elicitation.get("form"), dict)
    features: set[Feature] = set()
    if has_form:
        features.add("elicitation.form")
    if has_url:
        features.add("elicitation.url")
    return frozenset(features)


def _extensions(declared: dict[str, Any], revision: str) -> tuple[tuple[str, bytes], ...]:
    extensions = declared.get("extensions")
    if not isinstance(extensions, dict):
        return ()
    # Pages are older than the modern era; tasks as an extension are not.
    may_be = EXTENSIONS if revision == MODERN else EXTENSIONS - {TASKS}
    known = (name for name in sorted(may_be) if isinstance(extensions.get(name), dict))
    return tuple((name, jsonrpc.encode(extensions[name])) for name in known)


def needed(method: str, params: dict[str, Any]) -> frozenset[Feature]:
    """What a client must have declared to be asked this; empty for a method that no server may ask."""
    match method:
        case "roots/list":
            return frozenset({"roots"})
        case "elicitation/create":
            return frozenset({"elicitation.url" if params.get("mode") == "url" else "elicitation.form"})
        case "sampling/createMessage":
            features: set[Feature] = {"sampling"}
            if params.get("tools") is not None or params.get("toolChoice") is not None:
                features.add("sampling.tools")
            if params.get("includeContext") in _CONTEXTS:
                features.add("sampling.context")
            return frozenset(features)
        case _:
            return frozenset()


def as_object(features: frozenset[Feature]) -> dict[str, dict[str, Any]]:
    """The features as a capabilities object: for a declaration, or the `requiredCapabilities` of -32021."""
    tree: dict[str, dict[str, Any]] = {}
    for feature in sorted(features):
        top, _, part = feature.partition(".")
        branch = tree.setdefault(top, {})
        if part:
            branch[part] = {}
    return tree


@lru_cache(maxsize=256)
def declaration(capabilities: ClientCapabilities, announces_roots: bool = False) -> bytes:
    """The JSON to declare upstream. `announces_roots` adds roots.listChanged, which modern does not have."""
    tree: dict[str, Any] = dict(as_object(capabilities.features))
    if announces_roots and "roots" in tree:
        tree["roots"] = {"listChanged": True}
    if capabilities.extensions:
        tree["extensions"] = {name: Raw(settings) for name, settings in capabilities.extensions}
    return jsonrpc.encode(tree)
